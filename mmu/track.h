/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Write tracking: guest frames that no entry of either family may map writable.
 */
#ifndef _UMBRA_MMU_TRACK_H
#define _UMBRA_MMU_TRACK_H

#include <linux/compiler.h>
#include <umbra/mmu.h>

/* Without mmu_lock the answer is a hint. */
static inline bool umbra_tracked(const struct umbra_memslot *slot, gfn_t gfn)
{
	const u16 *track = READ_ONCE(slot->track);

	return track && READ_ONCE(track[gfn - slot->base_gfn]);
}

/* The same for @nr frames from @gfn on, all in @slot. */
static inline bool umbra_tracked_any(const struct umbra_memslot *slot, gfn_t gfn, u64 nr)
{
	const u16 *track = READ_ONCE(slot->track);
	u64 i;

	for (i = 0; track && i < nr; i++)
		if (READ_ONCE(track[gfn - slot->base_gfn + i]))
			return true;
	return false;
}

/**
 * umbra_track_add() - one more shadow page depends on @gfn
 *
 * When it returns no CPU can write to @gfn without a fault, and all writes that
 * were made before are visible.
 * Context: mmu_lock held for write.
 */
void umbra_track_add(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn);

/*
 * The same without waiting: the caller pays with umbra_mmu_flush(), which is
 * and a full barrier, before it reads @gfn.
 */
void umbra_track_begin(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn);

/* @slot may be NULL: then the frame's slot is gone and nothing counts. */
void umbra_track_del(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn);

/* Zap all shadow pages of @gfn. Context: mmu_lock held for write. */
bool umbra_track_zap(struct umbra_mmu *mmu, gfn_t gfn, struct list_head *dead);

#endif /* _UMBRA_MMU_TRACK_H */
