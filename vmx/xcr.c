// SPDX-License-Identifier: GPL-2.0
/*
 * XCR0: the state components that a guest has turned on, of those that its CPUID
 * offers and that the host's kernel keeps for it. PKRU, which is one of them, but
 * which the kernel does not switch with the others.
 */
#include <linux/kvm.h>
#include <asm/cpufeature.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>

#include "vmx.h"

/* Components that are wanted: the others need interfaces that are not there. */
#define KNOWN	(XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM | XFEATURE_MASK_AVX512 | \
		 XFEATURE_MASK_PKRU)

/* The legacy region and the header, which every area has. */
#define BASE_SIZE	(sizeof(struct fxregs_state) + sizeof(struct xstate_header))

/* CPUID.0xD.n:ECX: the component is aligned to 64 bytes when areas are compacted. */
#define COMPONENT_ALIGNED	BIT(1)

u64 umbra_vmx_xcr0(void)
{
	return vmx_caps.xcr0 & KNOWN;
}

bool umbra_vmx_has_pku(void)
{
	return boot_cpu_has(X86_FEATURE_OSPKE) && (umbra_vmx_xcr0() & XFEATURE_MASK_PKRU);
}

u32 vmx_xcr_area_size(u64 features, bool compacted)
{
	u32 end = BASE_SIZE, size, offset, ecx, edx;
	unsigned int i;

	for (i = 2; i < 63; i++) {
		if (!(features & BIT_ULL(i)))
			continue;
		cpuid_count(0xd, i, &size, &offset, &ecx, &edx);
		if (compacted)
			offset = ecx & COMPONENT_ALIGNED ? ALIGN(end, 64) : end;
		end = max(end, offset + size);
	}
	return end;
}

u32 umbra_vmx_xsave_size(u64 features)
{
	return vmx_xcr_area_size(features, false);
}

/* What this guest's CPUID offers; user space may restore state before it says so. */
static u64 allowed(struct umbra_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *entry = umbra_vcpu_cpuid(vcpu, 0xd, 0);

	if (!entry)
		return vcpu->nr_cpuid ? 0 : umbra_vmx_xcr0();
	return (entry->eax | (u64)entry->edx << 32) & umbra_vmx_xcr0();
}

/* AVX needs SSE; AVX-512 is three components, all or none, and needs AVX. */
static bool valid(u64 xcr0, u64 can)
{
	if (!(xcr0 & XFEATURE_MASK_FP) || xcr0 & ~(can | XFEATURE_MASK_FP))
		return false;
	if ((xcr0 & XFEATURE_MASK_YMM) && !(xcr0 & XFEATURE_MASK_SSE))
		return false;
	if (!(xcr0 & XFEATURE_MASK_AVX512))
		return true;
	return (xcr0 & XFEATURE_MASK_AVX512) == XFEATURE_MASK_AVX512 &&
	       (xcr0 & XFEATURE_MASK_YMM);
}

/* CR4 or XCR0 changed: what of the CPU's has to be switched, what does CPUID say? */
void vmx_xcr_update(struct vmx_vcpu *vmx)
{
	struct umbra_vcpu *vcpu = &vmx->vcpu;
	bool on = vcpu->mmu.state.cr4 & X86_CR4_OSXSAVE;
	bool pke = vcpu->mmu.state.cr4 & X86_CR4_PKE;

	/* Without OSXSAVE no instruction of the guest's looks at it. */
	vmx->xcr0_differs = on && vcpu->xcr0 != vmx_caps.xcr0;
	/* XSAVE reads it without CR4.PKE. */
	vmx->pkru_differs = pke || (on && vcpu->xcr0 & XFEATURE_MASK_PKRU);
	if (on != vmx->osxsave || pke != vmx->ospke) {
		vmx->osxsave = on;
		vmx->ospke = pke;
		umbra_vmx_cpuid_runtime(vcpu, vcpu->cpuid, vcpu->nr_cpuid);
	}
}

int umbra_vmx_set_xcr0(struct umbra_vcpu *vcpu, u64 xcr0)
{
	if (!valid(xcr0, allowed(vcpu)))
		return -EINVAL;
	if (xcr0 == vcpu->xcr0)
		return 0;
	vcpu->xcr0 = xcr0;
	vmx_xcr_update(to_vmx(vcpu));
	umbra_vmx_cpuid_runtime(vcpu, vcpu->cpuid, vcpu->nr_cpuid);
	return 0;
}

/* The CPU has looked at CR4.OSXSAVE. */
int vmx_handle_xsetbv(struct vmx_vcpu *vmx)
{
	struct umbra_vcpu *vcpu = &vmx->vcpu;
	u64 value = (u32)vcpu->regs[UMBRA_RAX] | vcpu->regs[UMBRA_RDX] << 32;

	vmx_sync_crs(vmx);
	if (vmx_cpl(vmx) || (u32)vcpu->regs[UMBRA_RCX] != XCR_XFEATURE_ENABLED_MASK ||
	    umbra_vmx_set_xcr0(vcpu, value))
		vmx_queue_gp(vmx);
	else
		vmx_skip_insn(vmx);
	return VMX_RESUME_GUEST;
}
