/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The neighbours of a page that faults: a run of frames around it, inside an
 * aligned window, so that one table has all their entries.
 *
 *	window	|                 aligned, AROUND_FRAMES                |
 *	run	     first |          | gfn |              | end
 *	pinned	           | before |         | after  |
 */
#ifndef _UMBRA_MMU_AROUND_H
#define _UMBRA_MMU_AROUND_H

#include <umbra/hostmem.h>
#include <umbra/memslot.h>
#include "fault.h"
#include "spte.h"

#define AROUND_FRAMES	UMBRA_HOSTPAGES_MAX

static_assert(!(AROUND_FRAMES & (AROUND_FRAMES - 1)) && AROUND_FRAMES <= TABLE_ENTRIES);

/**
 * struct umbra_around - neighbours that a fault may map as well
 * @first: first frame of the run
 * @end: first frame after it
 * @before: pages pinned from @first on
 * @after: pages pinned behind the one that faults
 * @dirty_before: the pages of @before that the guest may write to now
 * @dirty_after: those of @after
 * @hp: the pages, by place in the window
 */
struct umbra_around {
	gfn_t first;
	gfn_t end;
	unsigned int before;
	unsigned int after;
	u32 dirty_before;
	u32 dirty_after;
	struct umbra_hostpage hp[AROUND_FRAMES];
};

static inline struct umbra_hostpage *umbra_around_page(struct umbra_around *around, gfn_t gfn)
{
	return &around->hp[gfn & (AROUND_FRAMES - 1)];
}

/* Start with no neighbours. */
static inline void umbra_around_init(struct umbra_around *around, gfn_t gfn)
{
	around->first = gfn;
	around->end = gfn + 1;
	around->before = 0;
	around->after = 0;
	around->dirty_before = 0;
	around->dirty_after = 0;
}

/**
 * umbra_around_grow() - make the run as long as the entries around are unused
 * @around: from umbra_around_init()
 * @slot: bounds the run
 * @gfn: the frame that faults
 * @sptep: its entry of level 1, or NULL when there is no table yet
 * @fmt: format of the entry
 *
 * Context: mmu_lock held.
 */
void umbra_around_grow(struct umbra_around *around, const struct umbra_memslot *slot, gfn_t gfn,
		       const u64 *sptep, const struct umbra_format *fmt);

/**
 * umbra_around_get() - pin the page that faults and its neighbours of the run
 * @t: @t->hp is filled in
 *
 * Return: false when the host does not have the page with the rights needed.
 */
bool umbra_around_get(struct umbra_around *around, struct umbra_target *t);

/* Drop the neighbours, not @t->hp. */
void umbra_around_put(struct umbra_around *around, const struct umbra_target *t);

#endif /* _UMBRA_MMU_AROUND_H */
