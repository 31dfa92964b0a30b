// SPDX-License-Identifier: GPL-2.0
/*
 * Filling shadow pages ahead of faults.
 *
 *	guest table	.  P  P  P  .  .  P  P     present and used
 *			   ---run---      -run     one gfn after the other
 *	host		   h  h  .        h  h     one lookup per run
 *	spte		   x  x           x  x
 *
 * Nothing is brought in for it. A run ends where the host lacks a page. What is
 * looked up under mmu_lock, while no invalidation is going on, cannot be taken
 * back before it is installed: an invalidation begins with mmu_lock for write.
 *
 * Faults do this with mmu_lock held for read and the page's lock, so that others may
 * fill other tables meanwhile.
 */
#include <linux/kvm.h>
#include <linux/minmax.h>
#include "direct.h"
#include "gpte.h"
#include "leaf.h"
#include "sync.h"
#include "walk.h"

/* An aligned group around the fault, in pages; direct ones are cheap to find. */
#define GROUP		8
#define DIRECT_GROUP	32

/* Give up after so many lookups that found less than was asked for. */
#define MAX_MISSES	8

static const struct umbra_format *const fmt = &umbra_format_shadow;

void umbra_fill_init(struct umbra_fill *f, struct umbra_mmu_vcpu *vcpu,
		     struct umbra_shadow_page *sp, bool shared)
{
	lockdep_assert_held(&vcpu->mmu->lock);
	f->vcpu = vcpu;
	f->sp = sp;
	f->shared = shared;
	f->fresh = false;
	f->changed = false;
	f->guarded = false;
	f->misses = 0;
	f->nr = 0;
	/* A page that is being taken back must not be mapped again. */
	f->stopped = vcpu->mmu->invalidate_count ||
		     (umbra_unsync_sleeps(sp) && !umbra_unsync_may_wake(sp));
}

/* Return: false when rmap nodes have run out. */
static bool install(struct umbra_fill *f, unsigned int i, const struct umbra_hostpage *hp,
		    u32 *dirty)
{
	struct umbra_target t = { .gfn = f->grant[i].gfn, .slot = f->slot, .hp = *hp };
	u64 *sptep = &f->sp->spt[f->first + i];
	bool done;
	u64 spte;

	spte = umbra_leaf_make(f->sp, &f->grant[i], &t, umbra_target_writable(&t));
	if (f->fresh)
		spte &= ~fmt->accessed;
	if (f->shared) {
		done = umbra_leaf_fill(f->vcpu, sptep, spte, &f->grant[i], &t, RMAP_RESERVE);
		f->guarded = !done && umbra_direct_guards(f->vcpu->mmu, f->grant[i].access, spte);
	} else {
		done = umbra_leaf_set(f->vcpu, sptep, spte, &f->grant[i], &t, RMAP_RESERVE);
	}
	*dirty |= (u32)t.dirty << i;
	return done;
}

/*
 * What maps a frame already has its host page: as long as it is there, the host has
 * not taken the page back. One that is writable says that it may be written to.
 * Return: false when nothing helps.
 */
static bool borrow(struct umbra_fill *f, unsigned int index, const struct umbra_grant *grant)
{
	const u64 *donor = umbra_rmap_first(umbra_slot_rmap(f->slot, grant->gfn));
	u64 spte = donor ? READ_ONCE(*donor) : fmt->none;
	u32 dirty = 0;

	if (!umbra_spte_present(fmt, spte) || umbra_spte_page(donor)->role.level > 1)
		return false;
	if (!(spte & fmt->write) && (grant->access & WALK_ACC_WRITE) && grant->dirty)
		return false;
	umbra_fill_flush(f);
	f->first = index;
	f->grant[0] = *grant;
	f->stopped = f->stopped || !install(f, 0, &(struct umbra_hostpage) {
		.pfn = umbra_spte_pfn(spte),
		.writable = spte & fmt->write,
	}, &dirty);
	return true;
}

void __umbra_fill_flush(struct umbra_fill *f)
{
	struct umbra_hostpage hp[FILL_RUN] UMBRA_SCRATCH;
	unsigned int i, got, nr = f->nr;
	u32 dirty = 0;

	f->nr = 0;
	got = umbra_hostpages_get_present(f->slot, f->grant[0].gfn, nr,
					  !(f->slot->flags & KVM_MEM_READONLY), hp);
	for (i = 0; i < got && !f->stopped; i++)
		f->stopped = !install(f, i, &hp[i], &dirty);
	umbra_hostpages_put(hp, got, dirty);
	if (got < nr && ++f->misses == MAX_MISSES)
		f->stopped = true;
}

void umbra_fill_add(struct umbra_fill *f, unsigned int index, const struct umbra_grant *grant)
{
	bool joins = f->nr && f->nr < FILL_RUN && index == f->first + f->nr &&
		     grant->gfn == f->grant[f->nr - 1].gfn + 1 &&
		     umbra_memslot_has(f->slot, grant->gfn);

	if (!joins) {
		umbra_fill_flush(f);
		f->slot = umbra_gfn_to_slot(f->vcpu->mmu, grant->gfn);
		if (f->stopped || !f->slot || !f->slot->rmap)
			return;
		if (borrow(f, index, grant))
			return;
		f->first = index;
	}
	f->grant[f->nr++] = *grant;
}

static void prefetch_direct(struct umbra_fill *f, unsigned int index)
{
	const struct umbra_shadow_page *sp = f->sp;
	struct umbra_grant grant = {
		.access = umbra_role_access(sp->role), .dirty = !sp->role.clean,
	};
	const struct umbra_memslot *slot = umbra_gfn_to_slot(f->vcpu->mmu, sp->gfn + index);
	unsigned int i = index & ~(DIRECT_GROUP - 1), end = i + DIRECT_GROUP;

	/* Finding out that a frame has no slot takes as long as any search gets. */
	if (!slot)
		return;
	if (slot->base_gfn > sp->gfn + i)
		i = slot->base_gfn - sp->gfn;
	end = min_t(gfn_t, end, slot->base_gfn + slot->npages - sp->gfn);
	for (; i < end; i++) {
		if (umbra_spte_present(fmt, READ_ONCE(sp->spt[i])))
			continue;
		grant.gfn = sp->gfn + i;
		umbra_fill_add(f, i, &grant);
	}
}

static void prefetch_table(struct umbra_fill *f, unsigned int first, unsigned int nr)
{
	struct umbra_shadow_page *sp = f->sp;
	u64 reserved = umbra_gpte_always_reserved(f->vcpu);
	struct umbra_grant grant;
	u64 gpte[FILL_RUN] UMBRA_SCRATCH;
	unsigned int i;

	if (umbra_gpte_read(f->vcpu->mmu, sp, first, nr, gpte))
		return;
	for (i = 0; i < nr; i++) {
		if (!(gpte[i] & GPTE_PRESENT))
			umbra_hole_dig(sp, first + i);
		else if (!umbra_spte_present(fmt, READ_ONCE(sp->spt[first + i])) &&
			 umbra_grant_read(sp, gpte[i], reserved, &grant))
			umbra_fill_add(f, first + i, &grant);
	}
}

/* All of a table, a part at a time. */
static void scan(struct umbra_fill *f)
{
	struct umbra_shadow_page *sp = f->sp;

	while (umbra_prefetch_unfinished(sp) && !f->stopped) {
		prefetch_table(f, sp->scanned, FILL_RUN);
		umbra_fill_flush(f);
		if (f->guarded)
			return;
		sp->scanned += FILL_RUN;
		if (f->shared && rwlock_is_contended(&f->vcpu->mmu->lock))
			return;
	}
	sp->scanned = TABLE_ENTRIES;
}

bool umbra_prefetch(struct umbra_mmu_vcpu *vcpu, struct umbra_shadow_page *sp,
		    unsigned int index, bool shared)
{
	struct umbra_fill f UMBRA_SCRATCH;

	umbra_fill_init(&f, vcpu, sp, shared);
	if (sp->role.direct)
		prefetch_direct(&f, index);
	else if (umbra_prefetch_unfinished(sp))
		scan(&f);
	else
		prefetch_table(&f, index & ~(GROUP - 1), GROUP);
	umbra_fill_flush(&f);
	return f.guarded;
}
