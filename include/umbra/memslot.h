/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory slots: which guest frames exist and where the host keeps them.
 *
 * A set of slots is immutable once published. Readers hold mmu->srcu; writers
 * hold the VM's slots_lock, build a new set, publish it and wait for readers.
 */
#ifndef _UMBRA_MEMSLOT_H
#define _UMBRA_MEMSLOT_H

#include <umbra/types.h>

struct umbra_mmu;
struct umbra_rmap_head;

/**
 * struct umbra_memslot - one range of guest frames
 * @base_gfn: first guest frame
 * @npages: length in 4 KiB pages, never zero in a published set
 * @hva: host virtual address of the first byte
 * @flags: KVM_MEM_* as given by user space
 * @id: slot number of user space (address space 0 only)
 * @dirty_bitmap: one bit per page when KVM_MEM_LOG_DIRTY_PAGES is set
 * @rmap: per page, the sptes of the shadow family that map it (guarded by
 *        mmu_lock for write); NULL until the VM first shadows a table
 * @track: per page, how many shadow pages ask for write protection (mmu_lock
 *         for write to change); NULL together with @rmap
 *
 * @rmap and @track belong to mmu/, which allocates and frees them.
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
};

/**
 * struct umbra_memslots - one published set
 * @generation: grows by one with each published set
 * @nr: how many slots
 * @last: index of the slot that was found last, a hint without a lock
 * @slot: sorted by @base_gfn, not overlapping
 */
struct umbra_memslots {
	u64 generation;
	unsigned int nr;
	unsigned int last;
	struct umbra_memslot *slot[];
};

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
 * umbra_memslots_rebuild() - fill a new set from an old one
 * @to: room for the result
 * @from: the published set
 * @drop: slot to leave out, or NULL
 * @add: slot to put in, or NULL; overlaps nothing but @drop
 */
void umbra_memslots_rebuild(struct umbra_memslots *to, const struct umbra_memslots *from,
			    const struct umbra_memslot *drop, struct umbra_memslot *add);

static inline bool umbra_memslot_has(const struct umbra_memslot *slot, gfn_t gfn)
{
	return gfn >= slot->base_gfn && gfn - slot->base_gfn < slot->npages;
}

static inline hva_t umbra_memslot_hva(const struct umbra_memslot *slot, gfn_t gfn)
{
	return slot->hva + ((hva_t)(gfn - slot->base_gfn) << UMBRA_PAGE_SHIFT);
}

#endif /* _UMBRA_MEMSLOT_H */
