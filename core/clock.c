// SPDX-License-Identifier: GPL-2.0
/* The VM's clock: nanoseconds that user space saves and restores with it. */
#include <linux/kvm.h>
#include <linux/ktime.h>
#include <umbra/vm.h>
#include "ioctl.h"

long umbra_clock_get(struct umbra_call *call)
{
	struct kvm_clock_data *data = call->data;

	data->clock = ktime_get_boottime_ns() + call->vm->clock_offset;
	data->realtime = ktime_get_real_ns();
	data->flags = KVM_CLOCK_REALTIME;
	return 0;
}

/* With the real time at which the clock was read, it goes on from there. */
long umbra_clock_set(struct umbra_call *call)
{
	const struct kvm_clock_data *data = call->data;
	u64 clock = data->clock, now = ktime_get_real_ns();

	if (data->flags & ~(KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC | KVM_CLOCK_TSC_STABLE))
		return -EINVAL;
	if (data->flags & KVM_CLOCK_REALTIME && now > data->realtime)
		clock += now - data->realtime;
	call->vm->clock_offset = clock - ktime_get_boottime_ns();
	return 0;
}
