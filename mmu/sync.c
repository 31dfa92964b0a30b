// SPDX-License-Identifier: GPL-2.0
/*
 * Bringing the shadow in line with the guest's tables when the guest asks.
 *
 * Writes by vCPUs never leave it behind, as all guest tables with a shadow are
 * tracked. What user space or a device writes into guest memory is not seen,
 * and INVLPG is where a guest may rely on it.
 */
#include <umbra/hostmem.h>
#include "shadow.h"
#include "walk.h"

static const struct umbra_format *const fmt = &umbra_format_shadow;

/* Could the leaf at @index still be made from the guest's entry? */
static bool leaf_true(struct umbra_mmu_vcpu *vcpu, const struct umbra_shadow_page *sp,
		      unsigned int index)
{
	gpa_t gpa = umbra_gfn_to_gpa(sp->gfn) + index * sizeof(u64);
	u32 access = sp->role.access;
	u64 gpte;

	if (umbra_guest_read_atomic(vcpu->mmu, gpa, &gpte, sizeof(gpte)))
		return false;
	if (!(gpte & GPTE_PRESENT) || !(gpte & GPTE_ACCESSED) ||
	    umbra_gpte_reserved(vcpu, gpte, sp->role.level))
		return false;
	if (!(gpte & GPTE_DIRTY) && (sp->spt[index] & fmt->write))
		return false;
	if (!(gpte & GPTE_WRITE))
		access &= ~WALK_ACC_WRITE;
	if (!(gpte & GPTE_USER))
		access &= ~WALK_ACC_USER;
	if (gpte & GPTE_NX)
		access &= ~WALK_ACC_EXEC;
	return sp->entry[index] == umbra_shadow_entry(umbra_gpa_to_gfn(gpte & SPTE_ADDR), access);
}

void umbra_mmu_invlpg(struct umbra_mmu_vcpu *vcpu, u64 gva)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	struct umbra_shadow_page *sp;

	vcpu->stat.invlpg++;
	if (vcpu->family != UMBRA_FAMILY_SHADOW)
		return;
	write_lock(&mmu->lock);
	sp = vcpu->shadow_root;
	while (sp) {
		unsigned int index = umbra_table_index(gva >> UMBRA_PAGE_SHIFT, sp->role.level);
		u64 spte = sp->spt[index];

		if (!umbra_spte_present(fmt, spte))
			break;
		if (umbra_spte_leaf(spte)) {
			if (sp->entry && !leaf_true(vcpu, sp, index))
				umbra_shadow_drop(mmu, &sp->spt[index]);
			break;
		}
		sp = umbra_spte_page(umbra_table_va(spte));
	}
	write_unlock(&mmu->lock);
}
