// SPDX-License-Identifier: GPL-2.0
/* The ioctls about interrupt controllers in the kernel. */
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <umbra/irqchip.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include "ioctl.h"

long umbra_irq_create_irqchip(struct umbra_call *call)
{
	return umbra_irqchip_create(call->vm);
}

long umbra_irq_get_irqchip(struct umbra_call *call)
{
	if (!call->vm->irqchip)
		return -ENXIO;
	return umbra_irqchip_get(call->vm, call->data);
}

/* KVM's number for it says that it writes to user space, but it reads. */
long umbra_irq_set_irqchip(struct umbra_call *call)
{
	struct kvm_irqchip *chip;
	long ret;

	if (!call->vm->irqchip)
		return -ENXIO;
	chip = memdup_user(umbra_call_user(call), sizeof(*chip));
	if (IS_ERR(chip))
		return PTR_ERR(chip);
	ret = umbra_irqchip_set(call->vm, chip);
	kfree(chip);
	return ret;
}

/* KVM_IRQ_LINE, and KVM_IRQ_LINE_STATUS, which copies the result out. */
long umbra_irq_set_line(struct umbra_call *call)
{
	struct kvm_irq_level *line = call->data;

	if (!umbra_vm_irqchip(call->vm))
		return -ENXIO;
	line->status = umbra_irq_line(call->vm, UMBRA_IRQ_SOURCE_USER, line->irq, !!line->level);
	return 0;
}

long umbra_irq_set_routing(struct umbra_call *call)
{
	const struct kvm_irq_routing *head = call->data;
	struct kvm_irq_routing __user *user = umbra_call_user(call);
	struct kvm_irq_routing_entry *entries = NULL;
	long ret;

	if (!call->vm->irqchip || head->nr > UMBRA_MAX_ROUTES || head->flags)
		return -EINVAL;
	if (head->nr) {
		entries = vmemdup_user(user->entries, array_size(head->nr, sizeof(*entries)));
		if (IS_ERR(entries))
			return PTR_ERR(entries);
	}
	ret = umbra_irqchip_set_routing(call->vm, entries, head->nr);
	kvfree(entries);
	return ret;
}

long umbra_irq_signal_msi(struct umbra_call *call)
{
	if (!umbra_vm_irqchip(call->vm))
		return -EINVAL;
	return umbra_irqchip_signal_msi(call->vm, call->data);
}

long umbra_irq_set_irqfd(struct umbra_call *call)
{
	if (!call->vm->irqchip)
		return -EINVAL;
	return umbra_irqfd_set(call->vm, call->data);
}

long umbra_irq_set_ioeventfd(struct umbra_call *call)
{
	return umbra_ioeventfd_set(call->vm, call->data);
}

long umbra_irq_create_pit2(struct umbra_call *call)
{
	if (!call->vm->irqchip)
		return -ENOENT;
	return umbra_pit_create(call->vm, call->data);
}

long umbra_irq_create_pit(struct umbra_call *call)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };

	call->data = &config;
	return umbra_irq_create_pit2(call);
}

long umbra_irq_get_pit2(struct umbra_call *call)
{
	if (!umbra_vm_has_pit(call->vm))
		return -ENXIO;
	return umbra_pit_get(call->vm, call->data);
}

/* The older structs are the channels alone. */
long umbra_irq_get_pit(struct umbra_call *call)
{
	struct kvm_pit_state2 state;

	if (!umbra_vm_has_pit(call->vm))
		return -ENXIO;
	umbra_pit_get(call->vm, &state);
	memcpy(call->data, state.channels, sizeof(state.channels));
	return 0;
}

long umbra_irq_set_pit2(struct umbra_call *call)
{
	if (!umbra_vm_has_pit(call->vm))
		return -ENXIO;
	return umbra_pit_set(call->vm, call->data);
}

long umbra_irq_set_pit(struct umbra_call *call)
{
	struct kvm_pit_state2 state = {};

	if (!umbra_vm_has_pit(call->vm))
		return -ENXIO;
	if (copy_from_user(state.channels, umbra_call_user(call), sizeof(state.channels)))
		return -EFAULT;
	return umbra_pit_set(call->vm, &state);
}

/* KVM's number for it has no size. */
long umbra_irq_reinject(struct umbra_call *call)
{
	struct kvm_reinject_control control;

	if (copy_from_user(&control, umbra_call_user(call), sizeof(control)))
		return -EFAULT;
	if (!umbra_vm_has_pit(call->vm))
		return -ENXIO;
	umbra_pit_set_reinject(call->vm, control.pit_reinject);
	return 0;
}

long umbra_irq_set_boot_cpu(struct umbra_call *call)
{
	if (call->vm->nr_vcpus)
		return -EBUSY;
	call->vm->boot_cpu_id = call->arg;
	return 0;
}

long umbra_irq_get_lapic(struct umbra_call *call)
{
	if (!call->vcpu->lapic)
		return -EINVAL;
	return umbra_lapic_get_state(call->vcpu, call->data);
}

long umbra_irq_set_lapic(struct umbra_call *call)
{
	if (!call->vcpu->lapic)
		return -EINVAL;
	return umbra_lapic_set_state(call->vcpu, call->data);
}
