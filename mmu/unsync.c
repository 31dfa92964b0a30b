// SPDX-License-Identifier: GPL-2.0
/*
 * Letting go of tables of level 1, see sync.h.
 *
 * The links on the ways down to a page that is unsync are marked as long as it has
 * entries. Without any it says nothing that could be wrong: it is in line, and
 * nobody has to find it before it gets the next one.
 *
 * A guest that writes to one table between any two flushes, as Linux does when it
 * patches its code, would have it protected and let go each time. Such a page is
 * restless: it stays unsync, and what the guest may rely on after a flush is read
 * without protecting the table. What is read then is not older than the flush.
 *
 * With few tables a guest can make very many ways, all of which lead to one table. Where
 * they are too many to be marked, or looked at, the table is protected instead.
 */
#include <asm/processor-flags.h>
#include <linux/moduleparam.h>
#include "direct.h"
#include "sync.h"
#include "track.h"

static bool restless_tables = true;
module_param(restless_tables, bool, 0644);
MODULE_PARM_DESC(restless_tables,
		 "Shadow paging: no write protection for tables that are written after each flush (default: Y)");

/* Bounds how long bringing them all back takes. */
#define UNSYNC_MAX	512

/* A page that was let go right after it was brought back, so often, is restless. */
#define QUICK_MAX	3

/* One that was found unchanged so often is no longer. */
#define CALM_MAX	8

static const struct umbra_format *const fmt = &umbra_format_shadow;

static void mark_links(struct umbra_shadow_page *sp);

/* A link that is marked already has the ways to it marked. */
static void mark_link(u64 *sptep)
{
	struct umbra_shadow_page *parent = umbra_spte_page(sptep);

	if (__test_and_set_bit(umbra_spte_index(sptep), parent->unsync_map))
		return;
	if (!parent->unsync_links++)
		mark_links(parent);
}

static void mark_links(struct umbra_shadow_page *sp)
{
	u64 *sptep = umbra_rmap_single(&sp->parents);
	struct umbra_rmap_iter it;

	if (sptep) {
		mark_link(sptep);
		return;
	}
	umbra_rmap_for_each(sptep, &it, &sp->parents)
		mark_link(sptep);
}

/*
 * May the ways down to @sp be marked? A guest can make very many, of few tables. Takes
 * the links that have to be looked at off @left.
 */
static bool few_links(const struct umbra_shadow_page *sp, unsigned int *left)
{
	const struct umbra_shadow_page *parent, *last = NULL;
	struct umbra_rmap_iter it;
	u64 *sptep;

	/* Mostly there is one way. The first mark in a page has its own ways marked. */
	while ((sptep = umbra_rmap_single(&sp->parents))) {
		if (!*left)
			return false;
		--*left;
		sp = umbra_spte_page(sptep);
		if (sp->unsync_links)
			return true;
	}
	umbra_rmap_for_each(sptep, &it, &sp->parents) {
		if (!*left)
			return false;
		--*left;
		parent = umbra_spte_page(sptep);
		if (parent != last && !parent->unsync_links && !few_links(parent, left))
			return false;
		last = parent;
	}
	return true;
}

bool umbra_unsync_mark(struct umbra_shadow_page *sp)
{
	unsigned int left = MARKS_MAX;

	if (!few_links(sp, &left))
		return false;
	mark_links(sp);
	return true;
}

bool umbra_unsync_may_wake(const struct umbra_shadow_page *sp)
{
	unsigned int left = MARKS_MAX;

	return few_links(sp, &left);
}

bool umbra_unsync(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn)
{
	struct umbra_shadow_page *sp, *next;
	unsigned int left = MARKS_MAX;

	lockdep_assert_held_write(&mmu->lock);
	umbra_shadow_for_each_gfn(sp, next, mmu->shadow, gfn)
		if (!sp->unsync && (sp->role.level > 1 || !few_links(sp, &left)))
			return false;
	if (mmu->stat.mmu_unsync >= UNSYNC_MAX)
		return false;
	mmu->shadow->turn++;
	umbra_shadow_for_each_gfn(sp, next, mmu->shadow, gfn) {
		if (sp->unsync)
			continue;
		umbra_holes_forget(sp);
		sp->unsync = true;
		list_add(&sp->unsync_link, &mmu->shadow->unsync);
		mmu->stat.mmu_unsync++;
		if (sp->synced_turn + 1 != mmu->shadow->turn)
			sp->quick = 0;
		else if (sp->quick < QUICK_MAX)
			sp->quick++;
		if (sp->nr_present)
			mark_links(sp);
		umbra_track_del(mmu, slot, gfn);
	}
	umbra_direct_unsync(mmu);
	return true;
}

bool umbra_unsync_linked(struct umbra_mmu *mmu, u64 *sptep)
{
	const struct umbra_shadow_page *parent = umbra_spte_page(sptep);

	lockdep_assert_held_write(&mmu->lock);
	if (!parent->unsync_links && !umbra_unsync_may_wake(parent))
		return false;
	mark_link(sptep);
	umbra_direct_unsync(mmu);
	return true;
}

bool umbra_unsync_stays(const struct umbra_shadow_page *sp)
{
	/* With users' tables in line their faults need no exits, which is worth more. */
	return READ_ONCE(restless_tables) && sp->quick == QUICK_MAX && !sp->user;
}

void umbra_unsync_refreshed(struct umbra_shadow_page *sp, bool changed)
{
	sp->calm = changed ? 0 : sp->calm + 1;
	if (sp->calm == CALM_MAX) {
		sp->calm = 0;
		sp->quick = 0;
	}
}

void umbra_unsync_wake(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	lockdep_assert_held_write(&mmu->lock);
	mark_links(sp);
	umbra_direct_unsync(mmu);
}

/*
 * Have the unsync pages below few enough entries? Many ways may lead to one, which is
 * counted each time. Takes entries and links off what is left.
 */
static bool few_entries(const struct umbra_shadow_page *sp, unsigned int *entries,
			unsigned int *links)
{
	unsigned int i, n = sp->unsync ? sp->nr_present : 0;

	if (n > *entries)
		return false;
	*entries -= n;
	if (!sp->unsync_links)
		return true;
	for_each_set_bit(i, sp->unsync_map, TABLE_ENTRIES) {
		if (!*links)
			return false;
		--*links;
		if (!few_entries(umbra_spte_child(READ_ONCE(sp->spt[i])), entries, links))
			return false;
	}
	return true;
}

static void drop_leaves(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	unsigned int i;

	for (i = 0; i < TABLE_ENTRIES && sp->nr_present; i++)
		if (umbra_spte_present(fmt, READ_ONCE(sp->spt[i])))
			umbra_shadow_drop(mmu, &sp->spt[i]);
}

static void empty(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	unsigned int i;

	if (sp->unsync)
		drop_leaves(mmu, sp);
	if (!sp->unsync_links)
		return;
	for_each_set_bit(i, sp->unsync_map, TABLE_ENTRIES)
		empty(mmu, umbra_spte_child(READ_ONCE(sp->spt[i])));
	bitmap_zero(sp->unsync_map, TABLE_ENTRIES);
	sp->unsync_links = 0;
}

void umbra_unsync_empty_all(struct umbra_mmu *mmu)
{
	struct umbra_shadow_page *sp;

	lockdep_assert_held_write(&mmu->lock);
	list_for_each_entry(sp, &mmu->shadow->unsync, unsync_link)
		drop_leaves(mmu, sp);
}

void umbra_unsync_shed(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	unsigned int i;

	lockdep_assert_held_write(&mmu->lock);
	if (sp->unsync)
		drop_leaves(mmu, sp);
	/* Takes the mark away as well. */
	for_each_set_bit(i, sp->unsync_map, TABLE_ENTRIES)
		umbra_shadow_drop(mmu, &sp->spt[i]);
}

bool umbra_unsync_empty(struct umbra_mmu_vcpu *vcpu, unsigned int max)
{
	struct umbra_shadow_page *sp = vcpu->shadow_root;
	unsigned int links = MARKS_MAX;

	lockdep_assert_held_write(&vcpu->mmu->lock);
	/* Where each INVLPG exits all the same, it would only cost faults. */
	if (vcpu->direct == UMBRA_DIRECT_NONE || (vcpu->state.cr4 & X86_CR4_PCIDE))
		return false;
	if (!sp || sp->role.invalid || !few_entries(sp, &max, &links))
		return false;
	empty(vcpu->mmu, sp);
	umbra_direct_invlpg(vcpu);
	return true;
}
