// SPDX-License-Identifier: GPL-2.0
/*
 * Paying flush debt.
 */
#include "tlb.h"

/* Others may do the same at the same time; the newest counts. */
static void advance(atomic64_t *counter, u64 to)
{
	u64 from = atomic64_read(counter);

	while (from < to) {
		u64 seen = atomic64_cmpxchg(counter, from, to);

		if (seen == from)
			break;
		from = seen;
	}
}

/* Whoever finds the leftovers collected also finds the debt. */
static void collect_leftovers(struct umbra_mmu *mmu)
{
	u64 leftovers = atomic64_read(&mmu->tlb_leftovers);

	if (atomic64_read(&mmu->tlb_collected) == leftovers)
		return;
	umbra_tlb_debt(mmu);
	advance(&mmu->tlb_collected, leftovers);
}

void umbra_mmu_flush(struct umbra_mmu *mmu)
{
	u64 gen;

	collect_leftovers(mmu);
	gen = atomic64_read(&mmu->tlb_gen);
	if (atomic64_read(&mmu->tlb_paid) >= gen)
		return;
	mmu->ops->kick_all(mmu);
	atomic64_inc(&mmu->stat.remote_tlb_flush);
	advance(&mmu->tlb_paid, gen);
}
