// SPDX-License-Identifier: GPL-2.0
/*
 * VMCS regions: which CPU has them, and the fields that never change.
 *
 * A VMCS that was loaded on a CPU may have its contents cached there. Before
 * another CPU loads it, before its page is freed and before VMXOFF, VMCLEAR
 * runs on that CPU. Each CPU keeps a list of the VMCSs that are active on it,
 * touched only by that CPU with interrupts off.
 */
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/smp.h>
#include <asm/nospec-branch.h>

#include "vmx.h"

static DEFINE_PER_CPU(struct list_head, active_vmcs);
static DEFINE_PER_CPU(struct vmx_vcpu *, current_vmcs);

void vmx_insn_failed(const char *insn, unsigned long operand)
{
	/* After a reboot has turned VMX off, or on a CPU that goes offline. */
	if (!vmx_on_here())
		return;
	pr_warn_ratelimited("umbra: %s of %#lx failed\n", insn, operand);
}

unsigned int vmx_vmread_failures;

void vmx_vmread_report(void)
{
	unsigned int nr = xchg(&vmx_vmread_failures, 0);

	if (nr && vmx_on_here())
		pr_warn_ratelimited("umbra: vmread failed %u times\n", nr);
}

void vmx_vmcs_lists_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		INIT_LIST_HEAD(per_cpu_ptr(&active_vmcs, cpu));
}

/* On the CPU that has it, interrupts off. */
static void clear_here(struct vmx_vcpu *vmx)
{
	vmx_vmclear(vmx->vmcs_pa);
	if (__this_cpu_read(current_vmcs) == vmx)
		__this_cpu_write(current_vmcs, NULL);
	list_del(&vmx->vmcs_link);
	vmx->launched = false;
	/* Pairs with the read in vmx_vmcs_load() on another CPU. */
	smp_store_release(&vmx->vmcs_cpu, -1);
}

static void clear_ipi(void *arg)
{
	struct vmx_vcpu *vmx = arg;

	/* A CPU going offline may have cleared it just before. */
	if (vmx->vmcs_cpu == raw_smp_processor_id())
		clear_here(vmx);
}

/* Make the VMCS active nowhere. Interrupts are on. */
void vmx_vmcs_clear(struct vmx_vcpu *vmx)
{
	int cpu = READ_ONCE(vmx->vmcs_cpu);

	if (cpu >= 0)
		smp_call_function_single(cpu, clear_ipi, vmx, 1);
}

/* This CPU is about to leave VMX operation; interrupts off. */
void vmx_vmcs_clear_all_here(void)
{
	struct vmx_vcpu *vmx, *next;

	list_for_each_entry_safe(vmx, next, this_cpu_ptr(&active_vmcs), vmcs_link)
		clear_here(vmx);
}

/* Make the VMCS current on this CPU. Preemption off, interrupts on. */
void vmx_vmcs_load(struct vmx_vcpu *vmx, int cpu)
{
	unsigned long flags;

	if (vmx->vmcs_cpu != cpu) {
		vmx_vmcs_clear(vmx);
		/* This CPU goes offline, and the task is about to be moved away. */
		if (unlikely(!vmx_on_here()))
			return;
		local_irq_save(flags);
		/* Pairs with the release in clear_here(). */
		if (smp_load_acquire(&vmx->vmcs_cpu) < 0) {
			vmx_vmclear(vmx->vmcs_pa);
			vmx->launched = false;
			list_add(&vmx->vmcs_link, this_cpu_ptr(&active_vmcs));
			vmx->vmcs_cpu = cpu;
		}
		local_irq_restore(flags);
	}
	if (__this_cpu_read(current_vmcs) != vmx) {
		vmx_vmptrld(vmx->vmcs_pa);
		/* The last guest here may have trained branches for this one. */
		indirect_branch_prediction_barrier();
		__this_cpu_write(current_vmcs, vmx);
	}
}

/* What the VM's guest does by itself does not exit. */
static u32 wanted_exits(u32 ctl, u32 no_exits)
{
	if (no_exits & KVM_X86_DISABLE_EXITS_HLT)
		ctl &= ~CPU_BASED_HLT_EXITING;
	if (no_exits & KVM_X86_DISABLE_EXITS_MWAIT)
		ctl &= ~(CPU_BASED_MWAIT_EXITING | CPU_BASED_MONITOR_EXITING);
	return ctl;
}

static void setup_controls(struct vmx_vcpu *vmx)
{
	vmx->pin_ctl = vmx_caps.pin;
	vmx->cpu_ctl = wanted_exits(vmx_caps.cpu, vmx->vcpu.vm->opt.no_exits);
	vmcs_write32(PIN_BASED_VM_EXEC_CONTROL, vmx->pin_ctl);
	vmcs_write32(CPU_BASED_VM_EXEC_CONTROL, vmx->cpu_ctl);
	vmcs_write32(SECONDARY_VM_EXEC_CONTROL, vmx_caps.cpu2);
	vmx_perf_setup(vmx_caps.exit);
	vmcs_write32(VM_ENTRY_CONTROLS, vmx_caps.entry | vmx_perf_entry_ctl());

	vmcs_write64(MSR_BITMAP, virt_to_phys(vmx->msr_bitmap));
	vmcs_write16(VIRTUAL_PROCESSOR_ID, vmx->vpid);
	vmcs_write32(CR3_TARGET_COUNT, 0);
	vmcs_write32(VM_EXIT_MSR_STORE_COUNT, 0);
	vmcs_write32(VM_EXIT_MSR_LOAD_COUNT, 0);
	vmcs_write32(VM_ENTRY_MSR_LOAD_COUNT, 0);
	vmcs_write64(VMCS_LINK_POINTER, ~0ull);
	vmx_tsc_setup(vmx);
	vmx_stay_setup(vmx);
}

/* The fields that stay as they are for the life of the VMCS. It is current. */
void vmx_vmcs_setup(struct vmx_vcpu *vmx)
{
	setup_controls(vmx);
	vmx_host_setup(vmx);
}
