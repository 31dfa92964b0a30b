// SPDX-License-Identifier: GPL-2.0
/*
 * How long a vCPU stays in the guest: no longer than the host can go without
 * taking an interrupt, and not while it only waits for another vCPU.
 */
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <asm/tsc.h>

#include "vmx.h"

/*
 * A CPU whose guest is interrupted by the host's tick never reaches two of them,
 * so that the bound costs no exit there; nor does it cost anything at an entry,
 * which takes the value from the VMCS as it is. It is there for emulated CPUs
 * that leave interrupts pending for as long as host and guest both have IF clear.
 */
static unsigned int stay_us = 2 * (USEC_PER_SEC / HZ);
module_param(stay_us, uint, 0644);
MODULE_PARM_DESC(stay_us, "Longest stay in a guest in us, of vCPUs created from then on; 0: any");

/*
 * A loop is made of PAUSEs no farther apart than the gap, in TSC ticks; the
 * guest may wait in one for the window, which grows while nobody waits for the CPU.
 */
#define PAUSE_GAP		128
#define PAUSE_WINDOW		4096
#define PAUSE_WINDOW_MAX	(PAUSE_WINDOW << 10)

static u32 timer_of(u64 tsc)
{
	return clamp_t(u64, tsc >> vmx_caps.timer_shift, 1, U32_MAX);
}

static void set_window(struct vmx_vcpu *vmx, u32 window)
{
	if (window == vmx->pause_window)
		return;
	vmx->pause_window = window;
	vmcs_write32(PLE_WINDOW, window);
}

/* The VMCS is current and its pin-based controls are set. */
void vmx_stay_setup(struct vmx_vcpu *vmx)
{
	unsigned int us = READ_ONCE(stay_us);

	if (vmx_caps.cpu2 & SECONDARY_EXEC_PAUSE_LOOP_EXITING) {
		vmcs_write32(PLE_GAP, PAUSE_GAP);
		set_window(vmx, PAUSE_WINDOW);
	}
	if (!vmx_caps.preemption_timer)
		return;
	vmx->stay_timer = us ? timer_of(mul_u64_u32_div(us, tsc_khz, 1000)) : 0;
	vmx_stay_limit(vmx, 0);
}

/* Come back after @tsc ticks of the guest's, or when 0 as late as is allowed. */
void vmx_stay_limit(struct vmx_vcpu *vmx, u64 tsc)
{
	u32 timer = tsc ? timer_of(tsc) : vmx->stay_timer;
	u32 pin = vmx->pin_ctl & ~PIN_BASED_VMX_PREEMPTION_TIMER;

	if (!vmx_caps.preemption_timer)
		return;
	if (timer) {
		pin |= PIN_BASED_VMX_PREEMPTION_TIMER;
		vmcs_write32(VMX_PREEMPTION_TIMER_VALUE, timer);
	}
	if (pin != vmx->pin_ctl) {
		vmx->pin_ctl = pin;
		vmcs_write32(PIN_BASED_VM_EXEC_CONTROL, pin);
	}
}

/* What the guest waits for may be waiting for this CPU. */
int vmx_handle_pause(struct vmx_vcpu *vmx)
{
	vmx_skip_insn(vmx);
	if (umbra_vcpu_yield(&vmx->vcpu))
		set_window(vmx, PAUSE_WINDOW);
	else
		set_window(vmx, min_t(u32, vmx->pause_window * 2, PAUSE_WINDOW_MAX));
	return VMX_RESUME_GUEST;
}
