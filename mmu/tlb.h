/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Flush debt.
 *
 * Who takes rights away from an entry that a CPU may have cached records a
 * debt, under mmu_lock, after it changed the entry. A vCPU that finds a newer
 * debt than it has flushed flushes everything of the VM before it enters.
 * umbra_mmu_flush() makes all vCPUs pass through that check; it is needed only
 * by those who rely on the rights being gone: before host pages go back to the
 * mm, before table pages are freed, before a guest table that was just
 * write-protected is read.
 *
 * A change that follows the guest's own tables takes nothing away that the
 * guest may not still use: it flushes its CPUs by itself, one by one, and vmx/
 * does as it says. But a CPU may now know a translation that no entry has any
 * more, so that whoever takes the page away later finds nothing to change, and
 * yet has to flush. Such leftovers are counted apart; umbra_mmu_flush() turns
 * them into a debt.
 */
#ifndef _UMBRA_MMU_TLB_H
#define _UMBRA_MMU_TLB_H

#include <umbra/mmu.h>

static inline void umbra_tlb_debt(struct umbra_mmu *mmu)
{
	/* Full barrier: the entry's change is visible before the debt is. */
	atomic64_inc_return(&mmu->tlb_gen);
}

/* An entry has followed the guest's. Context: mmu_lock held for write. */
static inline void umbra_tlb_leftover(struct umbra_mmu *mmu)
{
	/* Ordered before umbra_mmu_flush() of others by mmu_lock. */
	atomic64_inc(&mmu->tlb_leftovers);
}

static inline bool umbra_tlb_owing(struct umbra_mmu *mmu)
{
	return atomic64_read(&mmu->tlb_gen) != atomic64_read(&mmu->tlb_paid) ||
	       atomic64_read(&mmu->tlb_leftovers) != atomic64_read(&mmu->tlb_collected);
}

#endif /* _UMBRA_MMU_TLB_H */
