// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses that the CPU itself says are MMIO, see mmio.h.
 */
#include <asm/processor-flags.h>
#include "ept.h"
#include "fault.h"
#include "leaf.h"
#include "mmio.h"
#include "shadow.h"
#include "walk.h"

u64 umbra_mmio_gen(struct umbra_mmu *mmu)
{
	u64 gen = umbra_memslots_current(mmu)->mmio_gen;

	/* The caller looks at slots next, maybe those of a newer set. */
	smp_rmb();
	return gen;
}

static bool ept_hit(struct umbra_mmu_vcpu *vcpu, gfn_t gfn)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	u64 gen = umbra_mmio_gen(mmu);
	bool hit;

	if (vcpu->mmio_gfn == gfn && vcpu->mmio_gen == gen)
		return true;
	read_lock(&mmu->lock);
	hit = umbra_ept_is_mmio(mmu, gfn, gen);
	read_unlock(&mmu->lock);
	if (hit) {
		vcpu->mmio_gfn = gfn;
		vcpu->mmio_gen = gen;
	}
	return hit;
}

/* What an entry cannot decide the guest's tables have to. */
static bool allows(const struct umbra_mmu_vcpu *vcpu, u64 spte, u32 access)
{
	bool user = access & UMBRA_ACC_USER;

	if (access & UMBRA_ACC_FETCH)
		return false;
	if (!user && (spte & PT_USER) && (vcpu->state.cr4 & X86_CR4_SMAP))
		return false;
	/* There is no room for the key. */
	if ((spte & PT_USER) && (vcpu->state.cr4 & X86_CR4_PKE))
		return false;
	return umbra_leaf_allows(spte, access);
}

/* The entry that the CPU has met for @gva, and its frame. */
static u64 shadow_find(struct umbra_mmu_vcpu *vcpu, u64 gva, gfn_t *gfn)
{
	const struct umbra_shadow_page *sp = vcpu->shadow_root;

	while (sp && !sp->role.invalid) {
		unsigned int index = umbra_table_index(gva >> UMBRA_PAGE_SHIFT, sp->role.level);
		u64 spte = READ_ONCE(sp->spt[index]);

		if (sp->role.level == 1) {
			*gfn = umbra_shadow_leaf_gfn(sp, index);
			return spte;
		}
		if (!umbra_spte_present(&umbra_format_shadow, spte) || umbra_spte_leaf(spte))
			break;
		sp = umbra_spte_page(umbra_table_va(spte));
	}
	return SPTE_NONE;
}

static bool shadow_hit(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	u64 gen = umbra_mmio_gen(mmu), spte;
	gfn_t gfn = 0;

	read_lock(&mmu->lock);
	spte = shadow_find(vcpu, fault->addr, &gfn);
	read_unlock(&mmu->lock);
	if (!umbra_spte_mmio(spte) || !umbra_mmio_spte_current(spte, gen) ||
	    !allows(vcpu, spte, fault->access))
		return false;
	fault->gpa = umbra_gfn_to_gpa(gfn) | (fault->addr & (PAGE_SIZE - 1));
	return true;
}

int umbra_mmu_mmio_fault(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault)
{
	bool ept = vcpu->family == UMBRA_FAMILY_EPT;

	fault->gpa = fault->addr;
	if (ept ? !ept_hit(vcpu, umbra_gpa_to_gfn(fault->addr)) : !shadow_hit(vcpu, fault)) {
		/*
		 * There was none, or it was too old, or did not allow the access. A CPU
		 * has nothing of it.
		 */
		fault->access &= ~(UMBRA_ACC_RSVD | UMBRA_ACC_PRESENT);
		return ept ? umbra_mmu_ept_fault(vcpu, fault) :
			     umbra_mmu_shadow_fault(vcpu, fault);
	}
	vcpu->stat.pf_taken++;
	umbra_fault_count(vcpu, UMBRA_FAULT_EMULATE);
	fault->mmio = true;
	return UMBRA_FAULT_EMULATE;
}

void umbra_mmu_zap_mmio(struct umbra_mmu *mmu)
{
	umbra_shadow_zap_all(mmu);
	write_lock(&mmu->lock);
	umbra_ept_zap_mmio(mmu);
	write_unlock(&mmu->lock);
}
