// SPDX-License-Identifier: GPL-2.0
/*
 * VMX operation: on while a VM exists, off otherwise, on each CPU; right across
 * CPU hotplug, suspend, reboot and a crash.
 *
 * A CPU whose CR4.VMXE is set by somebody else is left alone.
 */
#include <linux/cpu.h>
#include <linux/gfp.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/reboot.h>
#include <linux/smp.h>
#include <asm/msr.h>
#include <asm/perf_event.h>
#include <asm/tlbflush.h>
#include <umbra/compat.h>

#include "vmx.h"

/* Guards vm_count and rebooting; taken inside cpus_read_lock() and by hotplug callbacks. */
static DEFINE_MUTEX(power_lock);
static unsigned int vm_count;
/* A reboot has turned VMX off for good. */
static bool rebooting;
static enum cpuhp_state hotplug_state;

static DEFINE_PER_CPU(struct vmcs_page *, vmxon_page);
/* This CPU is in VMX operation because of us; written with interrupts off. */
static DEFINE_PER_CPU(bool, vmx_is_on);

bool vmx_on_here(void)
{
	return raw_cpu_read(vmx_is_on);
}

bool vmx_rebooting(void)
{
	return READ_ONCE(rebooting);
}

static int power_on_here(void)
{
	struct vmcs_page *page = __this_cpu_read(vmxon_page);
	u64 feat;

	if (__this_cpu_read(vmx_is_on))
		return 0;
	if (cr4_read_shadow() & X86_CR4_VMXE)
		return -EBUSY;

	rdmsrl(MSR_IA32_FEAT_CTL, feat);
	if (!(feat & FEAT_CTL_LOCKED))
		wrmsrl(MSR_IA32_FEAT_CTL,
		       feat | FEAT_CTL_LOCKED | FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX);
	page->revision = vmx_caps.revision;
	/* On some CPUs Processor Trace and VMX exclude each other. */
	intel_pt_handle_vmx(1);
	cr4_set_bits(X86_CR4_VMXE);
	if (vmx_vmxon(virt_to_phys(page))) {
		cr4_clear_bits(X86_CR4_VMXE);
		intel_pt_handle_vmx(0);
		return -EIO;
	}
	__this_cpu_write(vmx_is_on, true);
	return 0;
}

static void power_off_here(void)
{
	if (!__this_cpu_read(vmx_is_on))
		return;
	vmx_vmcs_clear_all_here();
	vmx_vmxoff();
	cr4_clear_bits(X86_CR4_VMXE);
	__this_cpu_write(vmx_is_on, false);
	intel_pt_handle_vmx(0);
}

static void power_on_ipi(void *ret)
{
	int r = power_on_here();

	if (r)
		WRITE_ONCE(*(int *)ret, r);
}

static void power_off_ipi(void *unused)
{
	power_off_here();
}

int umbra_vmx_get(void)
{
	int r = 0;

	cpus_read_lock();
	mutex_lock(&power_lock);
	if (rebooting) {
		r = -EBUSY;
	} else if (!vm_count) {
		on_each_cpu(power_on_ipi, &r, 1);
		if (r)
			on_each_cpu(power_off_ipi, NULL, 1);
	}
	if (!r)
		vm_count++;
	mutex_unlock(&power_lock);
	cpus_read_unlock();
	return r;
}

void umbra_vmx_put(void)
{
	cpus_read_lock();
	mutex_lock(&power_lock);
	if (!--vm_count)
		on_each_cpu(power_off_ipi, NULL, 1);
	mutex_unlock(&power_lock);
	cpus_read_unlock();
}

static int cpu_goes_on(unsigned int cpu)
{
	unsigned long flags;
	int r = 0;

	mutex_lock(&power_lock);
	local_irq_save(flags);
	r = vmx_caps_check_cpu();
	if (!r && vm_count && !rebooting)
		r = power_on_here();
	local_irq_restore(flags);
	mutex_unlock(&power_lock);
	if (r)
		pr_err("umbra: CPU%u cannot run virtual machines: %d\n", cpu, r);
	return r;
}

static int cpu_goes_off(unsigned int cpu)
{
	unsigned long flags;

	mutex_lock(&power_lock);
	local_irq_save(flags);
	power_off_here();
	local_irq_restore(flags);
	mutex_unlock(&power_lock);
	return 0;
}

/* The last CPU goes to sleep; all others are offline, interrupts are off. */
static int suspend(void)
{
	power_off_here();
	return 0;
}

static void resume(void)
{
	if (vm_count && power_on_here())
		pr_err("umbra: VMX could not be turned on after sleep\n");
}

UMBRA_SYSCORE_OPS(power_syscore, suspend, resume);

static int on_reboot(struct notifier_block *nb, unsigned long action, void *data)
{
	/* Firmware hangs on some machines when it is entered in VMX operation. */
	mutex_lock(&power_lock);
	WRITE_ONCE(rebooting, true);
	on_each_cpu(power_off_ipi, NULL, 1);
	mutex_unlock(&power_lock);
	return NOTIFY_OK;
}

static struct notifier_block reboot_nb = { .notifier_call = on_reboot };

/* A crash kernel starts: memory is about to be reused under the CPU's feet. */
static void crash_off(void)
{
	if (__this_cpu_read(vmx_is_on)) {
		vmx_vmcs_clear_all_here();
		vmx_vmxoff();
		__this_cpu_write(vmx_is_on, false);
	}
}

static void free_pages_of_cpus(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		free_page((unsigned long)per_cpu(vmxon_page, cpu));
		per_cpu(vmxon_page, cpu) = NULL;
	}
}

static int alloc_pages_of_cpus(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct page *page = alloc_pages_node(cpu_to_node(cpu), GFP_KERNEL | __GFP_ZERO, 0);

		if (!page) {
			free_pages_of_cpus();
			return -ENOMEM;
		}
		per_cpu(vmxon_page, cpu) = page_address(page);
	}
	return 0;
}

int __init umbra_vmx_init(struct umbra_mmu_caps *caps)
{
	int r;

	r = vmx_caps_init();
	if (r)
		return r;
	caps->ept_ad = vmx_caps.ept_ad;
	caps->ept_2m = vmx_caps.ept_2m;
	caps->ept_1g = vmx_caps.ept_1g;
	caps->pml = vmx_pml_init();
	vmx_perf_init();
	caps->host_maxphyaddr = boot_cpu_data.x86_phys_bits;
	caps->pt_addr_bits = cpuid_eax(0x80000008) & 0xff;

	vmx_vmcs_lists_init();
	r = alloc_pages_of_cpus();
	if (r)
		return r;
	r = vmx_kick_init();
	if (r)
		goto err_pages;
	r = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "umbra:online", cpu_goes_on, cpu_goes_off);
	if (r < 0)
		goto err_kick;
	hotplug_state = r;
	umbra_register_syscore(&power_syscore);
	register_reboot_notifier(&reboot_nb);
	umbra_register_crash(crash_off);
	return 0;

err_kick:
	vmx_kick_exit();
err_pages:
	free_pages_of_cpus();
	return r;
}

void umbra_vmx_exit(void)
{
	umbra_unregister_crash(crash_off);
	unregister_reboot_notifier(&reboot_nb);
	umbra_unregister_syscore(&power_syscore);
	cpuhp_remove_state(hotplug_state);
	vmx_kick_exit();
	free_pages_of_cpus();
}
