// SPDX-License-Identifier: GPL-2.0
/* The guest's TSC: how far from the host's, and how fast. */
#include <linux/kvm.h>
#include <linux/math64.h>
#include <asm/msr.h>
#include <asm/tsc.h>
#include <umbra/pv.h>
#include <umbra/vm.h>

#include "vmx.h"

#define RATIO_SHIFT	48

/* Clocks are no better than this, in parts per million: no reason to scale. */
#define TOLERANCE_PPM	250

bool umbra_vmx_has_tsc_scaling(void)
{
	return vmx_caps.tsc_scaling;
}

int umbra_vmx_tsc_ratio(u32 khz, u64 *ratio)
{
	u64 off = khz > tsc_khz ? khz - tsc_khz : tsc_khz - khz;

	*ratio = 0;
	if (off * USEC_PER_SEC <= (u64)tsc_khz * TOLERANCE_PPM)
		return 0;
	if (!vmx_caps.tsc_scaling || khz >> (64 - RATIO_SHIFT) >= tsc_khz)
		return -EINVAL;
	*ratio = mul_u64_u32_div(BIT_ULL(RATIO_SHIFT), khz, tsc_khz);
	return *ratio ? 0 : -EINVAL;
}

u64 umbra_vmx_tsc_offset(struct umbra_vcpu *vcpu)
{
	return to_vmx(vcpu)->tsc_offset;
}

void umbra_vmx_set_tsc_offset(struct umbra_vcpu *vcpu, u64 offset)
{
	to_vmx(vcpu)->tsc_offset = offset;
	vmcs_write64(TSC_OFFSET, offset);
	umbra_make_request(vcpu, UMBRA_REQ_CLOCK);
}

/* The VMCS is current. */
void vmx_tsc_setup(struct vmx_vcpu *vmx)
{
	vmcs_write64(TSC_OFFSET, vmx->tsc_offset);
	if (vmx_caps.tsc_scaling)
		vmcs_write64(TSC_MULTIPLIER, vmx->vcpu.tsc_ratio ?: BIT_ULL(RATIO_SHIFT));
}

/* For a vCPU that has no VMCS yet. */
void vmx_tsc_init(struct vmx_vcpu *vmx)
{
	struct umbra_vcpu *vcpu = &vmx->vcpu;

	vcpu->tsc_khz = vcpu->vm->opt.tsc_khz ?: tsc_khz;
	umbra_vmx_tsc_ratio(vcpu->tsc_khz, &vcpu->tsc_ratio);
	vmx->tsc_offset = umbra_clock_tsc_offset(vcpu, 0);
}

int umbra_vmx_set_tsc_khz(struct umbra_vcpu *vcpu, u32 khz)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u64 ratio;

	if (umbra_vmx_tsc_ratio(khz, &ratio))
		return -EINVAL;
	if (khz == vcpu->tsc_khz)
		return 0;
	vcpu->tsc_khz = khz;
	vcpu->tsc_ratio = ratio;
	vmx_cpuid_derive(vmx);
	vmx_family_write_cpu2(vmx);
	vmx_tsc_setup(vmx);
	umbra_vmx_set_tsc_offset(vcpu, umbra_clock_tsc_offset(vcpu, 0));
	return 0;
}
