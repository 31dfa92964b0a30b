// SPDX-License-Identifier: GPL-2.0
/*
 * Exit handlers: one table by exit reason, and the handlers of exits that
 * concern neither memory nor control registers nor events.
 */
#include <linux/kvm.h>
#include <linux/nospec.h>
#include <asm/trapnr.h>
#include <asm/vmx.h>

#include <umbra/vm.h>

#include "vmx.h"

/* An instruction has completed without the CPU: what it ends, and what follows it. */
void vmx_insn_retired(struct vmx_vcpu *vmx, bool single_step)
{
	u32 blocking = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);

	if (unlikely(blocking & INTERRUPT_SHADOW))
		vmcs_write32(GUEST_INTERRUPTIBILITY_INFO, blocking & ~INTERRUPT_SHADOW);
	if (unlikely(single_step)) {
		if (vmx->vcpu.guest_debug & KVM_GUESTDBG_SINGLESTEP) {
			umbra_make_request(&vmx->vcpu, UMBRA_REQ_DEBUG);
			return;
		}
		vmx->dr6 |= DR_STEP;
		vmx_queue_exception(vmx, X86_TRAP_DB, false, 0);
	}
}

/* Leave the instruction that exited behind. */
void vmx_skip_bytes(struct vmx_vcpu *vmx, unsigned int len)
{
	unsigned long rip = vmx_rip(vmx) + len;
	unsigned long rflags = vmx_rflags(vmx);

	if (unlikely(rip >> 32 && !vmx_in_long64(vmx)))
		rip = (u32)rip;
	vmx_set_rip(vmx, rip);
	if (unlikely(rflags & X86_EFLAGS_RF))
		vmx_set_rflags(vmx, rflags & ~X86_EFLAGS_RF);
	vmx_insn_retired(vmx, rflags & X86_EFLAGS_TF);
}

void vmx_skip_insn(struct vmx_vcpu *vmx)
{
	vmx_skip_bytes(vmx, unlikely(vmx->cached & CACHED_INSN_LEN) ?
			    vmx->insn_len : vmcs_read32(VM_EXIT_INSTRUCTION_LEN));
}

static int skip(struct vmx_vcpu *vmx)
{
	vmx_skip_insn(vmx);
	return VMX_RESUME_GUEST;
}

static int inject_ud(struct vmx_vcpu *vmx)
{
	vmx_queue_ud(vmx);
	return VMX_RESUME_GUEST;
}

static int inject_gp(struct vmx_vcpu *vmx)
{
	vmx_queue_gp(vmx);
	return VMX_RESUME_GUEST;
}

static int handle_cpuid(struct vmx_vcpu *vmx)
{
	vmx_cpuid_emulate(vmx);
	return VMX_RESUME_GUEST;
}

static int handle_interrupt(struct vmx_vcpu *vmx)
{
	vmx->vcpu.stat.irq_exits++;
	return VMX_RESUME_GUEST;
}

static int handle_triple_fault(struct vmx_vcpu *vmx)
{
	vmx->vcpu.run->exit_reason = KVM_EXIT_SHUTDOWN;
	return VMX_EXIT_TO_USER;
}

/* Without a local APIC in the kernel user space decides what wakes the vCPU. */
static int handle_hlt(struct vmx_vcpu *vmx)
{
	vmx_skip_insn(vmx);
	vmx->vcpu.stat.halt_exits++;
	if (vmx->vcpu.lapic) {
		vmx->vcpu.mp_state = KVM_MP_STATE_HALTED;
		return VMX_RESUME_GUEST;
	}
	vmx->vcpu.run->exit_reason = KVM_EXIT_HLT;
	return VMX_EXIT_TO_USER;
}

/* MONITOR and MWAIT do nothing, for guests, too, that were not offered them. */
static int handle_mwait(struct vmx_vcpu *vmx)
{
	u64 quirks = READ_ONCE(vmx->vcpu.vm->opt.quirks_off);

	if ((quirks & KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS) && !vmx_cpuid_has_mwait(vmx))
		return inject_ud(vmx);
	return skip(vmx);
}

static int handle_invalid_state(struct vmx_vcpu *vmx)
{
	struct kvm_run *run = vmx->vcpu.run;

	vmx_dump(vmx);
	run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	run->fail_entry.hardware_entry_failure_reason = vmx->exit_reason;
	run->fail_entry.cpu = vmx->vmcs_cpu;
	vmx_events_cancel(vmx);
	return VMX_EXIT_TO_USER;
}

/* The exit that nobody handles, told to user space and once to the log. */
int vmx_exit_internal_error(struct vmx_vcpu *vmx, u32 suberror)
{
	struct kvm_run *run = vmx->vcpu.run;

	if (suberror != KVM_INTERNAL_ERROR_EMULATION)
		vmx_dump(vmx);
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = suberror;
	run->internal.ndata = 2;
	run->internal.data[0] = vmx->exit_reason;
	run->internal.data[1] = vmx->vmcs_cpu;
	return VMX_EXIT_TO_USER;
}

static int (*const handlers[])(struct vmx_vcpu *vmx) = {
	[EXIT_REASON_EXCEPTION_NMI] = vmx_handle_exception,
	[EXIT_REASON_EXTERNAL_INTERRUPT] = handle_interrupt,
	[EXIT_REASON_TRIPLE_FAULT] = handle_triple_fault,
	[EXIT_REASON_INTERRUPT_WINDOW] = vmx_handle_interrupt_window,
	[EXIT_REASON_NMI_WINDOW] = vmx_handle_nmi_window,
	[EXIT_REASON_TASK_SWITCH] = vmx_handle_task_switch,
	[EXIT_REASON_CPUID] = handle_cpuid,
	[EXIT_REASON_HLT] = handle_hlt,
	[EXIT_REASON_INVD] = skip,
	[EXIT_REASON_INVLPG] = vmx_handle_invlpg,
	[EXIT_REASON_RDPMC] = inject_gp,
	[EXIT_REASON_VMCALL] = vmx_handle_vmcall,
	[EXIT_REASON_VMCLEAR] = inject_ud,
	[EXIT_REASON_VMLAUNCH] = inject_ud,
	[EXIT_REASON_VMPTRLD] = inject_ud,
	[EXIT_REASON_VMPTRST] = inject_ud,
	[EXIT_REASON_VMREAD] = inject_ud,
	[EXIT_REASON_VMRESUME] = inject_ud,
	[EXIT_REASON_VMWRITE] = inject_ud,
	[EXIT_REASON_VMOFF] = inject_ud,
	[EXIT_REASON_VMON] = inject_ud,
	[EXIT_REASON_CR_ACCESS] = vmx_handle_cr,
	[EXIT_REASON_DR_ACCESS] = vmx_handle_dr,
	[EXIT_REASON_IO_INSTRUCTION] = vmx_handle_io,
	[EXIT_REASON_MSR_READ] = vmx_handle_rdmsr,
	[EXIT_REASON_MSR_WRITE] = vmx_handle_wrmsr,
	[EXIT_REASON_INVALID_STATE] = handle_invalid_state,
	[EXIT_REASON_MSR_LOAD_FAIL] = handle_invalid_state,
	[EXIT_REASON_MWAIT_INSTRUCTION] = handle_mwait,
	[EXIT_REASON_MONITOR_INSTRUCTION] = handle_mwait,
	[EXIT_REASON_PAUSE_INSTRUCTION] = vmx_handle_pause,
	[EXIT_REASON_MCE_DURING_VMENTRY] = handle_invalid_state,
	[EXIT_REASON_GDTR_IDTR] = vmx_handle_desc,
	[EXIT_REASON_LDTR_TR] = vmx_handle_desc,
	[EXIT_REASON_EPT_VIOLATION] = vmx_handle_ept_violation,
	[EXIT_REASON_EPT_MISCONFIG] = vmx_handle_ept_misconfig,
	[EXIT_REASON_INVEPT] = inject_ud,
	[EXIT_REASON_PREEMPTION_TIMER] = vmx_handle_preemption_timer,
	[EXIT_REASON_INVVPID] = inject_ud,
	[EXIT_REASON_WBINVD] = skip,
	[EXIT_REASON_XSETBV] = vmx_handle_xsetbv,
	[EXIT_REASON_PML_FULL] = vmx_handle_pml_full,
	[EXIT_REASON_INVPCID] = vmx_handle_invpcid,
	[EXIT_REASON_VMFUNC] = inject_ud,
};

/* Exits by instructions; others may come from any code. */
#define BY_INSTRUCTION	(BIT_ULL(EXIT_REASON_EXCEPTION_NMI) | BIT_ULL(EXIT_REASON_CPUID) | \
			 BIT_ULL(EXIT_REASON_INVLPG) | BIT_ULL(EXIT_REASON_IO_INSTRUCTION) | \
			 BIT_ULL(EXIT_REASON_MSR_READ) | BIT_ULL(EXIT_REASON_MSR_WRITE) | \
			 BIT_ULL(EXIT_REASON_INVPCID) | BIT_ULL(EXIT_REASON_EPT_VIOLATION) | \
			 BIT_ULL(EXIT_REASON_EPT_MISCONFIG))

int vmx_handle_exit(struct vmx_vcpu *vmx)
{
	u32 reason = (u16)vmx->exit_reason;
	int r;

	if (unlikely(vmx->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		return handle_invalid_state(vmx);
	if (reason >= ARRAY_SIZE(handlers) || !handlers[reason])
		return vmx_exit_internal_error(vmx, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON);
	reason = array_index_nospec(reason, ARRAY_SIZE(handlers));
	r = handlers[reason](vmx);
	if (unlikely(vmx->await_legal))
		vmx_family_poll(vmx);
	/* One that has been handled is behind the guest: another may be near. */
	if (reason < 64 && (BY_INSTRUCTION >> reason & 1) && (vmx->dirty & CACHED_RIP) &&
	    r == VMX_RESUME_GUEST)
		r = vmx_ahead(vmx);
	return r;
}
