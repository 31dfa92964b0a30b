// SPDX-License-Identifier: GPL-2.0
/*
 * Paravirtual MSRs and the pages in guest memory that they name: the clock, the
 * time of day at which it began, and the time stolen from the vCPU.
 */
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/sched/stat.h>
#include <asm/kvm_para.h>
#include <asm/msr.h>
#include <asm/pvclock.h>
#include <umbra/hostmem.h>
#include <umbra/pv.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include <umbra/vmx.h>
#include "clock.h"
#include "ioctl.h"

/* The guest polls the version: odd while the rest is being written. */
#define VERSION_SIZE	sizeof(u32)

#define NO_GPA		(~(gpa_t)0)

static_assert(offsetof(struct kvm_steal_time, version) == sizeof(u64));

bool umbra_pv_has_steal(void)
{
	return sched_info_on();
}

bool umbra_pv_offers(struct umbra_vcpu *vcpu, unsigned int feature)
{
	const struct kvm_cpuid_entry2 *entry;

	if (!vcpu->pv.enforced)
		return true;
	entry = umbra_vcpu_cpuid(vcpu, KVM_CPUID_FEATURES, 0);
	return entry && (entry->eax & BIT(feature));
}

static bool write_guest(struct umbra_vcpu *vcpu, gpa_t gpa, const void *data, unsigned int len)
{
	return !umbra_mmu_guest_write(&vcpu->mmu, gpa, data, len);
}

/*
 * Write a structure that begins with its version. The guest reads the version
 * before and after the rest, on this or on another CPU.
 */
static void write_versioned(struct umbra_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len)
{
	u32 *version = data;

	*version = (*version + 1) | 1;
	if (!write_guest(vcpu, gpa, version, VERSION_SIZE))
		return;
	smp_wmb();	/* a guest that sees the rest sees the odd version */
	write_guest(vcpu, gpa + VERSION_SIZE, data + VERSION_SIZE, len - VERSION_SIZE);
	smp_wmb();	/* and with the even version all of it */
	++*version;
	write_guest(vcpu, gpa, version, VERSION_SIZE);
}

static gpa_t enabled_gpa(u64 msr)
{
	return msr & KVM_MSR_ENABLED ? msr & ~(u64)KVM_MSR_ENABLED : NO_GPA;
}

void umbra_pv_update_clock(struct umbra_vcpu *vcpu)
{
	struct umbra_clock *clock = &vcpu->vm->clock;
	gpa_t gpa = enabled_gpa(vcpu->pv.system_time);
	struct pvclock_vcpu_time_info info = {}, old;
	int idx;

	if (gpa == NO_GPA)
		return;
	umbra_clock_scale(vcpu->tsc_khz, &info.tsc_to_system_mul, &info.tsc_shift);
	spin_lock(&clock->lock);
	info.tsc_timestamp = umbra_vcpu_scale_tsc(vcpu, clock->tsc) + umbra_vmx_tsc_offset(vcpu);
	info.system_time = clock->ns;
	spin_unlock(&clock->lock);
	if (umbra_pv_has_clock())
		info.flags = PVCLOCK_TSC_STABLE_BIT;

	idx = srcu_read_lock(&vcpu->mmu.mmu->srcu);
	/* The version counts on from what was there; the guest clears the flag. */
	if (!umbra_guest_read(vcpu->mmu.mmu, gpa, &old, sizeof(old))) {
		info.version = old.version;
		info.flags |= old.flags & PVCLOCK_GUEST_STOPPED;
		if (vcpu->pv.stopped)
			info.flags |= PVCLOCK_GUEST_STOPPED;
		vcpu->pv.stopped = false;
		write_versioned(vcpu, gpa, &info, sizeof(info));
	}
	srcu_read_unlock(&vcpu->mmu.mmu->srcu, idx);
}

long umbra_clock_stopped(struct umbra_call *call)
{
	struct umbra_vcpu *vcpu = call->vcpu;

	if (enabled_gpa(vcpu->pv.system_time) == NO_GPA)
		return -EINVAL;
	vcpu->pv.stopped = true;
	umbra_make_request(vcpu, UMBRA_REQ_CLOCK);
	return 0;
}

void umbra_pv_update_steal(struct umbra_vcpu *vcpu)
{
	gpa_t gpa = enabled_gpa(vcpu->pv.steal);
	struct kvm_steal_time st;
	u64 delay = current->sched_info.run_delay;
	struct { u32 version, flags; } head;
	int idx;

	if (gpa == NO_GPA)
		return;
	idx = srcu_read_lock(&vcpu->mmu.mmu->srcu);
	if (umbra_guest_read(vcpu->mmu.mmu, gpa, &st, sizeof(st)))
		goto out;
	head.version = (st.version + 1) | 1;
	head.flags = 0;
	if (!write_guest(vcpu, gpa + sizeof(st.steal), &head, sizeof(head)))
		goto out;
	smp_wmb();	/* as in write_versioned() */
	st.steal += delay - vcpu->pv.run_delay;
	vcpu->pv.run_delay = delay;
	write_guest(vcpu, gpa, &st.steal, sizeof(st.steal));
	smp_wmb();	/* likewise */
	head.version++;
	write_guest(vcpu, gpa + sizeof(st.steal), &head, sizeof(head));
out:
	srcu_read_unlock(&vcpu->mmu.mmu->srcu, idx);
}

/* The time of day when the clock showed zero. */
static void write_wall_clock(struct umbra_vcpu *vcpu, gpa_t gpa)
{
	u64 ns = ktime_get_real_ns() - umbra_clock_read(&vcpu->vm->clock, rdtsc());
	struct pvclock_wall_clock wall = {};
	u32 rest;
	int idx = srcu_read_lock(&vcpu->mmu.mmu->srcu);

	if (!umbra_guest_read(vcpu->mmu.mmu, gpa, &wall.version, sizeof(wall.version))) {
		wall.sec = div_u64_rem(ns, NSEC_PER_SEC, &rest);
		wall.nsec = rest;
		write_versioned(vcpu, gpa, &wall, sizeof(wall));
	}
	srcu_read_unlock(&vcpu->mmu.mmu->srcu, idx);
}

/* Which feature brings an MSR; negative: none that there is. */
static int feature_of(u32 index)
{
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_SYSTEM_TIME:
		return KVM_FEATURE_CLOCKSOURCE;
	case MSR_KVM_WALL_CLOCK_NEW:
	case MSR_KVM_SYSTEM_TIME_NEW:
		return KVM_FEATURE_CLOCKSOURCE2;
	case MSR_KVM_STEAL_TIME:
		return umbra_pv_has_steal() ? KVM_FEATURE_STEAL_TIME : -1;
	case MSR_KVM_PV_EOI_EN:
		return KVM_FEATURE_PV_EOI;
	default:
		return -1;
	}
}

/*
 * The others are not offered and a guest's access faults, but QEMU writes the
 * reset value, zero, to some of them whatever CPUID says.
 */
static bool is_other(u32 index)
{
	return index >= MSR_KVM_WALL_CLOCK_NEW && index <= MSR_KVM_MIGRATION_CONTROL;
}

int umbra_pv_get_msr(struct umbra_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	int feature = feature_of(index);

	if (feature < 0) {
		*data = 0;
		return host && is_other(index) ? 0 : -ENOENT;
	}
	if (!host && !umbra_pv_offers(vcpu, feature))
		return -ENOENT;
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		*data = vcpu->pv.wall_clock;
		break;
	case MSR_KVM_STEAL_TIME:
		*data = vcpu->pv.steal;
		break;
	case MSR_KVM_PV_EOI_EN:
		*data = vcpu->pv.eoi;
		break;
	default:
		*data = vcpu->pv.system_time;
		break;
	}
	return 0;
}

int umbra_pv_set_msr(struct umbra_vcpu *vcpu, u32 index, u64 data, bool host)
{
	int feature = feature_of(index);

	if (feature < 0) {
		if (!host || !is_other(index))
			return -ENOENT;
		return data ? -EINVAL : 0;
	}
	if (!host && !umbra_pv_offers(vcpu, feature))
		return -ENOENT;
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		vcpu->pv.wall_clock = data;
		write_wall_clock(vcpu, data);
		break;
	case MSR_KVM_STEAL_TIME:
		if (data & KVM_STEAL_RESERVED_MASK)
			return -EINVAL;
		vcpu->pv.steal = data;
		vcpu->pv.run_delay = current->sched_info.run_delay;
		umbra_make_request(vcpu, UMBRA_REQ_STEAL);
		break;
	case MSR_KVM_PV_EOI_EN:
		if (!vcpu->lapic && data)
			return -EINVAL;
		vcpu->pv.eoi = data;
		vcpu->pv.eoi_armed = false;
		break;
	default:
		vcpu->pv.system_time = data;
		umbra_make_request(vcpu, UMBRA_REQ_CLOCK);
		break;
	}
	return 0;
}
