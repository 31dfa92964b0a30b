// SPDX-License-Identifier: GPL-2.0
/*
 * User-mode instruction prevention for guests of CPUs without it. CR4.UMIP is the
 * guest's in name only; while it is set, SGDT, SIDT, SLDT, STR and the loads of these
 * registers exit:
 *
 *	by a user	#GP
 *	by the kernel	once without exiting, in the shadow of a MOV SS that was not
 *			there: the NMI window opens behind the instruction, or where
 *			the event is handled that was delivered in its place
 *
 * SMSW does not exit and stays allowed, as it does on stock KVM. While NMIs are
 * blocked there is no window before IRET: the handler goes on without exits till then.
 */
#include <asm/processor-flags.h>

#include "vmx.h"

bool umbra_vmx_has_umip(void)
{
	return vmx_caps.cr4_guest & X86_CR4_UMIP;
}

/* CR4 may have changed. */
void vmx_umip_update(struct vmx_vcpu *vmx)
{
	bool on = vmx_caps.desc_exits && (vmx->vcpu.mmu.state.cr4 & X86_CR4_UMIP);

	if (on == vmx->desc_exits)
		return;
	vmx->desc_exits = on;
	vmx_family_write_cpu2(vmx);
}

static void let_through(struct vmx_vcpu *vmx)
{
	u32 blocking = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO) & ~INTERRUPT_SHADOW;

	vmx->desc_pass = true;
	/* It has to be this one: in the shadow of STI some CPUs see the window open. */
	vmcs_write32(GUEST_INTERRUPTIBILITY_INFO, blocking | GUEST_INTR_STATE_MOV_SS);
	vmx_debug_shadow(vmx);
	vmx_cpu_ctl_set(vmx, CPU_BASED_NMI_WINDOW_EXITING);
	vmx_family_write_cpu2(vmx);
}

/* The NMI window is open. */
void vmx_desc_passed(struct vmx_vcpu *vmx)
{
	if (!vmx->desc_pass)
		return;
	vmx->desc_pass = false;
	vmx_family_write_cpu2(vmx);
}

int vmx_handle_desc(struct vmx_vcpu *vmx)
{
	if (vmx_cpl(vmx))
		vmx_queue_gp(vmx);
	else
		let_through(vmx);
	return VMX_RESUME_GUEST;
}
