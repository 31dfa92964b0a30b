// SPDX-License-Identifier: GPL-2.0
/*
 * Leaving shadow pages behind and bringing them back in line, see sync.h.
 *
 *	root	  [ . . x . . ]		x: the link leads to an unsync page
 *			|
 *	level 3	  [ . x . . . ]
 *		      |
 *	level 2	  [ . . x x . ]
 *			| |
 *	level 1	      A   B		unsync: their guest tables are writable
 *
 * Bringing back protects all guest tables that are found below, pays once for
 * it, and only then reads them: what a guest writes later faults. Where the marks to be
 * followed are very many, which takes a guest that means it, all unsync pages that there
 * are lose their entries: then they are in line, too.
 *
 * Entries that still agree with the guest's stay as they are, and those that
 * only lose rights stay mapped. What the guest has put in place of others, or made
 * writable, is mapped at once when the host has it at hand, since it is mostly
 * used next.
 *
 * An INVLPG that exits compares the entry of a tracked table too. That is no way to
 * learn what user space or a device has written into one, which nobody sees: with
 * all pages in sync INVLPG does not exit (direct.h). For the same reason loading
 * CR3 looks at unsync pages only.
 */
#include <linux/minmax.h>
#include <umbra/hostmem.h>
#include "direct.h"
#include "gpte.h"
#include "leaf.h"
#include "sync.h"
#include "track.h"
#include "walk.h"

/* INVLPGs in a row after which leaves are dropped, and how many for each of them. */
#define INVLPG_RUN	2
#define INVLPG_DROPS	8

static const struct umbra_format *const fmt = &umbra_format_shadow;

/* Take from @spte what @grant does not have. The right to write is not added. */
static u64 reduce(u64 spte, const struct umbra_grant *grant)
{
	if (!(grant->access & WALK_ACC_WRITE) || !grant->dirty)
		spte &= ~(PT_WRITE | PT_DIRTY);
	spte &= ~(PT_USER | PT_NX | PT_KEY);
	spte |= umbra_leaf_key(grant->access);
	if (grant->access & WALK_ACC_USER)
		spte |= PT_USER;
	if (!(grant->access & WALK_ACC_EXEC))
		spte |= PT_NX;
	return spte;
}

/* Let an entry follow the guest's. False: it has to go, whatever replaces it. */
static bool adapt(struct umbra_fill *f, unsigned int index, const struct umbra_grant *grant)
{
	struct umbra_shadow_page *sp = f->sp;
	u64 old = umbra_spte_resumed(READ_ONCE(sp->spt[index])), was = sp->entry[index], new = old;
	u64 entry = umbra_shadow_entry(grant->gfn, grant->access, grant->dirty);

	if (was != entry) {
		if (umbra_shadow_leaf_gfn(sp, index) != grant->gfn || umbra_spte_mmio(old))
			return false;
		/* Made for a supervisor's write with CR0.WP = 0. */
		if ((old & PT_WRITE) && !(was & WALK_ACC_WRITE))
			return false;
		/* The guest has just made it writable: ask the host for the same. */
		if ((entry & ~was & (WALK_ACC_WRITE | SHADOW_ENTRY_DIRTY)) &&
		    (grant->access & WALK_ACC_WRITE) && grant->dirty)
			return false;
		new = reduce(old, grant);
	}
	/* In an entry for MMIO the flag is part of the generation. */
	if (f->fresh && !umbra_spte_mmio(old))
		new &= ~PT_ACCESSED;
	if (new == READ_ONCE(sp->spt[index]) && was == entry)
		return true;
	f->changed = true;
	umbra_leaf_replace(f->vcpu->mmu, &sp->spt[index], new, grant);
	return true;
}

void umbra_sync_entry(struct umbra_fill *f, unsigned int index, u64 gpte, u64 reserved)
{
	struct umbra_shadow_page *sp = f->sp;
	struct umbra_grant grant;
	bool granted = umbra_grant_read(sp, gpte, reserved, &grant);
	u64 spte = READ_ONCE(sp->spt[index]);

	if (umbra_spte_present(fmt, spte) || umbra_spte_suspended(spte)) {
		if (granted && adapt(f, index, &grant))
			return;
		umbra_shadow_drop(f->vcpu->mmu, &sp->spt[index]);
		f->changed = true;
	}
	if (granted)
		umbra_fill_add(f, index, &grant);
	else if (!(gpte & GPTE_PRESENT))
		umbra_hole_dig(sp, index);
}

static void sync_entries(struct umbra_fill *f, unsigned int first, unsigned int nr)
{
	struct umbra_shadow_page *sp = f->sp;
	u64 reserved = umbra_gpte_always_reserved(f->vcpu);
	u64 gpte[FILL_RUN] UMBRA_SCRATCH;
	unsigned int i;

	if (umbra_gpte_read(f->vcpu->mmu, sp, first, nr, gpte)) {
		/* What cannot be read grants nothing, but is no hole. */
		for (i = 0; i < nr; i++)
			gpte[i] = GPTE_PRESENT;
	}
	for (i = 0; i < nr; i++)
		umbra_sync_entry(f, first + i, gpte[i], reserved);
	umbra_fill_flush(f);
}

static bool any_present(const struct umbra_shadow_page *sp, unsigned int first, unsigned int nr)
{
	unsigned int i;

	for (i = first; i < first + nr; i++)
		if (umbra_spte_present(fmt, READ_ONCE(sp->spt[i])))
			return true;
	return false;
}

static bool sync_page(struct umbra_mmu_vcpu *vcpu, struct umbra_shadow_page *sp)
{
	struct umbra_fill f UMBRA_SCRATCH;
	unsigned int first;

	umbra_fill_init(&f, vcpu, sp, false);
	for (first = 0; first < TABLE_ENTRIES; first += FILL_RUN)
		if (any_present(sp, first, FILL_RUN))
			sync_entries(&f, first, FILL_RUN);
	return f.changed;
}

/* What is to be brought in line, and how. */
struct collection {
	struct list_head todo;
	unsigned int left;	/* marks that may still be followed */
	bool protected;		/* some tables were: flush before they are read */
};

/* Protect the guest's table again; it must not be read before the flush. */
static void protect(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	sp->unsync = false;
	list_del(&sp->unsync_link);
	sp->synced_turn = mmu->shadow->turn;
	sp->writes = 0;
	mmu->stat.mmu_unsync--;
	umbra_track_begin(mmu, umbra_shadow_slot(mmu, sp->gfn), sp->gfn);
}

static void begin_sync(struct umbra_mmu *mmu, struct umbra_shadow_page *sp,
		       struct collection *c)
{
	/* With no entries it is in line as it is. */
	if (!sp->unsync || !sp->nr_present)
		return;
	list_move_tail(&sp->link, &c->todo);
	if (umbra_unsync_stays(sp))
		return;
	protect(mmu, sp);
	c->protected = true;
}

/* Follow the marks, and take them away. */
static void collect(struct umbra_mmu *mmu, struct umbra_shadow_page *sp, struct collection *c)
{
	unsigned int i;

	begin_sync(mmu, sp, c);
	if (!sp->unsync_links)
		return;
	for_each_set_bit(i, sp->unsync_map, TABLE_ENTRIES) {
		if (!c->left)
			return;
		c->left--;
		collect(mmu, umbra_spte_child(READ_ONCE(sp->spt[i])), c);
		if (!c->left)
			return;
		__clear_bit(i, sp->unsync_map);
		sp->unsync_links--;
	}
}

/* Those that stay unsync are to be found again. */
static void mark_restless(struct umbra_mmu *mmu, struct collection *c)
{
	struct umbra_shadow_page *sp;

	list_for_each_entry(sp, &c->todo, link) {
		if (!sp->unsync || !sp->nr_present || umbra_unsync_mark(sp))
			continue;
		protect(mmu, sp);
		c->protected = true;
	}
}

void umbra_sync_loose_tree(struct umbra_mmu_vcpu *vcpu, struct umbra_shadow_page *sp)
{
	struct collection c = { .left = MARKS_MAX };
	struct umbra_mmu *mmu = vcpu->mmu;
	bool changed;

	lockdep_assert_held_write(&mmu->lock);
	INIT_LIST_HEAD(&c.todo);
	mmu->shadow->turn++;
	collect(mmu, sp, &c);
	if (!c.left)
		umbra_unsync_empty_all(mmu);
	mark_restless(mmu, &c);
	if (c.protected)
		umbra_mmu_flush(mmu);
	list_for_each_entry(sp, &c.todo, link) {
		changed = sync_page(vcpu, sp);
		if (sp->unsync)
			umbra_unsync_refreshed(sp, changed);
	}
	list_splice(&c.todo, &mmu->shadow->active);
}

void umbra_sync_sleeping(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	protect(mmu, sp);
	umbra_mmu_flush(mmu);
}

/* The entry of level 1 for @gva in a guest's table, if the shadow leads to one. */
static u64 *find_entry(struct umbra_mmu_vcpu *vcpu, u64 gva)
{
	struct umbra_shadow_page *sp = vcpu->shadow_root;

	while (sp && !sp->role.invalid && !sp->role.direct) {
		unsigned int index = umbra_table_index(gva >> UMBRA_PAGE_SHIFT, sp->role.level);
		u64 spte = READ_ONCE(sp->spt[index]);

		if (sp->role.level == 1)
			return &sp->spt[index];
		if (!umbra_spte_present(fmt, spte) || umbra_spte_leaf(spte))
			break;
		sp = umbra_spte_child(spte);
	}
	return NULL;
}

/* @fresh: leave it to the CPU to mark the entry as used. */
static void sync_gva(struct umbra_mmu_vcpu *vcpu, u64 gva, bool fresh)
{
	u64 *sptep = find_entry(vcpu, gva);
	struct umbra_fill f UMBRA_SCRATCH;

	if (!sptep)
		return;
	umbra_fill_init(&f, vcpu, umbra_spte_page(sptep), false);
	f.fresh = fresh;
	sync_entries(&f, umbra_spte_index(sptep), 1);
}

void umbra_sync_gva(struct umbra_mmu_vcpu *vcpu, u64 gva)
{
	write_lock(&vcpu->mmu->lock);
	sync_gva(vcpu, gva, false);
	write_unlock(&vcpu->mmu->lock);
}

/* A guest that uses each page after its INVLPG would only fault for what is dropped. */
static bool uses_what_it_invalidates(struct umbra_mmu_vcpu *vcpu)
{
	const u64 *sptep = find_entry(vcpu, vcpu->invlpg_gva);
	u64 spte = sptep ? READ_ONCE(*sptep) : fmt->none;

	return umbra_spte_present(fmt, spte) && !umbra_spte_mmio(spte) && (spte & fmt->accessed);
}

void umbra_mmu_invlpg(struct umbra_mmu_vcpu *vcpu, u64 gva)
{
	vcpu->stat.invlpg++;
	/* With all in line there is nothing to do. */
	if (vcpu->family != UMBRA_FAMILY_SHADOW || (READ_ONCE(vcpu->direct) & UMBRA_DIRECT_INVLPG))
		return;
	/* What replaces the entry may need it; if not, a fault will do. */
	umbra_cache_topup(vcpu, UMBRA_FAMILY_SHADOW);
	write_lock(&vcpu->mmu->lock);
	if (vcpu->invlpg_run && uses_what_it_invalidates(vcpu))
		vcpu->invlpg_run = 0;
	vcpu->invlpg_run++;
	vcpu->invlpg_gva = gva;
	if (vcpu->invlpg_run < INVLPG_RUN ||
	    !umbra_unsync_empty(vcpu, INVLPG_DROPS * vcpu->invlpg_run))
		sync_gva(vcpu, gva, true);
	write_unlock(&vcpu->mmu->lock);
}
