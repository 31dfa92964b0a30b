// SPDX-License-Identifier: GPL-2.0
/* The local APIC's registers, as the guest reads and writes them. */
#include <asm/page.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <umbra/vm.h>
#include "chip.h"
#include "lapic.h"

#define X2APIC_MSR_END		(APIC_BASE_MSR + 0xff)

/* What a guest can write to the LVTs; mask bit apart, which all have. */
#define LVT_TIMER_BITS	(APIC_VECTOR_MASK | APIC_LVT_MASKED | APIC_LVT_TIMER_PERIODIC | \
			 APIC_LVT_TIMER_TSCDEADLINE)
#define LVT_BITS	(APIC_VECTOR_MASK | APIC_LVT_MASKED | APIC_DM_FIXED_MASK)
#define LVT_LINT_BITS	(LVT_BITS | APIC_LVT_LEVEL_TRIGGER | BIT(13))

/* In an x2APIC, these bits of the command register fault. */
#define X2APIC_ICR_RESERVED	(GENMASK(31, 20) | GENMASK(17, 16) | BIT(13))

#define SPIV_BITS	(APIC_VECTOR_MASK | APIC_SPIV_APIC_ENABLED)

/* Registers that exist and can be read, the ranges of 8 apart. */
static bool readable(const struct umbra_lapic *lapic, unsigned int offset)
{
	switch (offset) {
	case APIC_ID:
	case APIC_LVR:
	case APIC_TASKPRI:
	case APIC_PROCPRI:
	case APIC_LDR:
	case APIC_SPIV:
	case APIC_ISR ... APIC_ISR + 0x70:
	case APIC_TMR ... APIC_TMR + 0x70:
	case APIC_IRR ... APIC_IRR + 0x70:
	case APIC_ESR:
	case APIC_ICR:
	case APIC_LVTT:
	case APIC_LVTTHMR:
	case APIC_LVTPC:
	case APIC_LVT0:
	case APIC_LVT1:
	case APIC_LVTERR:
	case APIC_TMICT:
	case APIC_TMCCT:
	case APIC_TDCR:
		return true;
	case APIC_LVTCMCI:
		return lapic->cmci;
	default:
		return false;
	}
}

/* Registers that only an xAPIC has. */
static bool xapic_only(unsigned int offset)
{
	return offset == APIC_ARBPRI || offset == APIC_DFR || offset == APIC_ICR2;
}

/* Return: 0 or -EINVAL, for an offset that has no readable register. */
int umbra_lapic_read(struct umbra_lapic *lapic, unsigned int offset, u32 *data)
{
	*data = 0;
	if (!readable(lapic, offset) && (lapic_x2apic(lapic) || !xapic_only(offset)))
		return -EINVAL;
	switch (offset) {
	case APIC_TMCCT:
		*data = umbra_timer_count(lapic);
		break;
	case APIC_PROCPRI:
		*data = umbra_lapic_ppr(lapic);
		break;
	case APIC_ARBPRI:
		break;
	default:
		*data = lapic_reg(lapic, offset);
	}
	return 0;
}

static void write_spiv(struct umbra_lapic *lapic, u32 data)
{
	unsigned int lvt;

	lapic_set_reg(lapic, APIC_SPIV, data & SPIV_BITS);
	if (data & APIC_SPIV_APIC_ENABLED)
		return;
	/* Software disables the APIC: all LVTs become masked, and stay so. */
	for (lvt = APIC_LVTT; lvt <= APIC_LVTERR; lvt += 0x10)
		lapic_set_reg(lapic, lvt, lapic_reg(lapic, lvt) | APIC_LVT_MASKED);
	if (lapic->cmci)
		lapic_set_reg(lapic, APIC_LVTCMCI,
			      lapic_reg(lapic, APIC_LVTCMCI) | APIC_LVT_MASKED);
}

static void write_lvt(struct umbra_lapic *lapic, unsigned int offset, u32 data)
{
	if (!lapic_sw_enabled(lapic))
		data |= APIC_LVT_MASKED;
	switch (offset) {
	case APIC_LVTT:
		umbra_timer_set_lvt(lapic, data & LVT_TIMER_BITS);
		break;
	case APIC_LVT0:
	case APIC_LVT1:
		lapic_set_reg(lapic, offset, data & LVT_LINT_BITS);
		/* The 8259 may have waited for LINT0. */
		umbra_vcpu_notify(lapic->vcpu);
		break;
	case APIC_LVTERR:
		lapic_set_reg(lapic, offset, data & (APIC_VECTOR_MASK | APIC_LVT_MASKED));
		break;
	default:
		lapic_set_reg(lapic, offset, data & LVT_BITS);
	}
}

static void send_ipi(struct umbra_lapic *lapic, u32 icr, u32 dest, bool wide)
{
	struct umbra_irq_msg msg = {
		.dest = dest,
		.shorthand = icr & APIC_DEST_ALLBUT,
		.mode = icr & APIC_DM_FIXED_MASK,
		.vector = icr & APIC_VECTOR_MASK,
		.logical = icr & APIC_DEST_LOGICAL,
		.wide = wide,
	};

	/* INIT Level De-assert was for the arbitration of old. */
	if (msg.mode == APIC_DM_INIT && icr & APIC_INT_LEVELTRIG && !(icr & APIC_INT_ASSERT))
		return;
	umbra_irq_deliver(lapic->vcpu->vm, lapic, &msg);
}

/* Return: 0 or -EINVAL: no such register, or it cannot be written. */
int umbra_lapic_write(struct umbra_lapic *lapic, unsigned int offset, u32 data)
{
	switch (offset) {
	case APIC_TASKPRI:
		lapic_set_reg(lapic, offset, data & 0xff);
		break;
	case APIC_EOI:
		umbra_lapic_eoi(lapic);
		break;
	case APIC_SPIV:
		write_spiv(lapic, data);
		break;
	case APIC_ESR:
		lapic_set_reg(lapic, offset, xchg(&lapic->errors, 0));
		break;
	case APIC_ICR:
		/* Sent at once: never busy. */
		data &= ~APIC_ICR_BUSY;
		lapic_set_reg(lapic, offset, data);
		send_ipi(lapic, data, lapic_reg(lapic, APIC_ICR2) >> LAPIC_ID_SHIFT, false);
		break;
	case APIC_LVTCMCI:
		if (!lapic->cmci)
			return -EINVAL;
		write_lvt(lapic, offset, data);
		break;
	case APIC_LVTT ... APIC_LVTERR:
		write_lvt(lapic, offset, data);
		break;
	case APIC_TMICT:
		if ((lapic_reg(lapic, APIC_LVTT) & APIC_LVT_TIMER_TSCDEADLINE))
			break;
		umbra_timer_stop(lapic);
		lapic_set_reg(lapic, offset, data);
		umbra_timer_start(lapic);
		break;
	case APIC_TDCR:
		umbra_timer_set_divide(lapic, data & 0xb);
		break;
	default:
		return -EINVAL;
	}
	return 0;
}

static int xapic_write(struct umbra_lapic *lapic, unsigned int offset, u32 data)
{
	switch (offset) {
	case APIC_LDR:
		lapic_set_reg(lapic, offset, data & (0xffu << LAPIC_ID_SHIFT));
		return 0;
	case APIC_DFR:
		lapic_set_reg(lapic, offset, data | 0x0fffffff);
		return 0;
	case APIC_ICR2:
		lapic_set_reg(lapic, offset, data & (0xffu << LAPIC_ID_SHIFT));
		return 0;
	default:
		return umbra_lapic_write(lapic, offset, data);
	}
}

static int x2apic_write_icr(struct umbra_lapic *lapic, u64 data)
{
	u32 icr = data & ~APIC_ICR_BUSY;

	if ((u32)data & X2APIC_ICR_RESERVED)
		return -EINVAL;
	lapic_set_reg(lapic, APIC_ICR, icr);
	lapic_set_reg(lapic, APIC_ICR2, data >> 32);
	send_ipi(lapic, icr, data >> 32, true);
	return 0;
}

static int x2apic_write(struct umbra_lapic *lapic, unsigned int offset, u64 data)
{
	if (offset == APIC_ICR)
		return x2apic_write_icr(lapic, data);
	if (data >> 32)
		return -EINVAL;
	switch (offset) {
	case APIC_SELF_IPI:
		if (data & ~(u64)APIC_VECTOR_MASK)
			return -EINVAL;
		umbra_lapic_accept(lapic, data, false);
		return 0;
	case APIC_EOI:
	case APIC_ESR:
		if (data)
			return -EINVAL;
		break;
	case APIC_TASKPRI:
		if (data & ~0xffull)
			return -EINVAL;
		break;
	}
	return umbra_lapic_write(lapic, offset, data);
}

int umbra_lapic_get_msr(struct umbra_vcpu *vcpu, u32 index, u64 *data)
{
	struct umbra_lapic *lapic = vcpu->lapic;
	unsigned int offset = (index - APIC_BASE_MSR) << 4;
	u32 value;

	if (index == MSR_IA32_TSC_DEADLINE) {
		*data = READ_ONCE(lapic->deadline);
		return 0;
	}
	if (index < APIC_BASE_MSR || index > X2APIC_MSR_END || !lapic_x2apic(lapic))
		return -EINVAL;
	if (offset >= KVM_APIC_REG_SIZE || umbra_lapic_read(lapic, offset, &value))
		return -EINVAL;
	*data = value;
	if (offset == APIC_ICR)
		*data |= (u64)lapic_reg(lapic, APIC_ICR2) << 32;
	return 0;
}

int umbra_lapic_set_msr(struct umbra_vcpu *vcpu, u32 index, u64 data)
{
	struct umbra_lapic *lapic = vcpu->lapic;
	unsigned int offset = (index - APIC_BASE_MSR) << 4;

	if (index == MSR_IA32_TSC_DEADLINE) {
		umbra_timer_set_deadline(lapic, data);
		return 0;
	}
	if (index < APIC_BASE_MSR || index > X2APIC_MSR_END || !lapic_x2apic(lapic) ||
	    offset >= KVM_APIC_REG_SIZE)
		return -EINVAL;
	return x2apic_write(lapic, offset, data);
}

/*
 * An access to the register page. Registers are 32 bits at every 16th byte;
 * parts of one can be read, and what lies between reads as zero.
 */
static void mmio_read(struct umbra_lapic *lapic, unsigned int offset, void *data,
		      unsigned int len)
{
	unsigned int in = offset & 15;
	u8 line[16] = {};
	u32 value;

	if (offset < KVM_APIC_REG_SIZE) {
		umbra_lapic_read(lapic, offset & ~15u, &value);
		memcpy(line, &value, sizeof(value));
	}
	memset(data, 0, len);
	memcpy(data, line + in, min_t(unsigned int, len, sizeof(line) - in));
}

bool umbra_lapic_mmio(struct umbra_lapic *lapic, gpa_t gpa, void *data, unsigned int len,
		      bool write)
{
	u64 base = lapic->vcpu->apic_base;
	unsigned int offset = gpa & ~PAGE_MASK;

	if ((base & (MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE)) != MSR_IA32_APICBASE_ENABLE ||
	    (gpa & PAGE_MASK) != (base & PAGE_MASK))
		return false;
	if (!write)
		mmio_read(lapic, offset, data, len);
	else if (len == 4 && !(offset & 15) && offset < KVM_APIC_REG_SIZE)
		xapic_write(lapic, offset, *(u32 *)data);
	if (offset == APIC_TASKPRI)
		umbra_vcpu_tpr_access(lapic->vcpu, write);
	return true;
}
