// SPDX-License-Identifier: GPL-2.0
/*
 * The host's own CPU state around a guest: what VM exit restores, told to the
 * VMCS, and what it does not, saved and restored here.
 */
#include <linux/sched.h>
#include <asm/cpu_entry_area.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/tlbflush.h>

#include "vmx.h"

/* In the order of UMSR_*. */
static const u32 umsr_index[NR_UMSRS] = {
	[UMSR_STAR] = MSR_STAR,
	[UMSR_LSTAR] = MSR_LSTAR,
	[UMSR_CSTAR] = MSR_CSTAR,
	[UMSR_FMASK] = MSR_SYSCALL_MASK,
	[UMSR_TSC_AUX] = MSR_TSC_AUX,
};

static inline void write_msr(u32 msr, u64 value)
{
	__wrmsr(msr, lower_32_bits(value), upper_32_bits(value));
}

/* The VMCS is current: host state that is the same on each CPU. */
void vmx_host_setup(struct vmx_vcpu *vmx)
{
	struct desc_ptr idt;
	u64 value;

	vmcs_writel(HOST_CR0, read_cr0() & ~X86_CR0_TS);
	vmcs_write16(HOST_CS_SELECTOR, __KERNEL_CS);
	vmcs_write16(HOST_SS_SELECTOR, __KERNEL_DS);
	vmcs_write16(HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
	store_idt(&idt);
	vmcs_writel(HOST_IDTR_BASE, idt.address);
	vmcs_writel(HOST_RIP, (unsigned long)umbra_vmx_exit_point);
	rdmsrl(MSR_IA32_SYSENTER_CS, value);
	vmcs_write32(HOST_IA32_SYSENTER_CS, value);
	rdmsrl(MSR_IA32_SYSENTER_EIP, value);
	vmcs_writel(HOST_IA32_SYSENTER_EIP, value);
	rdmsrl(MSR_IA32_CR_PAT, value);
	vmcs_write64(HOST_IA32_PAT, value);
	rdmsrl(MSR_EFER, value);
	vmcs_write64(HOST_IA32_EFER, value);
}

/* The VMCS has come to another CPU. */
void vmx_host_cpu_changed(struct vmx_vcpu *vmx, int cpu)
{
	u64 value;
	int i;

	vmcs_writel(HOST_TR_BASE, (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
	vmcs_writel(HOST_GDTR_BASE, (unsigned long)get_cpu_gdt_ro(cpu));
	rdmsrl(MSR_GS_BASE, value);
	vmcs_writel(HOST_GS_BASE, value);
	rdmsrl(MSR_IA32_SYSENTER_ESP, value);
	vmcs_writel(HOST_IA32_SYSENTER_ESP, value);
	for (i = 0; i < NR_UMSRS; i++) {
		if (i != UMSR_TSC_AUX || boot_cpu_has(X86_FEATURE_RDTSCP))
			rdmsrl(umsr_index[i], vmx->umsr_host[i]);
	}
}

/* A selector that VM exit can load has RPL 0 and lies in the GDT. */
static u16 loadable(struct vmx_host_segs *segs, u16 selector)
{
	if (!(selector & (SEGMENT_RPL_MASK | SEGMENT_TI_MASK)))
		return selector;
	segs->reload = true;
	return 0;
}

static void save_segments(struct vmx_host_segs *segs)
{
	segs->reload = false;
	savesegment(fs, segs->fs);
	savesegment(gs, segs->gs);
	savesegment(ds, segs->ds);
	savesegment(es, segs->es);
	store_ldt(segs->ldt);
	vmcs_write16(HOST_FS_SELECTOR, loadable(segs, segs->fs));
	vmcs_write16(HOST_GS_SELECTOR, loadable(segs, segs->gs));
	vmcs_write16(HOST_DS_SELECTOR, loadable(segs, segs->ds));
	vmcs_write16(HOST_ES_SELECTOR, loadable(segs, segs->es));
}

/* Loading FS and GS selectors loads their bases too: put those back. */
static void reload_segments(const struct vmx_host_segs *segs)
{
	unsigned long flags, fs_base;

	local_irq_save(flags);
	fs_base = __rdmsr(MSR_FS_BASE);
	loadsegment(fs, segs->fs);
	write_msr(MSR_FS_BASE, fs_base);
	load_gs_index(segs->gs);
	loadsegment(ds, segs->ds);
	loadsegment(es, segs->es);
	local_irq_restore(flags);
}

static void switch_umsrs(struct vmx_vcpu *vmx, const u64 *to)
{
	int i;

	if (!vmx->umsr_used)
		return;
	for (i = 0; i < NR_UMSRS; i++) {
		if (vmx->umsr[i] != vmx->umsr_host[i])
			write_msr(umsr_index[i], to[i]);
	}
}

/* The guest can use SYSCALL or RDTSCP from now on. Preemption off if loaded. */
void vmx_host_use_umsrs(struct vmx_vcpu *vmx)
{
	if (vmx->umsr_used)
		return;
	vmx->umsr_used = true;
	if (vmx->loaded)
		switch_umsrs(vmx, vmx->umsr);
}

void vmx_host_set_umsr(struct vmx_vcpu *vmx, int i, u64 value)
{
	preempt_disable();
	vmx->umsr[i] = value;
	if (vmx->loaded && vmx->umsr_used)
		write_msr(umsr_index[i], value);
	if (i == UMSR_TSC_AUX)
		vmx_host_use_umsrs(vmx);
	preempt_enable();
}

/* Before the first entry after a load; preemption off. */
void vmx_host_save(struct vmx_vcpu *vmx)
{
	save_segments(&vmx->host_segs);
	vmcs_writel(HOST_FS_BASE, __rdmsr(MSR_FS_BASE));
	vmx->host_kernel_gs_base = __rdmsr(MSR_KERNEL_GS_BASE);
	write_msr(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
	switch_umsrs(vmx, vmx->umsr);
}

/* Undo vmx_host_save() before another task or user space runs. */
void vmx_host_restore(struct vmx_vcpu *vmx)
{
	struct vmx_host_segs *segs = &vmx->host_segs;

	switch_umsrs(vmx, vmx->umsr_host);
	vmx->kernel_gs_base = __rdmsr(MSR_KERNEL_GS_BASE);
	if (unlikely(segs->reload))
		reload_segments(segs);
	if (unlikely(segs->ldt))
		asm volatile("lldt %0" : : "m" (segs->ldt));
	write_msr(MSR_KERNEL_GS_BASE, vmx->host_kernel_gs_base);
	/* VM exit sets these limits to values that are not the host's. */
	invalidate_tss_limit();
	load_fixmap_gdt(raw_smp_processor_id());
}
