// SPDX-License-Identifier: GPL-2.0
/*
 * Large leaves of shadow pages that the guest may not execute: ept_nx.c says why. A
 * fetch gets a direct page of small leaves, which is marked, and zapped some day:
 *
 *	large, no exec --fetch--> direct page --recovery--> nothing --fault--> ...
 *
 * All of it is guarded by mmu_lock held for write.
 */
#include <linux/sched.h>
#include <linux/srcu.h>
#include "shadow.h"

/* Pages that are zapped before others may have mmu_lock. */
#define BATCH	8

void umbra_shadow_mark_split(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	lockdep_assert_held_write(&mmu->lock);
	if (sp->nx_split)
		return;
	sp->nx_split = true;
	list_add_tail(&sp->nx_link, &mmu->shadow->nx_splits);
	atomic64_inc(&mmu->stat.nx_lpage_splits);
}

void umbra_shadow_unmark_split(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	if (!sp->nx_split)
		return;
	sp->nx_split = false;
	list_del(&sp->nx_link);
	atomic64_dec(&mmu->stat.nx_lpage_splits);
}

/* Up to @nr. Return: how many. */
static unsigned long zap_some(struct umbra_mmu *mmu, unsigned long nr)
{
	struct umbra_shadow *shadow = mmu->shadow;
	unsigned long zapped = 0;
	LIST_HEAD(dead);

	for (; zapped < nr && !list_empty(&shadow->nx_splits); zapped++)
		umbra_shadow_zap(mmu, list_first_entry(&shadow->nx_splits,
						       struct umbra_shadow_page, nx_link), &dead);
	umbra_shadow_free_dead(mmu, &dead);
	return zapped;
}

unsigned long umbra_shadow_recover_nx(struct umbra_mmu *mmu, unsigned long nr)
{
	unsigned long zapped;
	int idx;

	/* Pairs with the release in umbra_mmu_slots_prepare(). */
	if (!smp_load_acquire(&mmu->shadow))
		return nr;
	idx = srcu_read_lock(&mmu->srcu);
	write_lock(&mmu->lock);
	while (nr) {
		zapped = zap_some(mmu, min_t(unsigned long, nr, BATCH));
		nr -= zapped;
		if (zapped < BATCH)
			break;
		cond_resched_rwlock_write(&mmu->lock);
	}
	write_unlock(&mmu->lock);
	srcu_read_unlock(&mmu->srcu, idx);
	return nr;
}
