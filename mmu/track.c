// SPDX-License-Identifier: GPL-2.0
/*
 * Write tracking of guest tables. Writes to them are in store.c.
 */
#include <umbra/hostmem.h>
#include "ept.h"
#include "large.h"
#include "shadow.h"
#include "tlb.h"
#include "track.h"

void umbra_track_begin(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn)
{
	u16 *track = &slot->track[gfn - slot->base_gfn];

	lockdep_assert_held_write(&mmu->lock);
	WRITE_ONCE(*track, *track + 1);
	if (*track == 1) {
		umbra_large_track(slot, gfn);
		umbra_ept_write_protect(mmu, gfn, gfn + 1);
		umbra_shadow_write_protect(mmu, slot, gfn);
	}
}

void umbra_track_add(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn)
{
	umbra_track_begin(mmu, slot, gfn);
	umbra_mmu_flush(mmu);
}

void umbra_track_del(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn)
{
	u16 *track;

	lockdep_assert_held_write(&mmu->lock);
	if (!slot || !slot->track)
		return;
	track = &slot->track[gfn - slot->base_gfn];
	if (WARN_ON_ONCE(!*track))
		return;
	WRITE_ONCE(*track, *track - 1);
	if (!*track)
		umbra_large_untrack(slot, gfn);
}

bool umbra_track_zap(struct umbra_mmu *mmu, gfn_t gfn, struct list_head *dead)
{
	struct umbra_shadow_page *sp, *next;
	bool any = false;

	lockdep_assert_held_write(&mmu->lock);
	umbra_shadow_for_each_gfn(sp, next, mmu->shadow, gfn) {
		umbra_shadow_zap(mmu, sp, dead);
		any = true;
	}
	return any;
}

bool umbra_mmu_tracked(struct umbra_mmu *mmu, gfn_t gfn)
{
	const struct umbra_memslot *slot = umbra_gfn_to_slot(mmu, gfn);

	return slot && umbra_tracked(slot, gfn);
}

bool umbra_mmu_unprotect(struct umbra_mmu *mmu, gfn_t gfn)
{
	LIST_HEAD(dead);
	bool any;

	if (!mmu->shadow)
		return false;
	write_lock(&mmu->lock);
	any = umbra_track_zap(mmu, gfn, &dead);
	umbra_shadow_free_dead(mmu, &dead);
	write_unlock(&mmu->lock);
	return any;
}
