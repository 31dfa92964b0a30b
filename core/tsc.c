// SPDX-License-Identifier: GPL-2.0
/* The rate of a guest's TSC: of one vCPU, and of those that a VM will get. */
#include <linux/kvm.h>
#include <asm/tsc.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include <umbra/vmx.h>
#include "ioctl.h"

long umbra_tsc_get_khz(struct umbra_call *call)
{
	return call->vcpu->tsc_khz;
}

long umbra_tsc_set_khz(struct umbra_call *call)
{
	if (call->arg > U32_MAX)
		return -EINVAL;
	return umbra_vmx_set_tsc_khz(call->vcpu, call->arg ?: tsc_khz);
}

long umbra_tsc_get_default(struct umbra_call *call)
{
	return call->vm->opt.tsc_khz ?: tsc_khz;
}

long umbra_tsc_set_default(struct umbra_call *call)
{
	u64 ratio;

	if (call->arg > U32_MAX || umbra_vmx_tsc_ratio(call->arg ?: tsc_khz, &ratio))
		return -EINVAL;
	call->vm->opt.tsc_khz = call->arg;
	return 0;
}
