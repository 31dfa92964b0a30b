// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupt lines: who raises a pin, and what becomes of it when a vCPU has
 * dealt with it.
 *
 * Several sources share a pin; it is high while one of them drives it. What
 * waits for the end of an interrupt is told without chip->lock, since it may
 * raise the line again.
 */
#include <asm/apicdef.h>
#include <umbra/vm.h>
#include "chip.h"
#include "lapic.h"

/* The 8259's output went up: the vCPUs that listen must look. */
static void output_rises(struct umbra_irqchip *chip)
{
	struct umbra_vcpu *vcpu;
	unsigned int i;

	for (i = 0; (vcpu = umbra_vm_vcpu(chip->vm, i)); i++) {
		if (umbra_lapic_takes_extint(vcpu->lapic))
			umbra_vcpu_notify(vcpu);
		else
			umbra_lapic_local(vcpu->lapic, APIC_LVT0);
	}
}

static void pins_acked(struct umbra_irqchip *chip, unsigned int which, u32 pins)
{
	if (!pins)
		return;
	if (pins & umbra_routing_pins(chip, UMBRA_PIT_GSI, which))
		umbra_pit_acked(chip);
	umbra_irqfd_acked(chip, which, pins);
}

static void pic_pins_acked(struct umbra_irqchip *chip, u32 pins)
{
	if (likely(!pins))
		return;
	pins_acked(chip, KVM_IRQCHIP_PIC_MASTER, pins & 0xff);
	pins_acked(chip, KVM_IRQCHIP_PIC_SLAVE, pins >> 8);
}

/* Any context. @pin counts from 0 in each of the two PICs, too. */
int umbra_pin_set(struct umbra_irqchip *chip, unsigned int which, unsigned int pin,
		  unsigned int source, bool level)
{
	u64 bit = BIT_ULL(source), *sources;
	unsigned long flags;
	bool before;
	int ret;

	raw_spin_lock_irqsave(&chip->lock, flags);
	if (which == KVM_IRQCHIP_IOAPIC) {
		sources = &chip->ioapic_sources[pin];
	} else {
		pin += which == KVM_IRQCHIP_PIC_SLAVE ? 8 : 0;
		sources = &chip->pic_sources[pin];
	}
	*sources = level ? *sources | bit : *sources & ~bit;
	if (which == KVM_IRQCHIP_IOAPIC) {
		ret = umbra_ioapic_set_pin(chip, pin, *sources);
	} else {
		before = chip->pic.output;
		ret = umbra_pic_set_pin(&chip->pic, pin, *sources);
		if (!before && chip->pic.output)
			output_rises(chip);
	}
	raw_spin_unlock_irqrestore(&chip->lock, flags);
	return ret;
}

/* A vCPU wrote EOI for a vector that the IOAPIC may have sent. */
void umbra_irqchip_eoi(struct umbra_irqchip *chip, u8 vector)
{
	unsigned long flags;
	u32 acked;

	raw_spin_lock_irqsave(&chip->lock, flags);
	acked = umbra_ioapic_eoi(chip, vector);
	raw_spin_unlock_irqrestore(&chip->lock, flags);
	pins_acked(chip, KVM_IRQCHIP_IOAPIC, acked);
}

/* Return: the 8259's vector, or -1 when its output is low again. */
int umbra_extint_ack(struct umbra_irqchip *chip)
{
	unsigned long flags;
	u32 acked = 0;
	int vector = -1;

	raw_spin_lock_irqsave(&chip->lock, flags);
	if (chip->pic.output)
		vector = umbra_pic_ack(&chip->pic, &acked);
	raw_spin_unlock_irqrestore(&chip->lock, flags);
	pic_pins_acked(chip, acked);
	return vector;
}

bool umbra_pic_io(struct umbra_irqchip *chip, u16 port, u8 *data, bool write)
{
	unsigned long flags;
	bool found, before;
	u32 acked;

	raw_spin_lock_irqsave(&chip->lock, flags);
	before = chip->pic.output;
	found = umbra_pic_port(&chip->pic, port, data, write, &acked);
	if (!before && chip->pic.output)
		output_rises(chip);
	raw_spin_unlock_irqrestore(&chip->lock, flags);
	pic_pins_acked(chip, acked);
	return found;
}

void umbra_pic_restore(struct umbra_irqchip *chip, unsigned int which,
		       const struct kvm_pic_state *state)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&chip->lock, flags);
	umbra_pic_set_state(&chip->pic, which, state);
	if (chip->pic.output)
		output_rises(chip);
	raw_spin_unlock_irqrestore(&chip->lock, flags);
}
