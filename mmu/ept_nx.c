// SPDX-License-Identifier: GPL-2.0
/*
 * Large EPT leaves that the guest may not execute.
 *
 * On CPUs with the iTLB multihit erratum a guest that executes from a large page,
 * while the size of its mapping changes, brings the machine down. There large
 * leaves lack the right to execute; a fetch from one takes a table of small pages
 * in its place, whose link is marked SPTE_NX_SPLIT, so that other faults do not
 * put the large leaf back. Now and then marked tables are taken away, since what
 * was executed once may be data now:
 *
 *	large, no exec --fetch--> small, exec --recovery--> nothing --fault--> ...
 *
 * The tree is searched for marks from where the last search ended.
 */
#include <linux/sched.h>
#include "ept.h"
#include "fault.h"
#include "shadow.h"
#include "spte.h"
#include "tlb.h"

/* Entries that are looked at before others may have mmu_lock. */
#define CHUNK	512

static const struct umbra_format *const fmt = &umbra_format_ept;

void umbra_ept_mark_split(struct umbra_mmu *mmu, u64 *sptep, u64 link)
{
	lockdep_assert_held(&mmu->lock);
	if (!umbra_ept_nx_split(link) && cmpxchg64(sptep, link, link | SPTE_NX_SPLIT) == link)
		atomic64_inc(&mmu->stat.nx_lpage_splits);
}

/*
 * Take the marked table away on the way down to *@gfn. Moves *@gfn on to what has
 * not been looked at. Return: whether there was one.
 */
static bool recover_one(struct umbra_mmu *mmu, gfn_t *gfn, struct umbra_table_list *dead)
{
	u64 *table = umbra_ept_root(mmu);
	unsigned int level;

	for (level = fmt->levels;; level--) {
		u64 *sptep = &table[umbra_table_index(*gfn, level)];
		u64 spte = READ_ONCE(*sptep);
		bool link = umbra_spte_present(fmt, spte) && !umbra_spte_leaf(spte);

		if (link && !umbra_ept_nx_split(spte) && level > 2) {
			table = umbra_table_va(spte);
			continue;
		}
		*gfn = umbra_level_base(*gfn, level) + umbra_level_frames(level);
		if (!link || !umbra_ept_nx_split(spte))
			return false;
		umbra_ept_unlink(mmu, sptep, dead);
		umbra_tlb_debt(mmu);
		return true;
	}
}

/* Take up to @nr away. Return: how many are left to take. */
static unsigned long recover(struct umbra_mmu *mmu, gfn_t first, gfn_t end, unsigned long nr,
			     struct umbra_table_list *dead)
{
	unsigned int looked = 0;
	gfn_t gfn = first;

	while (nr && gfn < end && umbra_ept_root(mmu)) {
		nr -= recover_one(mmu, &gfn, dead);
		if (++looked % CHUNK == 0)
			cond_resched_rwlock_write(&mmu->lock);
	}
	mmu->nx_cursor = gfn;
	return nr;
}

void umbra_mmu_recover_nx(struct umbra_mmu *mmu, unsigned long nr)
{
	const gfn_t end = umbra_level_frames(fmt->levels + 1);
	struct umbra_table_list dead = { };
	gfn_t cursor;

	nr = umbra_shadow_recover_nx(mmu, nr);
	write_lock(&mmu->lock);
	cursor = mmu->nx_cursor;
	nr = recover(mmu, cursor, end, nr, &dead);
	if (nr)
		recover(mmu, 0, cursor, nr, &dead);
	umbra_mmu_flush(mmu);
	write_unlock(&mmu->lock);
	umbra_ept_free_dead(mmu, &dead);
}

void umbra_mmu_set_nx_huge(struct umbra_mmu *mmu, bool on)
{
	struct umbra_table_list dead = { };
	bool changed;

	write_lock(&mmu->lock);
	changed = mmu->nx_huge != on;
	if (changed) {
		mmu->nx_huge = on;
		umbra_ept_zap_tables(mmu, 0, umbra_level_frames(fmt->levels + 1), &dead);
	}
	umbra_mmu_flush(mmu);
	write_unlock(&mmu->lock);
	umbra_ept_free_dead(mmu, &dead);
	if (changed)
		umbra_shadow_zap_all(mmu);
}
