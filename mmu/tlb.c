// SPDX-License-Identifier: GPL-2.0
/*
 * Paying flush debt.
 */
#include "tlb.h"

void umbra_mmu_flush(struct umbra_mmu *mmu)
{
	u64 gen = atomic64_read(&mmu->tlb_gen);
	u64 paid = atomic64_read(&mmu->tlb_paid);

	if (paid >= gen)
		return;
	mmu->ops->kick_all(mmu);
	mmu->stat.remote_tlb_flush++;
	/* Others may pay at the same time; the newest payment counts. */
	while (paid < gen) {
		u64 seen = atomic64_cmpxchg(&mmu->tlb_paid, paid, gen);

		if (seen == paid)
			break;
		paid = seen;
	}
}
