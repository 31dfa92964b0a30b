// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's heart: what comes in goes to IRR, from there by priority to
 * ISR and the vCPU, and EOI ends it.
 *
 *	sender (any CPU)                vCPU's thread
 *
 *	set bit in IRR                  irr_pending = false
 *	irr_pending = true              smp_mb()
 *	umbra_vcpu_notify()             look at IRR again
 *
 * If the vCPU's store overwrites the sender's, then its second look comes after
 * the sender's bit.
 */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/slab.h>
#include <umbra/vm.h>
#include "chip.h"
#include "lapic.h"

/* Vectors below are reserved: a local APIC refuses them. */
#define FIRST_VECTOR	16

/* ESR */
#define ESR_RECEIVE_ILLEGAL	6

static int highest(struct umbra_lapic *lapic, unsigned int offset)
{
	int word;

	for (word = 7; word >= 0; word--) {
		u32 bits = lapic_reg(lapic, offset + word * 16);

		if (bits)
			return word * 32 + __fls(bits);
	}
	return -1;
}

static int highest_irr(struct umbra_lapic *lapic)
{
	int vector;

	if (!READ_ONCE(lapic->irr_pending))
		return -1;
	vector = highest(lapic, APIC_IRR);
	if (vector >= 0)
		return vector;

	WRITE_ONCE(lapic->irr_pending, false);
	/* See above. */
	smp_mb();
	vector = highest(lapic, APIC_IRR);
	if (vector >= 0)
		WRITE_ONCE(lapic->irr_pending, true);
	return vector;
}

u32 umbra_lapic_ppr(struct umbra_lapic *lapic)
{
	u32 tpr = lapic_reg(lapic, APIC_TASKPRI) & 0xff;
	int isr = highest(lapic, APIC_ISR);

	if (isr < 0 || (tpr & 0xf0) >= (isr & 0xf0))
		return tpr;
	return isr & 0xf0;
}

/* The vector that the vCPU would take now, or -1. */
static int deliverable(struct umbra_lapic *lapic)
{
	int vector = highest_irr(lapic);

	if (vector < 0 || (vector & 0xf0) <= (umbra_lapic_ppr(lapic) & 0xf0))
		return -1;
	return vector;
}

static void illegal_vector(struct umbra_lapic *lapic)
{
	u32 lvt = lapic_reg(lapic, APIC_LVTERR);

	set_bit(ESR_RECEIVE_ILLEGAL, &lapic->errors);
	/* Its own illegal vector must not end up here again. */
	if ((lvt & APIC_VECTOR_MASK) >= FIRST_VECTOR)
		umbra_lapic_local(lapic, APIC_LVTERR);
}

/* Any context. Return: 1 accepted, 0 pending already, -1 refused. */
int umbra_lapic_accept(struct umbra_lapic *lapic, u8 vector, bool level)
{
	if (!lapic_enabled(lapic) || !lapic_sw_enabled(lapic))
		return -1;
	if (vector < FIRST_VECTOR) {
		illegal_vector(lapic);
		return -1;
	}
	if (level)
		set_bit(lapic_vector_bit(vector), lapic_vector_word(lapic, APIC_TMR, vector));
	else
		clear_bit(lapic_vector_bit(vector), lapic_vector_word(lapic, APIC_TMR, vector));

	/* A full barrier; pairs with the one in highest_irr(). */
	if (test_and_set_bit(lapic_vector_bit(vector), lapic_vector_word(lapic, APIC_IRR, vector)))
		return 0;
	WRITE_ONCE(lapic->irr_pending, true);
	umbra_vcpu_notify(lapic->vcpu);
	return 1;
}

/* What a local source does, as its LVT says. Any context. */
int umbra_lapic_local(struct umbra_lapic *lapic, unsigned int lvt)
{
	u32 entry = lapic_reg(lapic, lvt);

	if (!lapic_enabled(lapic) || entry & APIC_LVT_MASKED)
		return -1;
	switch (entry & APIC_DM_FIXED_MASK) {
	case APIC_DM_FIXED:
		return umbra_lapic_accept(lapic, entry & APIC_VECTOR_MASK, false);
	case APIC_DM_NMI:
		umbra_vcpu_nmi(lapic->vcpu);
		return 1;
	default:
		return -1;
	}
}

/* Does the 8259's output reach this vCPU? */
bool umbra_lapic_takes_extint(const struct umbra_lapic *lapic)
{
	u32 lvt = lapic_reg(lapic, APIC_LVT0);

	if (!lapic_enabled(lapic))
		return true;
	return (lvt & (APIC_LVT_MASKED | APIC_DM_FIXED_MASK)) == APIC_DM_EXTINT;
}

static bool extint_pending(struct umbra_lapic *lapic)
{
	return READ_ONCE(lapic->chip->pic.output) && umbra_lapic_takes_extint(lapic);
}

bool umbra_irq_pending(struct umbra_vcpu *vcpu)
{
	struct umbra_lapic *lapic = vcpu->lapic;

	if (likely(!READ_ONCE(lapic->irr_pending) && !READ_ONCE(lapic->chip->pic.output)))
		return false;
	return extint_pending(lapic) || deliverable(lapic) >= 0;
}

int umbra_irq_ack(struct umbra_vcpu *vcpu)
{
	struct umbra_lapic *lapic = vcpu->lapic;
	int vector;

	if (extint_pending(lapic)) {
		vector = umbra_extint_ack(lapic->chip);
		if (vector >= 0)
			return vector;
	}
	vector = deliverable(lapic);
	if (vector < 0)
		return -1;
	clear_bit(lapic_vector_bit(vector), lapic_vector_word(lapic, APIC_IRR, vector));
	__set_bit(lapic_vector_bit(vector), lapic_vector_word(lapic, APIC_ISR, vector));
	return vector;
}

void umbra_lapic_eoi(struct umbra_lapic *lapic)
{
	int vector = highest(lapic, APIC_ISR);

	if (vector < 0)
		return;
	__clear_bit(lapic_vector_bit(vector), lapic_vector_word(lapic, APIC_ISR, vector));
	if (test_bit(lapic_vector_bit(vector), lapic_vector_word(lapic, APIC_TMR, vector)) ||
	    test_bit(vector, lapic->chip->ioapic.eoi_vectors))
		umbra_irqchip_eoi(lapic->chip, vector);
}

bool umbra_irq_needs_no_eoi(struct umbra_vcpu *vcpu, u8 vector)
{
	struct umbra_lapic *lapic = vcpu->lapic;

	return highest(lapic, APIC_ISR) == vector && highest_irr(lapic) < 0 &&
	       !test_bit(lapic_vector_bit(vector), lapic_vector_word(lapic, APIC_TMR, vector)) &&
	       !test_bit(vector, lapic->chip->ioapic.eoi_vectors);
}

void umbra_irq_eoi(struct umbra_vcpu *vcpu)
{
	if (vcpu->lapic)
		umbra_lapic_eoi(vcpu->lapic);
}

u64 umbra_lapic_get_cr8(struct umbra_vcpu *vcpu)
{
	return lapic_reg(vcpu->lapic, APIC_TASKPRI) >> 4 & 0xf;
}

void umbra_lapic_set_cr8(struct umbra_vcpu *vcpu, u64 cr8)
{
	lapic_set_reg(vcpu->lapic, APIC_TASKPRI, (cr8 & 0xf) << 4);
}

u32 umbra_lapic_vapic_word(struct umbra_vcpu *vcpu)
{
	int irr = max(highest_irr(vcpu->lapic), 0);
	int isr = max(highest(vcpu->lapic, APIC_ISR), 0);

	return (lapic_reg(vcpu->lapic, APIC_TASKPRI) & 0xff) | (irr & 0xf0) << 8 |
	       (u32)isr << 24;
}

void umbra_lapic_set_tpr(struct umbra_vcpu *vcpu, u8 tpr)
{
	lapic_set_reg(vcpu->lapic, APIC_TASKPRI, tpr);
}

int umbra_lapic_create(struct umbra_vcpu *vcpu)
{
	struct umbra_lapic *lapic = kzalloc(sizeof(*lapic), GFP_KERNEL_ACCOUNT);

	if (!lapic)
		return -ENOMEM;
	lapic->vcpu = vcpu;
	lapic->chip = vcpu->vm->irqchip;
	umbra_timer_init(lapic);
	vcpu->lapic = lapic;
	umbra_lapic_reset(vcpu, false);
	return 0;
}

void umbra_lapic_destroy(struct umbra_vcpu *vcpu)
{
	struct umbra_lapic *lapic = vcpu->lapic;

	if (!lapic)
		return;
	umbra_timer_stop(lapic);
	vcpu->lapic = NULL;
	kfree(lapic);
}
