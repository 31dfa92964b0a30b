// SPDX-License-Identifier: GPL-2.0
/* KVM_PRE_FAULT_MEMORY: map guest memory before the guest asks for it. */
#include <linux/align.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/srcu.h>
#include <linux/umbra.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include "ioctl.h"

/* One mapping. What the host takes away while it is made is asked for again. */
static int map_one(struct umbra_mmu_vcpu *mv, gpa_t gpa, gpa_t *end)
{
	int idx, ret;

	do {
		if (signal_pending(current))
			return -EINTR;
		cond_resched();
		/* Not across all of it: who changes slots waits for readers. */
		idx = srcu_read_lock(&mv->mmu->srcu);
		ret = umbra_mmu_prefault(mv, gpa, end);
		srcu_read_unlock(&mv->mmu->srcu, idx);
	} while (ret == -EAGAIN);
	return ret;
}

/* Whatever stops it, what was done before counts: user space comes for the rest. */
long umbra_vcpu_prefault(struct umbra_call *call)
{
	struct kvm_pre_fault_memory *range = call->data;
	u64 size = range->size;
	gpa_t end;
	u64 done;
	int ret;

	if (range->flags)
		return -EINVAL;
	if (!PAGE_ALIGNED(range->gpa) || !PAGE_ALIGNED(size) || range->gpa + size <= range->gpa)
		return -EINVAL;
	do {
		ret = map_one(&call->vcpu->mmu, range->gpa, &end);
		if (ret)
			break;
		done = min_t(u64, range->size, end - range->gpa);
		range->gpa += done;
		range->size -= done;
	} while (range->size);
	return range->size < size ? 0 : ret;
}
