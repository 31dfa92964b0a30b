/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory as the host sees it: pages behind a slot, and copies to and
 * from guest physical addresses. Implemented by core/hostmem.c; the unit tests
 * of mmu/ bring their own.
 */
#ifndef _UMBRA_HOSTMEM_H
#define _UMBRA_HOSTMEM_H

#include <umbra/types.h>

struct page;
struct umbra_mmu;
struct umbra_mmu_vcpu;
struct umbra_memslot;

/**
 * struct umbra_hostpage - a host page that a fault is about to map
 * @pfn: host frame
 * @page: reference to drop with umbra_hostpage_put(), NULL for PFNMAP
 * @writable: the host allows writes now
 */
struct umbra_hostpage {
	kvm_pfn_t pfn;
	struct page *page;
	bool writable;
};

/**
 * umbra_hostpage_get() - bring in and pin the host page behind a guest frame
 * @slot: the slot that holds @gfn
 * @gfn: guest frame number
 * @write: the guest wants to write (breaks COW)
 * @out: filled on success; @out->writable may be true for reads too
 *
 * Context: may sleep; mm is current->mm; no spinlock held.
 * Return: 0, -EFAULT (no such memory, or not with these rights), -EHWPOISON,
 * -EINTR (signal pending), -ENOMEM.
 */
int umbra_hostpage_get(const struct umbra_memslot *slot, gfn_t gfn, bool write,
		       struct umbra_hostpage *out);

/**
 * umbra_hostpage_bring_in() - umbra_hostpage_get() for a page that is not there
 *
 * The same, without the attempt that needs no lock: for callers who have made
 * it, with umbra_hostpages_get_present().
 */
int umbra_hostpage_bring_in(const struct umbra_memslot *slot, gfn_t gfn, bool write,
			    struct umbra_hostpage *out);

/**
 * umbra_hostpage_put() - drop the reference taken by umbra_hostpage_get()
 * @hp: the page
 * @dirty: the guest may write to it through a new mapping
 *
 * Context: any.
 */
void umbra_hostpage_put(struct umbra_hostpage *hp, bool dirty);

/* Most pages that umbra_hostpages_get_present() takes at a time. */
#define UMBRA_HOSTPAGES_MAX	32

/**
 * umbra_hostpages_get_present() - pin pages that the host has at hand
 * @slot: the slot that holds all of the frames
 * @gfn: first guest frame
 * @nr: how many, at most UMBRA_HOSTPAGES_MAX
 * @write: only pages that the host allows writes to now; not for read-only
 *	slots
 * @out: filled for the pages that were found; @out->writable is @write
 *
 * Brings nothing in and breaks no COW. Stops at the first frame that is not
 * there, or not with these rights, or without a struct page.
 *
 * Context: any, also with mmu->lock held; mm is current->mm.
 * Return: how many consecutive pages from @gfn on were pinned.
 */
unsigned int umbra_hostpages_get_present(const struct umbra_memslot *slot, gfn_t gfn,
					 unsigned int nr, bool write, struct umbra_hostpage *out);

/**
 * umbra_hostpages_put() - drop the references of umbra_hostpages_get_present()
 * @hp: the pages
 * @nr: how many
 * @dirty: bit per page: the guest may write to it through a new mapping
 *
 * Unlike umbra_hostpage_put() does not take the pages for accessed.
 * Context: any.
 */
void umbra_hostpages_put(struct umbra_hostpage *hp, unsigned int nr, u32 dirty);

/**
 * umbra_hostpage_level() - how large the host maps the page behind a frame now
 * @slot: the slot that holds @gfn
 * @gfn: guest frame number
 *
 * Holds as long as no mmu_notifier call meets the page.
 *
 * Context: any; mm is current->mm.
 * Return: 1 for 4 KiB or nothing, 2 for 2 MiB, 3 for 1 GiB.
 */
unsigned int umbra_hostpage_level(const struct umbra_memslot *slot, gfn_t gfn);

/**
 * umbra_guest_read() - copy from guest physical memory
 * @mmu: the VM's MMU; the caller holds mmu->srcu
 * @gpa: guest physical address; may cross pages and slots
 * @data: destination
 * @len: bytes
 *
 * Context: may sleep.
 * Return: 0, or -EFAULT when a part has no memory behind it.
 */
int umbra_guest_read(struct umbra_mmu *mmu, gpa_t gpa, void *data, unsigned int len);

/**
 * umbra_guest_hva() - where the host keeps a guest physical address
 * @mmu: the VM's MMU; the caller holds mmu->srcu
 * @gpa: guest physical address
 *
 * Return: the host virtual address, good as long as the set of slots is the same;
 * 0 without a slot.
 */
hva_t umbra_guest_hva(struct umbra_mmu *mmu, gpa_t gpa);

/**
 * umbra_hva_read64() - read an aligned word of guest memory
 * @hva: from umbra_guest_hva()
 * @value: out
 *
 * Context: may sleep; mm is current->mm.
 * Return: 0 or -EFAULT.
 */
int umbra_hva_read64(hva_t hva, u64 *value);

/**
 * umbra_guest_read_atomic() - umbra_guest_read() without sleeping
 * @mmu: the VM's MMU; the caller holds mmu->srcu
 * @gpa: guest physical address; does not cross a page
 * @data: destination
 * @len: bytes; 4 or 8 when aligned are read in one access
 *
 * Context: any, also with mmu->lock held; mm is current->mm.
 * Return: 0, or -EFAULT when there is no memory or the host would have to
 * bring it in first.
 */
int umbra_guest_read_atomic(struct umbra_mmu *mmu, gpa_t gpa, void *data, unsigned int len);

/**
 * umbra_guest_write() - copy to guest physical memory
 * @vcpu: on whose behalf; the caller holds mmu->srcu
 * @gpa: guest physical address; may cross pages and slots
 * @data: source
 * @len: bytes
 *
 * As umbra_guest_read(); logs the writes. Read-only slots give -EFAULT.
 * Does not inform the write tracker: callers that emulate a guest's write go
 * through umbra_mmu_guest_write().
 */
int umbra_guest_write(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *data,
		      unsigned int len);

/**
 * umbra_guest_write_atomic() - umbra_guest_write() without sleeping
 * @gpa: guest physical address; does not cross a page
 * @len: bytes; 4 or 8 when aligned are written in one access
 *
 * Context: any, also with mmu->lock held; mm is current->mm.
 * Return: 0, or -EFAULT when there is no such memory or the host would have to
 * bring it in, or copy it, first.
 */
int umbra_guest_write_atomic(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *data,
			     unsigned int len);

/**
 * umbra_guest_cmpxchg() - atomic compare-exchange on guest physical memory
 * @vcpu: on whose behalf; the caller holds mmu->srcu
 * @gpa: guest physical address, aligned to @len
 * @old: expected value; receives the value found when it differs
 * @new: new value
 * @len: 1, 2, 4 or 8 bytes
 *
 * Context: may sleep.
 * Return: 0 when exchanged, -EAGAIN when the value differed, -EFAULT.
 */
int umbra_guest_cmpxchg(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, u64 *old, u64 new,
			unsigned int len);

/**
 * umbra_guest_cmpxchg_atomic() - umbra_guest_cmpxchg() without sleeping
 *
 * Context: as umbra_guest_write_atomic().
 * Return: 0, -EAGAIN, or -EFAULT also when the host would have to bring it in.
 */
int umbra_guest_cmpxchg_atomic(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, u64 *old, u64 new,
			       unsigned int len);

/**
 * umbra_guest_cmpxchg16_atomic() - the same with 16 bytes
 * @gpa: guest physical address, aligned to 16
 * @old: expected value
 * @new: new value
 *
 * Context: as umbra_guest_write_atomic().
 * Return: 0, -EAGAIN when the value differed, -EFAULT.
 */
int umbra_guest_cmpxchg16_atomic(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const u64 old[2],
				 const u64 new[2]);

/**
 * umbra_mark_dirty() - log a write to a guest frame
 * @vcpu: who writes, or is written for; called by its thread
 * @slot: the slot that holds @gfn, umbra_memslot_logged()
 * @gfn: guest frame number
 *
 * After the write or before the right to make it is given: never between.
 *
 * Context: any, also with interrupts off.
 */
void umbra_mark_dirty(struct umbra_mmu_vcpu *vcpu, const struct umbra_memslot *slot, gfn_t gfn);

#endif /* _UMBRA_HOSTMEM_H */
