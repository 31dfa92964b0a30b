// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a vCPU on the CPU side: allocation, reset, load and put.
 */
#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <asm/fpu/types.h>
#include <asm/msr.h>
#include <umbra/compat.h>
#include <umbra/pv.h>
#include <umbra/vm.h>

#include "vmx.h"

#define NR_VPIDS	65536

static DEFINE_MUTEX(vpid_lock);
static DECLARE_BITMAP(vpids, NR_VPIDS);

/* VPID 0 is the host's. */
static u16 vpid_alloc(void)
{
	unsigned long vpid;

	mutex_lock(&vpid_lock);
	vpid = find_next_zero_bit(vpids, NR_VPIDS, 1);
	if (vpid < NR_VPIDS)
		__set_bit(vpid, vpids);
	else
		vpid = 0;
	mutex_unlock(&vpid_lock);
	return vpid;
}

static void vpid_free(u16 vpid)
{
	mutex_lock(&vpid_lock);
	__clear_bit(vpid, vpids);
	mutex_unlock(&vpid_lock);
}

struct umbra_vcpu *umbra_vmx_vcpu_alloc(struct umbra_vm *vm)
{
	struct vmx_vcpu *vmx = kzalloc(sizeof(*vmx), GFP_KERNEL_ACCOUNT);

	if (!vmx)
		return NULL;
	vmx->vpid = vpid_alloc();
	if (!vmx->vpid)
		goto err_vcpu;
	vmx->vmcs = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vmx->vmcs)
		goto err_vpid;
	vmx->msr_bitmap = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!vmx->msr_bitmap)
		goto err_vmcs;

	if (vmx_pml_alloc(vmx))
		goto err_bitmap;
	vmx->vmcs->revision = vmx_caps.revision;
	vmx->vmcs_pa = virt_to_phys(vmx->vmcs);
	vmx->vmcs_cpu = -1;
	vmx->vcpu.vm = vm;
	vmx_tsc_init(vmx);
	vmx_msr_bitmap_init(vmx);
	return &vmx->vcpu;

err_bitmap:
	free_page((unsigned long)vmx->msr_bitmap);
err_vmcs:
	free_page((unsigned long)vmx->vmcs);
err_vpid:
	vpid_free(vmx->vpid);
err_vcpu:
	kfree(vmx);
	return NULL;
}

void umbra_vmx_vcpu_free(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx_vmcs_clear(vmx);
	vmx_pml_free(vmx);
	vmx_ahead_free(vmx);
	free_page((unsigned long)vmx->msr_bitmap);
	free_page((unsigned long)vmx->vmcs);
	vpid_free(vmx->vpid);
	kfree(vmx);
}

void umbra_vmx_vcpu_reset(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	umbra_vcpu_load(vcpu);
	vmx_vmcs_setup(vmx);
	vcpu->xcr0 = XFEATURE_MASK_FP;
	vmx_msr_reset(vmx);
	vmx_regs_reset(vmx);
	vmx_pml_setup(vmx);
	vcpu->apic_base = APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE |
			  (vcpu->idx ? 0 : MSR_IA32_APICBASE_BSP);
	umbra_vcpu_put(vcpu);
}

void umbra_vmx_vcpu_init(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	memset(&vmx->ev, 0, sizeof(vmx->ev));
	vmx_regs_reset(vmx);
	umbra_mmu_unload(&vcpu->mmu);
	vcpu->mmu.flush_guest = true;
}

void umbra_vmx_vcpu_sipi(struct umbra_vcpu *vcpu, u8 vector)
{
	vmcs_write16(GUEST_CS_SELECTOR, vector << 8);
	vmcs_writel(GUEST_CS_BASE, (unsigned long)vector << 12);
	vmx_set_rip(to_vmx(vcpu), 0);
}

void umbra_vmx_vcpu_load(struct umbra_vcpu *vcpu, int cpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	bool moved = vmx->vmcs_cpu != cpu;

	vcpu->cpu = cpu;
	vmx_vmcs_load(vmx, cpu);
	if (moved) {
		vmx_host_cpu_changed(vmx, cpu);
		vmx->need_flush = true;
	}
	vmx_host_save(vmx);
	vmx->loaded = true;
	/* Here, as at put time the scheduler's locks forbid printk(). */
	if (unlikely(vmx_vmread_failures))
		vmx_vmread_report();
}

void umbra_vmx_vcpu_put(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->loaded = false;
	vmx_host_restore(vmx);
	umbra_guest_was_here();
	vcpu->stat.host_state_reload++;
}
