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
 */
#include <linux/kvm.h>
#include <linux/minmax.h>
#include "leaf.h"
#include "walk.h"

/* An aligned group around the fault, in pages; direct ones are cheap to find. */
#define GROUP		8
#define DIRECT_GROUP	32
#define CHUNK		UMBRA_HOSTPAGES_MAX

/* Give up after so many lookups that found less than was asked for. */
#define MAX_MISSES	8

static const struct umbra_format *const fmt = &umbra_format_shadow;

/**
 * struct prefetch - one call of umbra_prefetch()
 * @vcpu: for its caches
 * @sp: the table
 * @reserved: umbra_gpte_always_reserved()
 * @misses: lookups that found too little, so far
 * @first: index of the first entry of the run
 * @nr: length of the run
 * @slot: where the run's frames are
 * @grant: per entry of the run
 */
struct prefetch {
	struct umbra_mmu_vcpu *vcpu;
	struct umbra_shadow_page *sp;
	u64 reserved;
	unsigned int misses;

	unsigned int first;
	unsigned int nr;
	struct umbra_memslot *slot;
	struct umbra_grant grant[CHUNK];
};

/* Return: false when rmap nodes have run out. */
static bool install(struct prefetch *p, unsigned int i, const struct umbra_hostpage *hp,
		    u32 *dirty)
{
	struct umbra_target t = { .gfn = p->grant[i].gfn, .slot = p->slot, .hp = *hp };
	u64 spte;

	if (!umbra_rmap_has_room(p->vcpu, umbra_slot_rmap(p->slot, t.gfn)))
		return false;
	spte = umbra_leaf_make(p->sp, &p->grant[i], &t, umbra_target_writable(&t));
	if (spte & fmt->write)
		*dirty |= 1u << i;
	umbra_leaf_set(p->vcpu, &p->sp->spt[p->first + i], spte, &p->grant[i], p->slot);
	return true;
}

/* Map the run. Return: false to stop altogether. */
static bool flush_run(struct prefetch *p)
{
	struct umbra_hostpage hp[CHUNK];
	unsigned int i, got, nr = p->nr;
	u32 dirty = 0;
	bool more = true;

	if (!nr)
		return true;
	p->nr = 0;
	got = umbra_hostpages_get_present(p->slot, p->grant[0].gfn, nr,
					  !(p->slot->flags & KVM_MEM_READONLY), hp);
	for (i = 0; more && i < got; i++)
		more = install(p, i, &hp[i], &dirty);
	umbra_hostpages_put(hp, got, dirty);
	if (got < nr && ++p->misses >= MAX_MISSES)
		return false;
	return more;
}

/* Add the entry to the run, or begin a new one with it. */
static bool add(struct prefetch *p, unsigned int index, const struct umbra_grant *grant)
{
	bool joins = p->nr && index == p->first + p->nr &&
		     grant->gfn == p->grant[p->nr - 1].gfn + 1 &&
		     umbra_memslot_has(p->slot, grant->gfn);

	if (!joins) {
		if (!flush_run(p))
			return false;
		p->slot = umbra_gfn_to_slot(p->vcpu->mmu, grant->gfn);
		if (!p->slot || !p->slot->rmap)
			return true;
		p->first = index;
	}
	p->grant[p->nr++] = *grant;
	return true;
}

static bool prefetch_chunk(struct prefetch *p, unsigned int first, unsigned int nr)
{
	const struct umbra_shadow_page *sp = p->sp;
	struct umbra_grant grant;
	u64 gpte[CHUNK];
	unsigned int i;

	if (!sp->role.direct &&
	    umbra_guest_read_atomic(p->vcpu->mmu, umbra_gfn_to_gpa(sp->gfn) + first * sizeof(u64),
				    gpte, nr * sizeof(u64)))
		return false;
	for (i = 0; i < nr; i++) {
		if (umbra_spte_present(fmt, sp->spt[first + i]))
			continue;
		if (sp->role.direct) {
			grant.gfn = sp->gfn + first + i;
			grant.access = sp->role.access;
			grant.dirty = !sp->role.clean;
		} else if (!umbra_grant_read(sp, gpte[i], p->reserved, &grant)) {
			continue;
		}
		if (!add(p, first + i, &grant))
			return false;
	}
	return flush_run(p);
}

void umbra_prefetch(struct umbra_mmu_vcpu *vcpu, struct umbra_shadow_page *sp,
		    unsigned int index)
{
	unsigned int nr = sp->role.direct ? DIRECT_GROUP : sp->scanned ? GROUP : TABLE_ENTRIES;
	unsigned int first = index & ~(nr - 1), end = first + nr;
	struct prefetch p;

	lockdep_assert_held_write(&vcpu->mmu->lock);
	if (vcpu->mmu->invalidate_count)
		return;
	p.vcpu = vcpu;
	p.sp = sp;
	p.reserved = umbra_gpte_always_reserved(vcpu);
	p.misses = 0;
	p.nr = 0;
	sp->scanned = true;
	for (; first < end; first += CHUNK)
		if (!prefetch_chunk(&p, first, min_t(unsigned int, end - first, CHUNK)))
			break;
}
