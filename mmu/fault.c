// SPDX-License-Identifier: GPL-2.0
/*
 * Faults: the part that both families share.
 */
#include <linux/kvm.h>
#include "audit.h"
#include "fault.h"
#include "spte.h"
#include "track.h"

int umbra_target_find(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault,
		      struct umbra_target *t)
{
	struct umbra_mmu *mmu = vcpu->mmu;

	/* Frames that the tables cannot reach have no slot. */
	t->slot = t->gfn < umbra_level_frames(TABLE_LEVELS + 1) ?
		umbra_gfn_to_slot(mmu, t->gfn) : NULL;
	if (!t->slot || (t->write && (t->slot->flags & KVM_MEM_READONLY))) {
		fault->mmio = true;
		return UMBRA_FAULT_EMULATE;
	}
	if (t->write && umbra_tracked(t->slot, t->gfn)) {
		if (fault->walk) {
			/* Not an instruction that could be emulated. */
			umbra_mmu_unprotect(mmu, t->gfn);
			return UMBRA_FAULT_RETRY;
		}
		fault->tracked = true;
		return UMBRA_FAULT_EMULATE;
	}
	t->level = 1;
	t->in_way = false;
	t->dirty = false;
	t->seq = READ_ONCE(mmu->invalidate_seq);
	/* Pairs with the lock around umbra_mmu_invalidate_end(). */
	smp_rmb();
	return 0;
}

int umbra_target_get(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault,
		     struct umbra_target *t)
{
	int result = umbra_target_find(vcpu, fault, t);

	return result ?: umbra_hostpage_get(t->slot, t->gfn, t->write, &t->hp);
}

void umbra_target_put(struct umbra_target *t)
{
	umbra_hostpage_put(&t->hp, t->dirty);
}

bool umbra_target_range_stale(struct umbra_mmu *mmu, const struct umbra_target *t, gfn_t gfn,
			      unsigned long nr)
{
	hva_t start = umbra_memslot_hva(t->slot, gfn);
	hva_t end = start + (nr << UMBRA_PAGE_SHIFT);

	lockdep_assert_held(&mmu->lock);
	if (mmu->invalidate_count && end > mmu->invalidate_start && start < mmu->invalidate_end)
		return true;
	return mmu->invalidate_seq != t->seq;
}

bool umbra_target_stale(struct umbra_mmu *mmu, const struct umbra_target *t)
{
	return umbra_target_range_stale(mmu, t, t->gfn, 1);
}

void umbra_fault_count(struct umbra_mmu_vcpu *vcpu, int result)
{
	struct umbra_mmu_vcpu_stat *stat = &vcpu->stat;

	if (result == UMBRA_FAULT_FIXED)
		stat->pf_fixed++;
	else if (result == UMBRA_FAULT_EMULATE)
		stat->pf_emulate++;
	else if (result == UMBRA_FAULT_SPURIOUS)
		stat->pf_spurious++;
	if (unlikely(READ_ONCE(umbra_mmu_audit_every)))
		umbra_audit_sample(vcpu->mmu);
}
