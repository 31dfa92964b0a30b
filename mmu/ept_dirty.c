// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty log in the EPT tree, see dirty.h.
 *
 *	PML	writable and not dirty: the CPU notes the write
 *	else	not writable: the write faults
 *	large	not writable: one flag cannot tell of so many frames
 */
#include <linux/bitops.h>
#include "dirty.h"
#include "ept.h"
#include "spte.h"
#include "tlb.h"

static const struct umbra_format *const fmt = &umbra_format_ept;

/* What a leaf of 4 KiB must not have, or writes to it leave no trace. */
static u64 unlogged(void)
{
	return umbra_mmu_caps.pml ? EPT_DIRTY : EPT_WRITE;
}

/* The CPU may set flags in the entry; nobody else changes it under the lock. */
static bool log_leaf(u64 *sptep, u64 test)
{
	/* What is not readable is left of a time when there was no slot: see mmio.h. */
	const u64 both = test | EPT_READ;

	if ((READ_ONCE(*sptep) & both) != both)
		return false;
	atomic64_andnot(test | EPT_DIRTY, (atomic64_t *)sptep);
	return true;
}

gfn_t umbra_ept_log_some(struct umbra_mmu *mmu, gfn_t start, gfn_t end)
{
	const u64 test = unlogged();
	bool any = false;
	u64 *sptep, *table;
	gfn_t gfn, next;
	unsigned int level;

	lockdep_assert_held_write(&mmu->lock);
	if (!umbra_ept_root(mmu) || start >= umbra_level_frames(fmt->levels + 1))
		return end;
	sptep = umbra_ept_find(mmu, start, 2, &level);
	next = min_t(gfn_t, end, umbra_level_base(start, level) + umbra_level_frames(level));
	if (!umbra_spte_present(fmt, READ_ONCE(*sptep)))
		return next;
	if (umbra_spte_leaf(READ_ONCE(*sptep))) {
		any = log_leaf(sptep, EPT_WRITE);
	} else {
		table = umbra_table_va(READ_ONCE(*sptep));
		for (gfn = start; gfn < next; gfn++)
			any |= log_leaf(&table[umbra_table_index(gfn, 1)], test);
	}
	/* Before the lock is given up: others rely on what they see in the entries. */
	if (any)
		umbra_tlb_debt(mmu);
	return next;
}

/* Find @gfn's table. Return: whether a large leaf has lost the right to write. */
static bool move_cursor(struct umbra_mmu *mmu, struct umbra_ept_cursor *cursor, gfn_t gfn)
{
	unsigned int level;
	u64 *sptep;

	cursor->known = true;
	cursor->base = umbra_level_base(gfn, 2);
	cursor->table = NULL;
	if (!umbra_ept_root(mmu) || gfn >= umbra_level_frames(fmt->levels + 1))
		return false;
	sptep = umbra_ept_find(mmu, gfn, 2, &level);
	if (!umbra_spte_present(fmt, READ_ONCE(*sptep)))
		return false;
	if (umbra_spte_leaf(READ_ONCE(*sptep)))
		return log_leaf(sptep, EPT_WRITE);
	cursor->table = umbra_table_va(READ_ONCE(*sptep));
	return false;
}

void umbra_ept_log_word(struct umbra_mmu *mmu, struct umbra_ept_cursor *cursor, gfn_t gfn,
			unsigned long word)
{
	const u64 test = unlogged();
	bool any = false;

	lockdep_assert_held_write(&mmu->lock);
	/* With shadow paging the tree has little. */
	if (cursor->known && !cursor->table && umbra_level_base(gfn, 2) == cursor->base &&
	    umbra_level_base(gfn + BITS_PER_LONG - 1, 2) == cursor->base)
		return;
	for (; word; word &= word - 1) {
		gfn_t dirty = gfn + __ffs(word);

		if (!cursor->known || umbra_level_base(dirty, 2) != cursor->base)
			any |= move_cursor(mmu, cursor, dirty);
		if (cursor->table)
			any |= log_leaf(&cursor->table[umbra_table_index(dirty, 1)], test);
	}
	if (any)
		umbra_tlb_debt(mmu);
}
