/* SPDX-License-Identifier: GPL-2.0 */
/* The EPT tree's part in the dirty log, and the sizes of leaves that it asks for. */
#ifndef _UMBRA_MMU_DIRTY_H
#define _UMBRA_MMU_DIRTY_H

#include <umbra/mmu.h>

/**
 * struct umbra_ept_cursor - the table of the last frame, for those who go through
 *	many frames in order
 * @base: first frame of @table
 * @table: of level 1; NULL when nothing is there, or not known
 * @known: false when nothing is known
 *
 * Good as long as mmu_lock is held for write.
 */
struct umbra_ept_cursor {
	gfn_t base;
	u64 *table;
	bool known;
};

static inline void umbra_ept_cursor_reset(struct umbra_ept_cursor *cursor)
{
	cursor->known = false;
}

/**
 * umbra_ept_log_some() - make the next writes to some frames leave a trace
 * @start: first frame
 * @end: first frame behind those that are wanted
 *
 * As many as one table has. Records the debt, leaves paying to the caller. A
 * large leaf loses its write right as a whole.
 * Context: mmu_lock held for write.
 * Return: where to go on.
 */
gfn_t umbra_ept_log_some(struct umbra_mmu *mmu, gfn_t start, gfn_t end);

/* The same for up to BITS_PER_LONG frames from @gfn on, a bit of @word for each. */
void umbra_ept_log_word(struct umbra_mmu *mmu, struct umbra_ept_cursor *cursor, gfn_t gfn,
			unsigned long word);

/**
 * umbra_ept_split() - replace the large leaves of a range by small ones
 *
 * With the same rights. Without memory some are left.
 * Context: takes mmu_lock; may sleep.
 */
void umbra_ept_split(struct umbra_mmu *mmu, gfn_t start, gfn_t end);

/**
 * umbra_ept_split_leaf() - replace one large leaf by a table
 * @sptep: where it is
 * @old: what it was just now
 * @level: its level, 2 or 3
 * @table: from umbra_table_alloc() or umbra_table_new()
 *
 * Context: mmu_lock held, for read at least.
 * Return: false when the entry has changed since; @table may be reused.
 */
bool umbra_ept_split_leaf(struct umbra_mmu *mmu, u64 *sptep, u64 old, unsigned int level,
			  u64 *table);

/**
 * umbra_ept_collapse() - remove tables where the slot could have large leaves
 *
 * Context: takes mmu_lock; may sleep.
 */
void umbra_ept_collapse(struct umbra_mmu *mmu, struct umbra_memslot *slot);

#endif /* _UMBRA_MMU_DIRTY_H */
