/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Large leaves of shadow pages: a guest page of 2 MiB or more over a huge page of
 * the host's.
 *
 *	guest		level 2: large page, gfn		(or 1 GiB: direct page)
 *	shadow		level 2: leaf, PT_LARGE
 *	host		huge page
 *
 * One stands where the guest's entry stands, or in a direct page of level 2. It
 * has the rights of all its frames, so that none of them may be tracked or logged;
 * who takes something away from one frame drops it, and faults put a direct page
 * of small leaves in its place. It is large again when nothing is tracked any
 * more, unless that has turned out to be too short a time.
 *
 * All of it is guarded by mmu_lock held for write.
 */
#ifndef _UMBRA_MMU_LARGE_H
#define _UMBRA_MMU_LARGE_H

#include "rmap.h"
#include "spte.h"

#define LARGE_LEVEL	2
#define LARGE_FRAMES	512

/* A block that guest tables have split so often is left small. */
#define LARGE_SPLITS	4

/**
 * struct umbra_large - what is kept per aligned 2 MiB of a slot
 * @rmap: large leaves that map all of it
 * @tracked: how many of its frames are tracked
 * @splits: how often tracking has dropped large leaves
 */
struct umbra_large {
	struct umbra_rmap_head rmap;
	u16 tracked;
	u16 splits;
};

static inline unsigned long umbra_large_blocks(const struct umbra_memslot *slot)
{
	return ((slot->base_gfn + slot->npages - 1) / LARGE_FRAMES) -
	       slot->base_gfn / LARGE_FRAMES + 1;
}

/* With the shadow family only: slot->track is there. */
static inline struct umbra_large *umbra_slot_large(const struct umbra_memslot *slot, gfn_t gfn)
{
	return &slot->large[gfn / LARGE_FRAMES - slot->base_gfn / LARGE_FRAMES];
}

/* Could a leaf for @gfn be a large one, as far as the MMU is concerned? */
static inline bool umbra_large_allowed(const struct umbra_memslot *slot, gfn_t gfn)
{
	const struct umbra_large *large = umbra_slot_large(slot, gfn);

	return !large->tracked && large->splits < LARGE_SPLITS;
}

/* @gfn begins, or ceases, to be tracked. */
void umbra_large_track(struct umbra_memslot *slot, gfn_t gfn);
void umbra_large_untrack(struct umbra_memslot *slot, gfn_t gfn);

/* Drop the large leaves that map one of [start, end). Return: whether there was one. */
bool umbra_large_drop(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start, gfn_t end);

/**
 * umbra_large_collapse() - let what is small become large again
 * @slot: published
 *
 * Context: takes mmu_lock; may sleep.
 */
void umbra_large_collapse(struct umbra_mmu *mmu, struct umbra_memslot *slot);

#endif /* _UMBRA_MMU_LARGE_H */
