// SPDX-License-Identifier: GPL-2.0
/*
 * CPUID as the guest executes it, and what the guest's CPUID table means for
 * the VMCS: which CR4 and EFER bits exist, which instructions are on.
 */
#include <linux/kvm.h>
#include <asm/cpufeature.h>
#include <asm/msr-index.h>

#include "vmx.h"

#define EXTENDED_LEAVES		0x80000000u
#define HYPERVISOR_LEAVES	0x40000000u
#define DEFAULT_MAXPHYADDR	36

/*
 * A leaf beyond the highest basic one answers as the highest basic one does;
 * unknown extended and hypervisor leaves answer zero.
 */
static const struct kvm_cpuid_entry2 *out_of_range(struct umbra_vcpu *vcpu, u32 leaf, u32 index)
{
	const struct kvm_cpuid_entry2 *basic;

	if (leaf >= HYPERVISOR_LEAVES && (leaf >= EXTENDED_LEAVES || leaf < 0x50000000u))
		return NULL;
	basic = umbra_vcpu_cpuid(vcpu, 0, 0);
	if (!basic || leaf <= basic->eax)
		return NULL;
	return umbra_vcpu_cpuid(vcpu, basic->eax, index);
}

/* Execute CPUID. Returns false when an event has to be injected first. */
bool vmx_cpuid_emulate(struct vmx_vcpu *vmx)
{
	unsigned long *regs = vmx->vcpu.regs;
	u32 leaf = regs[UMBRA_RAX], index = regs[UMBRA_RCX];
	const struct kvm_cpuid_entry2 *entry = umbra_vcpu_cpuid(&vmx->vcpu, leaf, index);

	if (unlikely(!entry))
		entry = out_of_range(&vmx->vcpu, leaf, index);
	if (likely(entry)) {
		regs[UMBRA_RAX] = entry->eax;
		regs[UMBRA_RBX] = entry->ebx;
		regs[UMBRA_RCX] = entry->ecx;
		regs[UMBRA_RDX] = entry->edx;
	} else {
		regs[UMBRA_RAX] = 0;
		regs[UMBRA_RBX] = 0;
		regs[UMBRA_RCX] = 0;
		regs[UMBRA_RDX] = 0;
	}
	vmx_skip_insn(vmx);
	return !vmx->event_pending;
}

/* Is a feature (X86_FEATURE_*) in the guest's CPUID? */
static bool guest_has(struct umbra_vcpu *vcpu, u32 leaf, int reg, unsigned int feature)
{
	const struct kvm_cpuid_entry2 *entry = umbra_vcpu_cpuid(vcpu, leaf, 0);

	return entry && ((&entry->eax)[reg] & BIT(feature & 31));
}

bool vmx_cpuid_has_mwait(struct vmx_vcpu *vmx)
{
	return guest_has(&vmx->vcpu, 1, CPUID_ECX, X86_FEATURE_MWAIT);
}

static void set_bit_if(u32 *reg, unsigned int feature, bool on)
{
	if (on)
		*reg |= BIT(feature & 31);
	else
		*reg &= ~BIT(feature & 31);
}

/* XSAVE is on when the guest has turned it on; MWAIT, if user space wants it so. */
static void runtime_leaf_1(struct vmx_vcpu *vmx, struct kvm_cpuid_entry2 *entry)
{
	u64 quirks = READ_ONCE(vmx->vcpu.vm->opt.quirks_off);

	if (boot_cpu_has(X86_FEATURE_XSAVE))
		set_bit_if(&entry->ecx, X86_FEATURE_OSXSAVE,
			   vmx->vcpu.mmu.state.cr4 & X86_CR4_OSXSAVE);
	if (quirks & KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT)
		set_bit_if(&entry->ecx, X86_FEATURE_MWAIT,
			   vmx->misc_enable & MSR_IA32_MISC_ENABLE_MWAIT);
}

/* Protection keys are on when the guest has turned them on. */
static void runtime_leaf_7(struct vmx_vcpu *vmx, struct kvm_cpuid_entry2 *entry)
{
	if (entry->index == 0 && umbra_vmx_has_pku())
		set_bit_if(&entry->ecx, X86_FEATURE_OSPKE,
			   vmx->vcpu.mmu.state.cr4 & X86_CR4_PKE);
}

/* How large the area is with what XCR0 enables. */
static void runtime_leaf_d(struct vmx_vcpu *vmx, struct kvm_cpuid_entry2 *entry)
{
	if (entry->index == 0)
		entry->ebx = vmx_xcr_area_size(vmx->vcpu.xcr0, false);
	else if (entry->index == 1 && entry->eax & BIT(X86_FEATURE_XSAVEC & 31))
		entry->ebx = vmx_xcr_area_size(vmx->vcpu.xcr0, true);
}

void umbra_vmx_cpuid_runtime(struct umbra_vcpu *vcpu, struct kvm_cpuid_entry2 *entry,
			     unsigned int nr)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	for (; nr--; entry++) {
		if (entry->function == 1)
			runtime_leaf_1(vmx, entry);
		else if (entry->function == 7)
			runtime_leaf_7(vmx, entry);
		else if (entry->function == 0xd)
			runtime_leaf_d(vmx, entry);
	}
}

/* A CR4 bit exists with the CPUID feature that brings it. */
static const struct {
	unsigned long bit;
	u32 leaf;
	u8 reg;
	unsigned int feature;
} cr4_features[] = {
	{ X86_CR4_FSGSBASE, 7, CPUID_EBX, X86_FEATURE_FSGSBASE },
	{ X86_CR4_SMEP, 7, CPUID_EBX, X86_FEATURE_SMEP },
	{ X86_CR4_SMAP, 7, CPUID_EBX, X86_FEATURE_SMAP },
	{ X86_CR4_UMIP, 7, CPUID_ECX, X86_FEATURE_UMIP },
	{ X86_CR4_PKE, 7, CPUID_ECX, X86_FEATURE_PKU },
	{ X86_CR4_PCIDE, 1, CPUID_ECX, X86_FEATURE_PCID },
	{ X86_CR4_OSXSAVE, 1, CPUID_ECX, X86_FEATURE_XSAVE },
};

static unsigned long cr4_allowed(struct umbra_vcpu *vcpu)
{
	unsigned long cr4 = X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE |
			    X86_CR4_PAE | X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE |
			    X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;
	int i;

	for (i = 0; i < ARRAY_SIZE(cr4_features); i++) {
		/* Before there is a CPUID, user space may set what could be in it. */
		if (vcpu->nr_cpuid ? guest_has(vcpu, cr4_features[i].leaf, cr4_features[i].reg,
					       cr4_features[i].feature) :
				     boot_cpu_has(cr4_features[i].feature))
			cr4 |= cr4_features[i].bit;
	}
	if (!vcpu->nr_cpuid && umbra_vmx_has_umip())
		cr4 |= X86_CR4_UMIP;
	if (!vmx_caps.xcr0)
		cr4 &= ~X86_CR4_OSXSAVE;
	if (!umbra_vmx_has_pku())
		cr4 &= ~X86_CR4_PKE;
	return cr4 & vmx_caps.cr4_guest;
}

bool umbra_vmx_has_rdtscp(void)
{
	return vmx_caps.cpu2 & SECONDARY_EXEC_ENABLE_RDTSCP;
}

bool umbra_vmx_has_invpcid(void)
{
	return vmx_caps.cpu2 & SECONDARY_EXEC_ENABLE_INVPCID;
}

/* Instructions that a control turns on for guests that know them. */
static u32 cpu2_controls(struct umbra_vcpu *vcpu)
{
	u32 ctl = vmx_caps.cpu2;

	if (!guest_has(vcpu, 0x80000001, CPUID_EDX, X86_FEATURE_RDTSCP))
		ctl &= ~SECONDARY_EXEC_ENABLE_RDTSCP;
	if (!guest_has(vcpu, 7, CPUID_EBX, X86_FEATURE_INVPCID) ||
	    !guest_has(vcpu, 1, CPUID_ECX, X86_FEATURE_PCID))
		ctl &= ~SECONDARY_EXEC_ENABLE_INVPCID;
	if (vcpu->vm->opt.no_exits & KVM_X86_DISABLE_EXITS_PAUSE)
		ctl &= ~SECONDARY_EXEC_PAUSE_LOOP_EXITING;
	if (vcpu->tsc_ratio)
		ctl |= SECONDARY_EXEC_TSC_SCALING;
	return ctl;
}

/* What the guest's CPUID says, apart from the VMCS. */
void vmx_cpuid_derive(struct vmx_vcpu *vmx)
{
	struct umbra_vcpu *vcpu = &vmx->vcpu;
	const struct kvm_cpuid_entry2 *entry = umbra_vcpu_cpuid(vcpu, 0x80000008, 0);
	unsigned int bits = entry ? entry->eax & 0xff : 0;

	/* Wider than the CPU's own cannot be mapped, narrower than 32 is nonsense. */
	if (!bits)
		bits = DEFAULT_MAXPHYADDR;
	vcpu->mmu.state.maxphyaddr = clamp_t(unsigned int, bits, 32, boot_cpu_data.x86_phys_bits);
	vcpu->mmu.state.has_gbpages = guest_has(vcpu, 0x80000001, CPUID_EDX, X86_FEATURE_GBPAGES);
	vmx->cr4_allowed = cr4_allowed(vcpu);
	vmx->efer_allowed = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
	vmx->cpu2_ctl = cpu2_controls(vcpu);
}

void umbra_vmx_cpuid_changed(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx_sync_crs(vmx);
	vmx_cpuid_derive(vmx);
	vmx_family_apply(vmx);
	vmx_family_update(vmx);
}
