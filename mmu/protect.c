// SPDX-License-Identifier: GPL-2.0
/*
 * Taking rights and flags from all shadow leaves of a frame.
 */
#include <umbra/hostmem.h>
#include "direct.h"
#include "large.h"
#include "shadow.h"
#include "tlb.h"
#include "walk.h"

static const struct umbra_format *const fmt = &umbra_format_shadow;

static bool protect(struct umbra_mmu *mmu, u64 *sptep)
{
	struct umbra_shadow_page *sp = umbra_spte_page(sptep);
	unsigned int index = umbra_spte_index(sptep);
	u32 access = umbra_shadow_access(sp, index);
	u64 spte = READ_ONCE(*sptep);

	if (!(spte & fmt->write))
		return false;
	if ((access & WALK_ACC_USER) && !umbra_withholds(access, spte) &&
	    umbra_withholds(access, spte & ~fmt->write)) {
		umbra_direct_end(mmu);
		umbra_direct_withhold(mmu, sp, index);
	}
	return umbra_spte_clear(sptep, fmt->write, fmt->write | PT_DIRTY);
}

static bool protect_all(struct umbra_mmu *mmu, const struct umbra_rmap_head *head)
{
	u64 *sptep = umbra_rmap_single(head);
	struct umbra_rmap_iter it;
	bool any = false;

	/* Mostly there is one or none. */
	if (likely(sptep))
		return protect(mmu, sptep);
	umbra_rmap_for_each(sptep, &it, head)
		any |= protect(mmu, sptep);
	return any;
}

bool umbra_shadow_write_protect(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn)
{
	return umbra_shadow_protect_word(mmu, slot, gfn, 1);
}

bool umbra_shadow_protect_word(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn,
			       unsigned long word)
{
	bool any;

	lockdep_assert_held_write(&mmu->lock);
	if (!slot->rmap || !word)
		return false;
	any = umbra_large_drop(mmu, slot, gfn + __ffs(word), gfn + __fls(word) + 1);
	for (; word; word &= word - 1)
		any |= protect_all(mmu, umbra_slot_rmap(slot, gfn + __ffs(word)));
	if (any)
		umbra_tlb_debt(mmu);
	return any;
}

bool umbra_shadow_age(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn, bool clear)
{
	struct umbra_rmap_iter it;
	bool any = false;
	u64 *sptep;

	lockdep_assert_held_write(&mmu->lock);
	if (!slot->rmap)
		return false;
	umbra_rmap_for_each(sptep, &it, umbra_slot_rmap(slot, gfn))
		any |= umbra_spte_clear(sptep, fmt->accessed, clear ? fmt->accessed : 0);
	umbra_rmap_for_each(sptep, &it, &umbra_slot_large(slot, gfn)->rmap)
		any |= umbra_spte_clear(sptep, fmt->accessed, clear ? fmt->accessed : 0);
	return any;
}
