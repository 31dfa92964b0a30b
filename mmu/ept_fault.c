// SPDX-License-Identifier: GPL-2.0
/*
 * Faults in the EPT family.
 *
 *	look at the tree		the entry is there, or needs no more than
 *					its write right back: done
 *	pin the page, and those of its neighbours without an entry that the
 *	host has present; bring the page in when it is not
 *	map it, and them
 *
 * The neighbours save the guest an exit each. The host is not made to do
 * anything for them.
 */
#include <linux/kvm.h>
#include "around.h"
#include "ept.h"
#include "fault.h"
#include "table.h"

/* Do the tables need no host page? RETRY when they do. */
static int look(struct umbra_mmu_vcpu *vcpu, const struct umbra_target *t,
		struct umbra_around *around)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	int result;

	read_lock(&mmu->lock);
	result = umbra_ept_look(mmu, t, around);
	read_unlock(&mmu->lock);
	if (result == UMBRA_FAULT_FIXED)
		vcpu->stat.pf_fast++;
	return result;
}

static int map(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault, struct umbra_target *t,
	       struct umbra_around *around)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	int result = UMBRA_FAULT_RETRY;

	read_lock(&mmu->lock);
	if (!umbra_target_range_stale(mmu, t, around->first, around->end - around->first))
		result = umbra_ept_map(vcpu, fault, t, around);
	read_unlock(&mmu->lock);
	return result;
}

static int ept_fault(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault)
{
	struct umbra_around around __uninitialized;
	struct umbra_target t = {
		.gfn = umbra_gpa_to_gfn(fault->addr),
		.write = fault->access & UMBRA_ACC_WRITE,
	};
	int result;

	result = umbra_target_find(vcpu, fault, &t);
	if (result)
		return result;
	result = look(vcpu, &t, &around);
	if (result != UMBRA_FAULT_RETRY)
		return result;
	result = umbra_cache_topup(vcpu, UMBRA_FAMILY_EPT);
	if (result)
		return result;
	if (!umbra_around_get(&around, &t)) {
		umbra_around_init(&around, t.gfn);
		result = umbra_hostpage_bring_in(t.slot, t.gfn, t.write, &t.hp);
		if (result)
			return result;
	}
	result = map(vcpu, fault, &t, &around);
	umbra_around_put(&around, &t);
	umbra_target_put(&t);
	return result;
}

int umbra_mmu_ept_fault(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault)
{
	int result;

	vcpu->stat.pf_taken++;
	fault->gpa = fault->addr;
	result = ept_fault(vcpu, fault);
	umbra_fault_count(vcpu, result);
	return result;
}
