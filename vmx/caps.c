// SPDX-License-Identifier: GPL-2.0
/*
 * The capability checklist: what Umbra needs from VMX, checked on every CPU.
 */
#include <linux/cpu.h>
#include <linux/printk.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <asm/cpufeature.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include <asm/vmx.h>

#include "caps.h"

struct vmx_caps vmx_caps __ro_after_init;

/* True controls exist: bit 55 of MSR_IA32_VMX_BASIC. */
#define BASIC_TRUE_CTLS		BIT_ULL(55)
#define BASIC_MEM_TYPE_SHIFT	50
#define BASIC_MEM_TYPE_WB	6

/* MSR_IA32_VMX_MISC: the preemption timer counts at TSC >> this. */
#define MISC_TIMER_SHIFT_MASK	0x1f

/* One row of controls: what must be settable, what is nice to have. */
struct ctl_row {
	const char *name;
	u32 msr;
	u32 required;
	u32 optional;
};

enum { ROW_PIN, ROW_CPU, ROW_CPU2, ROW_EXIT, ROW_ENTRY, NR_ROWS };

static const struct ctl_row ctl_rows[NR_ROWS] = {
	[ROW_PIN] = {
		"pin-based controls", MSR_IA32_VMX_TRUE_PINBASED_CTLS,
		PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING | PIN_BASED_VIRTUAL_NMIS,
		PIN_BASED_VMX_PREEMPTION_TIMER,
	},
	[ROW_CPU] = {
		"processor-based controls", MSR_IA32_VMX_TRUE_PROCBASED_CTLS,
		CPU_BASED_HLT_EXITING | CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING |
		CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_USE_MSR_BITMAPS | CPU_BASED_MWAIT_EXITING |
		CPU_BASED_MONITOR_EXITING | CPU_BASED_RDPMC_EXITING | CPU_BASED_MOV_DR_EXITING |
		CPU_BASED_USE_TSC_OFFSETTING | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS |
		CPU_BASED_CR3_LOAD_EXITING | CPU_BASED_CR3_STORE_EXITING |
		CPU_BASED_INVLPG_EXITING | CPU_BASED_INTR_WINDOW_EXITING |
		CPU_BASED_NMI_WINDOW_EXITING,
		0,
	},
	[ROW_CPU2] = {
		"secondary controls", MSR_IA32_VMX_PROCBASED_CTLS2,
		SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST |
		SECONDARY_EXEC_ENABLE_VPID,
		SECONDARY_EXEC_WBINVD_EXITING | SECONDARY_EXEC_ENABLE_RDTSCP |
		SECONDARY_EXEC_ENABLE_INVPCID | SECONDARY_EXEC_PAUSE_LOOP_EXITING |
		SECONDARY_EXEC_ENABLE_PML | SECONDARY_EXEC_TSC_SCALING | SECONDARY_EXEC_DESC,
	},
	[ROW_EXIT] = {
		"VM-exit controls", MSR_IA32_VMX_TRUE_EXIT_CTLS,
		VM_EXIT_SAVE_DEBUG_CONTROLS | VM_EXIT_HOST_ADDR_SPACE_SIZE |
		VM_EXIT_SAVE_IA32_EFER | VM_EXIT_LOAD_IA32_EFER |
		VM_EXIT_SAVE_IA32_PAT | VM_EXIT_LOAD_IA32_PAT,
		VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL,
	},
	[ROW_ENTRY] = {
		"VM-entry controls", MSR_IA32_VMX_TRUE_ENTRY_CTLS,
		VM_ENTRY_LOAD_DEBUG_CONTROLS | VM_ENTRY_LOAD_IA32_EFER | VM_ENTRY_LOAD_IA32_PAT |
		VM_ENTRY_IA32E_MODE,
		VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL,
	},
};

/* The low half of a control MSR: must be 1; the high half: may be 1. */
static int read_ctl(const struct ctl_row *row, u32 *word)
{
	u32 must, may, missing;
	u64 msr;

	if (rdmsrl_safe(row->msr, &msr)) {
		pr_err("umbra: CPU%d: no %s\n", smp_processor_id(), row->name);
		return -EOPNOTSUPP;
	}
	must = lower_32_bits(msr);
	may = upper_32_bits(msr);
	missing = row->required & ~may;
	if (missing) {
		pr_err("umbra: CPU%d: %s lack bits %#x\n", smp_processor_id(), row->name,
		       missing);
		return -EOPNOTSUPP;
	}
	*word = must | row->required | (row->optional & may);
	return 0;
}

static int missing(const char *what)
{
	pr_err("umbra: CPU%d: %s\n", smp_processor_id(), what);
	return -EOPNOTSUPP;
}

static int read_basic(struct vmx_caps *caps)
{
	u64 basic, feat;

	if (!cpu_has(&cpu_data(smp_processor_id()), X86_FEATURE_VMX))
		return missing("no VMX");
	if (rdmsrl_safe(MSR_IA32_FEAT_CTL, &feat) ||
	    ((feat & FEAT_CTL_LOCKED) && !(feat & FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX)))
		return missing("VMX is disabled by the firmware");
	rdmsrl(MSR_IA32_VMX_BASIC, basic);
	if (!(basic & BASIC_TRUE_CTLS))
		return missing("VMX has no true control MSRs");
	if (((basic >> BASIC_MEM_TYPE_SHIFT) & 15) != BASIC_MEM_TYPE_WB)
		return missing("the VMCS needs a memory type other than write-back");
	caps->revision = basic & GENMASK(30, 0);
	return 0;
}

static int read_ept_vpid(struct vmx_caps *caps)
{
	const u64 ept = VMX_EPT_PAGE_WALK_4_BIT | VMX_EPTP_WB_BIT | VMX_EPT_INVEPT_BIT |
			VMX_EPT_EXTENT_CONTEXT_BIT;
	const u64 vpid = VMX_VPID_INVVPID_BIT | VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT;
	u32 lo, hi;

	rdmsr(MSR_IA32_VMX_EPT_VPID_CAP, lo, hi);
	if ((lo & ept) != ept)
		return missing("EPT lacks 4 levels, write-back, or single-context INVEPT");
	if ((hi & vpid) != vpid)
		return missing("VPID lacks single-context INVVPID");
	caps->ept_ad = lo & VMX_EPT_AD_BIT;
	caps->ept_2m = lo & VMX_EPT_2MB_PAGE_BIT;
	caps->ept_1g = lo & VMX_EPT_1GB_PAGE_BIT;
	caps->invvpid_addr = hi & VMX_VPID_EXTENT_INDIVIDUAL_ADDR_BIT;
	return 0;
}

/* Controls that are set only while they are wanted, not always. */
static void drop_dynamic(struct vmx_caps *caps)
{
	caps->preemption_timer = caps->pin & PIN_BASED_VMX_PREEMPTION_TIMER;
	caps->pin &= ~PIN_BASED_VMX_PREEMPTION_TIMER;
	caps->cpu &= ~(CPU_BASED_CR3_LOAD_EXITING | CPU_BASED_CR3_STORE_EXITING |
		       CPU_BASED_INVLPG_EXITING | CPU_BASED_INTR_WINDOW_EXITING |
		       CPU_BASED_NMI_WINDOW_EXITING);
	caps->perf_ctl = (caps->entry & VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL) &&
			 (caps->exit & VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL);
	caps->entry &= ~(VM_ENTRY_IA32E_MODE | VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL);
	caps->exit &= ~VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL;
	/* It logs what dirty flags are set, so it is nothing without them. */
	caps->pml = caps->ept_ad && (caps->cpu2 & SECONDARY_EXEC_ENABLE_PML);
	caps->tsc_scaling = caps->cpu2 & SECONDARY_EXEC_TSC_SCALING;
	/* Instead of CR4.UMIP. */
	caps->desc_exits = !(caps->cr4_guest & X86_CR4_UMIP) &&
			   (caps->cpu2 & SECONDARY_EXEC_DESC);
	if (caps->desc_exits)
		caps->cr4_guest |= X86_CR4_UMIP;
	caps->cpu2 &= ~(SECONDARY_EXEC_ENABLE_PML | SECONDARY_EXEC_TSC_SCALING |
			SECONDARY_EXEC_DESC);
}

static int read_caps(struct vmx_caps *caps)
{
	u32 *const words[NR_ROWS] = {
		&caps->pin, &caps->cpu, &caps->cpu2, &caps->exit, &caps->entry,
	};
	u64 misc;
	int i, r;

	memset(caps, 0, sizeof(*caps));
	r = read_basic(caps);
	if (r)
		return r;
	for (i = 0; i < NR_ROWS; i++) {
		r = read_ctl(&ctl_rows[i], words[i]);
		if (r)
			return r;
	}
	r = read_ept_vpid(caps);
	if (r)
		return r;
	rdmsrl(MSR_IA32_VMX_CR4_FIXED1, caps->cr4_guest);
	drop_dynamic(caps);

	rdmsrl(MSR_IA32_VMX_MISC, misc);
	caps->timer_shift = misc & MISC_TIMER_SHIFT_MASK;
	caps->xcr0 = boot_cpu_has(X86_FEATURE_XSAVE) ? xgetbv(XCR_XFEATURE_ENABLED_MASK) : 0;
	return 0;
}

int vmx_caps_check_cpu(void)
{
	struct vmx_caps here;
	int r = read_caps(&here);

	if (r)
		return r;
	if (memcmp(&here, &vmx_caps, sizeof(here)))
		return missing("VMX differs from the first CPU's");
	return 0;
}

static void check_cpu(void *ret)
{
	int r = vmx_caps_check_cpu();

	if (r)
		WRITE_ONCE(*(int *)ret, r);
}

int __init vmx_caps_init(void)
{
	int r, others = 0;

	cpus_read_lock();
	preempt_disable();
	r = read_caps(&vmx_caps);
	preempt_enable();
	if (!r) {
		on_each_cpu(check_cpu, &others, 1);
		r = others;
	}
	cpus_read_unlock();
	return r;
}
