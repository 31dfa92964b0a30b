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
	grant->access = (sp->role.access & rights) | umbra_gpte_key(gpte);
	grant->dirty = gpte & GPTE_DIRTY;
	return true;
}

u64 umbra_leaf_make(const struct umbra_shadow_page *sp, const struct umbra_grant *grant,
		    const struct umbra_target *t, bool writable)
{
	kvm_pfn_t pfn = umbra_level_base(t->hp.pfn, sp->role.level);
	u64 spte = (pfn << UMBRA_PAGE_SHIFT) | SPTE_LEAF | PT_PRESENT | PT_ACCESSED |
		   umbra_leaf_key(grant->access);

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
	/* Pairs with put(). */
	u64 spte = smp_load_acquire(sptep);

	if (!umbra_spte_present(fmt, spte) || !umbra_spte_leaf(spte) ||
	    umbra_spte_pfn(spte) != pfn)
		return false;
	/* All of a direct page has the rights of its role. */
	if (!sp->entry)
		return umbra_shadow_leaf_gfn(sp, index) == grant->gfn;
	return READ_ONCE(sp->entry[index]) ==
	       umbra_shadow_entry(grant->gfn, grant->access, grant->dirty);
}

/* Does changing @old into @new take something away that a CPU may have cached? */
static bool loses(u64 old, u64 new)
{
	return (old & ~new & (PT_WRITE | PT_USER)) || (new & ~old & PT_NX) ||
	       ((old ^ new) & PT_KEY);
}

/* What the guest grants at @sptep once @grant is what it was made from. */
static u32 granted(const struct umbra_shadow_page *sp, const struct umbra_grant *grant)
{
	return sp->role.direct ? sp->role.access : grant->access;
}

/* Those who look at entries without a lock find what it was made from, or newer. */
static void put(struct umbra_shadow_page *sp, u64 *sptep, u64 spte,
		const struct umbra_grant *grant)
{
	if (sp->entry)
		WRITE_ONCE(sp->entry[umbra_spte_index(sptep)],
			   umbra_shadow_entry(grant->gfn, grant->access, grant->dirty));
	/* Pairs with umbra_shadow_translate() and umbra_leaf_maps(). */
	smp_store_release(sptep, spte);
}

/* The entry stays one for the same page. */
static void replace(struct umbra_mmu *mmu, u64 *sptep, u64 spte, const struct umbra_grant *grant)
{
	struct umbra_shadow_page *sp = umbra_spte_page(sptep);
	unsigned int index = umbra_spte_index(sptep);
	u64 old = READ_ONCE(*sptep);
	bool withheld = umbra_leaf_withholds(sp, index, old);
	bool withholds = umbra_withholds(granted(sp, grant), spte);

	if (withholds && !withheld)
		umbra_direct_withhold(mmu, sp, index);
	put(sp, sptep, spte, grant);
	if (withheld && !withholds)
		umbra_direct_release(mmu, sp);
	if (loses(old, spte))
		umbra_tlb_leftover(mmu);
}

void umbra_leaf_replace(struct umbra_mmu *mmu, u64 *sptep, u64 spte,
			const struct umbra_grant *grant)
{
	lockdep_assert_held_write(&mmu->lock);
	if (umbra_withholds(granted(umbra_spte_page(sptep), grant), spte))
		umbra_direct_end(mmu);
	replace(mmu, sptep, spte, grant);
}

/* Does @old map the same page that @spte will? */
static bool same_page(const struct umbra_shadow_page *sp, const u64 *sptep, u64 old, u64 spte,
		      const struct umbra_grant *grant)
{
	return umbra_spte_leaf(old) && umbra_spte_pfn(old) == umbra_spte_pfn(spte) &&
	       umbra_shadow_leaf_gfn(sp, umbra_spte_index(sptep)) == grant->gfn;
}

/* Where there is none yet. */
static bool add(struct umbra_mmu_vcpu *vcpu, u64 *sptep, u64 spte, const struct umbra_grant *grant,
		struct umbra_target *t, unsigned int reserve)
{
	struct umbra_shadow_page *sp = umbra_spte_page(sptep);
	struct umbra_rmap_head *rmap = umbra_leaf_rmap(t->slot, grant->gfn, sp->role.level);

	if (!umbra_rmap_add(vcpu, rmap, sptep, reserve))
		return false;
	if (!sp->entry && !sp->role.direct)
		sp->entry = umbra_cache_pop(&vcpu->table_cache);
	if (umbra_withholds(granted(sp, grant), spte))
		umbra_direct_withhold(vcpu->mmu, sp, umbra_spte_index(sptep));
	if (spte & fmt->write)
		umbra_target_set_dirty(vcpu, t);
	sp->user |= !!(grant->access & WALK_ACC_USER);
	umbra_sync_fills(vcpu->mmu, sp);
	atomic64_inc(umbra_leaf_count(vcpu->mmu, sp->role.level));
	put(sp, sptep, spte, grant);
	return true;
}

bool umbra_leaf_fill(struct umbra_mmu_vcpu *vcpu, u64 *sptep, u64 spte,
		     const struct umbra_grant *grant, struct umbra_target *t,
		     unsigned int reserve)
{
	struct umbra_shadow_page *sp = umbra_spte_page(sptep);
	u64 old = READ_ONCE(*sptep);

	if (umbra_direct_guards(vcpu->mmu, granted(sp, grant), spte))
		return false;
	/* The ways to it have to be marked. */
	if (sp->unsync && !sp->nr_present)
		return false;
	if (!umbra_spte_present(fmt, old))
		return add(vcpu, sptep, spte, grant, t, reserve);
	if (!same_page(sp, sptep, old, spte, grant) || loses(old, spte))
		return false;
	if (spte & fmt->write)
		umbra_target_set_dirty(vcpu, t);
	replace(vcpu->mmu, sptep, spte, grant);
	return true;
}

bool umbra_leaf_set(struct umbra_mmu_vcpu *vcpu, u64 *sptep, u64 spte,
		    const struct umbra_grant *grant, struct umbra_target *t,
		    unsigned int reserve)
{
	struct umbra_shadow_page *sp = umbra_spte_page(sptep);
	struct umbra_rmap_head *rmap = umbra_leaf_rmap(t->slot, grant->gfn, sp->role.level);
	u64 old = READ_ONCE(*sptep);

	lockdep_assert_held_write(&vcpu->mmu->lock);
	if (umbra_withholds(granted(sp, grant), spte))
		umbra_direct_end(vcpu->mmu);
	if (umbra_spte_present(fmt, old)) {
		if (same_page(sp, sptep, old, spte, grant)) {
			if (spte & fmt->write)
				umbra_target_set_dirty(vcpu, t);
			replace(vcpu->mmu, sptep, spte, grant);
			return true;
		}
		umbra_shadow_drop(vcpu->mmu, sptep);
	}
	if (!reserve && umbra_rmap_count(rmap) >= RMAP_MAX)
		umbra_shadow_drop_all(vcpu->mmu, rmap);
	return add(vcpu, sptep, spte, grant, t, reserve);
}
