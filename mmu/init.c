// SPDX-License-Identifier: GPL-2.0
/*
 * Setting up and tearing down: the module's part, a VM's, a vCPU's.
 */
#include <linux/errno.h>
#include <umbra/mmu.h>
#include "ept.h"
#include "shadow.h"
#include "spte.h"
#include "table.h"

struct umbra_mmu_caps umbra_mmu_caps;

int umbra_mmu_module_init(const struct umbra_mmu_caps *caps)
{
	umbra_mmu_caps = *caps;
	umbra_spte_init(caps->pt_addr_bits);
	return umbra_table_module_init();
}

void umbra_mmu_module_exit(void)
{
	umbra_table_module_exit();
}

int umbra_mmu_init(struct umbra_mmu *mmu, const struct umbra_cpu_ops *ops,
		   enum umbra_policy policy)
{
	rwlock_init(&mmu->lock);
	mmu->ops = ops;
	mmu->policy = policy;
	mmu->ept_root = INVALID_PAGE;
	if (init_srcu_struct(&mmu->srcu))
		return -ENOMEM;
	umbra_reclaim_join(mmu);
	return 0;
}

void umbra_mmu_destroy(struct umbra_mmu *mmu)
{
	umbra_reclaim_leave(mmu);
	/* No CPU is left that could owe a flush, or be kicked. */
	atomic64_set(&mmu->tlb_paid, atomic64_read(&mmu->tlb_gen));
	umbra_ept_destroy(mmu);
	umbra_shadow_destroy(mmu);
	cleanup_srcu_struct(&mmu->srcu);
}

int umbra_mmu_vcpu_init(struct umbra_mmu_vcpu *vcpu, struct umbra_mmu *mmu)
{
	vcpu->mmu = mmu;
	vcpu->family = UMBRA_FAMILY_EPT;
	vcpu->root = INVALID_PAGE;
	vcpu->flush_guest = true;
	write_lock(&mmu->lock);
	/* Its tags may have been another VM's: the first entry flushes. */
	vcpu->tlb_gen = atomic64_read(&mmu->tlb_gen) - 1;
	if (!WARN_ON_ONCE(mmu->nr_vcpus == UMBRA_MAX_VCPUS))
		mmu->vcpus[mmu->nr_vcpus++] = vcpu;
	write_unlock(&mmu->lock);
	return 0;
}

void umbra_mmu_vcpu_destroy(struct umbra_mmu_vcpu *vcpu)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	unsigned int i;

	umbra_mmu_unload(vcpu);
	write_lock(&mmu->lock);
	for (i = 0; i < mmu->nr_vcpus; i++) {
		if (mmu->vcpus[i] != vcpu)
			continue;
		mmu->vcpus[i] = mmu->vcpus[--mmu->nr_vcpus];
		mmu->vcpus[mmu->nr_vcpus] = NULL;
	}
	write_unlock(&mmu->lock);
	umbra_cache_drain(vcpu);
}
