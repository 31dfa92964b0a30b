// SPDX-License-Identifier: GPL-2.0
/* Which local APICs an interrupt message is for, and what it does to them. */
#include <linux/atomic.h>
#include <umbra/vm.h>
#include "chip.h"
#include "lapic.h"

/* MSI address: 31:20 are 0xfee, then */
#define MSI_DEST_SHIFT		12
#define MSI_LOGICAL		BIT(2)
/* MSI data */
#define MSI_LEVEL		BIT(15)

#define BROADCAST_8		0xffu
#define BROADCAST_32		0xffffffffu

static bool is_broadcast(const struct umbra_irq_msg *msg)
{
	/* No APIC can have the ID 255, so who sends 8 bits means everybody. */
	return msg->dest == (msg->wide ? BROADCAST_32 : BROADCAST_8);
}

static bool match_logical(const struct umbra_lapic *lapic, u32 dest)
{
	u32 ldr = lapic_reg(lapic, APIC_LDR);

	if (lapic_x2apic(lapic))
		return ldr >> 16 == dest >> 16 && ldr & dest & 0xffff;
	if (dest > 0xff)
		return false;
	ldr >>= LAPIC_ID_SHIFT;
	if (lapic_reg(lapic, APIC_DFR) == APIC_DFR_FLAT)
		return ldr & dest;
	/* Clusters of four. */
	return ldr >> 4 == dest >> 4 && ldr & dest & 0xf;
}

static bool matches(const struct umbra_lapic *lapic, const struct umbra_lapic *src,
		    const struct umbra_irq_msg *msg)
{
	if (!lapic_enabled(lapic))
		return false;
	switch (msg->shorthand) {
	case APIC_DEST_SELF:
		return lapic == src;
	case APIC_DEST_ALLINC:
		return true;
	case APIC_DEST_ALLBUT:
		return lapic != src;
	}
	if (is_broadcast(msg))
		return true;
	if (msg->logical)
		return match_logical(lapic, msg->dest);
	return lapic->vcpu->id == msg->dest;
}

static int deliver_one(struct umbra_lapic *lapic, const struct umbra_irq_msg *msg)
{
	switch (msg->mode) {
	case APIC_DM_FIXED:
	case APIC_DM_LOWEST:
		return umbra_lapic_accept(lapic, msg->vector, msg->level);
	case APIC_DM_NMI:
		umbra_vcpu_nmi(lapic->vcpu);
		return 1;
	case APIC_DM_INIT:
		umbra_vcpu_init_signal(lapic->vcpu);
		return 1;
	case APIC_DM_STARTUP:
		umbra_vcpu_sipi(lapic->vcpu, msg->vector);
		return 1;
	default:
		/* SMI, which no guest is offered, remote read, ExtINT, reserved. */
		return -1;
	}
}

/* The better one for a lowest-priority interrupt: lower TPR, then longer idle. */
static struct umbra_lapic *lower(struct umbra_lapic *a, struct umbra_lapic *b)
{
	u32 tpr_a, tpr_b;

	if (!a)
		return b;
	tpr_a = lapic_reg(a, APIC_TASKPRI) & 0xf0;
	tpr_b = lapic_reg(b, APIC_TASKPRI) & 0xf0;
	if (tpr_a != tpr_b)
		return tpr_a < tpr_b ? a : b;
	return READ_ONCE(b->served) < READ_ONCE(a->served) ? b : a;
}

static int deliver_lowest(struct umbra_vm *vm, struct umbra_lapic *src,
			  const struct umbra_irq_msg *msg)
{
	static atomic64_t turn;
	struct umbra_lapic *best = NULL;
	struct umbra_vcpu *vcpu;
	unsigned int i;

	for (i = 0; (vcpu = umbra_vm_vcpu(vm, i)); i++)
		if (matches(vcpu->lapic, src, msg) && lapic_sw_enabled(vcpu->lapic))
			best = lower(best, vcpu->lapic);
	if (!best)
		return -1;
	WRITE_ONCE(best->served, atomic64_inc_return(&turn));
	return deliver_one(best, msg);
}

/*
 * Any context. @src is the sender of an IPI, NULL for others.
 * Return: how many took it, 0 when it was pending already, -1 when nobody did.
 */
int umbra_irq_deliver(struct umbra_vm *vm, struct umbra_lapic *src,
		      const struct umbra_irq_msg *msg)
{
	struct umbra_vcpu *vcpu;
	int ret = -1, one;
	unsigned int i;

	if (msg->mode == APIC_DM_LOWEST)
		return deliver_lowest(vm, src, msg);
	for (i = 0; (vcpu = umbra_vm_vcpu(vm, i)); i++) {
		if (!matches(vcpu->lapic, src, msg))
			continue;
		one = deliver_one(vcpu->lapic, msg);
		if (one >= 0)
			ret = max(ret, 0) + one;
	}
	return ret;
}

void umbra_msi_decode(u32 address, u32 data, struct umbra_irq_msg *msg)
{
	*msg = (struct umbra_irq_msg){
		.dest = address >> MSI_DEST_SHIFT & 0xff,
		.logical = address & MSI_LOGICAL,
		.mode = data & APIC_DM_FIXED_MASK,
		.vector = data & APIC_VECTOR_MASK,
		.level = data & MSI_LEVEL,
	};
}
