// SPDX-License-Identifier: GPL-2.0
/*
 * Model-specific registers: those that the guest reaches without an exit, those
 * in the VMCS, those that only exist as a value here.
 */
#include <linux/bitops.h>
#include <linux/kvm.h>
#include <asm/kvm_para.h>
#include <asm/mtrr.h>
#include <asm/msr.h>
#include <asm/msr-index.h>
#include <umbra/irqchip.h>
#include <umbra/options.h>
#include <umbra/pv.h>
#include <umbra/vm.h>

#include "vmx.h"

#define PAT_RESET		0x0007040600070406ull
#define MTRRCAP_WC		BIT_ULL(10)
#define MTRRCAP_FIXED		BIT_ULL(8)
#define MTRR_DEF_TYPE_VALID	(BIT_ULL(11) | BIT_ULL(10) | 0xff)

static const u32 msr_list[] = {
	MSR_IA32_TSC, MSR_IA32_APICBASE, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP,
	MSR_IA32_SYSENTER_EIP, MSR_IA32_CR_PAT, MSR_STAR, MSR_LSTAR, MSR_CSTAR,
	MSR_SYSCALL_MASK, MSR_KERNEL_GS_BASE, MSR_FS_BASE, MSR_GS_BASE, MSR_EFER,
	MSR_TSC_AUX, MSR_IA32_MISC_ENABLE, MSR_MTRRdefType, MSR_IA32_MCG_STATUS,
	MSR_IA32_MCG_CTL, MSR_IA32_TSC_ADJUST, MSR_PLATFORM_INFO, MSR_IA32_TSC_DEADLINE,
	MSR_IA32_POWER_CTL,
	MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, MSR_KVM_WALL_CLOCK_NEW,
	MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_STEAL_TIME, MSR_KVM_PV_EOI_EN,
};

/* Read and written by the guest without an exit. */
static const u32 direct_msrs[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_IA32_SYSENTER_CS,
	MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP, MSR_IA32_CR_PAT,
};

/* Read by guests that are let into C-states; those that the CPU lacks fault. */
static const u32 residency_msrs[] = {
	MSR_CORE_C1_RES, MSR_CORE_C3_RESIDENCY, MSR_CORE_C6_RESIDENCY, MSR_CORE_C7_RESIDENCY,
};

const u32 *umbra_vmx_msr_list(unsigned int *nr)
{
	*nr = ARRAY_SIZE(msr_list);
	return msr_list;
}

#define FIRST_HIGH	0xc0000000
#define NR_MSRS		0x2000

/* The bitmap has four quarters of 1 KiB: read low, read high, write low, write high. */
static unsigned int bitmap_bit(u32 msr, u32 access)
{
	unsigned int bit = (msr >= FIRST_HIGH ? 0x400 * 8 : 0) + (msr & (NR_MSRS - 1));

	return access == KVM_MSR_FILTER_WRITE ? bit + 0x800 * 8 : bit;
}

/* @access: KVM_MSR_FILTER_READ or _WRITE. */
bool vmx_msr_exits(const struct vmx_vcpu *vmx, u32 msr, u32 access)
{
	if (msr >= NR_MSRS && (msr < FIRST_HIGH || msr >= FIRST_HIGH + NR_MSRS))
		return true;
	return test_bit(bitmap_bit(msr, access), vmx->msr_bitmap);
}

/* Let the guest at an MSR, unless user space filters it. */
static void pass_through(struct vmx_vcpu *vmx, u32 msr, u32 access)
{
	unsigned int bit = bitmap_bit(msr, access);

	if (umbra_msr_allowed(vmx->vcpu.vm, msr, access))
		__clear_bit(bit, vmx->msr_bitmap);
	else
		__set_bit(bit, vmx->msr_bitmap);
}

void umbra_vmx_msr_filter_changed(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	int i, idx = srcu_read_lock(&vcpu->vm->mmu.srcu);

	for (i = 0; i < ARRAY_SIZE(direct_msrs); i++) {
		pass_through(vmx, direct_msrs[i], KVM_MSR_FILTER_READ);
		pass_through(vmx, direct_msrs[i], KVM_MSR_FILTER_WRITE);
	}
	/* Reading the TSC is harmless, writing it is not. */
	pass_through(vmx, MSR_IA32_TSC, KVM_MSR_FILTER_READ);
	if (vcpu->vm->opt.no_exits & KVM_X86_DISABLE_EXITS_CSTATE)
		for (i = 0; i < ARRAY_SIZE(residency_msrs); i++)
			pass_through(vmx, residency_msrs[i], KVM_MSR_FILTER_READ);
	srcu_read_unlock(&vcpu->vm->mmu.srcu, idx);
}

void vmx_msr_bitmap_init(struct vmx_vcpu *vmx)
{
	memset(vmx->msr_bitmap, 0xff, PAGE_SIZE);
	umbra_vmx_msr_filter_changed(&vmx->vcpu);
}

/* The vCPU is loaded. */
void vmx_msr_reset(struct vmx_vcpu *vmx)
{
	vmcs_write64(GUEST_IA32_PAT, PAT_RESET);
	vmcs_write64(GUEST_IA32_DEBUGCTL, 0);
	vmcs_write32(GUEST_SYSENTER_CS, 0);
	vmcs_writel(GUEST_SYSENTER_ESP, 0);
	vmcs_writel(GUEST_SYSENTER_EIP, 0);
	vmx->misc_enable = MSR_IA32_MISC_ENABLE_FAST_STRING;
	vmx_mce_reset(vmx);
}

static bool pat_valid(u64 pat)
{
	int i;

	for (i = 0; i < 8; i++, pat >>= 8) {
		u8 type = pat & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

/* Index of a SYSCALL-class MSR in vmx->umsr, or -1. */
static int umsr_of(u32 index)
{
	switch (index) {
	case MSR_STAR:
		return UMSR_STAR;
	case MSR_LSTAR:
		return UMSR_LSTAR;
	case MSR_CSTAR:
		return UMSR_CSTAR;
	case MSR_SYSCALL_MASK:
		return UMSR_FMASK;
	case MSR_TSC_AUX:
		return boot_cpu_has(X86_FEATURE_RDTSCP) ? UMSR_TSC_AUX : -1;
	default:
		return -1;
	}
}

static int set_umsr(struct vmx_vcpu *vmx, int i, u64 data)
{
	if ((i == UMSR_LSTAR || i == UMSR_CSTAR) && vmx_noncanonical(data))
		return -EINVAL;
	if ((i == UMSR_TSC_AUX || i == UMSR_FMASK) && data >> 32)
		return -EINVAL;
	vmx_host_set_umsr(vmx, i, data);
	if (i == UMSR_STAR) {
		/* What SYSCALL loads from it may not do for the shadow family. */
		vmx_sync_crs(vmx);
		vmx->segs_set = true;
		vmx_family_update(vmx);
	}
	return 0;
}

static u64 get_kernel_gs(struct vmx_vcpu *vmx)
{
	u64 value;

	preempt_disable();
	value = vmx->loaded ? __rdmsr(MSR_KERNEL_GS_BASE) : vmx->kernel_gs_base;
	preempt_enable();
	return value;
}

static void set_kernel_gs(struct vmx_vcpu *vmx, u64 value)
{
	preempt_disable();
	vmx->kernel_gs_base = value;
	if (vmx->loaded)
		wrmsrl(MSR_KERNEL_GS_BASE, value);
	preempt_enable();
}

/* By the guest it is an adjustment, by user space the time that others have, too. */
static void set_tsc(struct vmx_vcpu *vmx, u64 value, bool host)
{
	struct umbra_vcpu *vcpu = &vmx->vcpu;
	u64 offset = value - umbra_vcpu_scale_tsc(vcpu, rdtsc());

	if (host)
		offset = umbra_clock_tsc_offset(vcpu, value);
	else
		vmx->tsc_adjust += offset - vmx->tsc_offset;
	umbra_vmx_set_tsc_offset(vcpu, offset);
}

static void set_tsc_adjust(struct vmx_vcpu *vmx, u64 value, bool host)
{
	if (!host)
		umbra_vmx_set_tsc_offset(&vmx->vcpu, vmx->tsc_offset + value - vmx->tsc_adjust);
	vmx->tsc_adjust = value;
}

/* Fixed-range and variable MTRRs: kept, without effect on the EPT memory type. */
static u64 *mtrr_slot(struct vmx_vcpu *vmx, u32 index)
{
	switch (index) {
	case MTRRphysBase_MSR(0) ... MTRRphysMask_MSR(UMBRA_NR_MTRRS - 1):
		return &vmx->mtrr_var[index - MTRRphysBase_MSR(0)];
	case MSR_MTRRfix64K_00000:
		return &vmx->mtrr_fixed[0];
	case MSR_MTRRfix16K_80000:
	case MSR_MTRRfix16K_A0000:
		return &vmx->mtrr_fixed[1 + index - MSR_MTRRfix16K_80000];
	case MSR_MTRRfix4K_C0000 ... MSR_MTRRfix4K_F8000:
		return &vmx->mtrr_fixed[3 + index - MSR_MTRRfix4K_C0000];
	default:
		return NULL;
	}
}

/* x2APIC registers and the deadline timer. */
static bool is_lapic_msr(u32 index)
{
	return index == MSR_IA32_TSC_DEADLINE || (index >> 8) == 8;
}

/* MSRs that read as a constant or as a value kept here. */
static int get_plain(struct vmx_vcpu *vmx, u32 index, u64 *data, bool host)
{
	u64 *slot = mtrr_slot(vmx, index);

	if (!slot)
		slot = vmx_mce_msr(vmx, index, host);
	if (slot) {
		*data = *slot;
		return 0;
	}
	switch (index) {
	case MSR_MTRRcap:
		*data = MTRRCAP_WC | MTRRCAP_FIXED | UMBRA_NR_MTRRS;
		return 0;
	case MSR_MTRRdefType:
		*data = vmx->mtrr_def_type;
		return 0;
	case MSR_IA32_APICBASE:
		*data = vmx->vcpu.apic_base;
		return 0;
	case MSR_IA32_MISC_ENABLE:
		*data = vmx->misc_enable;
		return 0;
	case MSR_IA32_UCODE_REV:
		*data = UMBRA_UCODE_REV;
		return 0;
	case MSR_IA32_TSC_ADJUST:
		*data = vmx->tsc_adjust;
		return 0;
	case MSR_IA32_TSC_DEADLINE:
		/* In the list, and there with a local APIC only. */
		*data = 0;
		return host ? 0 : -ENOENT;
	case MSR_IA32_POWER_CTL:
		*data = vmx->power_ctl;
		return 0;
	case MSR_PLATFORM_INFO:
		if (!host && vmx->vcpu.vm->opt.no_platform_info)
			return -EINVAL;
		*data = vmx->platform_info;
		return 0;
	case MSR_IA32_PLATFORM_ID:
	case MSR_IA32_EBL_CR_POWERON:
	case MSR_IA32_DEBUGCTLMSR:
	case MSR_SMI_COUNT:
		*data = 0;
		return 0;
	default:
		return umbra_pv_get_msr(&vmx->vcpu, index, data, host);
	}
}

int umbra_vmx_get_msr(struct umbra_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	int i = umsr_of(index);

	if (i >= 0) {
		*data = vmx->umsr[i];
		return 0;
	}
	switch (index) {
	case MSR_EFER:
		*data = vcpu->mmu.state.efer;
		return 0;
	case MSR_FS_BASE:
		*data = vmcs_readl(GUEST_FS_BASE);
		return 0;
	case MSR_GS_BASE:
		*data = vmcs_readl(GUEST_GS_BASE);
		return 0;
	case MSR_KERNEL_GS_BASE:
		*data = get_kernel_gs(vmx);
		return 0;
	case MSR_IA32_SYSENTER_CS:
		*data = vmcs_read32(GUEST_SYSENTER_CS);
		return 0;
	case MSR_IA32_SYSENTER_ESP:
		*data = vmcs_readl(GUEST_SYSENTER_ESP);
		return 0;
	case MSR_IA32_SYSENTER_EIP:
		*data = vmcs_readl(GUEST_SYSENTER_EIP);
		return 0;
	case MSR_IA32_CR_PAT:
		*data = vmcs_read64(GUEST_IA32_PAT);
		return 0;
	case MSR_IA32_TSC:
		*data = umbra_vcpu_guest_tsc(vcpu);
		return 0;
	default:
		if (vcpu->lapic && is_lapic_msr(index))
			return umbra_lapic_get_msr(vcpu, index, data);
		return get_plain(vmx, index, data, host);
	}
}

static int set_efer(struct vmx_vcpu *vmx, u64 data)
{
	/* LMA may be repeated, without effect. */
	if (vmx_efer_check(vmx, data))
		return -EINVAL;
	vmx_sync_crs(vmx);
	vmx_set_efer(vmx, data & ~EFER_LMA);
	return 0;
}

static int set_apic_base(struct vmx_vcpu *vmx, u64 data, bool host)
{
	if (!vmx->vcpu.lapic || host)
		return umbra_vmx_set_apic_base(&vmx->vcpu, data);
	vmx->event_pending = true;
	return umbra_lapic_write_base(&vmx->vcpu, data);
}

/* MWAIT may come and go with its bit in CPUID. */
static int set_misc_enable(struct vmx_vcpu *vmx, u64 data)
{
	struct umbra_vcpu *vcpu = &vmx->vcpu;
	u64 changed = vmx->misc_enable ^ data;

	vmx->misc_enable = data;
	if (changed & MSR_IA32_MISC_ENABLE_MWAIT)
		umbra_vmx_cpuid_runtime(vcpu, vcpu->cpuid, vcpu->nr_cpuid);
	return 0;
}

static int set_plain(struct vmx_vcpu *vmx, u32 index, u64 data, bool host)
{
	u64 *slot = mtrr_slot(vmx, index);

	if (slot) {
		*slot = data;
		return 0;
	}
	switch (index) {
	case MSR_MTRRdefType:
		if (data & ~MTRR_DEF_TYPE_VALID)
			return -EINVAL;
		vmx->mtrr_def_type = data;
		return 0;
	case MSR_IA32_APICBASE:
		return set_apic_base(vmx, data, host);
	case MSR_IA32_MISC_ENABLE:
		return set_misc_enable(vmx, data);
	case MSR_IA32_UCODE_REV:
		return 0;
	case MSR_IA32_TSC_ADJUST:
		set_tsc_adjust(vmx, data, host);
		return 0;
	case MSR_IA32_TSC_DEADLINE:
		return host && !data ? 0 : -ENOENT;
	case MSR_IA32_POWER_CTL:
		vmx->power_ctl = data;
		return 0;
	case MSR_PLATFORM_INFO:
		if (!host)
			return -EINVAL;
		vmx->platform_info = data;
		return 0;
	case MSR_IA32_DEBUGCTLMSR:
		return data ? -EINVAL : 0;
	default:
		if (vmx_mce_msr(vmx, index, host))
			return vmx_mce_set_msr(vmx, index, data, host);
		return umbra_pv_set_msr(&vmx->vcpu, index, data, host);
	}
}

int umbra_vmx_set_msr(struct umbra_vcpu *vcpu, u32 index, u64 data, bool host)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	int i = umsr_of(index);

	if (i >= 0)
		return set_umsr(vmx, i, data);
	switch (index) {
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
	case MSR_IA32_SYSENTER_ESP:
	case MSR_IA32_SYSENTER_EIP:
		if (vmx_noncanonical(data))
			return -EINVAL;
		break;
	}
	switch (index) {
	case MSR_EFER:
		return set_efer(vmx, data);
	case MSR_FS_BASE:
		vmcs_writel(GUEST_FS_BASE, data);
		return 0;
	case MSR_GS_BASE:
		vmcs_writel(GUEST_GS_BASE, data);
		return 0;
	case MSR_KERNEL_GS_BASE:
		set_kernel_gs(vmx, data);
		return 0;
	case MSR_IA32_SYSENTER_CS:
		vmcs_write32(GUEST_SYSENTER_CS, data);
		return 0;
	case MSR_IA32_SYSENTER_ESP:
		vmcs_writel(GUEST_SYSENTER_ESP, data);
		return 0;
	case MSR_IA32_SYSENTER_EIP:
		vmcs_writel(GUEST_SYSENTER_EIP, data);
		return 0;
	case MSR_IA32_CR_PAT:
		if (!pat_valid(data))
			return -EINVAL;
		vmcs_write64(GUEST_IA32_PAT, data);
		return 0;
	case MSR_IA32_TSC:
		set_tsc(vmx, data, host);
		return 0;
	default:
		if (vcpu->lapic && is_lapic_msr(index)) {
			vmx->event_pending = true;
			return umbra_lapic_set_msr(vcpu, index, data);
		}
		return set_plain(vmx, index, data, host);
	}
}

int umbra_vmx_set_apic_base(struct umbra_vcpu *vcpu, u64 base)
{
	const u64 known = MSR_IA32_APICBASE_BSP | MSR_IA32_APICBASE_ENABLE |
			  GENMASK_ULL(vcpu->mmu.state.maxphyaddr - 1, 12);

	if (vcpu->lapic)
		return umbra_lapic_set_base(vcpu, base);
	/* No x2APIC: it needs an APIC in the kernel. */
	if (base & ~known)
		return -EINVAL;
	vcpu->apic_base = base;
	return 0;
}

/* User space has done the access, or refused it. */
static int complete_msr(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (READ_ONCE(vcpu->run->msr.error))
		vmx_queue_gp(vmx);
	else
		vmx_skip_insn(vmx);
	return VMX_RESUME_GUEST;
}

static void set_edx_eax(struct vmx_vcpu *vmx, u64 data)
{
	vmx->vcpu.regs[UMBRA_RAX] = lower_32_bits(data);
	vmx->vcpu.regs[UMBRA_RDX] = upper_32_bits(data);
}

static int complete_rdmsr(struct umbra_vcpu *vcpu)
{
	if (!READ_ONCE(vcpu->run->msr.error))
		set_edx_eax(to_vmx(vcpu), READ_ONCE(vcpu->run->msr.data));
	return complete_msr(vcpu);
}

/* Why an access failed, as user space is told. */
static u32 exit_reason_of(int error)
{
	switch (error) {
	case -EACCES:
		return KVM_MSR_EXIT_REASON_FILTER;
	case -ENOENT:
		return KVM_MSR_EXIT_REASON_UNKNOWN;
	default:
		return KVM_MSR_EXIT_REASON_INVAL;
	}
}

/* The access failed: a fault, unless user space wants to complete it. */
static int refused(struct vmx_vcpu *vmx, int error, bool write, u64 data)
{
	struct umbra_vcpu *vcpu = &vmx->vcpu;
	struct kvm_run *run = vcpu->run;
	u32 reason = exit_reason_of(error);

	if (!(READ_ONCE(vcpu->vm->opt.user_msr) & reason)) {
		vmx_queue_gp(vmx);
		return VMX_RESUME_GUEST;
	}
	run->exit_reason = write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	memset(&run->msr, 0, sizeof(run->msr));
	run->msr.reason = reason;
	run->msr.index = vcpu->regs[UMBRA_RCX];
	run->msr.data = data;
	vcpu->complete = write ? complete_msr : complete_rdmsr;
	return VMX_EXIT_TO_USER;
}

static bool filtered(struct vmx_vcpu *vmx, u32 access)
{
	struct umbra_vm *vm = vmx->vcpu.vm;
	bool allowed;
	int idx;

	if (likely(!rcu_access_pointer(vm->msr_filter)))
		return false;
	idx = srcu_read_lock(&vm->mmu.srcu);
	allowed = umbra_msr_allowed(vm, vmx->vcpu.regs[UMBRA_RCX], access);
	srcu_read_unlock(&vm->mmu.srcu, idx);
	return !allowed;
}

int vmx_handle_rdmsr(struct vmx_vcpu *vmx)
{
	u64 data;
	int r;

	if (filtered(vmx, KVM_MSR_FILTER_READ))
		return refused(vmx, -EACCES, false, 0);
	r = umbra_vmx_get_msr(&vmx->vcpu, vmx->vcpu.regs[UMBRA_RCX], &data, false);
	if (r)
		return refused(vmx, r, false, 0);
	set_edx_eax(vmx, data);
	vmx_skip_insn(vmx);
	return VMX_RESUME_GUEST;
}

int vmx_handle_wrmsr(struct vmx_vcpu *vmx)
{
	unsigned long *regs = vmx->vcpu.regs;
	u64 data = (u32)regs[UMBRA_RAX] | (u64)regs[UMBRA_RDX] << 32;
	int r;

	if (filtered(vmx, KVM_MSR_FILTER_WRITE))
		return refused(vmx, -EACCES, true, data);
	r = umbra_vmx_set_msr(&vmx->vcpu, regs[UMBRA_RCX], data, false);
	if (r)
		return refused(vmx, r, true, data);
	vmx_skip_insn(vmx);
	return VMX_RESUME_GUEST;
}
