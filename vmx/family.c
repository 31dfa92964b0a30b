// SPDX-License-Identifier: GPL-2.0
/*
 * The page-table family that the CPU walks for this vCPU, as the VMCS sees it:
 * controls, owned CR bits, intercepted exceptions, and the switch between the
 * two at any instruction boundary.
 *
 * EPT family:    EPT and unrestricted guest on. CR3, CR4 and most of CR0 belong
 *                to the guest; only PE and PG exit, as they change the mode.
 * Shadow family: both off. CR3 holds the shadow root, for a guest outside long
 *                mode that of PAE tables, whatever its own are; WP, PG, PAE and
 *                NXE are forced to 1; CR3 accesses exit, and INVLPG and #PF
 *                unless the MMU says that they need not.
 */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/tlbflush.h>
#include <asm/trapnr.h>

#include "vmx.h"

/* How long a guest that is not yet legal for shadow paging may run, in TSC. */
#define LEGAL_POLL_TSC		20000u
#define LEGAL_POLL_MAX		(LEGAL_POLL_TSC << 5)

/* CR4 bits that concern neither paging nor VMX. */
#define CR4_HARMLESS	(X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PCE | \
			 X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_FSGSBASE | \
			 X86_CR4_UMIP)
#define CR4_PAGING	(X86_CR4_PSE | X86_CR4_PGE | X86_CR4_PAE | X86_CR4_SMEP | \
			 X86_CR4_SMAP | X86_CR4_PCIDE)
#define CR0_HARMLESS	(X86_CR0_TS | X86_CR0_MP | X86_CR0_EM | X86_CR0_AM)

/*
 * #DB and #AC can be raised without end during their own delivery: they exit. #UD
 * may be a hypercall of another CPU.
 */
#define ALWAYS_INTERCEPTED	(BIT(X86_TRAP_DB) | BIT(X86_TRAP_AC) | BIT(X86_TRAP_MC) | \
				 BIT(X86_TRAP_UD))

/* CR4 bits that the guest writes without an exit. */
static unsigned long cr4_owned(struct vmx_vcpu *vmx)
{
	unsigned long owned = CR4_HARMLESS;

	if (vmx->family != UMBRA_FAMILY_SHADOW)
		owned |= CR4_PAGING;
	if (!(vmx->vcpu.mmu.state.efer & EFER_LMA))
		owned &= ~X86_CR4_PCIDE;
	if (vmx_caps.desc_exits)
		owned &= ~X86_CR4_UMIP;
	return owned & vmx->cr4_allowed;
}

/* Which page faults exit, and whether INVLPG does. */
void vmx_apply_direct(struct vmx_vcpu *vmx)
{
	const struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	u32 mask = 0, match = 0;

	vmx->direct = READ_ONCE(mv->direct);
	if (vmx->family == UMBRA_FAMILY_SHADOW) {
		umbra_mmu_direct_faults(mv, &mask, &match);
		/* INVPCID goes with it, and the CPU runs without PCID. */
		if ((vmx->direct & UMBRA_DIRECT_INVLPG) && !(mv->state.cr4 & X86_CR4_PCIDE))
			vmx_cpu_ctl_clear(vmx, CPU_BASED_INVLPG_EXITING);
		else
			vmx_cpu_ctl_set(vmx, CPU_BASED_INVLPG_EXITING);
	}
	/* The exception bitmap is clear: those that do not match exit. */
	vmcs_write32(PAGE_FAULT_ERROR_CODE_MASK, mask);
	vmcs_write32(PAGE_FAULT_ERROR_CODE_MATCH, match);
}

/* The CR values for the CPU, made from those that the guest sees. */
void vmx_family_write_crs(struct vmx_vcpu *vmx)
{
	const struct umbra_paging_state *s = &vmx->vcpu.mmu.state;
	bool shadow = vmx->family == UMBRA_FAMILY_SHADOW;
	unsigned long cr0 = (s->cr0 & ~(X86_CR0_CD | X86_CR0_NW)) | X86_CR0_NE;
	/* A machine check is the host's, whatever the guest wants: see reflect_to_host(). */
	unsigned long cr4 = s->cr4 | X86_CR4_VMXE | (cr4_read_shadow() & X86_CR4_MCE);
	unsigned long owned = cr4_owned(vmx);
	u64 efer = s->efer;

	/* User space may set it before long mode; VM entry wants it after. */
	if (!(efer & EFER_LMA))
		cr4 &= ~X86_CR4_PCIDE;
	if (shadow) {
		cr0 |= X86_CR0_WP;
		cr4 &= ~X86_CR4_PCIDE;
		cr4 |= X86_CR4_PAE;
		efer |= EFER_NX;
	}
	if (vmx_caps.desc_exits)
		cr4 &= ~X86_CR4_UMIP;
	vmcs_writel(CR0_READ_SHADOW, s->cr0);
	vmcs_writel(GUEST_CR0, cr0);
	vmcs_writel(CR4_READ_SHADOW, s->cr4);
	vmcs_writel(GUEST_CR4, cr4);
	if (owned != vmx->cr4_owned) {
		vmx->cr4_owned = owned;
		vmcs_writel(CR4_GUEST_HOST_MASK, ~owned);
	}
	vmcs_write64(GUEST_IA32_EFER, efer);
	vmx_xcr_update(vmx);
	vmx_umip_update(vmx);
	vmcs_write32(VM_ENTRY_CONTROLS,
		     vmx_caps.entry | vmx_perf_entry_ctl() |
		     ((efer & EFER_LMA) ? VM_ENTRY_IA32E_MODE : 0));
	vmx_apply_direct(vmx);
}

void vmx_family_write_cpu2(struct vmx_vcpu *vmx)
{
	const u32 ept = SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST;
	u32 ctl = vmx->cpu2_ctl;

	if (vmx->family == UMBRA_FAMILY_SHADOW)
		ctl &= ~ept;
	else if (vmx->pml_on)
		ctl |= SECONDARY_EXEC_ENABLE_PML;
	if (vmx->desc_exits && !vmx->desc_pass)
		ctl |= SECONDARY_EXEC_DESC;
	vmcs_write32(SECONDARY_VM_EXEC_CONTROL, ctl);
}

void vmx_family_write_exceptions(struct vmx_vcpu *vmx)
{
	bool bp = vmx->vcpu.guest_debug & KVM_GUESTDBG_USE_SW_BP;

	vmcs_write32(EXCEPTION_BITMAP, ALWAYS_INTERCEPTED | (bp ? BIT(X86_TRAP_BP) : 0));
}

/* Everything in the VMCS that depends on the family. */
void vmx_family_apply(struct vmx_vcpu *vmx)
{
	const u32 cr3_exits = CPU_BASED_CR3_LOAD_EXITING | CPU_BASED_CR3_STORE_EXITING |
			      CPU_BASED_INVLPG_EXITING;
	vmx->family = vmx->vcpu.mmu.family;
	vmx->vcpu.stat.shadow_family = vmx->family == UMBRA_FAMILY_SHADOW;
	vmx->loaded_root = INVALID_PAGE;
	vmx->need_flush = true;
	vmx_family_write_cpu2(vmx);
	if (vmx->family == UMBRA_FAMILY_SHADOW) {
		vmx_cpu_ctl_set(vmx, cr3_exits);
		vmx->cr0_owned = CR0_HARMLESS;
	} else {
		vmx_cpu_ctl_clear(vmx, cr3_exits);
		vmx->cr0_owned = CR0_HARMLESS | X86_CR0_WP;
		vmcs_writel(GUEST_CR3, vmx->vcpu.mmu.state.cr3);
		vmx_write_pdptrs(vmx);
	}
	vmx_family_write_exceptions(vmx);
	vmcs_writel(CR0_GUEST_HOST_MASK, ~vmx->cr0_owned);
	vmx_family_write_crs(vmx);
}

/* A data segment that VM entry takes without unrestricted guest. */
static bool data_legal(int seg)
{
	u32 ar = vmcs_read32(vmcs_seg_ar(seg));
	u32 type = ar & SEG_AR_TYPE_MASK;
	u32 dpl = (ar & SEG_AR_DPL_MASK) >> SEG_AR_DPL_SHIFT;

	if (ar & SEG_AR_UNUSABLE)
		return true;
	if (!(ar & SEG_AR_S) || !(ar & SEG_AR_P) || !(type & 1))
		return false;
	if ((type & 8) && !(type & 2))
		return false;
	return type > 11 || dpl >= (vmcs_read16(vmcs_seg_selector(seg)) & SEGMENT_RPL_MASK);
}

static bool code_legal(void)
{
	u32 cs = vmcs_read32(GUEST_CS_AR_BYTES), ss = vmcs_read32(GUEST_SS_AR_BYTES);
	u32 type = cs & SEG_AR_TYPE_MASK;
	u32 cpl = (ss & SEG_AR_DPL_MASK) >> SEG_AR_DPL_SHIFT;
	u32 cs_dpl = (cs & SEG_AR_DPL_MASK) >> SEG_AR_DPL_SHIFT;

	if (!(cs & SEG_AR_S) || !(cs & SEG_AR_P) || (type & 9) != 9)
		return false;
	return (type & 4) ? cs_dpl <= cpl : cs_dpl == cpl;
}

static bool stack_legal(void)
{
	u32 ss = vmcs_read32(GUEST_SS_AR_BYTES);
	u16 ss_rpl = vmcs_read16(GUEST_SS_SELECTOR) & SEGMENT_RPL_MASK;
	u16 cs_rpl = vmcs_read16(GUEST_CS_SELECTOR) & SEGMENT_RPL_MASK;
	u32 type;

	if (ss_rpl != cs_rpl || (ss & SEG_AR_DPL_MASK) >> SEG_AR_DPL_SHIFT != ss_rpl)
		return false;
	if (ss & SEG_AR_UNUSABLE)
		return true;
	type = ss & SEG_AR_TYPE_MASK;
	return (ss & SEG_AR_S) && (ss & SEG_AR_P) && (type == 3 || type == 7);
}

static bool task_legal(const struct vmx_vcpu *vmx)
{
	u32 tr = vmcs_read32(GUEST_TR_AR_BYTES) & (SEG_AR_TYPE_MASK | SEG_AR_UNUSABLE);

	/* A busy TSS; one of 16 bits outside long mode only. */
	return tr == 11 || (tr == 3 && !(vmx->vcpu.mmu.state.efer & EFER_LMA));
}

/* Virtual-8086 mode: all segments are as in real mode. */
static bool vm86_legal(void)
{
	int seg;

	for (seg = SEG_ES; seg <= SEG_GS; seg++) {
		if (vmcs_read32(vmcs_seg_ar(seg)) != SEG_AR_VM86 ||
		    vmcs_read32(vmcs_seg_limit(seg)) != 0xffff ||
		    vmcs_readl(vmcs_seg_base(seg)) !=
		    (unsigned long)vmcs_read16(vmcs_seg_selector(seg)) << 4)
			return false;
	}
	return true;
}

/* SYSCALL takes the privilege level of SS from STAR, whatever that is: with no exit. */
static bool syscall_legal(const struct vmx_vcpu *vmx)
{
	return !(vmx->umsr[UMSR_STAR] >> 32 & SEGMENT_RPL_MASK);
}

/* Would VM entry take the segments without unrestricted guest, with paging on? */
static bool state_legal(struct vmx_vcpu *vmx)
{
	int seg;

	if (!task_legal(vmx) || !syscall_legal(vmx))
		return false;
	if (vmx_rflags(vmx) & X86_EFLAGS_VM)
		return vm86_legal();
	if (!code_legal() || !stack_legal())
		return false;
	for (seg = SEG_ES; seg <= SEG_GS; seg++) {
		if (seg != SEG_CS && seg != SEG_SS && !data_legal(seg))
			return false;
	}
	return true;
}

/*
 * While the guest cannot use the shadow family yet, look again after each exit
 * (the timer starts anew at each entry) and after a short time, which grows:
 * segment loads and writes to owned CR bits do not exit.
 */
static void poll_legal(struct vmx_vcpu *vmx, bool poll)
{
	if (poll && !vmx->await_legal)
		vmx->legal_poll = LEGAL_POLL_TSC;
	if (poll)
		vmx_stay_limit(vmx, vmx->legal_poll);
	else if (vmx->await_legal)
		vmx_stay_limit(vmx, 0);
	vmx->await_legal = poll;
}

/*
 * CR0, CR4, EFER, the policy or the segments changed: choose the family again
 * and bring the VMCS in line. state.cr3 is up to date.
 */
void vmx_family_update(struct vmx_vcpu *vmx)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	bool wants = umbra_mmu_wants_shadow(mv);

	/* Once in the shadow family, segment loads by the CPU keep it legal. */
	mv->state.state_legal = wants &&
				((vmx->family == UMBRA_FAMILY_SHADOW && !vmx->segs_set) ||
				 state_legal(vmx));
	vmx->segs_set = false;
	if (umbra_mmu_state_changed(mv)) {
		vmx->vcpu.stat.family_switches++;
		vmx_family_apply(vmx);
	} else {
		vmx_family_write_crs(vmx);
	}
	poll_legal(vmx, wants && mv->family != UMBRA_FAMILY_SHADOW);
}

void vmx_family_poll(struct vmx_vcpu *vmx)
{
	vmx_sync_crs(vmx);
	vmx_family_update(vmx);
}

/* vmx_handle_exit() looks at the state. */
int vmx_handle_preemption_timer(struct vmx_vcpu *vmx)
{
	if (vmx->await_legal)
		vmx->legal_poll = min(vmx->legal_poll * 2, LEGAL_POLL_MAX);
	return VMX_RESUME_GUEST;
}
