/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest does without exits under shadow paging: page faults that are its
 * own go to it directly, and INVLPG is left to the CPU.
 *
 * Holes. An entry of zero says that the guest's tables, at this place, map
 * nothing: the CPU's *not present* is then the guest's. This has to hold at any
 * moment, since the guest need not invalidate to make an entry present. So there
 * are holes only in tables that are tracked, a store takes the hole away before it
 * writes, and a page that goes unsync forgets all of its holes. One that is zapped
 * may still be known to CPUs, but they flush before the guest can write to its table.
 *
 * User faults. When the leaves that a vCPU can reach allow a user access exactly
 * when the guest does, then refusals are the guest's own, too. That is so unless
 *
 *	a leaf withholds: the guest grants a user more than the leaf does, as where
 *	the guest's page is clean, or the host's not writable, or writes are logged
 *
 *	a page is unsync: the guest may have granted more without invalidating
 *
 * With every page in sync INVLPG has nothing to bring in line, and only the CPU's
 * own translations to drop. A page that is unsync and has no entry is in sync: that
 * is how a guest that changes many entries, and invalidates each, is served. After
 * a few INVLPGs in a row all entries of unsync pages are dropped, if they are few.
 *
 * A vCPU begins when it loads a root, which is in line then, and flushes, for its
 * TLB may hold what a leaf withheld before. A few leaves that withhold are dropped
 * for it: they may be left from a process that sleeps. If they come back at once,
 * it is tried less often. Who makes a leaf that withholds, or a
 * page unsync, ends it for all that are concerned: lowers vcpu->direct and kicks,
 * with mmu_lock held for write, before the leaf is there or the table writable.
 */
#ifndef _UMBRA_MMU_DIRECT_H
#define _UMBRA_MMU_DIRECT_H

#include "shadow.h"
#include "walk.h"

/* The module's parameter: no exits for what can do without. Looked at by the next. */
extern bool umbra_direct_faults;

/* @vcpu's root was loaded and is in line; flush_guest is set. mmu_lock for write. */
void umbra_direct_begin(struct umbra_mmu_vcpu *vcpu);

/* No unsync page below @vcpu's root has an entry; @vcpu->direct is not NONE. mmu_lock for write. */
void umbra_direct_invlpg(struct umbra_mmu_vcpu *vcpu);

/* Pages have become unsync. Context: mmu_lock held for write. */
void umbra_direct_unsync(struct umbra_mmu *mmu);

/* Does @spte refuse what the guest grants (WALK_ACC_*) to user accesses? */
static inline bool umbra_withholds(u32 access, u64 spte)
{
	if (!(access & WALK_ACC_USER) || !umbra_spte_leaf(spte) || umbra_spte_mmio(spte))
		return false;
	if (!(spte & PT_USER) || ((access & WALK_ACC_EXEC) && (spte & PT_NX)))
		return true;
	return (access & WALK_ACC_WRITE) && !(spte & PT_WRITE);
}

/* Does a leaf that is there? */
bool umbra_leaf_withholds(const struct umbra_shadow_page *sp, unsigned int index, u64 spte);

/* Leaves that withhold may come. Context: mmu_lock held for write. */
void umbra_direct_end(struct umbra_mmu *mmu);

/* Is @spte one that must not come before umbra_direct_end()? mmu_lock held. */
static inline bool umbra_direct_guards(const struct umbra_mmu *mmu, u32 access, u64 spte)
{
	return mmu->shadow->direct_user && umbra_withholds(access, spte);
}

/*
 * A leaf that withholds is about to be there, after umbra_direct_end(); one has gone.
 * Context: mmu_lock held for write; or for read, and the page's lock.
 */
void umbra_direct_withhold(struct umbra_mmu *mmu, struct umbra_shadow_page *sp,
			   unsigned int index);
void umbra_direct_release(struct umbra_mmu *mmu, struct umbra_shadow_page *sp);

/**
 * umbra_hole_dig() - the guest's tables map nothing here
 * @sp: page of level 1 with a guest table
 * @index: an entry that maps nothing
 *
 * The guest's entry was read under this hold of mmu_lock for write; or for read, and
 * of the page's lock.
 */
static inline void umbra_hole_dig(struct umbra_shadow_page *sp, unsigned int index)
{
	if (sp->unsync || READ_ONCE(sp->spt[index]) != umbra_format_shadow.none)
		return;
	sp->holes = true;
	WRITE_ONCE(sp->spt[index], SPTE_NONE);
}

/* All holes of a page. Context: mmu_lock held for write. */
void umbra_holes_forget(struct umbra_shadow_page *sp);

/* A walk found nothing mapped: dig a hole there, and around. Takes mmu_lock. */
void umbra_holes_found(struct umbra_mmu_vcpu *vcpu, const struct umbra_walk *walk);

#endif /* _UMBRA_MMU_DIRECT_H */
