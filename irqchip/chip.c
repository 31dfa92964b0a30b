// SPDX-License-Identifier: GPL-2.0
/* The interrupt controllers of a VM as one object, and who has which address. */
#include <linux/errno.h>
#include <linux/lockdep.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include "chip.h"
#include "lapic.h"

int umbra_irqchip_create(struct umbra_vm *vm)
{
	struct umbra_irqchip *chip;
	int ret;

	lockdep_assert_held(&vm->lock);
	if (vm->irqchip)
		return -EEXIST;
	if (vm->nr_vcpus)
		return -EINVAL;
	chip = kzalloc(sizeof(*chip), GFP_KERNEL_ACCOUNT);
	if (!chip)
		return -ENOMEM;
	chip->vm = vm;
	raw_spin_lock_init(&chip->lock);
	INIT_LIST_HEAD(&chip->irqfds);
	umbra_pic_reset(&chip->pic);
	umbra_ioapic_reset(&chip->ioapic);
	ret = umbra_routing_init(chip);
	if (ret) {
		kfree(chip);
		return ret;
	}
	/* Pairs with umbra_vm_irqchip(): ioctls that do not take vm->lock. */
	smp_store_release(&vm->irqchip, chip);
	return 0;
}

void umbra_irqchip_quiesce(struct umbra_vm *vm)
{
	if (!vm->irqchip)
		return;
	umbra_irqfd_destroy(vm->irqchip);
	umbra_pit_destroy(vm->irqchip);
}

/* The vCPUs are gone. */
void umbra_irqchip_destroy(struct umbra_vm *vm)
{
	struct umbra_irqchip *chip = vm->irqchip;

	if (!chip)
		return;
	umbra_routing_destroy(chip);
	vm->irqchip = NULL;
	kfree(chip);
}

/* The PIT wants to know when its interrupts, which are edges, are over. */
void umbra_irqchip_watch_pit(struct umbra_irqchip *chip)
{
	unsigned long flags;
	u32 pins = 0;

	lockdep_assert_held(&chip->vm->lock);
	if (chip->pit)
		pins = umbra_routing_pins(chip, UMBRA_PIT_GSI, KVM_IRQCHIP_IOAPIC);
	raw_spin_lock_irqsave(&chip->lock, flags);
	umbra_ioapic_watch(chip, pins);
	raw_spin_unlock_irqrestore(&chip->lock, flags);
}

int umbra_irqchip_get(struct umbra_vm *vm, struct kvm_irqchip *out)
{
	struct umbra_irqchip *chip = vm->irqchip;
	unsigned long flags;

	if (out->chip_id >= KVM_NR_IRQCHIPS)
		return -EINVAL;
	memset(&out->chip, 0, sizeof(out->chip));
	raw_spin_lock_irqsave(&chip->lock, flags);
	if (out->chip_id == KVM_IRQCHIP_IOAPIC) {
		out->chip.ioapic = chip->ioapic.state;
		out->chip.ioapic.irr &= ~chip->ioapic.delivered;
	} else {
		out->chip.pic = chip->pic.chip[out->chip_id];
	}
	raw_spin_unlock_irqrestore(&chip->lock, flags);
	return 0;
}

int umbra_irqchip_set(struct umbra_vm *vm, const struct kvm_irqchip *in)
{
	struct umbra_irqchip *chip = vm->irqchip;
	unsigned long flags;

	if (in->chip_id >= KVM_NR_IRQCHIPS)
		return -EINVAL;
	if (in->chip_id != KVM_IRQCHIP_IOAPIC) {
		umbra_pic_restore(chip, in->chip_id, &in->chip.pic);
		return 0;
	}
	raw_spin_lock_irqsave(&chip->lock, flags);
	umbra_ioapic_set_state(chip, &in->chip.ioapic);
	raw_spin_unlock_irqrestore(&chip->lock, flags);
	return 0;
}

static void ioapic_access(struct umbra_irqchip *chip, unsigned int offset, void *data,
			  unsigned int len, bool write)
{
	unsigned int used = min(len, 4u);
	unsigned long flags;
	u32 value = 0;

	if (write)
		memcpy(&value, data, used);
	raw_spin_lock_irqsave(&chip->lock, flags);
	if (write)
		umbra_ioapic_write(chip, offset, value);
	else
		value = umbra_ioapic_read(&chip->ioapic, offset);
	raw_spin_unlock_irqrestore(&chip->lock, flags);
	if (!write) {
		memset(data, 0, len);
		memcpy(data, &value, used);
	}
}

bool umbra_irqchip_mmio(struct umbra_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len,
			bool write)
{
	struct umbra_irqchip *chip = vcpu->vm->irqchip;
	u64 offset;

	if (chip) {
		if (umbra_lapic_mmio(vcpu->lapic, gpa, data, len, write))
			return true;
		offset = gpa - READ_ONCE(chip->ioapic.state.base_address);
		if (offset < IOAPIC_LENGTH) {
			ioapic_access(chip, offset, data, len, write);
			return true;
		}
	}
	return write && umbra_ioeventfd_signal(vcpu->vm, false, gpa, data, len);
}

static bool port_access(struct umbra_irqchip *chip, u16 port, u8 *data, bool write)
{
	switch (port) {
	case 0x20:
	case 0x21:
	case 0xa0:
	case 0xa1:
	case 0x4d0:
	case 0x4d1:
		return umbra_pic_io(chip, port, data, write);
	case 0x40 ... 0x43:
	case 0x61:
		return umbra_pit_io(chip, port, data, write);
	default:
		return false;
	}
}

/* The devices are 8 bits wide: a wide access is one for each port. */
bool umbra_irqchip_pio(struct umbra_vcpu *vcpu, u16 port, void *data, unsigned int len,
		       bool write)
{
	struct umbra_irqchip *chip = vcpu->vm->irqchip;
	unsigned int i;
	u8 *byte = data;

	if (!chip || !port_access(chip, port, byte, write))
		return write && umbra_ioeventfd_signal(vcpu->vm, true, port, data, len);
	for (i = 1; i < len; i++)
		if (!port_access(chip, port + i, byte + i, write) && !write)
			byte[i] = 0xff;
	return true;
}
