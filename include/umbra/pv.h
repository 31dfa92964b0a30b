/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a guest gets that knows it is one: a clock page, stolen time, and the MSRs
 * that ask for them.
 */
#ifndef _UMBRA_PV_H
#define _UMBRA_PV_H

#include <linux/spinlock.h>
#include <linux/types.h>

struct umbra_vcpu;
struct umbra_vm;

/**
 * struct umbra_clock - the VM's clock: nanoseconds as a function of the host's TSC
 * @lock: all of it
 * @ns: what it showed
 * @tsc: when the host's TSC had this value
 * @boot: and the host's boot time this, which counts where TSCs are not to be
 *	trusted
 * @tsc_offset: of the last vCPU whose TSC user space wrote
 * @tsc_khz: and its rate
 * @tsc_written: one has been written
 */
struct umbra_clock {
	spinlock_t lock;
	u64 ns;
	u64 tsc;
	u64 boot;
	u64 tsc_offset;
	u32 tsc_khz;
	bool tsc_written;
};

/**
 * struct umbra_pv - a vCPU's paravirtual state; vcpu->mutex
 * @enforced: the guest uses only what its CPUID offers
 * @system_time: MSR_KVM_SYSTEM_TIME, address and enable bit
 * @stopped: user space had stopped the guest, which is still to be told
 * @wall_clock: MSR_KVM_WALL_CLOCK
 * @steal: MSR_KVM_STEAL_TIME, address and enable bit
 * @eoi: MSR_KVM_PV_EOI_EN, address and enable bit
 * @eoi_armed: the guest may end the interrupt in memory, see core/pv_eoi.c
 * @run_delay: of the thread, as far as the guest has been told
 */
struct umbra_pv {
	bool enforced;
	u64 system_time;
	bool stopped;
	u64 wall_clock;
	u64 steal;
	u64 eoi;
	bool eoi_armed;
	u64 run_delay;
};

void umbra_clock_init(struct umbra_clock *clock);

/**
 * umbra_clock_read() - the VM's clock when the host's TSC was @tsc, just now
 */
u64 umbra_clock_read(struct umbra_clock *clock, u64 tsc);

/**
 * umbra_clock_tsc_offset() - the TSC offset for a vCPU whose TSC user space writes
 * @vcpu: its rate is set
 * @value: what it writes
 *
 * vCPUs of one rate that are given the same time one after the other, or 0 as at
 * reset, have the same TSC, whatever passes in between.
 */
u64 umbra_clock_tsc_offset(const struct umbra_vcpu *vcpu, u64 value);

/* Can a guest be offered the clock: is the TSC the same on all CPUs? */
bool umbra_pv_has_clock(void);

/* Does the host count the time for which a thread waits for a CPU? */
bool umbra_pv_has_steal(void);

/**
 * umbra_pv_offers() - may the guest use a feature of leaf 0x40000001, EAX?
 * @feature: KVM_FEATURE_*
 *
 * Context: the vCPU's thread.
 */
bool umbra_pv_offers(struct umbra_vcpu *vcpu, unsigned int feature);

/**
 * umbra_pv_get_msr() / umbra_pv_set_msr() - a paravirtual MSR
 * @host: user space asks
 *
 * Context: vcpu->mutex held.
 * Return: 0; -EINVAL for a bad value; -ENOENT no such MSR for this guest.
 */
int umbra_pv_get_msr(struct umbra_vcpu *vcpu, u32 index, u64 *data, bool host);
int umbra_pv_set_msr(struct umbra_vcpu *vcpu, u32 index, u64 data, bool host);

/* Bring the guest's pages up to date: UMBRA_REQ_CLOCK and UMBRA_REQ_STEAL. */
void umbra_pv_update_clock(struct umbra_vcpu *vcpu);
void umbra_pv_update_steal(struct umbra_vcpu *vcpu);

/**
 * umbra_pv_eoi_arm() - let the guest end an interrupt without an exit, if it can
 * @vector: which is about to be delivered
 *
 * Context: the vCPU's thread, may not sleep.
 */
void umbra_pv_eoi_arm(struct umbra_vcpu *vcpu, u8 vector);

/**
 * umbra_pv_eoi_collect() - has it? To be called when vcpu->pv.eoi_armed is set
 *
 * Context: the vCPU's thread, after an exit.
 */
void umbra_pv_eoi_collect(struct umbra_vcpu *vcpu);

#endif /* _UMBRA_PV_H */
