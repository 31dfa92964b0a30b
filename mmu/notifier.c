// SPDX-License-Identifier: GPL-2.0
/*
 * The host changes the mappings of guest memory: both families follow.
 */
#include <linux/minmax.h>
#include <linux/sched.h>
#include "ept.h"
#include "large.h"
#include "shadow.h"
#include "tlb.h"

/* Shadowed frames, and entries that map them, between two chances for others. */
#define CHUNK		512
#define CHUNK_ENTRIES	2048

void umbra_mmu_invalidate_begin(struct umbra_mmu *mmu, hva_t start, hva_t end)
{
	lockdep_assert_held_write(&mmu->lock);
	if (mmu->invalidate_count++) {
		/* Rarely several at a time, so their union will do. */
		mmu->invalidate_start = min(mmu->invalidate_start, start);
		mmu->invalidate_end = max(mmu->invalidate_end, end);
	} else {
		mmu->invalidate_start = start;
		mmu->invalidate_end = end;
	}
}

void umbra_mmu_invalidate_end(struct umbra_mmu *mmu)
{
	lockdep_assert_held_write(&mmu->lock);
	WRITE_ONCE(mmu->invalidate_seq, mmu->invalidate_seq + 1);
	WARN_ON_ONCE(--mmu->invalidate_count < 0);
}

/* Some frames from @start on, in both families. Return: where to go on. */
static gfn_t unmap_some(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start, gfn_t end)
{
	struct umbra_rmap_head *rmap;
	unsigned int entries = 0;
	gfn_t gfn;

	/* The slots of a VM without shadow pages may have millions of empty sets. */
	if (!slot->rmap || !mmu->shadow)
		return umbra_ept_zap_some(mmu, start, end);
	end = min_t(gfn_t, end, start + CHUNK);
	for (gfn = start; gfn < end; )
		gfn = umbra_ept_zap_some(mmu, gfn, end);
	for (gfn = start; gfn < end && entries < CHUNK_ENTRIES; gfn++) {
		rmap = umbra_slot_rmap(slot, gfn);
		/* Most frames of a large range. */
		if (umbra_rmap_empty(rmap))
			continue;
		entries += umbra_rmap_count(rmap);
		umbra_shadow_drop_all(mmu, rmap);
	}
	umbra_large_drop(mmu, slot, start, gfn);
	return gfn;
}

bool umbra_mmu_unmap_gfns(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start,
			  gfn_t end, bool may_yield)
{
	bool retiring = mmu->retiring == slot;
	gfn_t gfn = start;

	lockdep_assert_held_write(&mmu->lock);
	while (gfn < end) {
		gfn = unmap_some(mmu, slot, gfn, end);
		if (!may_yield || !cond_resched_rwlock_write(&mmu->lock))
			continue;
		/* Its deletion may have come to an end meanwhile, and @slot with it. */
		if (retiring && mmu->retiring != slot)
			break;
	}
	/* An entry may have gone earlier, with its debt still open. */
	return umbra_tlb_owing(mmu);
}

bool umbra_mmu_age_gfns(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start,
			gfn_t end, bool clear)
{
	bool young = umbra_ept_age(mmu, start, end, clear);
	gfn_t gfn;

	for (gfn = start; slot->rmap && gfn < end; gfn++)
		young |= umbra_shadow_age(mmu, slot, gfn, clear);
	return young;
}
