// SPDX-License-Identifier: GPL-2.0
/*
 * User space debugs the guest: it steps, has breakpoints of its own in place of the
 * guest's, and sees #DB and #BP before the guest does.
 *
 * A step is RFLAGS.TF set behind the guest's back from the start of KVM_RUN to its
 * end. Instructions that complete without the CPU look at TF anyway. An event that
 * is delivered meanwhile pushes TF on the guest's stack: the step ends after the
 * return from its handler.
 */
#include <linux/kvm.h>
#include <linux/string.h>
#include <asm/trapnr.h>

#include "vmx.h"

/* Whose breakpoints the CPU gets. */
void vmx_debug_update(struct vmx_vcpu *vmx)
{
	bool users = vmx->vcpu.guest_debug & KVM_GUESTDBG_USE_HW_BP;

	vmx->hw_dr7 = users ? vmx->user_dr7 : vmx->dr7;
	vmx->watched = vmx->stepping || (vmx->hw_dr7 & DR7_ENABLED);
	vmcs_writel(GUEST_DR7, vmx->hw_dr7);
}

/* User space set registers: it steps from there, and what was done before is over. */
void vmx_debug_moved(struct vmx_vcpu *vmx)
{
	if (likely(!vmx->vcpu.guest_debug))
		return;
	vmx->step_rip = vmx_linear_rip(vmx);
	clear_bit(UMBRA_REQ_DEBUG, &vmx->vcpu.requests);
}

/*
 * In the shadow of STI or MOV SS VM entry wants a single step to be noted as due
 * when, and only when, TF is set; user space or a step may have changed either.
 * Elsewhere none is due before the next instruction has completed, though emulated
 * CPUs note one when they exit in the middle of it.
 */
void vmx_debug_shadow(struct vmx_vcpu *vmx)
{
	unsigned long old = vmcs_readl(GUEST_PENDING_DBG_EXCEPTIONS), new;

	new = old & ~(unsigned long)DR_STEP;
	if ((vmcs_read32(GUEST_INTERRUPTIBILITY_INFO) & INTERRUPT_SHADOW) &&
	    (vmx_rflags(vmx) & X86_EFLAGS_TF))
		new |= DR_STEP;
	if (new != old)
		vmcs_writel(GUEST_PENDING_DBG_EXCEPTIONS, new);
}

static void set_stepping(struct vmx_vcpu *vmx, bool on)
{
	vmx->stepping = on;
	vmx->watched = on || (vmx->hw_dr7 & DR7_ENABLED);
}

static int report(struct vmx_vcpu *vmx, u32 exception, unsigned long dr6)
{
	struct kvm_run *run = vmx->vcpu.run;
	struct kvm_debug_exit_arch *arch = &run->debug.arch;

	vmx->step_rip = vmx_linear_rip(vmx);
	/* A handler may have returned to a TF that was pushed during the step. */
	if (vmx->vcpu.guest_debug & KVM_GUESTDBG_SINGLESTEP)
		set_stepping(vmx, true);
	memset(&run->debug, 0, sizeof(run->debug));
	run->exit_reason = KVM_EXIT_DEBUG;
	arch->exception = exception;
	arch->pc = vmx->step_rip;
	if (exception == X86_TRAP_DB) {
		arch->dr6 = dr6 | DR6_RESERVED;
		arch->dr7 = vmx->hw_dr7;
	}
	return VMX_EXIT_TO_USER;
}

/* #DB: @hit has the bits of DR6 that say why. */
int vmx_debug_trap(struct vmx_vcpu *vmx, unsigned long hit)
{
	return report(vmx, X86_TRAP_DB, hit);
}

/* INT3, which exits only while user space has software breakpoints. RIP is at it. */
int vmx_debug_breakpoint(struct vmx_vcpu *vmx)
{
	return report(vmx, X86_TRAP_BP, 0);
}

void umbra_vmx_debug_exit(struct umbra_vcpu *vcpu)
{
	report(to_vmx(vcpu), X86_TRAP_DB, DR_STEP);
}

void umbra_vmx_debug_begin(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 blocking;

	if (!(vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP) ||
	    vmx_linear_rip(vmx) != vmx->step_rip)
		return;
	set_stepping(vmx, true);
	vmx->own_tf = vmx_rflags(vmx) & X86_EFLAGS_TF;
	vmx_set_rflags(vmx, vmx_rflags(vmx) | X86_EFLAGS_TF);
	/* The step is the next instruction, not what a shadow defers. */
	blocking = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);
	if (blocking & INTERRUPT_SHADOW)
		vmcs_write32(GUEST_INTERRUPTIBILITY_INFO, blocking & ~INTERRUPT_SHADOW);
}

void umbra_vmx_debug_end(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (!vmx->stepping)
		return;
	set_stepping(vmx, false);
	/* What the guest itself cleared stays clear. */
	if ((vmx_rflags(vmx) & X86_EFLAGS_TF) && !vmx->own_tf)
		vmx_set_rflags(vmx, vmx_rflags(vmx) & ~X86_EFLAGS_TF);
	vmx_debug_shadow(vmx);
}

static int inject(struct vmx_vcpu *vmx, u32 control)
{
	if (!(control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)))
		return 0;
	if (vmx->ev.exc.valid)
		return -EBUSY;
	vmx_queue_exception(vmx, control & KVM_GUESTDBG_INJECT_DB ? X86_TRAP_DB : X86_TRAP_BP,
			    false, 0);
	return 0;
}

int umbra_vmx_set_guest_debug(struct umbra_vcpu *vcpu, const struct kvm_guest_debug *dbg)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 control = dbg->control;
	int i, ret;

	if (control & ~UMBRA_GUESTDBG)
		return -EINVAL;
	if ((control & KVM_GUESTDBG_USE_HW_BP) && dbg->arch.debugreg[7] >> 32)
		return -EINVAL;
	ret = inject(vmx, control);
	if (ret)
		return ret;

	if (control & KVM_GUESTDBG_ENABLE) {
		for (i = 0; i < ARRAY_SIZE(vmx->user_dr); i++)
			vmx->user_dr[i] = dbg->arch.debugreg[i];
		vmx->user_dr7 = (dbg->arch.debugreg[7] & DR7_EXISTING) | DR7_MUST_BE_1;
	} else {
		control = 0;
	}
	clear_bit(UMBRA_REQ_DEBUG, &vcpu->requests);
	vcpu->guest_debug = control & ~(KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP);
	vmx_debug_moved(vmx);
	vmx_debug_update(vmx);
	vmx_family_write_exceptions(vmx);
	/* Interrupts that were held back. */
	vmx->event_pending = true;
	return 0;
}
