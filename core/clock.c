// SPDX-License-Identifier: GPL-2.0
/*
 * The VM's clock: nanoseconds that guests read from a page and that user space
 * saves and restores. Both compute it from the host's TSC in the same way, so that
 * they agree to the nanosecond.
 */
#include <linux/kvm.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <asm/msr.h>
#include <asm/pvclock.h>
#include <asm/tsc.h>
#include <umbra/pv.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include "clock.h"
#include "ioctl.h"

#define CLOCK_FLAGS	(KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC)

bool umbra_pv_has_clock(void)
{
	return boot_cpu_has(X86_FEATURE_CONSTANT_TSC) && !check_tsc_unstable();
}

/* A factor just below 1, and the power of two that makes up for the rest. */
void umbra_clock_scale(u32 khz, u32 *mul, s8 *shift)
{
	u64 ns = USEC_PER_SEC, ticks = khz;

	*shift = 0;
	while (ns >= ticks) {
		ticks <<= 1;
		(*shift)++;
	}
	while (ns << 1 < ticks) {
		ns <<= 1;
		(*shift)--;
	}
	*mul = div64_u64(ns << 32, ticks);
}

static void set_clock(struct umbra_clock *clock, u64 ns, u64 tsc)
{
	spin_lock(&clock->lock);
	clock->ns = ns;
	clock->tsc = tsc;
	clock->boot = ktime_get_boottime_ns();
	spin_unlock(&clock->lock);
}

void umbra_clock_init(struct umbra_clock *clock)
{
	spin_lock_init(&clock->lock);
	set_clock(clock, 0, rdtsc());
}

u64 umbra_clock_read(struct umbra_clock *clock, u64 tsc)
{
	u64 ns;
	u32 mul;
	s8 shift;

	umbra_clock_scale(tsc_khz, &mul, &shift);
	spin_lock(&clock->lock);
	ns = clock->ns;
	if (umbra_pv_has_clock())
		ns += pvclock_scale_delta(tsc - clock->tsc, mul, shift);
	else
		ns += ktime_get_boottime_ns() - clock->boot;
	spin_unlock(&clock->lock);
	return ns;
}

u64 umbra_clock_tsc_offset(const struct umbra_vcpu *vcpu, u64 value)
{
	struct umbra_clock *clock = &vcpu->vm->clock;
	u64 now = umbra_vcpu_scale_tsc(vcpu, rdtsc()), offset = value - now;
	s64 ahead;

	spin_lock(&clock->lock);
	ahead = value - (now + clock->tsc_offset);
	if (clock->tsc_written && clock->tsc_khz == vcpu->tsc_khz &&
	    (!value || abs(ahead) < (s64)vcpu->tsc_khz * 1000))
		offset = clock->tsc_offset;
	clock->tsc_khz = vcpu->tsc_khz;
	clock->tsc_offset = offset;
	clock->tsc_written = true;
	spin_unlock(&clock->lock);
	return offset;
}

/* The TSC and the real time of one moment. */
static u64 read_host(u64 *real)
{
	unsigned long flags;
	u64 tsc;

	local_irq_save(flags);
	tsc = rdtsc_ordered();
	*real = ktime_get_real_ns();
	local_irq_restore(flags);
	return tsc;
}

long umbra_clock_get(struct umbra_call *call)
{
	struct kvm_clock_data *data = call->data;

	data->host_tsc = read_host(&data->realtime);
	data->clock = umbra_clock_read(&call->vm->clock, data->host_tsc);
	data->flags = KVM_CLOCK_REALTIME;
	if (umbra_pv_has_clock())
		data->flags |= KVM_CLOCK_HOST_TSC | KVM_CLOCK_TSC_STABLE;
	return 0;
}

/* With the real time at which the clock was read, it goes on from there. */
long umbra_clock_set(struct umbra_call *call)
{
	const struct kvm_clock_data *data = call->data;
	struct umbra_vm *vm = call->vm;
	u64 clock = data->clock, real, tsc = read_host(&real);
	unsigned int i;

	if (data->flags & ~CLOCK_FLAGS)
		return -EINVAL;
	if (data->flags & KVM_CLOCK_REALTIME && real > data->realtime)
		clock += real - data->realtime;
	set_clock(&vm->clock, clock, tsc);
	for (i = 0; i < vm->nr_vcpus; i++) {
		umbra_make_request(vm->vcpu[i], UMBRA_REQ_CLOCK);
		umbra_vcpu_kick(vm->vcpu[i]);
	}
	return 0;
}
