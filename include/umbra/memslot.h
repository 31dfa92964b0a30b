/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory slots: which guest frames exist and where the host keeps them.
 *
 * A VM has two sets with the same slots. One is published and not changed;
 * readers hold mmu->srcu. A writer holds the VM's slots_lock, changes the other
 * one, publishes that, waits for readers and makes the same change to the first.
 * So a change costs what two tree operations cost, and no memory.
 */
#ifndef _UMBRA_MEMSLOT_H
#define _UMBRA_MEMSLOT_H

#include <linux/interval_tree.h>
#include <linux/kvm.h>
#include <linux/rbtree.h>
#include <umbra/types.h>

struct umbra_mmu;
struct umbra_large;
struct umbra_rmap_head;

/**
 * struct umbra_memslot_node - a slot's place in one set
 * @gfn: in umbra_memslots.by_gfn
 * @hva: in umbra_memslots.by_hva
 */
struct umbra_memslot_node {
	struct rb_node gfn;
	struct interval_tree_node hva;
};

/**
 * struct umbra_memslot - one range of guest frames
 * @base_gfn: first guest frame
 * @npages: length in 4 KiB pages, never zero in a published set
 * @hva: host virtual address of the first byte
 * @flags: KVM_MEM_* as given by user space
 * @id: slot number of user space (address space 0 only)
 * @dirty_bitmap: one bit per page when KVM_MEM_LOG_DIRTY_PAGES is set and the
 *        VM has no dirty rings
 * @rmap: per page, the sptes of the shadow family that map it (mmu/rmap.h); NULL
 *        until the VM first shadows a table
 * @track: per page, how many shadow pages ask for write protection (mmu_lock
 *         for write to change); NULL together with @rmap
 * @large: per aligned 2 MiB, see mmu/large.h; NULL together with @rmap
 * @node: places in the VM's two sets (slots_lock)
 *
 * @rmap, @track and @large belong to mmu/, which allocates and frees them.
 */
struct umbra_memslot {
	gfn_t base_gfn;
	unsigned long npages;
	hva_t hva;
	u32 flags;
	u16 id;
	unsigned long *dirty_bitmap;
	struct umbra_rmap_head *rmap;
	u16 *track;
	struct umbra_large *large;
	struct umbra_memslot_node node[2];
};

/**
 * struct umbra_memslots - a set of slots
 * @generation: grows by one with each published set
 * @mmio_gen: grows by one when a set has memory where the one before had none;
 *	in entries that say that there is none (see mmu/mmio.h)
 * @npages: sum of all slots' lengths
 * @nr: how many slots
 * @index: which of a slot's nodes is in this set
 * @last: the slot that was found last, a hint without a lock
 * @before_last: the one before; guests have their tables in one slot and what they
 *	use in another
 * @by_gfn: slots by frame; they do not overlap
 * @by_hva: slots by host address; these may
 */
struct umbra_memslots {
	u64 generation;
	u64 mmio_gen;
	u64 npages;
	unsigned int nr;
	unsigned int index;
	struct umbra_memslot *last;
	struct umbra_memslot *before_last;
	struct rb_root by_gfn;
	struct rb_root_cached by_hva;
};

/*
 * Entries for MMIO hold this many bits of umbra_memslots.mmio_gen. A VM begins
 * shortly before they wrap, so that what has to happen then happens soon.
 */
#define UMBRA_MMIO_GEN_BITS	17
#define UMBRA_MMIO_GEN_FIRST	((1ull << UMBRA_MMIO_GEN_BITS) - 64)

/**
 * umbra_mmio_gen_next() - the generation of the set after @gen
 * @gen: umbra_memslots.mmio_gen of the published set
 * @drop: slot to take out, or NULL
 * @add: slot to put in, or NULL
 */
u64 umbra_mmio_gen_next(u64 gen, const struct umbra_memslot *drop,
			const struct umbra_memslot *add);

/* Entries may be left that hold the same bits and are much older. */
static inline bool umbra_mmio_gen_wrapped(u64 gen)
{
	return !(gen & ((1ull << UMBRA_MMIO_GEN_BITS) - 1));
}

/**
 * umbra_memslots_init() - make an empty set
 * @slots: the set
 * @index: 0 or 1; the VM's other set has the other one
 */
void umbra_memslots_init(struct umbra_memslots *slots, unsigned int index);

/**
 * umbra_memslot_find() - the slot that holds a guest frame
 * @slots: a published set; the caller holds mmu->srcu or slots_lock
 * @gfn: guest frame number
 *
 * Context: any. Does not sleep.
 * Return: the slot, or NULL when no slot has @gfn.
 */
struct umbra_memslot *umbra_memslot_find(struct umbra_memslots *slots, gfn_t gfn);

/**
 * umbra_gfn_to_slot() - like umbra_memslot_find(), in the current set of @mmu
 * @mmu: the VM's MMU; the caller holds mmu->srcu or slots_lock
 * @gfn: guest frame number
 */
struct umbra_memslot *umbra_gfn_to_slot(struct umbra_mmu *mmu, gfn_t gfn);

/**
 * umbra_memslots_current() - the published set of @mmu
 * @mmu: the VM's MMU; the caller holds mmu->srcu or slots_lock
 */
struct umbra_memslots *umbra_memslots_current(struct umbra_mmu *mmu);

/**
 * umbra_memslots_overlap() - is a part of a range taken?
 * @slots: a set
 * @base: first gfn
 * @npages: length, not zero
 * @skip: a slot that does not count, or NULL
 */
bool umbra_memslots_overlap(const struct umbra_memslots *slots, gfn_t base,
			    unsigned long npages, const struct umbra_memslot *skip);

/**
 * umbra_memslots_replace() - change a set
 * @slots: a set that nobody reads; the generation is the caller's to set
 * @drop: slot to take out, or NULL
 * @add: slot to put in, or NULL; overlaps nothing but @drop
 *
 * Context: slots_lock held. O(log n), needs no memory.
 */
void umbra_memslots_replace(struct umbra_memslots *slots, struct umbra_memslot *drop,
			    struct umbra_memslot *add);

/**
 * umbra_memslots_first() - the slot with the lowest frames
 * @slots: a set; the caller holds mmu->srcu or slots_lock
 *
 * Return: the slot, or NULL in an empty set.
 */
struct umbra_memslot *umbra_memslots_first(const struct umbra_memslots *slots);

/**
 * umbra_memslots_next() - the slot above another one
 * @slots: the set that both are in
 * @slot: a slot of it
 */
struct umbra_memslot *umbra_memslots_next(const struct umbra_memslots *slots,
					  const struct umbra_memslot *slot);

#define umbra_memslots_for_each(slot, slots)					\
	for (slot = umbra_memslots_first(slots); slot;				\
	     slot = umbra_memslots_next(slots, slot))

/**
 * umbra_memslots_first_hva() - a slot with memory in a range of host addresses
 * @slots: a set; the caller holds mmu->srcu or slots_lock
 * @start: first address
 * @last: last address
 *
 * O(log n). Slots come in the order of their first addresses.
 * Return: the first one, or NULL.
 */
struct umbra_memslot *umbra_memslots_first_hva(struct umbra_memslots *slots, hva_t start,
					       hva_t last);

/**
 * umbra_memslots_next_hva() - the one after @slot
 */
struct umbra_memslot *umbra_memslots_next_hva(struct umbra_memslots *slots,
					      struct umbra_memslot *slot, hva_t start,
					      hva_t last);

#define umbra_memslots_for_each_hva(slot, slots, start, last)			\
	for (slot = umbra_memslots_first_hva(slots, start, last); slot;		\
	     slot = umbra_memslots_next_hva(slots, slot, start, last))

static inline bool umbra_memslot_has(const struct umbra_memslot *slot, gfn_t gfn)
{
	return gfn >= slot->base_gfn && gfn - slot->base_gfn < slot->npages;
}

/* Are writes to the slot logged, in a bitmap or in rings? */
static inline bool umbra_memslot_logged(const struct umbra_memslot *slot)
{
	return slot->flags & KVM_MEM_LOG_DIRTY_PAGES;
}

static inline hva_t umbra_memslot_hva(const struct umbra_memslot *slot, gfn_t gfn)
{
	return slot->hva + ((hva_t)(gfn - slot->base_gfn) << UMBRA_PAGE_SHIFT);
}

#endif /* _UMBRA_MEMSLOT_H */
