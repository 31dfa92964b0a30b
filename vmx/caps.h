/* SPDX-License-Identifier: GPL-2.0 */
/* What the CPUs' VMX can do, the common denominator of all of them. */
#ifndef _UMBRA_VMX_CAPS_H
#define _UMBRA_VMX_CAPS_H

#include <linux/types.h>

/**
 * struct vmx_caps - capabilities and the control words built from them
 * @revision: VMCS revision identifier
 * @pin: pin-based controls that every vCPU uses
 * @cpu: processor-based controls that every vCPU uses
 * @cpu2: secondary controls that every vCPU may use
 * @exit: VM-exit controls
 * @entry: VM-entry controls
 * @cr4_guest: CR4 bits that guests may have
 * @xcr0: the host's XCR0; 0 without XSAVE
 * @preemption_timer: pin-based control exists
 * @timer_shift: the timer counts at TSC >> @timer_shift
 * @ept_ad: EPT accessed and dirty flags
 * @ept_2m: 2 MiB leaves
 * @ept_1g: 1 GiB leaves
 * @perf_ctl: entry and exit switch IA32_PERF_GLOBAL_CTRL
 * @tsc_scaling: the guest's TSC can run at another rate
 * @pml: page-modification logging
 * @invvpid_addr: INVVPID of one address
 * @desc_exits: descriptor-table exits do for CR4.UMIP, which the CPU has not
 */
struct vmx_caps {
	u32 revision;
	u32 pin;
	u32 cpu;
	u32 cpu2;
	u32 exit;
	u32 entry;
	u64 cr4_guest;
	u64 xcr0;
	bool preemption_timer;
	u8 timer_shift;
	bool ept_ad;
	bool ept_2m;
	bool ept_1g;
	bool perf_ctl;
	bool tsc_scaling;
	bool pml;
	bool invvpid_addr;
	bool desc_exits;
};

extern struct vmx_caps vmx_caps;

/* Fill vmx_caps from this CPU and check that every online CPU has the same. */
int vmx_caps_init(void);

/* Does this CPU still have what vmx_caps promises? For CPU online. */
int vmx_caps_check_cpu(void);

#endif /* _UMBRA_VMX_CAPS_H */
