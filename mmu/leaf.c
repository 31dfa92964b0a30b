// SPDX-License-Identifier: GPL-2.0
/*
 * Leaves of shadow pages, see leaf.h.
 */
#include "direct.h"
#include "leaf.h"
#include "sync.h"
#include "tlb.h"
#include "walk.h"

static const struct umbra_format *const fmt = &umbra_format_shadow;

bool umbra_grant_read(const struct umbra_shadow_page *sp, u64 gpte, u64 reserved,
		      struct umbra_grant *grant)
{
	const u64 used = GPTE_PRESENT | GPTE_ACCESSED;
	u32 rights = (gpte & (GPTE_WRITE | GPTE_USER)) | (gpte & GPTE_NX ? 0 : WALK_ACC_EXEC);

	if ((gpte & used) != used || (gpte & reserved))
		return false;
	grant->gfn = umbra_gpa_to_gfn(gpte & SPTE_ADDR);
	grant->access = sp->role.access & rights;
	grant->dirty = gpte & GPTE_DIRTY;
	return true;
}

u64 umbra_leaf_make(const struct umbra_shadow_page *sp, const struct umbra_grant *grant,
		    const struct umbra_target *t, bool writable)
{
	kvm_pfn_t pfn = umbra_level_base(t->hp.pfn, sp->role.level);
	u64 spte = (pfn << UMBRA_PAGE_SHIFT) | SPTE_LEAF | PT_PRESENT | PT_ACCESSED;

	if (sp->role.level > 1)
		spte |= PT_LARGE;
	if (grant->access & WALK_ACC_USER)
		spte |= PT_USER;
	if (!(grant->access & WALK_ACC_EXEC))
		spte |= PT_NX;
	if (umbra_target_uncached(t))
		spte |= PT_UNCACHED;
	if (!writable)
		return spte;
	if (grant->access & WALK_ACC_WRITE)
		/* The first write has to fault, to set the guest's dirty flag. */
		return grant->dirty ? spte | PT_WRITE | PT_DIRTY : spte;
	if (!t->write)
		return spte;
	/*
	 * A write by the supervisor with CR0.WP = 0. The CPU runs with WP = 1, so
	 * the page becomes writable, and the user's read has to fault to undo it.
	 */
	if ((spte & PT_USER) && sp->role.smep_and_not_wp)
		spte |= PT_NX;
	return (spte & ~PT_USER) | PT_WRITE | PT_DIRTY;
}

bool umbra_leaf_allows(u64 spte, u32 access)
{
	if ((access & UMBRA_ACC_WRITE) && !(spte & fmt->write))
		return false;
	if ((access & UMBRA_ACC_USER) && !(spte & PT_USER))
		return false;
	return !(access & UMBRA_ACC_FETCH) || !(spte & PT_NX);
}

bool umbra_leaf_maps(const u64 *sptep, const struct umbra_grant *grant, kvm_pfn_t pfn)
{
	const struct umbra_shadow_page *sp = umbra_spte_page(sptep);
	unsigned int index = umbra_spte_index(sptep);

	if (!umbra_spte_present(fmt, *sptep) || !umbra_spte_leaf(*sptep) ||
	    umbra_spte_pfn(*sptep) != pfn)
		return false;
	/* All of a direct page has the rights of its role. */
	if (!sp->entry)
		return umbra_shadow_leaf_gfn(sp, index) == grant->gfn;
	return sp->entry[index] == umbra_shadow_entry(grant->gfn, grant->access, grant->dirty);
}

/* Does changing @old into @new take something away that a CPU may have cached? */
static bool loses(u64 old, u64 new)
{
	return (old & ~new & (PT_WRITE | PT_USER)) || (new & ~old & PT_NX);
}

void umbra_leaf_replace(struct umbra_mmu *mmu, u64 *sptep, u64 spte,
			const struct umbra_grant *grant)
{
	struct umbra_shadow_page *sp = umbra_spte_page(sptep);
	unsigned int index = umbra_spte_index(sptep);
	u64 old = *sptep;
	bool withheld = umbra_leaf_withholds(sp, index, old), withholds;

	if (sp->entry)
		sp->entry[index] = umbra_shadow_entry(grant->gfn, grant->access, grant->dirty);
	withholds = umbra_leaf_withholds(sp, index, spte);
	if (withholds && !withheld)
		umbra_direct_withhold(mmu, sp, index);
	WRITE_ONCE(*sptep, spte);
	if (withheld && !withholds)
		umbra_direct_release(mmu, sp);
	if (loses(old, spte))
		umbra_tlb_leftover(mmu);
}

void umbra_leaf_set(struct umbra_mmu_vcpu *vcpu, u64 *sptep, u64 spte,
		    const struct umbra_grant *grant, struct umbra_memslot *slot)
{
	struct umbra_shadow_page *sp = umbra_spte_page(sptep);
	struct umbra_rmap_head *rmap = umbra_leaf_rmap(slot, grant->gfn, sp->role.level);
	unsigned int index = umbra_spte_index(sptep);
	u64 old = *sptep;

	if (umbra_spte_present(fmt, old)) {
		if (umbra_spte_leaf(old) && umbra_spte_pfn(old) == umbra_spte_pfn(spte) &&
		    umbra_shadow_leaf_gfn(sp, index) == grant->gfn) {
			umbra_leaf_replace(vcpu->mmu, sptep, spte, grant);
			return;
		}
		umbra_shadow_drop(vcpu->mmu, sptep);
	}
	if (umbra_rmap_count(rmap) >= RMAP_MAX)
		umbra_shadow_drop_all(vcpu->mmu, rmap);
	if (!sp->entry && !sp->role.direct)
		sp->entry = umbra_cache_pop(&vcpu->table_cache);
	if (sp->entry)
		sp->entry[index] = umbra_shadow_entry(grant->gfn, grant->access, grant->dirty);
	if (umbra_leaf_withholds(sp, index, spte))
		umbra_direct_withhold(vcpu->mmu, sp, index);
	sp->user |= !!(grant->access & WALK_ACC_USER);
	WARN_ON_ONCE(!umbra_rmap_add(vcpu, rmap, sptep, 0));
	umbra_sync_fills(vcpu->mmu, sp);
	atomic64_inc(umbra_leaf_count(vcpu->mmu, sp->role.level));
	WRITE_ONCE(*sptep, spte);
}
