// SPDX-License-Identifier: GPL-2.0
/*
 * ioeventfd: a guest's write to an address or port signals an eventfd instead
 * of leaving for user space. Works without interrupt controllers in the kernel,
 * too.
 *
 * The list changes under vm->lock; vCPUs read it under RCU.
 */
#include <linux/eventfd.h>
#include <linux/kvm.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <umbra/compat.h>
#include <umbra/irqchip.h>
#include <umbra/vm.h>

/* Each write that leaves the guest looks through them. */
#define MAX_IOEVENTFDS	4096

/**
 * struct umbra_ioeventfd - one of them
 * @list: in vm->ioeventfds
 * @event: to be signalled
 * @addr: address or port
 * @len: of the write; 0 for any
 * @pio: @addr is a port
 * @any_data: @data does not matter
 * @data: what must be written
 */
struct umbra_ioeventfd {
	struct list_head list;
	struct eventfd_ctx *event;
	u64 addr;
	u32 len;
	bool pio;
	bool any_data;
	u64 data;
};

bool umbra_ioeventfd_signal(struct umbra_vm *vm, bool pio, u64 addr, const void *data,
			    unsigned int len)
{
	struct umbra_ioeventfd *p;
	bool found = false;
	u64 value = 0;

	if (likely(list_empty(&vm->ioeventfds)))
		return false;
	memcpy(&value, data, min_t(unsigned int, len, sizeof(value)));
	rcu_read_lock();
	list_for_each_entry_rcu(p, &vm->ioeventfds, list) {
		if (p->addr != addr || p->pio != pio || (p->len && p->len != len))
			continue;
		if (!p->any_data && p->data != value)
			continue;
		umbra_eventfd_signal(p->event);
		found = true;
		break;
	}
	rcu_read_unlock();
	return found;
}

static bool args_valid(const struct kvm_ioeventfd *args)
{
	switch (args->len) {
	case 0:
		/* There is no data to compare with. */
		if (args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH)
			return false;
		break;
	case 1:
	case 2:
	case 4:
	case 8:
		break;
	default:
		return false;
	}
	return args->addr + args->len >= args->addr &&
	       !(args->flags & ~(KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO |
				 KVM_IOEVENTFD_FLAG_DEASSIGN));
}

static void fill(struct umbra_ioeventfd *p, const struct kvm_ioeventfd *args)
{
	p->addr = args->addr;
	p->len = args->len;
	p->pio = args->flags & KVM_IOEVENTFD_FLAG_PIO;
	p->any_data = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
	p->data = p->any_data ? 0 : args->datamatch;
}

/* Could one write be meant for both? */
static bool collide(const struct umbra_ioeventfd *a, const struct umbra_ioeventfd *b)
{
	return a->addr == b->addr && a->pio == b->pio &&
	       (!a->len || !b->len ||
		(a->len == b->len && (a->any_data || b->any_data || a->data == b->data)));
}

static bool same(const struct umbra_ioeventfd *a, const struct umbra_ioeventfd *b)
{
	return a->event == b->event && a->addr == b->addr && a->pio == b->pio &&
	       a->len == b->len && a->any_data == b->any_data && a->data == b->data;
}

static int assign(struct umbra_vm *vm, const struct umbra_ioeventfd *new)
{
	struct umbra_ioeventfd *p;
	unsigned int nr = 0;

	list_for_each_entry(p, &vm->ioeventfds, list) {
		if (collide(p, new))
			return -EEXIST;
		nr++;
	}
	if (nr >= MAX_IOEVENTFDS)
		return -ENOSPC;
	p = kmemdup(new, sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!p)
		return -ENOMEM;
	list_add_tail_rcu(&p->list, &vm->ioeventfds);
	return 0;
}

static int deassign(struct umbra_vm *vm, const struct umbra_ioeventfd *old)
{
	struct umbra_ioeventfd *p;

	list_for_each_entry(p, &vm->ioeventfds, list) {
		if (!same(p, old))
			continue;
		list_del_rcu(&p->list);
		synchronize_rcu_expedited();
		eventfd_ctx_put(p->event);
		kfree(p);
		return 0;
	}
	return -ENOENT;
}

int umbra_ioeventfd_set(struct umbra_vm *vm, const struct kvm_ioeventfd *args)
{
	struct umbra_ioeventfd wanted = {};
	int ret;

	lockdep_assert_held(&vm->lock);
	if (!args_valid(args))
		return -EINVAL;
	fill(&wanted, args);
	wanted.event = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(wanted.event))
		return PTR_ERR(wanted.event);
	if (args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN) {
		ret = deassign(vm, &wanted);
	} else {
		ret = assign(vm, &wanted);
		/* The list keeps the reference. */
		if (!ret)
			return 0;
	}
	eventfd_ctx_put(wanted.event);
	return ret;
}

void umbra_ioeventfd_destroy(struct umbra_vm *vm)
{
	struct umbra_ioeventfd *p, *next;

	list_for_each_entry_safe(p, next, &vm->ioeventfds, list) {
		eventfd_ctx_put(p->event);
		kfree(p);
	}
}
