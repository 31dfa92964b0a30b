/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From a guest frame to the host page that a fault will map: common to both
 * families.
 *
 *	umbra_target_get()	no lock; finds slot and sequence, brings the
 *				page in (umbra_target_find() does the first
 *				half only)
 *	mmu_lock
 *	umbra_target_stale()	did the host take the page away meanwhile?
 *	... install, with umbra_target_writable() rights ...
 *	mmu_unlock
 *	umbra_target_put()
 *
 * The sequence is read before the page is looked up. An invalidation that
 * began before the lookup and is still running is seen by its hva range; one
 * that ended in between has changed the sequence; one that begins after the
 * check needs mmu_lock for write, and then finds the installed entry.
 */
#ifndef _UMBRA_MMU_FAULT_H
#define _UMBRA_MMU_FAULT_H

#include <linux/kvm.h>
#include <linux/mm.h>
#include <umbra/hostmem.h>
#include <umbra/mmu.h>
#include "track.h"

/**
 * struct umbra_target - what a fault is going to map
 * @gfn: guest frame
 * @write: the access is a write
 * @fetch: it is an instruction fetch
 * @level: size of the mapping; 1 is 4 KiB
 * @nx_level: tables in place of leaves up to this size are there because the guest
 *	executes; 0 when not
 * @in_way: EPT: out: something of another size is mapped there
 * @slot: the slot that holds @gfn
 * @hp: the host page
 * @seq: mmu->invalidate_seq from before the lookup
 * @dirty: a writable entry was installed
 * @mmio_gen: shadow: umbra_mmio_gen() from before the look for @slot
 */
struct umbra_target {
	gfn_t gfn;
	bool write;
	bool fetch;
	unsigned int level;
	unsigned int nx_level;
	bool in_way;
	struct umbra_memslot *slot;
	struct umbra_hostpage hp;
	unsigned long seq;
	bool dirty;
	u64 mmio_gen;
};

/**
 * umbra_target_find() - find the slot for a fault, and whether it may be mapped
 * @fault: gets ->mmio, ->tracked when the result is EMULATE
 * @t: @t->gfn and @t->write are set, all but @t->hp is filled in
 *
 * Return: 0 when a host page may be looked up for @t; else a result of the
 * fault other than FIXED.
 */
int umbra_target_find(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault,
		      struct umbra_target *t);

/**
 * umbra_target_get() - find and pin the host page for a fault
 * @fault: gets ->mmio, ->tracked when the result is EMULATE
 * @t: @t->gfn and @t->write are set, the rest is filled in
 *
 * Return: 0 when @t holds a page that umbra_target_put() releases; else a
 * result of the fault other than FIXED, or -errno.
 */
int umbra_target_get(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault,
		     struct umbra_target *t);
void umbra_target_put(struct umbra_target *t);

/* Context: mmu_lock held. */
bool umbra_target_stale(struct umbra_mmu *mmu, const struct umbra_target *t);

/* The same for @nr frames from @gfn on, all in the target's slot. */
bool umbra_target_range_stale(struct umbra_mmu *mmu, const struct umbra_target *t, gfn_t gfn,
			      unsigned long nr);

/* Do host, slot and tracking allow writes? Context: as below. */
static inline bool umbra_target_grants_write(const struct umbra_target *t)
{
	if (!t->hp.writable || (t->slot->flags & KVM_MEM_READONLY))
		return false;
	return !umbra_tracked(t->slot, t->gfn);
}

/* May the entry be writable, and logged writes fault? Context: mmu_lock held, for read at least. */
static inline bool umbra_target_writable(const struct umbra_target *t)
{
	/* While writes are logged, each page has to fault on its first one. */
	if (!t->write && umbra_memslot_logged(t->slot))
		return false;
	return umbra_target_grants_write(t);
}

/* Without a struct page it is a device's memory. */
static inline bool umbra_hostpage_uncached(const struct umbra_hostpage *hp)
{
	return !hp->page && !pfn_valid(hp->pfn);
}

static inline bool umbra_target_uncached(const struct umbra_target *t)
{
	return umbra_hostpage_uncached(&t->hp);
}

/* A writable entry is being installed. Context: mmu_lock held. */
static inline void umbra_target_set_dirty(struct umbra_mmu_vcpu *vcpu, struct umbra_target *t)
{
	t->dirty = true;
	if (umbra_memslot_logged(t->slot))
		umbra_mark_dirty(vcpu, t->slot, t->gfn);
}

/* Count what came of a fault. Context: no lock is held. */
void umbra_fault_count(struct umbra_mmu_vcpu *vcpu, int result);

#endif /* _UMBRA_MMU_FAULT_H */
