// SPDX-License-Identifier: GPL-2.0
/* The local APIC as a whole: reset, its base and mode, saving and restoring. */
#include <asm/page.h>
#include <linux/errno.h>
#include <linux/kvm.h>
#include <linux/string.h>
#include <umbra/vm.h>
#include "chip.h"
#include "lapic.h"

/* The logical ID of an x2APIC follows from its ID: a cluster of 16 each. */
static u32 x2apic_ldr(u32 id)
{
	return (id >> 4) << 16 | BIT(id & 15);
}

/* The registers that follow from ID and mode. */
static void set_identity(struct umbra_lapic *lapic)
{
	u32 id = lapic->vcpu->id;

	lapic_set_reg(lapic, APIC_LVR, LAPIC_VERSION | (LAPIC_LVTS + lapic->cmci - 1) << 16);
	if (lapic_x2apic(lapic)) {
		lapic_set_reg(lapic, APIC_ID, id);
		lapic_set_reg(lapic, APIC_LDR, x2apic_ldr(id));
	} else {
		lapic_set_reg(lapic, APIC_ID, id << LAPIC_ID_SHIFT);
	}
}

static void reset_registers(struct umbra_lapic *lapic)
{
	unsigned int offset;

	umbra_timer_stop(lapic);
	for (offset = 0; offset < KVM_APIC_REG_SIZE; offset += 16)
		lapic_set_reg(lapic, offset, 0);
	for (offset = APIC_LVTT; offset <= APIC_LVTERR; offset += 16)
		lapic_set_reg(lapic, offset, APIC_LVT_MASKED);
	if (lapic->cmci)
		lapic_set_reg(lapic, APIC_LVTCMCI, APIC_LVT_MASKED);
	lapic_set_reg(lapic, APIC_DFR, APIC_DFR_FLAT);
	lapic_set_reg(lapic, APIC_SPIV, 0xff);
	lapic->errors = 0;
	WRITE_ONCE(lapic->deadline, 0);
	set_identity(lapic);
}

void umbra_lapic_reset(struct umbra_vcpu *vcpu, bool init)
{
	struct umbra_lapic *lapic = vcpu->lapic;
	bool bsp = vcpu->id == vcpu->vm->boot_cpu_id;

	if (!init)
		WRITE_ONCE(vcpu->apic_base, APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE |
			   (bsp ? MSR_IA32_APICBASE_BSP : 0));
	reset_registers(lapic);
	/* Firmware that knows no APIC gets its interrupts from the 8259. */
	if (!init && bsp)
		lapic_set_reg(lapic, APIC_LVT0, APIC_DM_EXTINT);
}

void umbra_lapic_set_cmci(struct umbra_vcpu *vcpu, bool on)
{
	struct umbra_lapic *lapic = vcpu->lapic;

	lapic->cmci = on;
	lapic_set_reg(lapic, APIC_LVTCMCI, on ? APIC_LVT_MASKED : 0);
	set_identity(lapic);
}

void umbra_lapic_cmci(struct umbra_vcpu *vcpu)
{
	if (vcpu->lapic->cmci)
		umbra_lapic_local(vcpu->lapic, APIC_LVTCMCI);
}

#define MODE_BITS	(MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE)

static int check_base(struct umbra_vcpu *vcpu, u64 base)
{
	const struct kvm_cpuid_entry2 *width = umbra_vcpu_cpuid(vcpu, 0x80000008, 0);
	unsigned int bits = width ? width->eax & 0xff : 36;

	if (bits < 32 || bits > 52)
		bits = 36;
	if (base & ~(GENMASK_ULL(bits - 1, PAGE_SHIFT) | MODE_BITS | MSR_IA32_APICBASE_BSP))
		return -EINVAL;
	/* x2APIC mode is a mode of an APIC that is on. */
	return (base & MODE_BITS) == X2APIC_ENABLE ? -EINVAL : 0;
}

int umbra_lapic_set_base(struct umbra_vcpu *vcpu, u64 base)
{
	struct umbra_lapic *lapic = vcpu->lapic;
	u64 changed = (vcpu->apic_base ^ base) & MODE_BITS;

	if (check_base(vcpu, base))
		return -EINVAL;
	WRITE_ONCE(vcpu->apic_base, base);
	if (!changed)
		return 0;
	/* Switched off, it forgets everything. */
	if (!(base & MSR_IA32_APICBASE_ENABLE))
		reset_registers(lapic);
	else
		set_identity(lapic);
	/* The 8259 may be heard now, or no longer. */
	umbra_vcpu_notify(vcpu);
	return 0;
}

int umbra_lapic_write_base(struct umbra_vcpu *vcpu, u64 base)
{
	u64 old = vcpu->apic_base & MODE_BITS, new = base & MODE_BITS;
	const struct kvm_cpuid_entry2 *leaf = umbra_vcpu_cpuid(vcpu, 1, 0);

	if (new & X2APIC_ENABLE && !(leaf && leaf->ecx & BIT(21)))
		return -EINVAL;
	/* From x2APIC to off only, and into it only from xAPIC. */
	if (old == MODE_BITS && new == MSR_IA32_APICBASE_ENABLE)
		return -EINVAL;
	if (!old && new == MODE_BITS)
		return -EINVAL;
	return umbra_lapic_set_base(vcpu, base);
}

int umbra_lapic_get_state(struct umbra_vcpu *vcpu, struct kvm_lapic_state *state)
{
	struct umbra_lapic *lapic = vcpu->lapic;
	unsigned int offset;
	u32 *out;

	memset(state, 0, sizeof(*state));
	for (offset = 0; offset < KVM_APIC_REG_SIZE; offset += 16) {
		out = (u32 *)(state->regs + offset);
		*out = lapic_reg(lapic, offset);
	}
	/* User space's layout has the ID in the upper bits whatever the mode. */
	*(u32 *)(state->regs + APIC_ID) = vcpu->id << LAPIC_ID_SHIFT;
	*(u32 *)(state->regs + APIC_PROCPRI) = umbra_lapic_ppr(lapic);
	*(u32 *)(state->regs + APIC_TMCCT) = umbra_timer_count(lapic);
	return 0;
}

/* Registers that keep what this APIC is, whatever user space says. */
static bool is_fixed(unsigned int offset)
{
	return offset == APIC_ID || offset == APIC_LVR || offset == APIC_TMCCT;
}

/*
 * Reserved bits of a register cannot be had from a page either. Vectors below 16
 * in IRR can, and are never delivered: no priority is lower than theirs.
 */
static u32 sanitize(unsigned int offset, u32 value)
{
	switch (offset) {
	case APIC_TASKPRI:
		return value & 0xff;
	case APIC_SPIV:
		return value & (APIC_VECTOR_MASK | APIC_SPIV_APIC_ENABLED);
	case APIC_TDCR:
		return value & 0xb;
	case APIC_DFR:
		return value | 0x0fffffff;
	case APIC_ICR:
		return value & ~APIC_ICR_BUSY;
	default:
		return value;
	}
}

/*
 * A sender may set a bit of IRR meanwhile; like a guest that resets its APIC,
 * who restores one that is in use may lose it.
 */
int umbra_lapic_set_state(struct umbra_vcpu *vcpu, const struct kvm_lapic_state *state)
{
	struct umbra_lapic *lapic = vcpu->lapic;
	unsigned int offset;

	/* An x2APIC is known by its ID, so that one has to be right. */
	if (lapic_x2apic(lapic) &&
	    *(const u32 *)(state->regs + APIC_ID) >> LAPIC_ID_SHIFT != vcpu->id)
		return -EINVAL;
	umbra_timer_stop(lapic);
	for (offset = 0; offset < KVM_APIC_REG_SIZE; offset += 16)
		if (!is_fixed(offset))
			lapic_set_reg(lapic, offset,
				      sanitize(offset, *(const u32 *)(state->regs + offset)));
	set_identity(lapic);
	WRITE_ONCE(lapic->irr_pending, true);
	umbra_timer_restore(lapic, *(const u32 *)(state->regs + APIC_TMCCT));
	umbra_vcpu_notify(vcpu);
	return 0;
}
