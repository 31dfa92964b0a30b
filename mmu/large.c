// SPDX-License-Identifier: GPL-2.0
/*
 * Large leaves of shadow pages, see large.h.
 */
#include <linux/sched.h>
#include <umbra/hostmem.h>
#include "fault.h"
#include "large.h"
#include "shadow.h"
#include "slot.h"

void umbra_large_track(struct umbra_memslot *slot, gfn_t gfn)
{
	struct umbra_large *large = umbra_slot_large(slot, gfn);

	large->tracked++;
	if (!umbra_rmap_empty(&large->rmap) && large->splits < LARGE_SPLITS)
		large->splits++;
}

void umbra_large_untrack(struct umbra_memslot *slot, gfn_t gfn)
{
	umbra_slot_large(slot, gfn)->tracked--;
}

bool umbra_large_drop(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start, gfn_t end)
{
	bool any = false;
	gfn_t gfn;

	lockdep_assert_held_write(&mmu->lock);
	if (!slot->rmap)
		return false;
	for (gfn = umbra_level_base(start, LARGE_LEVEL); gfn < end; gfn += LARGE_FRAMES) {
		struct umbra_large *large = umbra_slot_large(slot, max(gfn, slot->base_gfn));

		any |= umbra_shadow_drop_all(mmu, &large->rmap);
	}
	return any;
}

void umbra_large_collapse(struct umbra_mmu *mmu, struct umbra_memslot *slot)
{
	gfn_t gfn = umbra_level_base(slot->base_gfn, LARGE_LEVEL);
	gfn_t end = slot->base_gfn + slot->npages;
	LIST_HEAD(dead);

	if (!mmu->shadow || !slot->rmap)
		return;
	write_lock(&mmu->lock);
	for (; gfn < end; gfn += LARGE_FRAMES) {
		if (umbra_slot_fits(slot, gfn, LARGE_LEVEL) && umbra_large_allowed(slot, gfn) &&
		    umbra_hostpage_level(slot, gfn) >= LARGE_LEVEL)
			umbra_shadow_zap_direct(mmu, gfn, &dead);
		cond_resched_rwlock_write(&mmu->lock);
	}
	umbra_shadow_free_dead(mmu, &dead);
	write_unlock(&mmu->lock);
}
