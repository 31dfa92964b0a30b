// SPDX-License-Identifier: GPL-2.0
/*
 * Control registers and EFER: what the guest may write and what it changes.
 *
 * vcpu->mmu.state holds them as the guest sees them. Bits that the guest owns
 * (family.c decides which) may be newer in the VMCS: vmx_sync_crs() first.
 */
#include <linux/kvm.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <umbra/irqchip.h>

#include "vmx.h"

#define CR3_NOFLUSH	BIT_ULL(63)
#define CR0_BITS	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | \
			 X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | \
			 X86_CR0_PG)
#define LMSW_BITS	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS)

bool vmx_cr0_valid(unsigned long cr0)
{
	if (cr0 >> 32)
		return false;
	if ((cr0 & X86_CR0_PG) && !(cr0 & X86_CR0_PE))
		return false;
	return !(cr0 & X86_CR0_NW) || (cr0 & X86_CR0_CD);
}

bool vmx_cr4_valid(struct vmx_vcpu *vmx, unsigned long cr4)
{
	return !(cr4 & ~vmx->cr4_allowed);
}

/* PAE paging keeps its four top entries in the CPU. */
static bool uses_pdptrs(const struct umbra_paging_state *s)
{
	return (s->cr0 & X86_CR0_PG) && (s->cr4 & X86_CR4_PAE) && !(s->efer & EFER_LMA);
}

void vmx_write_pdptrs(struct vmx_vcpu *vmx)
{
	const u64 *pdptrs = vmx->vcpu.mmu.pdptrs;

	if (!uses_pdptrs(&vmx->vcpu.mmu.state))
		return;
	vmcs_write64(GUEST_PDPTR0, pdptrs[0]);
	vmcs_write64(GUEST_PDPTR1, pdptrs[1]);
	vmcs_write64(GUEST_PDPTR2, pdptrs[2]);
	vmcs_write64(GUEST_PDPTR3, pdptrs[3]);
}

int vmx_load_pdptrs(struct vmx_vcpu *vmx)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	int idx, r;

	if (!uses_pdptrs(&mv->state))
		return 0;
	idx = srcu_read_lock(&mv->mmu->srcu);
	r = umbra_mmu_load_pdptrs(mv);
	srcu_read_unlock(&mv->mmu->srcu, idx);
	if (!r && vmx->family == UMBRA_FAMILY_EPT)
		vmx_write_pdptrs(vmx);
	return r;
}

void vmx_sync_crs(struct vmx_vcpu *vmx)
{
	struct umbra_paging_state *s = &vmx->vcpu.mmu.state;
	u64 *pdptrs = vmx->vcpu.mmu.pdptrs;

	s->cr0 = (s->cr0 & ~vmx->cr0_owned) | (vmcs_readl(GUEST_CR0) & vmx->cr0_owned);
	s->cr4 = (s->cr4 & ~vmx->cr4_owned) | (vmcs_readl(GUEST_CR4) & vmx->cr4_owned);
	if (vmx->family != UMBRA_FAMILY_EPT)
		return;
	s->cr3 = vmcs_readl(GUEST_CR3);
	if (uses_pdptrs(s)) {
		pdptrs[0] = vmcs_read64(GUEST_PDPTR0);
		pdptrs[1] = vmcs_read64(GUEST_PDPTR1);
		pdptrs[2] = vmcs_read64(GUEST_PDPTR2);
		pdptrs[3] = vmcs_read64(GUEST_PDPTR3);
	}
}

static void set_lma(struct umbra_paging_state *s)
{
	if ((s->efer & EFER_LME) && (s->cr0 & X86_CR0_PG))
		s->efer |= EFER_LMA;
	else
		s->efer &= ~EFER_LMA;
}

/* The value is valid. EFER.LMA follows CR0.PG. */
void vmx_set_cr0(struct vmx_vcpu *vmx, unsigned long cr0)
{
	vmx->vcpu.mmu.state.cr0 = cr0 | X86_CR0_ET;
	set_lma(&vmx->vcpu.mmu.state);
	vmx_family_update(vmx);
}

/* @efer without LMA; what WRMSR checks is the caller's. */
void vmx_set_efer(struct vmx_vcpu *vmx, u64 efer)
{
	struct umbra_paging_state *s = &vmx->vcpu.mmu.state;

	s->efer = efer;
	set_lma(s);
	if (efer & EFER_SCE)
		vmx_host_use_umsrs(vmx);
	vmx_family_update(vmx);
}

/* Return -EINVAL for what WRMSR to EFER refuses. */
int vmx_efer_check(struct vmx_vcpu *vmx, u64 efer)
{
	const struct umbra_paging_state *s = &vmx->vcpu.mmu.state;

	if (efer & ~vmx->efer_allowed)
		return -EINVAL;
	if ((s->cr0 & X86_CR0_PG) && ((s->efer ^ efer) & EFER_LME))
		return -EINVAL;
	return 0;
}

/* MOV to CR0 by the guest. Return 0 or -EINVAL for #GP. */
static int guest_cr0(struct vmx_vcpu *vmx, unsigned long cr0)
{
	struct umbra_paging_state *s = &vmx->vcpu.mmu.state;
	struct umbra_paging_state old = *s;

	if (!vmx_cr0_valid(cr0))
		return -EINVAL;
	if (cr0 & X86_CR0_PG) {
		if ((s->efer & EFER_LME) && !(s->cr0 & X86_CR0_PG)) {
			bool cs_l = vmcs_read32(GUEST_CS_AR_BYTES) & SEG_AR_L;

			if (!(s->cr4 & X86_CR4_PAE) || cs_l)
				return -EINVAL;
		}
	} else if ((s->cr4 & X86_CR4_PCIDE) || vmx_in_long64(vmx)) {
		return -EINVAL;
	}

	/* The CPU ignores writes to the bits that do not exist. */
	s->cr0 = (cr0 & CR0_BITS) | X86_CR0_ET;
	set_lma(s);
	if (((old.cr0 ^ cr0) & (X86_CR0_PG | X86_CR0_CD | X86_CR0_NW)) && vmx_load_pdptrs(vmx)) {
		*s = old;
		return -EINVAL;
	}
	vmx_family_update(vmx);
	return 0;
}

static int guest_cr4(struct vmx_vcpu *vmx, unsigned long cr4)
{
	const unsigned long reload = X86_CR4_PAE | X86_CR4_PSE | X86_CR4_PGE | X86_CR4_SMEP;
	struct umbra_paging_state *s = &vmx->vcpu.mmu.state;
	unsigned long old = s->cr4;

	if (!vmx_cr4_valid(vmx, cr4))
		return -EINVAL;
	if ((s->efer & EFER_LMA) && !(cr4 & X86_CR4_PAE))
		return -EINVAL;
	if ((cr4 & ~old & X86_CR4_PCIDE) && (!(s->efer & EFER_LMA) || (s->cr3 & X86_CR3_PCID_MASK)))
		return -EINVAL;

	/* What the guest wrote without an exit, the CPU has flushed for. */
	vmx->vcpu.mmu.seen_cr4 = old;
	s->cr4 = cr4;
	if (((old ^ cr4) & reload) && vmx_load_pdptrs(vmx)) {
		s->cr4 = old;
		return -EINVAL;
	}
	vmx_family_update(vmx);
	return 0;
}

/* By MOV only in the shadow family: EPT guests load CR3 without an exit. */
static int guest_cr3(struct vmx_vcpu *vmx, u64 cr3)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	u64 old = mv->state.cr3;
	bool noflush = false;
	int idx;

	if (mv->state.cr4 & X86_CR4_PCIDE) {
		noflush = cr3 & CR3_NOFLUSH;
		cr3 &= ~CR3_NOFLUSH;
	}
	if ((mv->state.efer & EFER_LMA) && (cr3 >> mv->state.maxphyaddr))
		return -EINVAL;
	mv->state.cr3 = cr3;
	if (vmx_load_pdptrs(vmx)) {
		mv->state.cr3 = old;
		return -EINVAL;
	}
	idx = srcu_read_lock(&mv->mmu->srcu);
	umbra_mmu_set_cr3(mv, noflush);
	srcu_read_unlock(&mv->mmu->srcu, idx);
	return 0;
}

/*
 * A task switch loads CR3, whichever the family. Return: 0, or -EINVAL for page
 * directory pointers that cannot be loaded.
 */
int vmx_switch_cr3(struct vmx_vcpu *vmx, u32 cr3)
{
	int r = guest_cr3(vmx, cr3);

	if (!r && vmx->family == UMBRA_FAMILY_EPT)
		vmcs_writel(GUEST_CR3, cr3);
	vmx->vcpu.mmu.flush_guest = true;
	return r;
}

/* User space's local APIC wants to know when the task priority falls. */
static int guest_cr8(struct vmx_vcpu *vmx, u64 cr8)
{
	struct umbra_vcpu *vcpu = &vmx->vcpu;
	u64 old = umbra_vcpu_cr8(vcpu);

	if (cr8 > 15) {
		vmx_queue_gp(vmx);
		return VMX_RESUME_GUEST;
	}
	vmx_skip_insn(vmx);
	if (vcpu->lapic) {
		umbra_lapic_set_cr8(vcpu, cr8);
		vmx->event_pending = true;
		return VMX_RESUME_GUEST;
	}
	vcpu->cr8 = cr8;
	if (cr8 >= old)
		return VMX_RESUME_GUEST;
	vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
	return VMX_EXIT_TO_USER;
}

static int mov_to_cr(struct vmx_vcpu *vmx, unsigned int cr, u64 value)
{
	int r;

	/* Outside 64-bit mode a register has 32 bits. */
	if (!vmx_in_long64(vmx))
		value = (u32)value;
	switch (cr) {
	case 0:
		r = guest_cr0(vmx, value);
		break;
	case 3:
		r = guest_cr3(vmx, value);
		break;
	case 4:
		r = guest_cr4(vmx, value);
		break;
	case 8:
		return guest_cr8(vmx, value);
	default:
		return vmx_exit_internal_error(vmx, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON);
	}
	if (r)
		vmx_queue_gp(vmx);
	else
		vmx_skip_insn(vmx);
	return VMX_RESUME_GUEST;
}

/* LMSW can set PE but not clear it. */
static int lmsw(struct vmx_vcpu *vmx, unsigned int msw)
{
	unsigned long cr0 = vmx->vcpu.mmu.state.cr0;

	cr0 = (cr0 & ~(LMSW_BITS & ~X86_CR0_PE)) | (msw & LMSW_BITS);
	if (guest_cr0(vmx, cr0))
		vmx_queue_gp(vmx);
	else
		vmx_skip_insn(vmx);
	return VMX_RESUME_GUEST;
}

int vmx_handle_cr(struct vmx_vcpu *vmx)
{
	return vmx_cr_access(vmx, vmcs_readl(EXIT_QUALIFICATION));
}

/* @qual: as in the exit qualification. */
int vmx_cr_access(struct vmx_vcpu *vmx, unsigned long qual)
{
	unsigned int cr = qual & 15, reg = (qual >> 8) & 15;

	vmx_sync_crs(vmx);
	switch ((qual >> 4) & 3) {
	case 0:
		return mov_to_cr(vmx, cr, vmx_reg(vmx, reg));
	case 1:
		vmx_set_reg(vmx, reg,
			    cr == 3 ? vmx->vcpu.mmu.state.cr3 : umbra_vcpu_cr8(&vmx->vcpu));
		vmx_skip_insn(vmx);
		return VMX_RESUME_GUEST;
	case 2:
		vmx_set_cr0(vmx, vmx->vcpu.mmu.state.cr0 & ~X86_CR0_TS);
		vmx_skip_insn(vmx);
		return VMX_RESUME_GUEST;
	default:
		return lmsw(vmx, qual >> 16);
	}
}
