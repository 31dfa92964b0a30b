/* SPDX-License-Identifier: GPL-2.0 */
/* The local APIC, as the files of irqchip/ share it. */
#ifndef _UMBRA_IRQCHIP_LAPIC_H
#define _UMBRA_IRQCHIP_LAPIC_H

#include <asm/apicdef.h>
#include <asm/msr-index.h>
#include <linux/hrtimer.h>
#include <linux/kvm.h>
#include <umbra/irqchip.h>
#include <umbra/types.h>
#include <umbra/vcpu.h>

#define LAPIC_VERSION	0x14
/* Apart from that of corrected machine checks, which not every APIC has. */
#define LAPIC_LVTS	6

/* 31:24 of the ID and LDR registers, but for the ID of an x2APIC. */
#define LAPIC_ID_SHIFT	24

/**
 * struct umbra_lapic - the local APIC of a vCPU
 * @vcpu: whose it is
 * @chip: the VM's irqchip
 * @regs: the register page in the architecture's layout. IRR and TMR change by
 *	atomic bit operations on any CPU; the rest has one writer, the thread
 *	with vcpu->mutex, and is read by senders
 * @irr_pending: false only when IRR is empty: set by any sender after its bit
 * @errors: ESR to be, until the guest writes it; atomic bit operations
 * @cmci: there is LVTCMCI
 * @served: atomic: when it took its last lowest-priority interrupt
 * @timer: LVT timer
 * @period: of the timer, in ns; constant while the timer runs
 * @target: when the timer expires next, in ns; the timer writes it, too
 * @deadline: MSR_IA32_TSC_DEADLINE; the timer clears it
 */
struct umbra_lapic {
	struct umbra_vcpu *vcpu;
	struct umbra_irqchip *chip;
	u8 regs[KVM_APIC_REG_SIZE] __aligned(64);
	bool irr_pending;
	unsigned long errors;
	bool cmci;
	u64 served;
	struct hrtimer timer;
	u64 period;
	s64 target;
	u64 deadline;
};

static inline u32 lapic_reg(const struct umbra_lapic *lapic, unsigned int offset)
{
	return READ_ONCE(*(const u32 *)(lapic->regs + offset));
}

static inline void lapic_set_reg(struct umbra_lapic *lapic, unsigned int offset, u32 value)
{
	WRITE_ONCE(*(u32 *)(lapic->regs + offset), value);
}

/* The word and bit of a vector in IRR, ISR and TMR: 32 of them every 16 bytes. */
static inline unsigned long *lapic_vector_word(struct umbra_lapic *lapic, unsigned int offset,
					       u8 vector)
{
	return (unsigned long *)(lapic->regs + offset + (vector >> 5) * 16);
}

#define lapic_vector_bit(vector)	((vector) & 31)

static inline bool lapic_enabled(const struct umbra_lapic *lapic)
{
	return READ_ONCE(lapic->vcpu->apic_base) & MSR_IA32_APICBASE_ENABLE;
}

static inline bool lapic_x2apic(const struct umbra_lapic *lapic)
{
	return READ_ONCE(lapic->vcpu->apic_base) & X2APIC_ENABLE;
}

static inline bool lapic_sw_enabled(const struct umbra_lapic *lapic)
{
	return lapic_reg(lapic, APIC_SPIV) & APIC_SPIV_APIC_ENABLED;
}

/* lapic.c */
int umbra_lapic_accept(struct umbra_lapic *lapic, u8 vector, bool level);
int umbra_lapic_local(struct umbra_lapic *lapic, unsigned int lvt);
bool umbra_lapic_takes_extint(const struct umbra_lapic *lapic);
void umbra_lapic_eoi(struct umbra_lapic *lapic);
u32 umbra_lapic_ppr(struct umbra_lapic *lapic);

/* lapic_reg.c */
int umbra_lapic_read(struct umbra_lapic *lapic, unsigned int offset, u32 *data);
int umbra_lapic_write(struct umbra_lapic *lapic, unsigned int offset, u32 data);
bool umbra_lapic_mmio(struct umbra_lapic *lapic, gpa_t gpa, void *data, unsigned int len,
		      bool write);

/* timer.c */
void umbra_timer_init(struct umbra_lapic *lapic);
void umbra_timer_stop(struct umbra_lapic *lapic);
void umbra_timer_start(struct umbra_lapic *lapic);
void umbra_timer_restore(struct umbra_lapic *lapic, u32 remaining);
void umbra_timer_set_divide(struct umbra_lapic *lapic, u32 tdcr);
void umbra_timer_set_lvt(struct umbra_lapic *lapic, u32 lvt);
void umbra_timer_set_deadline(struct umbra_lapic *lapic, u64 deadline);
u32 umbra_timer_count(struct umbra_lapic *lapic);

#endif /* _UMBRA_IRQCHIP_LAPIC_H */
