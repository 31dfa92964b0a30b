// SPDX-License-Identifier: GPL-2.0
/*
 * Exits about memory: EPT violations, page faults and invalidations under
 * shadow paging; and loading roots and flushing tags on this CPU.
 */
#include <linux/kvm.h>
#include <umbra/emulation.h>
#include <asm/trapnr.h>

#include <umbra/trace.h>
#include "vmx.h"

/* Exit qualification of an EPT violation. */
#define EPT_QUAL_WRITE		BIT(1)
#define EPT_QUAL_FETCH		BIT(2)
#define EPT_QUAL_RWX		(BIT(3) | BIT(4) | BIT(5))
#define EPT_QUAL_GVA		BIT(7)
#define EPT_QUAL_FINAL		BIT(8)
#define EPT_QUAL_NMI_UNBLOCK	BIT(12)

/* Operands of INVPCID. */
enum { INVPCID_ADDR, INVPCID_CONTEXT, INVPCID_ALL_GLOBAL, INVPCID_ALL, NR_INVPCID };

static u64 make_eptp(hpa_t root)
{
	return root | VMX_EPTP_MT_WB | VMX_EPTP_PWL_4 |
	       (vmx_caps.ept_ad ? VMX_EPTP_AD_ENABLE_BIT : 0);
}

/* Give the CPU the root that the MMU chose. */
void vmx_load_root(struct vmx_vcpu *vmx)
{
	hpa_t root = vmx->vcpu.mmu.root;

	if (likely(root == vmx->loaded_root))
		return;
	if (vmx->family == UMBRA_FAMILY_EPT)
		vmcs_write64(EPT_POINTER, make_eptp(root));
	else
		vmcs_writel(GUEST_CR3, root);
	vmx->loaded_root = root;
}

/* Drop the guest's own linear translations. */
void vmx_flush_guest(struct vmx_vcpu *vmx)
{
	vmx_invvpid(VMX_VPID_EXTENT_SINGLE_CONTEXT, vmx->vpid, 0);
}

/* Drop all that this CPU may have cached for the vCPU, in both families. */
void vmx_flush_tags(struct vmx_vcpu *vmx)
{
	if (vmx->family == UMBRA_FAMILY_EPT)
		vmx_invept(VMX_EPT_EXTENT_CONTEXT, make_eptp(vmx->vcpu.mmu.root));
	vmx_flush_guest(vmx);
}

/* The parts of the state that change without an exit and that the MMU reads. */
static void sync_privilege(struct vmx_vcpu *vmx)
{
	struct umbra_paging_state *s = &vmx->vcpu.mmu.state;

	s->cpl = vmx_cpl(vmx);
	s->rflags_ac = vmx_rflags(vmx) & X86_EFLAGS_AC;
}

void umbra_vmx_sync_paging(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx_sync_crs(vmx);
	sync_privilege(vmx);
}

/* A device was touched while an event was delivered: nothing can redo that. */
static int delivery_error(struct vmx_vcpu *vmx, gpa_t gpa)
{
	struct kvm_run *run = vmx->vcpu.run;

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
	run->internal.ndata = 4;
	run->internal.data[0] = vmx->vectoring;
	run->internal.data[1] = vmx->exit_reason;
	run->internal.data[2] = vmcs_readl(EXIT_QUALIFICATION);
	run->internal.data[3] = gpa;
	return VMX_EXIT_TO_USER;
}

static int emulate_fault(struct vmx_vcpu *vmx, const struct umbra_fault *fault)
{
	if (unlikely(vmx->vectoring & VECTORING_INFO_VALID_MASK)) {
		if (!fault->tracked || fault->self_map)
			return delivery_error(vmx, fault->gpa);
		/* The stack is a page table: let the delivery write to it. */
		umbra_mmu_unprotect(vmx->vcpu.mmu.mmu, umbra_gpa_to_gfn(fault->gpa));
		return VMX_RESUME_GUEST;
	}
	if (fault->tracked && vmx_store(vmx, fault))
		return VMX_RESUME_GUEST;
	return umbra_emulate_insn(&vmx->vcpu, fault);
}

/* What a fault came to; mmu->srcu is held. */
static int finish_fault(struct vmx_vcpu *vmx, const struct umbra_fault *fault, int r)
{
	trace_umbra_page_fault(vmx->vcpu.id, fault->addr, fault->gpa, fault->access, r);
	switch (r) {
	case UMBRA_FAULT_FIXED:
	case UMBRA_FAULT_SPURIOUS:
	case UMBRA_FAULT_RETRY:
		return VMX_RESUME_GUEST;
	case UMBRA_FAULT_GUEST:
		vmx_queue_pf(vmx, &fault->guest);
		return VMX_RESUME_GUEST;
	case UMBRA_FAULT_EMULATE:
		return emulate_fault(vmx, fault);
	default:
		return umbra_vcpu_memory_fault(&vmx->vcpu, fault->gpa, r);
	}
}

int vmx_handle_ept_violation(struct vmx_vcpu *vmx)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	unsigned long qual = vmcs_readl(EXIT_QUALIFICATION);
	struct umbra_fault fault = { .addr = vmcs_read64(GUEST_PHYSICAL_ADDRESS) };
	int idx, r;

	if (unlikely(qual & EPT_QUAL_NMI_UNBLOCK))
		vmx_events_block_nmi(vmx);
	if (qual & EPT_QUAL_WRITE)
		fault.access |= UMBRA_ACC_WRITE;
	if (qual & EPT_QUAL_FETCH)
		fault.access |= UMBRA_ACC_FETCH;
	if (qual & EPT_QUAL_RWX)
		fault.access |= UMBRA_ACC_PRESENT;
	/* An access to the guest's own tables, made by the CPU's walk. */
	fault.walk = (qual & (EPT_QUAL_GVA | EPT_QUAL_FINAL)) == EPT_QUAL_GVA;

	idx = srcu_read_lock(&mv->mmu->srcu);
	r = finish_fault(vmx, &fault, umbra_mmu_ept_fault(mv, &fault));
	srcu_read_unlock(&mv->mmu->srcu, idx);
	return r;
}

/* Entries for MMIO are misconfigured on purpose; no others are. */
int vmx_handle_ept_misconfig(struct vmx_vcpu *vmx)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	struct umbra_fault fault = { .addr = vmcs_read64(GUEST_PHYSICAL_ADDRESS) };
	int idx, r;

	idx = srcu_read_lock(&mv->mmu->srcu);
	r = finish_fault(vmx, &fault, umbra_mmu_mmio_fault(mv, &fault));
	srcu_read_unlock(&mv->mmu->srcu, idx);
	return r;
}

/* #PF in the shadow family. */
int vmx_handle_page_fault(struct vmx_vcpu *vmx, u64 gva, u32 error_code)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	struct umbra_fault fault = { .addr = gva, .access = error_code };
	int idx, r;

	sync_privilege(vmx);
	idx = srcu_read_lock(&mv->mmu->srcu);
	/* Reserved bits of the guest's own never get into the shadow. */
	r = error_code & UMBRA_ACC_RSVD ? umbra_mmu_mmio_fault(mv, &fault) :
					  umbra_mmu_shadow_fault(mv, &fault);
	r = finish_fault(vmx, &fault, r);
	srcu_read_unlock(&mv->mmu->srcu, idx);
	if (unlikely(mv->leave_shadow))
		vmx_family_poll(vmx);
	return r;
}

static void invalidate_address(struct vmx_vcpu *vmx, u64 gva)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;

	umbra_mmu_invlpg(mv, gva);
	if (mv->flush_guest)
		return;
	preempt_disable();
	if (vmx_caps.invvpid_addr && !vmx_noncanonical(gva))
		vmx_invvpid(VMX_VPID_EXTENT_INDIVIDUAL_ADDR, vmx->vpid, gva);
	else
		mv->flush_guest = true;
	preempt_enable();
}

int vmx_handle_invlpg(struct vmx_vcpu *vmx)
{
	return vmx_invlpg(vmx, vmcs_readl(EXIT_QUALIFICATION));
}

int vmx_invlpg(struct vmx_vcpu *vmx, u64 gva)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	int idx = srcu_read_lock(&mv->mmu->srcu);

	invalidate_address(vmx, gva);
	srcu_read_unlock(&mv->mmu->srcu, idx);
	vmx_skip_insn(vmx);
	return VMX_RESUME_GUEST;
}

/* The linear address of a memory operand, from the instruction information. */
static u64 operand_gva(struct vmx_vcpu *vmx, u32 info)
{
	u64 addr = vmcs_readl(EXIT_QUALIFICATION);
	int seg = (info >> 15) & 7;

	if (!(info & BIT(27)))
		addr += vmx_reg(vmx, (info >> 23) & 15);
	if (!(info & BIT(22)))
		addr += vmx_reg(vmx, (info >> 18) & 15) << (info & 3);
	if (((info >> 7) & 7) == 1)
		addr = (u32)addr;
	if (seg == SEG_FS || seg == SEG_GS || !vmx_in_long64(vmx))
		addr += vmcs_readl(vmcs_seg_base(seg));
	return vmx_in_long64(vmx) ? addr : (u32)addr;
}

/* True when the descriptor is good for the type; #GP otherwise. */
static bool invpcid_valid(struct vmx_vcpu *vmx, u64 type, const u64 *desc)
{
	bool pcide = vmx->vcpu.mmu.state.cr4 & X86_CR4_PCIDE;

	if (type >= NR_INVPCID || (desc[0] >> 12))
		return false;
	if (type == INVPCID_ADDR && vmx_noncanonical(desc[1]))
		return false;
	return type > INVPCID_CONTEXT || pcide || !desc[0];
}

static void invpcid(struct vmx_vcpu *vmx, u64 type, const u64 *desc)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	u64 pcid = (mv->state.cr4 & X86_CR4_PCIDE) ? mv->state.cr3 & 0xfff : 0;

	if (type == INVPCID_ADDR && desc[0] == pcid)
		invalidate_address(vmx, desc[1]);
	else
		umbra_mmu_invalidate_all(mv);
}

int vmx_handle_invpcid(struct vmx_vcpu *vmx)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	u32 info = vmcs_read32(VMX_INSTRUCTION_INFO);
	u64 type = vmx_reg(vmx, (info >> 28) & 15);
	u64 gva = operand_gva(vmx, info), desc[2];
	struct umbra_exception exc;
	int idx;

	if (!vmx_in_long64(vmx))
		type = (u32)type;
	umbra_vmx_sync_paging(&vmx->vcpu);
	idx = srcu_read_lock(&mv->mmu->srcu);
	if (vmx_noncanonical(gva) || vmx_noncanonical(gva + sizeof(desc) - 1)) {
		vmx_queue_gp(vmx);
	} else if (umbra_emulation_read(&vmx->vcpu, gva, desc, sizeof(desc), &exc)) {
		umbra_vmx_queue_exception(&vmx->vcpu, &exc);
	} else if (!invpcid_valid(vmx, type, desc)) {
		vmx_queue_gp(vmx);
	} else {
		invpcid(vmx, type, desc);
		vmx_skip_insn(vmx);
	}
	srcu_read_unlock(&mv->mmu->srcu, idx);
	return VMX_RESUME_GUEST;
}
