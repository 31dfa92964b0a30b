// SPDX-License-Identifier: GPL-2.0
/*
 * Into the guest and out of it again.
 */
#include <linux/entry-kvm.h>
#include <linux/hw_breakpoint.h>
#include <linux/kvm.h>
#include <linux/vtime.h>
#include <asm/debugreg.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/hw_irq.h>
#include <asm/mce.h>
#include <asm/mmu_context.h>
#include <asm/msr.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>
#include <asm/trapnr.h>

#include <umbra/trace.h>
#include "vmx.h"

/* Another guest's or the kernel's data must not be left in the L1 cache. */
static __always_inline void flush_l1d(void)
{
	if (boot_cpu_has_bug(X86_BUG_L1TF) && boot_cpu_has(X86_FEATURE_FLUSH_L1D) &&
	    l1tf_mitigation != L1TF_MITIGATION_OFF)
		native_wrmsrl(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
}

/* The parts of the guest state that wait in memory for the entry. */
static __always_inline void write_dirty(struct vmx_vcpu *vmx)
{
	u8 dirty = vmx->dirty;

	if (!dirty)
		return;
	if (dirty & CACHED_RIP)
		vmcs_writel(GUEST_RIP, vmx->rip);
	if (unlikely(dirty & CACHED_RSP))
		vmcs_writel(GUEST_RSP, vmx->vcpu.regs[UMBRA_RSP]);
	if (unlikely(dirty & CACHED_RFLAGS))
		vmcs_writel(GUEST_RFLAGS, vmx->rflags);
	vmx->dirty = 0;
}

/* Flushes owed, in order: the CPU's tags are new to us, the VM's, our own. */
static __always_inline void pay_flushes(struct vmx_vcpu *vmx)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	u64 gen = atomic64_read(&mv->mmu->tlb_gen);

	if (unlikely(mv->tlb_gen != gen || vmx->need_flush)) {
		vmx->need_flush = false;
		mv->tlb_gen = gen;
		mv->flush_guest = false;
		mv->stat.tlb_flush++;
		vmx_flush_tags(vmx);
	} else if (unlikely(mv->flush_guest)) {
		mv->flush_guest = false;
		mv->stat.tlb_flush++;
		vmx_flush_guest(vmx);
	}
}

/*
 * A debt that was paid before this point must have been flushed here: whoever
 * pays it now finds the vCPU in guest mode and waits for it.
 */
static __always_inline void assert_flushed(struct vmx_vcpu *vmx)
{
#ifdef UMBRA_DEBUG
	const struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;

	WARN_ON_ONCE((s64)(atomic64_read(&mv->mmu->tlb_paid) - mv->tlb_gen) > 0);
	WARN_ON_ONCE(vmx->loaded_root != mv->root || vmx->family != mv->family);
#endif
}

/* Interrupts are off. True when something has to be done before entering. */
static __always_inline bool must_not_enter(struct vmx_vcpu *vmx)
{
	return READ_ONCE(vmx->vcpu.requests) || xfer_to_guest_mode_work_pending();
}

static __always_inline void load_cr2(struct vmx_vcpu *vmx)
{
	if (unlikely(native_read_cr2() != vmx->cr2))
		native_write_cr2(vmx->cr2);
}

/* The entry itself and what has to follow at once. Returns true on failure. */
static __always_inline bool enter(struct vmx_vcpu *vmx)
{
	unsigned long cr3 = __get_current_cr3_fast(), cr4 = cr4_read_shadow();
	bool failed;

	/* An interrupt may have switched the mm away and back, to another PCID. */
	if (unlikely(cr3 != vmx->host_cr3)) {
		vmcs_writel(HOST_CR3, cr3);
		vmx->host_cr3 = cr3;
	}
	if (unlikely(cr4 != vmx->host_cr4)) {
		vmcs_writel(HOST_CR4, cr4);
		vmx->host_cr4 = cr4;
	}
	write_dirty(vmx);
	load_cr2(vmx);

	flush_l1d();
	failed = umbra_vmx_enter(&vmx->host_rsp, vmx->vcpu.regs, vmx->launched);
	vmx->cached = 0;
	vmx->cr2 = native_read_cr2();
	if (unlikely(vmx->host_debugctl))
		update_debugctlmsr(vmx->host_debugctl);
	return failed;
}

/* A failed VM instruction: nothing ran. A reboot may have turned VMX off. */
static int entry_failed(struct vmx_vcpu *vmx)
{
	struct kvm_run *run = vmx->vcpu.run;

	run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	run->fail_entry.hardware_entry_failure_reason = vmcs_read32(VM_INSTRUCTION_ERROR);
	run->fail_entry.cpu = raw_smp_processor_id();
	vmx_dump(vmx);
	vmx_events_cancel(vmx);
	return VMX_EXIT_TO_USER;
}

/* What the exit was. An entry that failed leaves the other fields as they were. */
static __always_inline void read_exit(struct vmx_vcpu *vmx)
{
	vmx->exit_reason = vmcs_read32(VM_EXIT_REASON);
	if (unlikely(vmx->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY)) {
		vmx->vectoring = 0;
		return;
	}
	vmx->launched = true;
	vmx->vectoring = vmcs_read32(IDT_VECTORING_INFO_FIELD);
}

/*
 * The exit that needs neither interrupts nor memory, and is handled at once. None is
 * while exits are traced: asking here whether they are would cost each exit more.
 * Read anew after each entry, since that is an asm statement that may change memory.
 */
static u32 fast_exit __read_mostly = EXIT_REASON_CPUID;

int umbra_vmx_trace_exits(void)
{
	WRITE_ONCE(fast_exit, ~0u);
	return 0;
}

void umbra_vmx_untrace_exits(void)
{
	WRITE_ONCE(fast_exit, EXIT_REASON_CPUID);
}

static __always_inline bool is_fast(struct vmx_vcpu *vmx)
{
	return vmx->exit_reason == fast_exit &&
	       !(vmx->vectoring & VECTORING_INFO_VALID_MASK);
}

/*
 * Run guest code until an exit that is_fast() does not know. Interrupts are
 * off. Returns a negative value to go on to the exit handler, otherwise
 * enum vmx_handled.
 */
static int run_guest(struct vmx_vcpu *vmx)
{
	struct umbra_vcpu *vcpu = &vmx->vcpu;
	bool noted;

	for (;;) {
		/*
		 * Pairs with the barrier in umbra_make_request() and with the
		 * one in umbra_mmu_flush(): either they see IN_GUEST and send
		 * an interrupt, or we see the request or the generation.
		 */
		smp_store_mb(vcpu->mode, UMBRA_IN_GUEST);
		if (unlikely(must_not_enter(vmx))) {
			WRITE_ONCE(vcpu->mode, UMBRA_OUTSIDE_GUEST);
			vmx_events_cancel(vmx);
			return VMX_RESUME_GUEST;
		}
		pay_flushes(vmx);
		if (unlikely(vmx->direct != READ_ONCE(vcpu->mmu.direct)))
			vmx_apply_direct(vmx);
		assert_flushed(vmx);
		if (unlikely(enter(vmx))) {
			WRITE_ONCE(vcpu->mode, UMBRA_OUTSIDE_GUEST);
			return entry_failed(vmx);
		}
		noted = unlikely(vmx->pml_on) && vmx_pml_drain(vmx);
		/* Pairs with the acquire in kick_all(). */
		smp_store_release(&vcpu->mode, UMBRA_OUTSIDE_GUEST);
		vcpu->stat.exits++;
		read_exit(vmx);
		if (!is_fast(vmx))
			return -1;
		/* A dirty ring may be full now. */
		if (!vmx_cpuid_emulate(vmx) || noted)
			return VMX_RESUME_GUEST;
	}
}

/*
 * It is the guest that cannot go on after a machine check, not the kernel: what the
 * handler knows of where it came has to say so, or it panics where it could kill a task.
 */
static noinline void machine_check(void)
{
	struct pt_regs regs = { .cs = __USER_CS, .flags = X86_EFLAGS_IF };

	do_machine_check(&regs);
}

/*
 * An NMI or a machine check that hit the guest is the host's: run its handler
 * as if it had come just now. NMIs stay blocked until the handler's IRET.
 */
static __always_inline void reflect_to_host(struct vmx_vcpu *vmx)
{
	u16 reason = vmx->exit_reason;
	u32 info;

	if (unlikely(reason == EXIT_REASON_MCE_DURING_VMENTRY))
		machine_check();
	if (likely(reason != EXIT_REASON_EXCEPTION_NMI))
		return;
	info = vmcs_read32(VM_EXIT_INTR_INFO);
	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR)
		asm volatile("int $2");
	else if ((info & INTR_INFO_VECTOR_MASK) == X86_TRAP_MC)
		machine_check();
}

static noinline void trace_exit(struct vmx_vcpu *vmx)
{
	bool failed = vmx->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY;

	trace_umbra_exit(vmx->vcpu.id, vmx->exit_reason, failed ? 0 : vmx_rip(vmx),
			 failed ? 0 : vmcs_readl(EXIT_QUALIFICATION), vmx->vectoring);
}

/*
 * PKRU of the guest for that of this thread, which holds for the thread's memory even in
 * the kernel, and back. Return: the thread's.
 */
static noinline u32 pkru_enter(const struct umbra_paging_state *s)
{
	u32 host = rdpkru();

	if (host != s->pkru)
		wrpkru(s->pkru);
	return host;
}

static noinline void pkru_leave(struct umbra_paging_state *s, u32 host)
{
	s->pkru = rdpkru();
	if (host != s->pkru)
		wrpkru(host);
}

/* XCR0 and PKRU, which the VMCS does not switch. */
static __always_inline u32 xregs_enter(struct vmx_vcpu *vmx)
{
	if (unlikely(vmx->xcr0_differs))
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vmx->vcpu.xcr0);
	return unlikely(vmx->pkru_differs) ? pkru_enter(&vmx->vcpu.mmu.state) : 0;
}

static __always_inline void xregs_leave(struct vmx_vcpu *vmx, u32 pkru)
{
	if (unlikely(vmx->pkru_differs))
		pkru_leave(&vmx->vcpu.mmu.state, pkru);
	if (unlikely(vmx->xcr0_differs))
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vmx_caps.xcr0);
}

int umbra_vmx_run_once(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 pkru;
	int r;

	/* Another instruction that exits may be near. Requests have been seen to. */
	if (unlikely(vmx->completed)) {
		vmx->completed = false;
		return vmx_ahead_of_port(vmx);
	}
	preempt_disable();
	/* VMX is off: this CPU goes offline and the task will be moved, or all do. */
	if (unlikely(vmx->vmcs_cpu != smp_processor_id())) {
		preempt_enable();
		return vmx_rebooting() ? entry_failed(vmx) : VMX_RESUME_GUEST;
	}
	vmx_load_root(vmx);
	if (vmx->event_pending)
		vmx_events_inject(vmx);

	local_irq_disable();
	/* The host's use of these changes in interrupts only. */
	vmx->host_debugctl = get_debugctlmsr();
	if (unlikely(vmx->watched))
		vmx_debug_load(vmx);
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
	vtime_account_guest_enter();
	pkru = xregs_enter(vmx);
	vmx_perf_enter(vmx);
	if (trace_umbra_entry_enabled())
		trace_umbra_entry(vcpu->id, vmx_rip(vmx));
	r = run_guest(vmx);
	vmx_perf_leave(vmx);
	xregs_leave(vmx, pkru);
	if (r < 0) {
		if (trace_umbra_exit_enabled())
			trace_exit(vmx);
		reflect_to_host(vmx);
	}
	if (unlikely(vmx->watched) || unlikely(hw_breakpoint_active()))
		vmx_debug_unload(vmx);
	/*
	 * A pending interrupt, perhaps the one that made the guest exit, is taken
	 * here: STI opens with the instruction after the next. A tick among them
	 * still counts as the guest's time.
	 */
	local_irq_enable();
	nop();
	local_irq_disable();
	vtime_account_guest_exit();
	local_irq_enable();
	preempt_enable();

	if (r >= 0)
		return r;
	if (unlikely(vmx->vectoring & VECTORING_INFO_VALID_MASK))
		vmx_events_recover(vmx);
	if (unlikely(vcpu->pv.eoi_armed))
		umbra_pv_eoi_collect(vcpu);
	return vmx_handle_exit(vmx);
}
