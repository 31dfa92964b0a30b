/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Leaves of shadow pages: from what the guest grants and what the host has to
 * an entry.
 */
#ifndef _UMBRA_MMU_LEAF_H
#define _UMBRA_MMU_LEAF_H

#include "fault.h"
#include "large.h"
#include "shadow.h"

/**
 * struct umbra_grant - what the guest's tables say about one 4 KiB page
 * @gfn: the page
 * @access: WALK_ACC_*, all levels together, with the key
 * @dirty: the guest's dirty flag is set
 */
struct umbra_grant {
	gfn_t gfn;
	u32 access;
	bool dirty;
};

/**
 * umbra_grant_read() - what an entry of a guest table of level 1 grants
 * @sp: the table's shadow, which has the rights of the levels above
 * @gpte: the entry
 * @reserved: umbra_gpte_always_reserved()
 * @grant: out
 *
 * Return: false when the guest's CPU could not have cached the entry: it is not
 * present, has reserved bits, or was never used.
 */
bool umbra_grant_read(const struct umbra_shadow_page *sp, u64 gpte, u64 reserved,
		      struct umbra_grant *grant);

/**
 * umbra_leaf_make() - the entry for a page
 * @sp: where it will stand
 * @grant: the guest's part
 * @t: the host's part; @t->write when it is made for a write
 * @writable: umbra_target_writable()
 */
u64 umbra_leaf_make(const struct umbra_shadow_page *sp, const struct umbra_grant *grant,
		    const struct umbra_target *t, bool writable);

/* Where a leaf keeps the key that comes with WALK_ACC_*. */
static inline u64 umbra_leaf_key(u32 access)
{
	return FIELD_PREP(PT_KEY, FIELD_GET(WALK_ACC_KEY, access));
}

/* Where leaves of @level that map @gfn are kept. */
static inline struct umbra_rmap_head *umbra_leaf_rmap(const struct umbra_memslot *slot,
						      gfn_t gfn, unsigned int level)
{
	return level == LARGE_LEVEL ? &umbra_slot_large(slot, gfn)->rmap :
				      umbra_slot_rmap(slot, gfn);
}

/* And counted. */
static inline atomic64_t *umbra_leaf_count(struct umbra_mmu *mmu, unsigned int level)
{
	return level == LARGE_LEVEL ? &mmu->stat.pages_2m : &mmu->stat.pages_4k;
}

/* Does an entry let this access through? */
bool umbra_leaf_allows(u64 spte, u32 access);

/**
 * umbra_leaf_set() - install an entry
 * @t: logged before the entry can be used, when that is writable
 * @reserve: as for umbra_rmap_add(): 0 when it has to be
 *
 * Replaces what is there.
 * Context: mmu_lock held for write.
 * Return: false when @vcpu's caches do not allow it; never with a @reserve of 0 and
 * caches that were filled.
 */
bool umbra_leaf_set(struct umbra_mmu_vcpu *vcpu, u64 *sptep, u64 spte,
		    const struct umbra_grant *grant, struct umbra_target *t,
		    unsigned int reserve);

/**
 * umbra_leaf_fill() - the same where there is no entry, or one for the same page
 *	with fewer rights
 *
 * Context: mmu_lock held, for read at least; then the lock of @sptep's page too.
 * Return: false also when it takes umbra_leaf_set(); nothing has happened then.
 */
bool umbra_leaf_fill(struct umbra_mmu_vcpu *vcpu, u64 *sptep, u64 spte,
		     const struct umbra_grant *grant, struct umbra_target *t,
		     unsigned int reserve);

/* Other rights for an entry that maps the page already. mmu_lock held for write. */
void umbra_leaf_replace(struct umbra_mmu *mmu, u64 *sptep, u64 spte,
			const struct umbra_grant *grant);

/* Was @sptep made from this grant and this host page? */
bool umbra_leaf_maps(const u64 *sptep, const struct umbra_grant *grant, kvm_pfn_t pfn);

/*
 * For arrays on the stack that are written before they are read: kernels that
 * are built to zero all of the stack would spend more on them than on the work.
 */
#define UMBRA_SCRATCH	__attribute__((__uninitialized__))

/* Longest run of entries that are filled with one lookup in the host. */
#define FILL_RUN	UMBRA_HOSTPAGES_MAX

/**
 * struct umbra_fill - entries of one table that are to be filled ahead of faults
 * @vcpu: whose caches are used
 * @sp: the table
 * @shared: mmu_lock is held for read, and the table's own lock: only what
 *	umbra_leaf_fill() does
 * @fresh: leave it to the CPU to mark the entries as used
 * @stopped: nothing more can be filled
 * @guarded: or only with mmu_lock held for write, see umbra_direct_guards()
 * @changed: an entry was not as it was to be
 * @misses: lookups that found less than was asked for
 * @first: index of the first entry of the run
 * @nr: length of the run
 * @slot: where the run's frames are
 * @grant: per entry of the run
 */
struct umbra_fill {
	struct umbra_mmu_vcpu *vcpu;
	struct umbra_shadow_page *sp;
	bool shared;
	bool fresh;
	bool stopped;
	bool guarded;
	bool changed;
	unsigned int misses;
	unsigned int first;
	unsigned int nr;
	struct umbra_memslot *slot;
	struct umbra_grant grant[FILL_RUN];
};

/*
 * Entries are added in rising order, those that are present only to gain rights
 * to the same frame. Neighbours whose frames are neighbours too share a lookup.
 * What the host does not have at hand is left out. Nothing is sure to be there
 * before umbra_fill_flush().
 *
 * Context: mmu_lock held throughout, for write unless @shared.
 */
void umbra_fill_init(struct umbra_fill *f, struct umbra_mmu_vcpu *vcpu,
		     struct umbra_shadow_page *sp, bool shared);
void umbra_fill_add(struct umbra_fill *f, unsigned int index, const struct umbra_grant *grant);
void __umbra_fill_flush(struct umbra_fill *f);

static inline void umbra_fill_flush(struct umbra_fill *f)
{
	if (f->nr)
		__umbra_fill_flush(f);
}

/**
 * umbra_prefetch() - map more of a table than was asked for
 * @sp: table of 4 KiB leaves
 * @index: the entry that was just installed
 * @shared: as in struct umbra_fill
 *
 * Takes what the guest's table (or large page) grants and the host has at hand. The
 * first time that is all of a table, which is long: when @shared and somebody waits
 * for mmu_lock, it ends early, and leaves umbra_prefetch_unfinished() behind.
 *
 * Return: whether there is something that is to be done with mmu_lock held for write.
 */
bool umbra_prefetch(struct umbra_mmu_vcpu *vcpu, struct umbra_shadow_page *sp,
		    unsigned int index, bool shared);

static inline bool umbra_prefetch_unfinished(const struct umbra_shadow_page *sp)
{
	return !sp->role.direct && sp->scanned < TABLE_ENTRIES;
}

#endif /* _UMBRA_MMU_LEAF_H */
