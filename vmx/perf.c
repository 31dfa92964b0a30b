// SPDX-License-Identifier: GPL-2.0
/*
 * The host's performance counters: those that count the host alone stand still while
 * the guest runs, those of guests alone count only then. Guests have none themselves.
 */
#include <asm/msr.h>
#include <asm/perf_event.h>

#include "vmx.h"

DEFINE_STATIC_KEY_FALSE(vmx_perf_in_use);

/* A PMU that the kernel knows, and a CPU that switches it with the guest. */
void __init vmx_perf_init(void)
{
	struct x86_pmu_capability pmu;

	perf_get_x86_pmu_capability(&pmu);
	if (pmu.version > 1 && vmx_caps.perf_ctl)
		static_branch_enable(&vmx_perf_in_use);
}

u32 vmx_perf_entry_ctl(void)
{
	return static_branch_unlikely(&vmx_perf_in_use) ? VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL : 0;
}

/* The VMCS is current, its VM-exit controls are to be @ctl apart from ours. */
void vmx_perf_setup(u32 ctl)
{
	if (static_branch_unlikely(&vmx_perf_in_use)) {
		ctl |= VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL;
		vmcs_write64(GUEST_IA32_PERF_GLOBAL_CTRL, 0);
		vmcs_write64(HOST_IA32_PERF_GLOBAL_CTRL, 0);
	}
	vmcs_write32(VM_EXIT_CONTROLS, ctl);
}

static void set_global(struct vmx_vcpu *vmx, const struct perf_guest_switch_msr *msr)
{
	if (msr->guest != vmx->perf_guest) {
		vmx->perf_guest = msr->guest;
		vmcs_write64(GUEST_IA32_PERF_GLOBAL_CTRL, msr->guest);
	}
	if (msr->host != vmx->perf_host) {
		vmx->perf_host = msr->host;
		vmcs_write64(HOST_IA32_PERF_GLOBAL_CTRL, msr->host);
	}
}

/*
 * Interrupts are off, so that what perf wants stays as it is.
 * Records that the CPU writes to memory would end up in the guest's: they are off
 * from here on, which gives those on their way time to arrive.
 */
void vmx_perf_switch_in(struct vmx_vcpu *vmx)
{
	struct perf_guest_switch_msr *msr;
	int i, nr;

	msr = perf_guest_get_msrs(&nr, NULL);
	vmx->perf_pebs = 0;
	for (i = 0; msr && i < nr; i++) {
		if (msr[i].msr == MSR_CORE_PERF_GLOBAL_CTRL) {
			set_global(vmx, &msr[i]);
		} else if (msr[i].msr == MSR_IA32_PEBS_ENABLE && msr[i].host != msr[i].guest) {
			vmx->perf_pebs = msr[i].host;
			native_wrmsrl(MSR_IA32_PEBS_ENABLE, msr[i].guest);
		}
	}
}

void vmx_perf_switch_out(struct vmx_vcpu *vmx)
{
	if (vmx->perf_pebs)
		native_wrmsrl(MSR_IA32_PEBS_ENABLE, vmx->perf_pebs);
}
