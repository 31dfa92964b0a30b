// SPDX-License-Identifier: GPL-2.0
/*
 * Large leaves of the EPT tree into small ones, and the way back.
 *
 *	level 2	 [ leaf, 2 MiB ]   ->	[ link ]
 *					   |
 *	level 1				[ leaf | leaf | ... | leaf ]
 *
 * Splitting changes no translation and no right, so that there is no debt: who
 * takes something from a small leaf later has one of his own.
 */
#include <linux/sched.h>
#include "dirty.h"
#include "ept.h"
#include "fault.h"
#include "tlb.h"

static const struct umbra_format *const fmt = &umbra_format_ept;

/* The first of the leaves that take the place of @old. Any small one may be executed. */
static u64 first_part(u64 old, unsigned int level)
{
	return level == 2 ? (old & ~EPT_LARGE) | EPT_EXEC : old & ~SPTE_1G;
}

bool umbra_ept_split_leaf(struct umbra_mmu *mmu, u64 *sptep, u64 old, unsigned int level,
			  u64 *table)
{
	u64 part = first_part(old, level);
	u64 step = umbra_level_frames(level - 1) << UMBRA_PAGE_SHIFT;
	unsigned int i;

	lockdep_assert_held(&mmu->lock);
	for (i = 0; i < TABLE_ENTRIES; i++)
		table[i] = part + i * step;
	if (cmpxchg64(sptep, old, umbra_spte_link(fmt, umbra_table_pa(table))) != old)
		return false;
	atomic_long_inc(&mmu->ept_pages);
	atomic64_dec(umbra_ept_pages_of(mmu, old));
	atomic64_add(TABLE_ENTRIES, umbra_ept_pages_of(mmu, part));
	return true;
}

/*
 * Split until a table is needed and there is none, or @end is reached. Return:
 * where to go on. Context: mmu_lock held for write.
 */
static gfn_t split_some(struct umbra_mmu *mmu, gfn_t gfn, gfn_t end, u64 **table)
{
	unsigned int level;
	u64 *sptep, spte;

	/* The large leaves that are counted may be those of shadow pages. */
	if (!umbra_ept_root(mmu))
		return end;
	while (gfn < end) {
		sptep = umbra_ept_find(mmu, gfn, 2, &level);
		spte = READ_ONCE(*sptep);
		if (!umbra_spte_present(fmt, spte) || !umbra_spte_leaf(spte)) {
			gfn = umbra_level_base(gfn, level) + umbra_level_frames(level);
			cond_resched_rwlock_write(&mmu->lock);
			continue;
		}
		if (!*table)
			break;
		if (umbra_ept_split_leaf(mmu, sptep, spte, level, *table))
			*table = NULL;
	}
	return gfn;
}

void umbra_ept_split(struct umbra_mmu *mmu, gfn_t start, gfn_t end)
{
	u64 *table = NULL;

	end = min_t(gfn_t, end, umbra_level_frames(fmt->levels + 1));
	while (start < end &&
	       (atomic64_read(&mmu->stat.pages_2m) || atomic64_read(&mmu->stat.pages_1g))) {
		write_lock(&mmu->lock);
		start = split_some(mmu, start, end, &table);
		write_unlock(&mmu->lock);
		if (start >= end)
			break;
		table = umbra_table_new(mmu);
		if (!table)
			return;
	}
	if (table)
		umbra_table_free(mmu, table);
}

/*
 * A large page of the host's has its frames in step with the table's entries. Few
 * small ones do, so one look saves asking the host, which costs far more.
 */
static bool in_step(const u64 *table)
{
	unsigned int i;

	for (i = 0; i < TABLE_ENTRIES; i++)
		if (umbra_spte_present(fmt, READ_ONCE(table[i])))
			return umbra_spte_pfn(READ_ONCE(table[i])) % TABLE_ENTRIES == i;
	return true;
}

/* Could what is below the entry @spte at @level be a leaf instead? */
static bool may_collapse(u64 spte, unsigned int level)
{
	if (!umbra_spte_present(fmt, spte))
		return false;
	return level != 2 || umbra_spte_leaf(spte) || in_step(umbra_table_va(spte));
}

/* Does the block of @gfn hang on a table that a leaf could replace? */
static bool collapsible(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn,
			unsigned int *level)
{
	const struct umbra_target t = { .slot = slot, .gfn = gfn };
	unsigned int found;
	u64 *sptep, spte;

	*level = umbra_ept_choose_level(&t);
	if (*level == 1)
		return false;
	sptep = umbra_ept_find(mmu, gfn, *level, &found);
	spte = READ_ONCE(*sptep);
	return found == *level && umbra_spte_present(fmt, spte) && !umbra_spte_leaf(spte);
}

void umbra_ept_collapse(struct umbra_mmu *mmu, struct umbra_memslot *slot)
{
	gfn_t gfn = slot->base_gfn, end = gfn + slot->npages, next;
	struct umbra_table_list dead = { };
	unsigned int level = 0;
	u64 *sptep = NULL;

	end = min_t(gfn_t, end, umbra_level_frames(fmt->levels + 1));
	write_lock(&mmu->lock);
	for (; gfn < end && umbra_ept_root(mmu); gfn = next) {
		/* One table after the other, as long as nobody else had the lock. */
		if (sptep && level == 2 && umbra_table_index(gfn, 2))
			sptep++;
		else
			sptep = umbra_ept_find(mmu, gfn, 2, &level);
		next = umbra_level_base(gfn, level) + umbra_level_frames(level);
		if (may_collapse(READ_ONCE(*sptep), level) &&
		    collapsible(mmu, slot, gfn, &level)) {
			gfn = umbra_level_base(gfn, level);
			next = gfn + umbra_level_frames(level);
			umbra_ept_zap_tables(mmu, gfn, next, &dead);
			sptep = NULL;
		}
		if (cond_resched_rwlock_write(&mmu->lock))
			sptep = NULL;
	}
	write_unlock(&mmu->lock);
	umbra_ept_free_dead(mmu, &dead);
}
