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
 * write-protected is read. A change that the guest itself asked for, in its own
 * tables, may stay a debt until the next entry: the guest has to flush other
 * CPUs by itself.
 */
#ifndef _UMBRA_MMU_TLB_H
#define _UMBRA_MMU_TLB_H

#include <umbra/mmu.h>

static inline void umbra_tlb_debt(struct umbra_mmu *mmu)
{
	/* Full barrier: the entry's change is visible before the debt is. */
	atomic64_inc_return(&mmu->tlb_gen);
}

static inline bool umbra_tlb_owing(struct umbra_mmu *mmu)
{
	return atomic64_read(&mmu->tlb_gen) != atomic64_read(&mmu->tlb_paid);
}

#endif /* _UMBRA_MMU_TLB_H */
