/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The EPT tree of a VM: gpa -> hpa, shared by all its vCPUs.
 *
 *	root (level 4) -> level 3 -> level 2 -> level 1 -> 4 KiB page
 *
 * Entries appear under mmu_lock held for read, each by one compare-exchange;
 * everything that takes rights away holds it for write. So a reader never sees
 * a table disappear, and a table is freed after the debt for its unlinking is
 * paid.
 */
#ifndef _UMBRA_MMU_EPT_H
#define _UMBRA_MMU_EPT_H

#include <umbra/mmu.h>
#include "table.h"

struct umbra_around;
struct umbra_target;

/* The table of the highest level, NULL when there is none. Context: any. */
static inline u64 *umbra_ept_root(const struct umbra_mmu *mmu)
{
	hpa_t root = READ_ONCE(mmu->ept_root);

	return root == INVALID_PAGE ? NULL : umbra_table_va(root);
}

/* Make sure that the root exists. Caches are filled, no lock is held. */
void umbra_ept_load(struct umbra_mmu_vcpu *vcpu);

/**
 * umbra_ept_look() - handle a fault without looking at the host's page
 * @t: from umbra_target_find()
 * @around: out: the run of frames without entries around @t->gfn
 *
 * Context: mmu_lock held for read.
 * Return: FIXED, SPURIOUS; RETRY when the host's page is needed.
 */
int umbra_ept_look(struct umbra_mmu_vcpu *vcpu, const struct umbra_target *t,
		   struct umbra_around *around);

/**
 * umbra_ept_map() - install the mapping that a fault asks for
 * @t: @t->level becomes 1 when a smaller part is tracked; with RETRY and
 *	@t->in_way set, umbra_ept_make_way() is needed before another attempt
 * @around: neighbours that are pinned, to be mapped as well
 *
 * Context: mmu_lock held for read.
 * Return: FIXED, SPURIOUS, RETRY or EMULATE.
 */
int umbra_ept_map(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault,
		  struct umbra_target *t, struct umbra_around *around);

/* Level of the leaf that maps @gfn, 0 when none does. Context: mmu_lock held for read. */
unsigned int umbra_ept_level(struct umbra_mmu *mmu, gfn_t gfn);

/**
 * umbra_ept_make_way() - remove what umbra_ept_map() has found in its way
 *
 * A table where a large leaf fits again.
 * Context: takes mmu_lock; may sleep.
 */
void umbra_ept_make_way(struct umbra_mmu *mmu, const struct umbra_target *t);

/**
 * umbra_ept_cache_mmio() - keep in the tree that a frame has no memory
 * @gen: umbra_mmio_gen() from before the look for its slot
 *
 * Context: takes mmu_lock; may sleep. Without memory for tables, or when the
 * guest has made too many for this, nothing is kept.
 */
void umbra_ept_cache_mmio(struct umbra_mmu_vcpu *vcpu, gfn_t gfn, u64 gen);

/* Is that known, for generation @gen? Context: mmu_lock held for read. */
bool umbra_ept_is_mmio(struct umbra_mmu *mmu, gfn_t gfn, u64 gen);

/* Remove all of it. Context: mmu_lock held for write, is given up now and then. */
void umbra_ept_zap_mmio(struct umbra_mmu *mmu);

/*
 * The following need mmu_lock for write, work on [start, end), record debts
 * and leave paying to the caller. They return whether an entry was affected. A
 * large leaf that is not in the range as a whole is treated as if it were.
 */

/*
 * Remove leaves; tables stay. Goes as far as one table of the lowest level, or one
 * entry above it, reaches. Return: where to go on.
 */
gfn_t umbra_ept_zap_some(struct umbra_mmu *mmu, gfn_t start, gfn_t end);
/* Remove leaves, and tables that lie in the range as a whole, into @dead. */
bool umbra_ept_zap_tables(struct umbra_mmu *mmu, gfn_t start, gfn_t end,
			  struct umbra_table_list *dead);
bool umbra_ept_write_protect(struct umbra_mmu *mmu, gfn_t start, gfn_t end);
bool umbra_ept_age(struct umbra_mmu *mmu, gfn_t start, gfn_t end, bool clear);

/**
 * umbra_ept_find() - the entry of a frame
 * @gfn: the tables reach it, and there is a root
 * @lowest: do not go below this level
 * @level: out: of the entry
 *
 * The lowest that there is: at @lowest, or a leaf, or one that is not present.
 * Context: mmu_lock held.
 */
u64 *umbra_ept_find(struct umbra_mmu *mmu, gfn_t gfn, unsigned int lowest, unsigned int *level);

/* The size at which a fault would map @t now; @t->hp is not looked at. */
unsigned int umbra_ept_choose_level(const struct umbra_target *t);

/* The counter for leaves like @spte. */
atomic64_t *umbra_ept_pages_of(struct umbra_mmu *mmu, u64 spte);

/* Take the table behind the link @sptep away, into @dead. The debt is the caller's. */
void umbra_ept_unlink(struct umbra_mmu *mmu, u64 *sptep, struct umbra_table_list *dead);

/* Is it the link of a table that stands in for a large leaf? Entries for MMIO are not. */
static inline bool umbra_ept_nx_split(u64 spte)
{
	return (spte & (EPT_READ | SPTE_NX_SPLIT)) == (EPT_READ | SPTE_NX_SPLIT);
}

/* Say so of the one behind @sptep, whose value is @link. Context: mmu_lock held. */
void umbra_ept_mark_split(struct umbra_mmu *mmu, u64 *sptep, u64 link);

/* Pay the debt, then free unlinked tables and all below them. May sleep. */
void umbra_ept_free_dead(struct umbra_mmu *mmu, struct umbra_table_list *dead);

void umbra_ept_destroy(struct umbra_mmu *mmu);

/* What the CPUs can do, from umbra_mmu_module_init(). */
extern struct umbra_mmu_caps umbra_mmu_caps;

#endif /* _UMBRA_MMU_EPT_H */
