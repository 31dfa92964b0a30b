// SPDX-License-Identifier: GPL-2.0
/*
 * Page-modification logging: when the CPU sets the dirty flag of an EPT leaf for
 * the guest, it also writes the guest physical address into a page of the vCPU's.
 *
 *	index	0                   next             511
 *		[                    |  a  a  a  a  a  a ]
 *
 * It fills the page from its end, and exits when there is no room left. Every exit
 * empties the page before the vCPU counts as outside of the guest, so whoever has
 * kicked all vCPUs finds in the log what was written before.
 */
#include <linux/gfp.h>
#include <linux/module.h>
#include <umbra/vm.h>

#include "vmx.h"

#define PML_ENTRIES	((u16)(PAGE_SIZE / sizeof(u64)))

/* Exit qualification of a full page. */
#define PML_QUAL_NMI_UNBLOCK	BIT(12)

static bool pml = true;
module_param(pml, bool, 0444);
MODULE_PARM_DESC(pml, "Page-modification logging, where the CPU has it (default: on)");

bool __init vmx_pml_init(void)
{
	pml &= vmx_caps.pml;
	return pml;
}

int vmx_pml_alloc(struct vmx_vcpu *vmx)
{
	if (!pml)
		return 0;
	vmx->pml = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return vmx->pml ? 0 : -ENOMEM;
}

void vmx_pml_free(struct vmx_vcpu *vmx)
{
	free_page((unsigned long)vmx->pml);
}

/* The VMCS is new. Context: slots_lock held. */
void vmx_pml_setup(struct vmx_vcpu *vmx)
{
	if (!vmx->pml)
		return;
	vmcs_write64(PML_ADDRESS, virt_to_phys(vmx->pml));
	vmcs_write16(GUEST_PML_INDEX, PML_ENTRIES - 1);
	umbra_vmx_update_logging(&vmx->vcpu);
}

void umbra_vmx_update_logging(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->pml_on = vmx->pml && READ_ONCE(vcpu->mmu.mmu->nr_logged);
	vmx_family_write_cpu2(vmx);
}

void vmx_set_logging(struct umbra_mmu *mmu)
{
	struct umbra_vm *vm = mmu_to_vm(mmu);
	struct umbra_vcpu *vcpu;
	unsigned int i;

	for (i = 0; (vcpu = umbra_vm_vcpu(vm, i)); i++)
		umbra_make_request(vcpu, UMBRA_REQ_LOGGING);
}

/*
 * The CPU has just left the guest; interrupts are off. Return: whether there was
 * something.
 */
bool vmx_pml_drain(struct vmx_vcpu *vmx)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	u16 next = vmcs_read16(GUEST_PML_INDEX), first;
	int idx;

	if (next == PML_ENTRIES - 1)
		return false;
	/* Below zero when it is full. */
	first = next < PML_ENTRIES ? next + 1 : 0;
	idx = srcu_read_lock(&mv->mmu->srcu);
	umbra_mmu_log_gpas(mv, vmx->pml + first, PML_ENTRIES - first);
	srcu_read_unlock(&mv->mmu->srcu, idx);
	vmcs_write16(GUEST_PML_INDEX, PML_ENTRIES - 1);
	return true;
}

/* The page is empty again: the access that found it full is made anew. */
int vmx_handle_pml_full(struct vmx_vcpu *vmx)
{
	if (unlikely(vmcs_readl(EXIT_QUALIFICATION) & PML_QUAL_NMI_UNBLOCK))
		vmx_events_block_nmi(vmx);
	return VMX_RESUME_GUEST;
}
