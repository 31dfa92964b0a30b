// SPDX-License-Identifier: GPL-2.0
/*
 * irqfd: an eventfd that raises a GSI. With a resample eventfd the GSI is level
 * triggered: it stays high until the guest has finished the interrupt, then the
 * resample eventfd is signalled, and who drives the device looks whether it
 * wants more.
 *
 * Lists change under vm->lock; RCU is for those who end interrupts.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <umbra/compat.h>
#include <umbra/vm.h>
#include "chip.h"

/**
 * struct umbra_irqfd - one of them
 * @vm: whose GSI
 * @gsi: what is raised
 * @list: in chip->irqfds
 * @event: signalled to raise
 * @resample: signalled when the guest has finished, or NULL
 * @wait: on @event
 * @poll: to get at @event's wait queue
 * @closed: @event has no file any more
 */
struct umbra_irqfd {
	struct umbra_vm *vm;
	u32 gsi;
	struct list_head list;
	struct eventfd_ctx *event;
	struct eventfd_ctx *resample;
	wait_queue_entry_t wait;
	poll_table poll;
	bool closed;
};

static void raise(struct umbra_irqfd *irqfd)
{
	if (irqfd->resample) {
		umbra_irq_line(irqfd->vm, UMBRA_IRQ_SOURCE_RESAMPLE, irqfd->gsi, 1);
		return;
	}
	umbra_irq_line(irqfd->vm, UMBRA_IRQ_SOURCE_IRQFD, irqfd->gsi, 1);
	umbra_irq_line(irqfd->vm, UMBRA_IRQ_SOURCE_IRQFD, irqfd->gsi, 0);
}

/* Called with the eventfd's lock held, interrupts off. */
static int irqfd_wakes(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct umbra_irqfd *irqfd = container_of(wait, struct umbra_irqfd, wait);
	__poll_t events = key_to_poll(key);
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(irqfd->event, &count);
		raise(irqfd);
	}
	if (events & EPOLLHUP)
		WRITE_ONCE(irqfd->closed, true);
	return 0;
}

static void irqfd_queue(struct file *file, wait_queue_head_t *head, poll_table *poll)
{
	add_wait_queue(head, &container_of(poll, struct umbra_irqfd, poll)->wait);
}

void umbra_irqfd_acked(struct umbra_irqchip *chip, unsigned int which, u32 pins)
{
	struct umbra_irqfd *irqfd;

	if (likely(list_empty(&chip->irqfds)))
		return;
	rcu_read_lock();
	list_for_each_entry_rcu(irqfd, &chip->irqfds, list) {
		if (!irqfd->resample || !(pins & umbra_routing_pins(chip, irqfd->gsi, which)))
			continue;
		umbra_irq_line(irqfd->vm, UMBRA_IRQ_SOURCE_RESAMPLE, irqfd->gsi, 0);
		umbra_eventfd_signal(irqfd->resample);
	}
	rcu_read_unlock();
}

static void irqfd_free(struct umbra_irqfd *irqfd)
{
	u64 count;

	if (irqfd->event) {
		if (irqfd->wait.func)
			eventfd_ctx_remove_wait_queue(irqfd->event, &irqfd->wait, &count);
		eventfd_ctx_put(irqfd->event);
	}
	if (irqfd->resample)
		eventfd_ctx_put(irqfd->resample);
	kfree(irqfd);
}

static bool gsi_is_resampled(struct umbra_irqchip *chip, u32 gsi)
{
	struct umbra_irqfd *irqfd;

	list_for_each_entry(irqfd, &chip->irqfds, list)
		if (irqfd->resample && irqfd->gsi == gsi)
			return true;
	return false;
}

static void irqfd_remove(struct umbra_irqchip *chip, struct umbra_irqfd *irqfd)
{
	bool resampled = irqfd->resample;
	u32 gsi = irqfd->gsi;

	list_del_rcu(&irqfd->list);
	synchronize_rcu_expedited();
	irqfd_free(irqfd);
	if (resampled && !gsi_is_resampled(chip, gsi))
		umbra_irq_line(chip->vm, UMBRA_IRQ_SOURCE_RESAMPLE, gsi, 0);
}

/* Those whose eventfd was closed go with the next change. */
static int sweep(struct umbra_irqchip *chip, const struct eventfd_ctx *event)
{
	struct umbra_irqfd *irqfd, *next;
	int ret = 0;

	list_for_each_entry_safe(irqfd, next, &chip->irqfds, list) {
		if (READ_ONCE(irqfd->closed))
			irqfd_remove(chip, irqfd);
		else if (irqfd->event == event)
			ret = -EBUSY;
	}
	return ret;
}

static int irqfd_open(struct umbra_irqfd *irqfd, struct file *file, const struct kvm_irqfd *args)
{
	struct eventfd_ctx *ctx = eventfd_ctx_fileget(file);

	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	irqfd->event = ctx;
	if (!(args->flags & KVM_IRQFD_FLAG_RESAMPLE))
		return 0;
	ctx = eventfd_ctx_fdget(args->resamplefd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	irqfd->resample = ctx;
	return 0;
}

static int irqfd_assign(struct umbra_vm *vm, const struct kvm_irqfd *args, struct file *file)
{
	struct umbra_irqchip *chip = vm->irqchip;
	struct umbra_irqfd *irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!irqfd)
		return -ENOMEM;
	irqfd->vm = vm;
	irqfd->gsi = args->gsi;
	ret = irqfd_open(irqfd, file, args);
	if (!ret)
		ret = sweep(chip, irqfd->event);
	if (ret) {
		irqfd_free(irqfd);
		return ret;
	}
	list_add_tail_rcu(&irqfd->list, &chip->irqfds);
	init_waitqueue_func_entry(&irqfd->wait, irqfd_wakes);
	init_poll_funcptr(&irqfd->poll, irqfd_queue);
	/* What was signalled before counts. */
	if (vfs_poll(file, &irqfd->poll) & EPOLLIN)
		raise(irqfd);
	return 0;
}

static int irqfd_deassign(struct umbra_irqchip *chip, const struct kvm_irqfd *args,
			  struct file *file)
{
	struct eventfd_ctx *ctx = eventfd_ctx_fileget(file);
	struct umbra_irqfd *irqfd, *next;

	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	list_for_each_entry_safe(irqfd, next, &chip->irqfds, list)
		if (irqfd->event == ctx && irqfd->gsi == args->gsi)
			irqfd_remove(chip, irqfd);
	eventfd_ctx_put(ctx);
	return 0;
}

int umbra_irqfd_set(struct umbra_vm *vm, const struct kvm_irqfd *args)
{
	struct file *file;
	int ret;

	lockdep_assert_held(&vm->lock);
	if (args->flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE) ||
	    args->gsi >= UMBRA_MAX_ROUTES)
		return -EINVAL;
	file = fget(args->fd);
	if (!file)
		return -EBADF;
	if (args->flags & KVM_IRQFD_FLAG_DEASSIGN)
		ret = irqfd_deassign(vm->irqchip, args, file);
	else
		ret = irqfd_assign(vm, args, file);
	fput(file);
	return ret;
}

/* The VM goes: nobody ends interrupts any more. */
void umbra_irqfd_destroy(struct umbra_irqchip *chip)
{
	struct umbra_irqfd *irqfd, *next;

	list_for_each_entry_safe(irqfd, next, &chip->irqfds, list)
		irqfd_free(irqfd);
}
