// SPDX-License-Identifier: GPL-2.0
/*
 * What the VMCS held when an exit or an entry could not be understood. Below
 * warning level and rate-limited: a guest or its user space can cause it.
 */
#include <linux/printk.h>
#include <linux/ratelimit.h>

#include "vmx.h"

static const char * const seg_names[NR_SEGS] = {
	"ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR",
};

static void dump_segments(void)
{
	int seg;

	for (seg = 0; seg < NR_SEGS; seg++) {
		pr_info("umbra:  %-4s %04x base %016lx limit %08x ar %05x\n", seg_names[seg],
			vmcs_read16(vmcs_seg_selector(seg)), vmcs_readl(vmcs_seg_base(seg)),
			vmcs_read32(vmcs_seg_limit(seg)), vmcs_read32(vmcs_seg_ar(seg)));
	}
}

static void dump_controls(void)
{
	pr_info("umbra:  pin %08x cpu %08x cpu2 %08x entry %08x exit %08x exceptions %08x\n",
		vmcs_read32(PIN_BASED_VM_EXEC_CONTROL), vmcs_read32(CPU_BASED_VM_EXEC_CONTROL),
		vmcs_read32(SECONDARY_VM_EXEC_CONTROL), vmcs_read32(VM_ENTRY_CONTROLS),
		vmcs_read32(VM_EXIT_CONTROLS), vmcs_read32(EXCEPTION_BITMAP));
	pr_info("umbra:  eptp %016llx vpid %04x tsc offset %016llx\n", vmcs_read64(EPT_POINTER),
		vmcs_read16(VIRTUAL_PROCESSOR_ID), vmcs_read64(TSC_OFFSET));
}

static void dump_exit(struct vmx_vcpu *vmx)
{
	pr_info("umbra:  reason %08x qualification %016lx interruption %08x error %08x\n",
		vmx->exit_reason, vmcs_readl(EXIT_QUALIFICATION),
		vmcs_read32(VM_EXIT_INTR_INFO), vmcs_read32(VM_EXIT_INTR_ERROR_CODE));
	pr_info("umbra:  vectoring %08x injection %08x instruction error %u length %u\n",
		vmx->vectoring, vmcs_read32(VM_ENTRY_INTR_INFO_FIELD),
		vmcs_read32(VM_INSTRUCTION_ERROR), vmcs_read32(VM_EXIT_INSTRUCTION_LEN));
}

void vmx_dump(struct vmx_vcpu *vmx)
{
	static DEFINE_RATELIMIT_STATE(limit, 60 * HZ, 1);

	if (!__ratelimit(&limit))
		return;
	pr_info("umbra: VMCS of vCPU %d, %s family\n", vmx->vcpu.id,
		vmx->family == UMBRA_FAMILY_EPT ? "EPT" : "shadow");
	dump_exit(vmx);
	pr_info("umbra:  cr0 %016lx cr3 %016lx cr4 %016lx efer %016llx\n",
		vmcs_readl(GUEST_CR0), vmcs_readl(GUEST_CR3), vmcs_readl(GUEST_CR4),
		vmcs_read64(GUEST_IA32_EFER));
	pr_info("umbra:  rip %016lx rsp %016lx rflags %08lx dr7 %lx\n", vmx_rip(vmx),
		vmx_rsp(vmx), vmx_rflags(vmx), vmcs_readl(GUEST_DR7));
	pr_info("umbra:  blocking %x activity %x gdt %016lx/%x idt %016lx/%x\n",
		vmcs_read32(GUEST_INTERRUPTIBILITY_INFO), vmcs_read32(GUEST_ACTIVITY_STATE),
		vmcs_readl(GUEST_GDTR_BASE), vmcs_read32(GUEST_GDTR_LIMIT),
		vmcs_readl(GUEST_IDTR_BASE), vmcs_read32(GUEST_IDTR_LIMIT));
	dump_segments();
	dump_controls();
}
