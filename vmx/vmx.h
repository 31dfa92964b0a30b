/* SPDX-License-Identifier: GPL-2.0 */
/* The vCPU as vmx/ sees it, and what the files of this folder share. */
#ifndef _UMBRA_VMX_PRIVATE_H
#define _UMBRA_VMX_PRIVATE_H

#include <linux/list.h>
#include <linux/nospec.h>
#include <linux/io.h>
#include <linux/jump_label.h>
#include <linux/sched.h>
#include <asm/processor.h>
#include <asm/debugreg.h>
#include <asm/trapnr.h>
#include <umbra/vcpu.h>
#include <umbra/vmx.h>

#include "caps.h"
#include "insn.h"

/* Segment registers in the order of their VMCS fields. */
enum vmx_seg {
	SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, NR_SEGS,
};

/* Access rights as the VMCS keeps them. */
#define SEG_AR_TYPE_MASK		0x000f
#define SEG_AR_S			0x0010
#define SEG_AR_DPL_SHIFT		5
#define SEG_AR_DPL_MASK		0x0060
#define SEG_AR_P			0x0080
#define SEG_AR_AVL			0x1000
#define SEG_AR_L			0x2000
#define SEG_AR_DB			0x4000
#define SEG_AR_G			0x8000
#define SEG_AR_UNUSABLE		0x10000
#define SEG_AR_VM86			0x00f3

#define vmcs_seg_selector(seg)	(GUEST_ES_SELECTOR + 2 * (seg))
#define vmcs_seg_limit(seg)	(GUEST_ES_LIMIT + 2 * (seg))
#define vmcs_seg_ar(seg)	(GUEST_ES_AR_BYTES + 2 * (seg))
#define vmcs_seg_base(seg)	(GUEST_ES_BASE + 2 * (seg))

/* MSRs that the host needs only in user mode: switched when they differ. */
enum { UMSR_STAR, UMSR_LSTAR, UMSR_CSTAR, UMSR_FMASK, UMSR_TSC_AUX, NR_UMSRS };

/* Variable MTRRs that a guest has; they have no effect under EPT. */
#define UMBRA_NR_MTRRS		8

/**
 * struct vmx_mce - machine-check registers
 * @cap: MCG_CAP; its low byte is how many of @bank exist
 * @status: MCG_STATUS
 * @ctl: MCG_CTL
 * @bank: CTL, STATUS, ADDR, MISC of each
 * @ctl2: CTL2 of each
 */
struct vmx_mce {
	u64 cap;
	u64 status;
	u64 ctl;
	u64 bank[UMBRA_MAX_MCE_BANKS][4];
	u64 ctl2[UMBRA_MAX_MCE_BANKS];
};

/* vmx->cached bits: the VMCS field has been read since the last exit... */
#define CACHED_RIP		BIT(0)
#define CACHED_RSP		BIT(1)
#define CACHED_RFLAGS		BIT(2)
#define CACHED_INSN_LEN		BIT(3)
/* ...and vmx->dirty bits, same numbers: to be written before the next entry. */

/**
 * struct vmx_events - what is to be delivered to the guest
 * @exc: exception not yet written to the VMCS
 * @exc_injected: @exc was being delivered when an exit interrupted it
 * @exc_soft_len: instruction length when @exc is a software exception
 * @exc_user: @exc is user space's and nothing of its delivery is done yet
 * @has_payload: of such a one: @payload is for CR2 or DR6
 * @payload: see there
 * @irq: an interrupt of user space waits
 * @irq_injected: @irq was being delivered when an exit interrupted it
 * @irq_vector: its vector
 * @soft: an INT n was being delivered when an exit interrupted it
 * @soft_vector: its vector
 * @soft_len: its instruction length
 * @nmi_pending: NMIs waiting, at most 2
 * @nmi_injected: delivery was interrupted by an exit
 */
struct vmx_events {
	struct umbra_exception exc;
	bool exc_injected;
	u8 exc_soft_len;
	bool exc_user;
	bool has_payload;
	u64 payload;
	bool irq;
	bool irq_injected;
	u8 irq_vector;
	bool soft;
	u8 soft_vector;
	u8 soft_len;
	u8 nmi_pending;
	bool nmi_injected;
};

#define VMX_AHEAD_SPOTS		64

/**
 * struct vmx_ahead_spot - an address at which an instruction that exits has ended
 * @rip: low bits of the address
 * @wait: how often to pass here before going ahead is tried
 * @doubt: log2 of how long to wait after it has failed
 */
struct vmx_ahead_spot {
	u32 rip;
	u16 wait;
	u8 doubt;
};

/* Host selectors that VM exit cannot restore. */
struct vmx_host_segs {
	u16 fs, gs, ds, es, ldt;
	bool reload;
};

/**
 * struct vmx_vcpu - a vCPU with its VMCS
 * @vcpu: the part that core/ sees; first
 * @vmcs: the VMCS page
 * @vmcs_pa: its physical address
 * @vmcs_cpu: CPU on which the VMCS is active, -1 when cleared
 * @vmcs_link: in that CPU's list of active VMCSs (interrupts off there)
 * @launched: VMLAUNCH was done since the last VMCLEAR
 * @vpid: tag of linear translations, never 0
 * @need_flush: the vCPU moved to another CPU: flush its tags there
 * @event_pending: something in @ev, or a window, is to be looked at
 * @cached: CACHED_*: valid copies
 * @dirty: CACHED_*: copies newer than the VMCS
 * @rip: copy of GUEST_RIP
 * @rflags: copy of GUEST_RFLAGS
 * @insn_len: length of an instruction that is handled without having exited, which
 *	is not in the VMCS
 * @host_rsp: what HOST_RSP holds; used by enter.S
 * @exit_reason: of the last exit
 * @vectoring: IDT_VECTORING_INFO_FIELD of the last exit
 * @cpu_ctl: current processor-based controls
 * @pin_ctl: current pin-based controls
 * @cpu2_ctl: secondary controls of this guest, EPT and unrestricted guest on
 * @pml: what PML writes to, or NULL
 * @pml_on: PML is to be used in the EPT family
 * @family: the family that the VMCS is set up for
 * @loaded_root: mmu.root as written to the VMCS
 * @await_legal: the guest is to change to the shadow family as soon as VM entry
 *	would take its segments
 * @stay_timer: longest stay in the guest, in units of the preemption timer, or 0
 * @legal_poll: TSC ticks after which to look at them again
 * @pause_window: how long the guest may wait in a loop of PAUSEs, in TSC ticks
 * @segs_set: user space set the segments since the family was chosen
 * @cr0_owned: CR0 bits that the guest writes without an exit
 * @cr4_owned: CR4 bits likewise
 * @cr4_allowed: CR4 bits that the guest's CPUID lets it set
 * @efer_allowed: EFER bits likewise
 * @ev: events
 * @umsr: guest values of UMSR_*
 * @umsr_host: host values on @vmcs_cpu
 * @umsr_used: the guest has had EFER.SCE on or set TSC_AUX, so that @umsr
 *	matters
 * @osxsave: CR4.OSXSAVE as CPUID tells it
 * @xcr0_differs: the guest can see XCR0, and its is not the host's
 * @ospke: CR4.PKE likewise
 * @pkru_differs: the guest can see PKRU
 * @perf_guest: what GUEST_IA32_PERF_GLOBAL_CTRL holds
 * @perf_host: what HOST_IA32_PERF_GLOBAL_CTRL holds
 * @perf_pebs: IA32_PEBS_ENABLE to be restored after the guest, or 0
 * @kernel_gs_base: guest value while not loaded
 * @host_kernel_gs_base: host value while loaded
 * @host_segs: host selectors while loaded
 * @host_cr3: what HOST_CR3 holds
 * @host_cr4: what HOST_CR4 holds
 * @host_debugctl: host IA32_DEBUGCTL, which an exit clears
 * @msr_bitmap: page of the MSR bitmap
 * @cr2: guest CR2
 * @dr: guest DR0..DR3
 * @dr6: guest DR6
 * @dr7: guest DR7
 * @hw_dr7: what GUEST_DR7 holds: @dr7, or @user_dr7 while user space debugs
 * @user_dr: breakpoints of user space in place of @dr
 * @user_dr7: its DR7
 * @step_rip: linear address from which user space steps
 * @watched: @stepping, or @hw_dr7 has breakpoints
 * @stepping: RFLAGS.TF is set on behalf of user space
 * @own_tf: RFLAGS.TF as the guest had it before
 * @tsc_offset: guest TSC - host TSC
 * @tsc_adjust: MSR_IA32_TSC_ADJUST as the guest sees it
 * @platform_info: MSR_PLATFORM_INFO likewise
 * @power_ctl: MSR_IA32_POWER_CTL likewise, without effect
 * @misc_enable: MSR_IA32_MISC_ENABLE as the guest sees it
 * @mtrr_def_type: MSR_MTRRdefType, kept for the guest
 * @mtrr_fixed: fixed-range MTRRs, kept for the guest
 * @mtrr_var: variable MTRRs, base and mask, kept for the guest
 * @mce: machine-check registers
 * @io_size: bytes of the IN that user space completes
 * @loaded: between umbra_vmx_vcpu_load() and _put()
 * @ahead_spot: by address, where going ahead has paid or not
 * @ahead: what it needs, or NULL as long as it was not tried
 * @desc_exits: descriptor-table registers exit, for CR4.UMIP
 * @desc_pass: but for the next instruction
 * @completed: user space has completed an instruction, which is behind the guest
 */
struct vmx_vcpu {
	struct umbra_vcpu vcpu;

	struct vmcs_page *vmcs;
	phys_addr_t vmcs_pa;
	int vmcs_cpu;
	struct list_head vmcs_link;
	bool launched;
	u16 vpid;
	bool need_flush;
	bool event_pending;

	u8 cached;
	u8 dirty;
	unsigned long rip;
	unsigned long rflags;
	u8 insn_len;
	unsigned long host_rsp;

	u32 exit_reason;
	u32 vectoring;
	u32 cpu_ctl;
	u32 pin_ctl;
	u32 cpu2_ctl;
	u64 *pml;
	bool pml_on;
	enum umbra_family family;
	u32 direct;
	hpa_t loaded_root;
	bool await_legal;
	u32 stay_timer;
	u32 legal_poll;
	u32 pause_window;
	bool segs_set;
	unsigned long cr0_owned;
	unsigned long cr4_owned;
	unsigned long cr4_allowed;
	u64 efer_allowed;

	struct vmx_events ev;

	u64 umsr[NR_UMSRS];
	u64 umsr_host[NR_UMSRS];
	bool umsr_used;
	bool osxsave;
	bool xcr0_differs;
	bool ospke;
	bool pkru_differs;
	u64 perf_guest;
	u64 perf_host;
	u64 perf_pebs;
	u64 kernel_gs_base;
	u64 host_kernel_gs_base;
	struct vmx_host_segs host_segs;
	unsigned long host_cr3;
	unsigned long host_cr4;
	u64 host_debugctl;
	unsigned long *msr_bitmap;

	unsigned long cr2;
	unsigned long dr[4];
	unsigned long dr6;
	unsigned long dr7;
	unsigned long hw_dr7;
	unsigned long user_dr[4];
	unsigned long user_dr7;
	u64 step_rip;
	bool watched;
	bool stepping;
	bool own_tf;
	u64 tsc_offset;
	u64 tsc_adjust;
	u64 misc_enable;
	u64 platform_info;
	u64 power_ctl;
	u64 mtrr_def_type;
	u64 mtrr_fixed[11];
	u64 mtrr_var[2 * UMBRA_NR_MTRRS];
	struct vmx_mce mce;
	u8 io_size;
	bool loaded;
	struct vmx_ahead_spot ahead_spot[VMX_AHEAD_SPOTS];
	struct vmx_ahead *ahead;
	bool desc_exits;
	bool desc_pass;
	bool completed;
};

/* The head of a VMCS region; the rest belongs to the CPU. */
struct vmcs_page {
	u32 revision;
	u32 abort;
	u8 data[];
};

static inline struct vmx_vcpu *to_vmx(struct umbra_vcpu *vcpu)
{
	return container_of(vcpu, struct vmx_vcpu, vcpu);
}

static __always_inline unsigned long vmx_rip(struct vmx_vcpu *vmx)
{
	if (!(vmx->cached & CACHED_RIP)) {
		vmx->rip = vmcs_readl(GUEST_RIP);
		vmx->cached |= CACHED_RIP;
	}
	return vmx->rip;
}

static __always_inline void vmx_set_rip(struct vmx_vcpu *vmx, unsigned long rip)
{
	vmx->rip = rip;
	vmx->cached |= CACHED_RIP;
	vmx->dirty |= CACHED_RIP;
}

static __always_inline unsigned long vmx_rsp(struct vmx_vcpu *vmx)
{
	if (!(vmx->cached & CACHED_RSP)) {
		vmx->vcpu.regs[UMBRA_RSP] = vmcs_readl(GUEST_RSP);
		vmx->cached |= CACHED_RSP;
	}
	return vmx->vcpu.regs[UMBRA_RSP];
}

static __always_inline void vmx_set_rsp(struct vmx_vcpu *vmx, unsigned long rsp)
{
	vmx->vcpu.regs[UMBRA_RSP] = rsp;
	vmx->cached |= CACHED_RSP;
	vmx->dirty |= CACHED_RSP;
}

static __always_inline unsigned long vmx_rflags(struct vmx_vcpu *vmx)
{
	if (!(vmx->cached & CACHED_RFLAGS)) {
		vmx->rflags = vmcs_readl(GUEST_RFLAGS);
		vmx->cached |= CACHED_RFLAGS;
	}
	return vmx->rflags;
}

static __always_inline void vmx_set_rflags(struct vmx_vcpu *vmx, unsigned long rflags)
{
	vmx->rflags = rflags | X86_EFLAGS_FIXED;
	vmx->cached |= CACHED_RFLAGS;
	vmx->dirty |= CACHED_RFLAGS;
}

/* General register @reg, RSP included. */
static inline unsigned long vmx_reg(struct vmx_vcpu *vmx, unsigned int reg)
{
	return reg == UMBRA_RSP ? vmx_rsp(vmx) : vmx->vcpu.regs[reg];
}

static inline void vmx_set_reg(struct vmx_vcpu *vmx, unsigned int reg, unsigned long value)
{
	if (reg == UMBRA_RSP)
		vmx_set_rsp(vmx, value);
	else
		vmx->vcpu.regs[reg] = value;
}

static inline void vmx_cpu_ctl_set(struct vmx_vcpu *vmx, u32 bits)
{
	if ((vmx->cpu_ctl & bits) != bits) {
		vmx->cpu_ctl |= bits;
		vmcs_write32(CPU_BASED_VM_EXEC_CONTROL, vmx->cpu_ctl);
	}
}

static inline void vmx_cpu_ctl_clear(struct vmx_vcpu *vmx, u32 bits)
{
	if (vmx->cpu_ctl & bits) {
		vmx->cpu_ctl &= ~bits;
		vmcs_write32(CPU_BASED_VM_EXEC_CONTROL, vmx->cpu_ctl);
	}
}

/* Does the guest run 64-bit code now? */
static inline bool vmx_in_long64(struct vmx_vcpu *vmx)
{
	return (vmx->vcpu.mmu.state.efer & EFER_LMA) &&
	       (vmcs_read32(GUEST_CS_AR_BYTES) & SEG_AR_L);
}

static inline unsigned int vmx_cpl(struct vmx_vcpu *vmx)
{
	if (!(vmx->vcpu.mmu.state.cr0 & X86_CR0_PE))
		return 0;
	return (vmcs_read32(GUEST_SS_AR_BYTES) & SEG_AR_DPL_MASK) >> SEG_AR_DPL_SHIFT;
}

/* Bits of GUEST_INTERRUPTIBILITY_INFO: after STI or MOV SS. */
#define INTERRUPT_SHADOW	(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

/* Where the next instruction is. */
static inline u64 vmx_linear_rip(struct vmx_vcpu *vmx)
{
	if (vmx_in_long64(vmx))
		return vmx_rip(vmx);
	return (u32)(vmcs_readl(GUEST_CS_BASE) + vmx_rip(vmx));
}

/*
 * The guest halted by itself, and something else comes now: an event that wakes it, or
 * state with which VM entry does not take a halted CPU.
 */
static inline void vmx_end_hlt(struct vmx_vcpu *vmx)
{
	if (unlikely(!(vmx->cpu_ctl & CPU_BASED_HLT_EXITING)))
		vmcs_write32(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
}

/* DR7: breakpoints that are on, bits that exist, the one that reads as 1. */
#define DR7_ENABLED		0xfful
#define DR7_EXISTING		0xffff23fful
#define DR7_MUST_BE_1		BIT(10)

/*
 * Does the guest or user space single-step, or have breakpoints on? Then instructions
 * have to be executed one by one, each by the CPU or with vmx_insn_retired().
 */
static inline bool vmx_debugged(struct vmx_vcpu *vmx)
{
	return (vmx->hw_dr7 & DR7_ENABLED) || (vmx_rflags(vmx) & X86_EFLAGS_TF);
}

/* Linear addresses have 48 bits: no guest is offered 5-level paging. */
static inline bool vmx_noncanonical(u64 gva)
{
	return !__is_canonical_address(gva, 48);
}

/* What an exit handler answers; negative is an errno for KVM_RUN. */
enum vmx_handled {
	VMX_EXIT_TO_USER = 0,
	VMX_RESUME_GUEST = 1,
};

/* power.c */
bool vmx_on_here(void);
bool vmx_rebooting(void);

/* vmcs.c */
void vmx_vmcs_load(struct vmx_vcpu *vmx, int cpu);
void vmx_vmcs_clear(struct vmx_vcpu *vmx);
void vmx_vmcs_clear_all_here(void);
void vmx_vmcs_lists_init(void);
void vmx_vmcs_setup(struct vmx_vcpu *vmx);

/* kick.c */
int vmx_kick_init(void);
void vmx_kick_exit(void);

/* host.c */
void vmx_host_setup(struct vmx_vcpu *vmx);
void vmx_host_cpu_changed(struct vmx_vcpu *vmx, int cpu);
void vmx_host_use_umsrs(struct vmx_vcpu *vmx);
void vmx_host_set_umsr(struct vmx_vcpu *vmx, int i, u64 value);
void vmx_host_save(struct vmx_vcpu *vmx);
void vmx_host_restore(struct vmx_vcpu *vmx);

/* exit.c */
void vmx_insn_retired(struct vmx_vcpu *vmx, bool single_step);
void vmx_skip_insn(struct vmx_vcpu *vmx);
void vmx_skip_bytes(struct vmx_vcpu *vmx, unsigned int len);
int vmx_handle_exit(struct vmx_vcpu *vmx);
int vmx_exit_internal_error(struct vmx_vcpu *vmx, u32 suberror);

/* store.c */
bool vmx_store(struct vmx_vcpu *vmx, const struct umbra_fault *fault);

/* ahead.c */
int vmx_ahead(struct vmx_vcpu *vmx);
int vmx_ahead_of_port(struct vmx_vcpu *vmx);
void vmx_ahead_free(struct vmx_vcpu *vmx);

/* cpuid.c */
bool vmx_cpuid_emulate(struct vmx_vcpu *vmx);
void vmx_cpuid_derive(struct vmx_vcpu *vmx);
bool vmx_cpuid_has_mwait(struct vmx_vcpu *vmx);

/* cr.c */
void vmx_set_cr0(struct vmx_vcpu *vmx, unsigned long cr0);
void vmx_set_efer(struct vmx_vcpu *vmx, u64 efer);
int vmx_efer_check(struct vmx_vcpu *vmx, u64 efer);
bool vmx_cr0_valid(unsigned long cr0);
bool vmx_cr4_valid(struct vmx_vcpu *vmx, unsigned long cr4);
int vmx_handle_cr(struct vmx_vcpu *vmx);
int vmx_cr_access(struct vmx_vcpu *vmx, unsigned long qual);
int vmx_load_pdptrs(struct vmx_vcpu *vmx);
void vmx_write_pdptrs(struct vmx_vcpu *vmx);
void vmx_sync_crs(struct vmx_vcpu *vmx);
int vmx_switch_cr3(struct vmx_vcpu *vmx, u32 cr3);

/* family.c */
void vmx_family_apply(struct vmx_vcpu *vmx);
void vmx_family_write_exceptions(struct vmx_vcpu *vmx);
void vmx_family_update(struct vmx_vcpu *vmx);
void vmx_family_write_cpu2(struct vmx_vcpu *vmx);
void vmx_family_poll(struct vmx_vcpu *vmx);
void vmx_family_write_crs(struct vmx_vcpu *vmx);
void vmx_apply_direct(struct vmx_vcpu *vmx);
int vmx_handle_preemption_timer(struct vmx_vcpu *vmx);

/* stay.c */
void vmx_stay_setup(struct vmx_vcpu *vmx);
void vmx_stay_limit(struct vmx_vcpu *vmx, u64 tsc);
int vmx_handle_pause(struct vmx_vcpu *vmx);

/* event.c */
void vmx_queue_exception(struct vmx_vcpu *vmx, u8 vector, bool has_error, u32 error);
void vmx_queue_pf(struct vmx_vcpu *vmx, const struct umbra_exception *exc);
void vmx_events_recover(struct vmx_vcpu *vmx);
void vmx_events_block_nmi(struct vmx_vcpu *vmx);
void vmx_events_cancel(struct vmx_vcpu *vmx);
void vmx_events_inject(struct vmx_vcpu *vmx);
void vmx_hold_irq(struct vmx_vcpu *vmx, u8 vector);
bool vmx_interrupt_allowed(struct vmx_vcpu *vmx);
int vmx_handle_interrupt_window(struct vmx_vcpu *vmx);
int vmx_handle_nmi_window(struct vmx_vcpu *vmx);

static inline void vmx_queue_gp(struct vmx_vcpu *vmx)
{
	vmx_queue_exception(vmx, X86_TRAP_GP, true, 0);
}

static inline void vmx_queue_ud(struct vmx_vcpu *vmx)
{
	vmx_queue_exception(vmx, X86_TRAP_UD, false, 0);
}

/* exception.c */
int vmx_handle_exception(struct vmx_vcpu *vmx);
int vmx_handle_dr(struct vmx_vcpu *vmx);
void vmx_debug_load(struct vmx_vcpu *vmx);
void vmx_debug_unload(struct vmx_vcpu *vmx);

/* perf.c */
void vmx_perf_init(void);
u32 vmx_perf_entry_ctl(void);
void vmx_perf_setup(u32 ctl);
void vmx_perf_switch_in(struct vmx_vcpu *vmx);
void vmx_perf_switch_out(struct vmx_vcpu *vmx);

DECLARE_STATIC_KEY_FALSE(vmx_perf_in_use);

/* Before the guest runs, and after; interrupts are off, so that nothing changes. */
static __always_inline void vmx_perf_enter(struct vmx_vcpu *vmx)
{
	if (static_branch_unlikely(&vmx_perf_in_use))
		vmx_perf_switch_in(vmx);
}

static __always_inline void vmx_perf_leave(struct vmx_vcpu *vmx)
{
	if (static_branch_unlikely(&vmx_perf_in_use))
		vmx_perf_switch_out(vmx);
}

/* tsc.c */
void vmx_tsc_init(struct vmx_vcpu *vmx);
void vmx_tsc_setup(struct vmx_vcpu *vmx);

/* xcr.c */
void vmx_xcr_update(struct vmx_vcpu *vmx);
u32 vmx_xcr_area_size(u64 features, bool compacted);
int vmx_handle_xsetbv(struct vmx_vcpu *vmx);

/* debug.c */
int vmx_debug_trap(struct vmx_vcpu *vmx, unsigned long hit);
int vmx_debug_breakpoint(struct vmx_vcpu *vmx);
/* A #DB is delivered: @hit has the bits of DR6 that say why. */
void vmx_debug_hit(struct vmx_vcpu *vmx, unsigned long hit);
void vmx_debug_update(struct vmx_vcpu *vmx);
void vmx_debug_moved(struct vmx_vcpu *vmx);
void vmx_debug_shadow(struct vmx_vcpu *vmx);

/* Has user space asked to see the guest's debug exceptions? */
static inline bool vmx_debug_takes_db(const struct vmx_vcpu *vmx)
{
	return vmx->vcpu.guest_debug & (KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP);
}

/* memory.c */
int vmx_handle_ept_violation(struct vmx_vcpu *vmx);
int vmx_handle_ept_misconfig(struct vmx_vcpu *vmx);
int vmx_handle_page_fault(struct vmx_vcpu *vmx, u64 gva, u32 error_code);
int vmx_handle_invlpg(struct vmx_vcpu *vmx);
int vmx_invlpg(struct vmx_vcpu *vmx, u64 gva);
int vmx_handle_invpcid(struct vmx_vcpu *vmx);
void vmx_flush_tags(struct vmx_vcpu *vmx);
void vmx_flush_guest(struct vmx_vcpu *vmx);
void vmx_load_root(struct vmx_vcpu *vmx);

/* pml.c */
bool vmx_pml_init(void);
int vmx_pml_alloc(struct vmx_vcpu *vmx);
void vmx_pml_free(struct vmx_vcpu *vmx);
void vmx_pml_setup(struct vmx_vcpu *vmx);
void vmx_set_logging(struct umbra_mmu *mmu);
bool vmx_pml_drain(struct vmx_vcpu *vmx);
int vmx_handle_pml_full(struct vmx_vcpu *vmx);

/* hypercall.c */
int vmx_handle_vmcall(struct vmx_vcpu *vmx);
int vmx_handle_ud(struct vmx_vcpu *vmx);

/* task.c */
int vmx_handle_task_switch(struct vmx_vcpu *vmx);

/* umip.c */
int vmx_handle_desc(struct vmx_vcpu *vmx);
void vmx_desc_passed(struct vmx_vcpu *vmx);
void vmx_umip_update(struct vmx_vcpu *vmx);

/* io.c */
int vmx_handle_io(struct vmx_vcpu *vmx);
int vmx_io_access(struct vmx_vcpu *vmx, unsigned long qual);

/* msr.c */
int vmx_handle_rdmsr(struct vmx_vcpu *vmx);
int vmx_handle_wrmsr(struct vmx_vcpu *vmx);
void vmx_msr_reset(struct vmx_vcpu *vmx);
void vmx_msr_bitmap_init(struct vmx_vcpu *vmx);
bool vmx_msr_exits(const struct vmx_vcpu *vmx, u32 msr, u32 access);

/* mce.c */
void vmx_mce_reset(struct vmx_vcpu *vmx);
u64 *vmx_mce_msr(struct vmx_vcpu *vmx, u32 index, bool host);
int vmx_mce_set_msr(struct vmx_vcpu *vmx, u32 index, u64 data, bool host);

/* regs.c */
void vmx_regs_reset(struct vmx_vcpu *vmx);
void vmx_segment_get(int seg, struct kvm_segment *out);

/* dump.c */
void vmx_dump(struct vmx_vcpu *vmx);

/* enter.S */
bool umbra_vmx_enter(unsigned long *host_rsp, unsigned long *regs, bool launched);
extern const char umbra_vmx_exit_point[];

#endif /* _UMBRA_VMX_PRIVATE_H */
