/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shadow pages that are left behind by their guest tables, and brought back in
 * line when the guest invalidates. See shadow.h.
 */
#ifndef _UMBRA_MMU_SYNC_H
#define _UMBRA_MMU_SYNC_H

#include "shadow.h"

/**
 * umbra_unsync() - let the guest write to a table of level 1
 * @slot: the slot that holds @gfn
 * @gfn: a tracked frame
 *
 * Return: true when the frame is no longer tracked; false when a shadow of a
 * higher level needs it to be, or when there are too many already.
 * Context: mmu_lock held for write.
 */
bool umbra_unsync(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn);

/* So many marks are set, or followed, at a time. */
#define MARKS_MAX	2048

/* Is @sp unsync and without entries, so that there need not be marks? */
static inline bool umbra_unsync_sleeps(const struct umbra_shadow_page *sp)
{
	return sp->unsync && !sp->nr_present;
}

/*
 * May such a page get an entry? If not, umbra_sync_sleeping() comes first.
 * Context: mmu_lock held.
 */
bool umbra_unsync_may_wake(const struct umbra_shadow_page *sp);

/*
 * The first entry of an unsync page is about to be there: it has to be found again. Whoever
 * adds it has asked umbra_unsync_may_wake(), or has just seen the page with entries, so
 * that the marks are few, or there.
 */
void umbra_unsync_wake(struct umbra_mmu *mmu, struct umbra_shadow_page *sp);

/* Protect the table of such a page again. What was read from it before is old. */
void umbra_sync_sleeping(struct umbra_mmu *mmu, struct umbra_shadow_page *sp);

/*
 * A leaf is about to be there: count it. Context: mmu_lock held for write; or for read
 * and the page's lock, for a page that is in sync or has leaves.
 */
static inline void umbra_sync_fills(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	if (!sp->nr_present++ && sp->unsync)
		umbra_unsync_wake(mmu, sp);
}

/*
 * A link to an unsync page, or to one that leads to some, is about to be there.
 * Return: false when too many ways lead to it: umbra_unsync_shed() has to come first.
 */
bool umbra_unsync_linked(struct umbra_mmu *mmu, u64 *sptep);

/* Drop what makes @sp unsync, or lead to what is: its leaves, or those links. */
void umbra_unsync_shed(struct umbra_mmu *mmu, struct umbra_shadow_page *sp);

/* Drop the leaves of all unsync pages. */
void umbra_unsync_empty_all(struct umbra_mmu *mmu);

/* Mark the ways to @sp. Return: false when these are too many. */
bool umbra_unsync_mark(struct umbra_shadow_page *sp);

/* Is it better to leave @sp unsync, and to bring only its entries in line? */
bool umbra_unsync_stays(const struct umbra_shadow_page *sp);

/* That was done, and has @changed any. */
void umbra_unsync_refreshed(struct umbra_shadow_page *sp, bool changed);

/**
 * umbra_unsync_empty() - drop the leaves of all unsync pages below the root
 * @max: do nothing if there are more
 *
 * Pages that are unsync and have no entry are in line, whatever the guest does.
 * Context: mmu_lock held for write.
 * Return: whether all are empty.
 */
bool umbra_unsync_empty(struct umbra_mmu_vcpu *vcpu, unsigned int max);

/* umbra_sync_tree() where there is something to do. */
void umbra_sync_loose_tree(struct umbra_mmu_vcpu *vcpu, struct umbra_shadow_page *sp);

/**
 * umbra_sync_tree() - bring a page and all below it in line with the guest
 *
 * What a guest may rely on when it loads CR3, flushes everything, or links a
 * table.
 * Context: mmu_lock held for write.
 */
static inline void umbra_sync_tree(struct umbra_mmu_vcpu *vcpu, struct umbra_shadow_page *sp)
{
	if (umbra_shadow_is_loose(sp))
		umbra_sync_loose_tree(vcpu, sp);
}

/**
 * umbra_sync_entry() - bring one entry of level 1 in line with the guest's
 * @f: for the page, which has a guest table
 * @index: the entry; a suspended one is resumed, if it still holds
 * @gpte: the guest's
 * @reserved: umbra_gpte_always_reserved()
 *
 * What replaces the entry is there after umbra_fill_flush().
 */
struct umbra_fill;
void umbra_sync_entry(struct umbra_fill *f, unsigned int index, u64 gpte, u64 reserved);

/**
 * umbra_sync_gva() - bring the entry of one address in line with the guest
 *
 * Context: takes mmu_lock.
 */
void umbra_sync_gva(struct umbra_mmu_vcpu *vcpu, u64 gva);

#endif /* _UMBRA_MMU_SYNC_H */
