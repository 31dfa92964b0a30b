// SPDX-License-Identifier: GPL-2.0
/*
 * The host's mm tells what happens to the memory behind the slots. Nothing here
 * sleeps, but for giving way to others in an invalidation that may block.
 *
 * An invalidation counts from start to end whether or not it meets a slot: a
 * slot that appears between the two is then covered as well.
 */
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <umbra/trace.h>
#include <umbra/vm.h>
#include "ioctl.h"

static struct umbra_vm *notifier_to_vm(struct mmu_notifier *mn)
{
	return container_of(mn, struct umbra_vm, notifier);
}

typedef bool (*slot_fn)(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start,
			gfn_t end);

/* Call @fn for what @slot has of [start, last]. */
static bool call_slot(struct umbra_mmu *mmu, struct umbra_memslot *slot, hva_t start, hva_t last,
		      slot_fn fn)
{
	hva_t slot_last = slot->hva + (slot->npages << PAGE_SHIFT) - 1;
	gfn_t first;

	if (start > slot_last || last < slot->hva)
		return false;
	start = max(start, slot->hva) - slot->hva;
	last = min(last, slot_last) - slot->hva;
	first = slot->base_gfn + (start >> PAGE_SHIFT);
	return fn(mmu, slot, first, slot->base_gfn + (last >> PAGE_SHIFT) + 1);
}

/*
 * Call @fn for what each slot has of a range. A slot being deleted is no longer
 * in the set, but its mappings exist until they are zapped.
 */
static bool call_ranges(struct umbra_mmu *mmu, hva_t start, hva_t end, slot_fn fn)
{
	struct umbra_memslots *slots = umbra_memslots_current(mmu);
	struct umbra_memslot *slot;
	bool any = false;

	lockdep_assert_held_write(&mmu->lock);
	umbra_memslots_for_each_hva(slot, slots, start, end - 1)
		any |= call_slot(mmu, slot, start, end - 1, fn);
	if (mmu->retiring)
		any |= call_slot(mmu, mmu->retiring, start, end - 1, fn);
	return any;
}

static bool test_age(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start, gfn_t end)
{
	return umbra_mmu_age_gfns(mmu, slot, start, end, false);
}

static bool clear_age(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start, gfn_t end)
{
	return umbra_mmu_age_gfns(mmu, slot, start, end, true);
}

static bool locked_range(struct umbra_mmu *mmu, hva_t start, hva_t end, slot_fn fn)
{
	bool any;
	int idx;

	idx = srcu_read_lock(&mmu->srcu);
	write_lock(&mmu->lock);
	any = call_ranges(mmu, start, end, fn);
	write_unlock(&mmu->lock);
	srcu_read_unlock(&mmu->srcu, idx);
	return any;
}

static bool unmap(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start, gfn_t end)
{
	return umbra_mmu_unmap_gfns(mmu, slot, start, end, false);
}

static bool unmap_slowly(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start, gfn_t end)
{
	return umbra_mmu_unmap_gfns(mmu, slot, start, end, true);
}

static int invalidate_range_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct umbra_mmu *mmu = &notifier_to_vm(mn)->mmu;
	bool flush;
	int idx;

	trace_umbra_unmap_hva_range(range->start, range->end);
	idx = srcu_read_lock(&mmu->srcu);
	write_lock(&mmu->lock);
	/* Before unmapping: a fault that looked earlier must notice. */
	umbra_mmu_invalidate_begin(mmu, range->start, range->end);
	flush = call_ranges(mmu, range->start, range->end,
			    mmu_notifier_range_blockable(range) ? unmap_slowly : unmap);
	write_unlock(&mmu->lock);
	/* The pages are reused as soon as the host's mm has its answer. */
	if (flush)
		umbra_mmu_flush(mmu);
	srcu_read_unlock(&mmu->srcu, idx);
	return 0;
}

static void invalidate_range_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct umbra_mmu *mmu = &notifier_to_vm(mn)->mmu;

	write_lock(&mmu->lock);
	umbra_mmu_invalidate_end(mmu);
	write_unlock(&mmu->lock);
}

static int clear_flush_young(struct mmu_notifier *mn, struct mm_struct *mm,
			     unsigned long start, unsigned long end)
{
	struct umbra_mmu *mmu = &notifier_to_vm(mn)->mmu;
	bool young;

	trace_umbra_age_hva(start, end);
	young = locked_range(mmu, start, end, clear_age);
	if (young)
		umbra_mmu_flush(mmu);
	return young;
}

/* Without the flush the accessed state is late, which only ages pages faster. */
static int clear_young(struct mmu_notifier *mn, struct mm_struct *mm,
		       unsigned long start, unsigned long end)
{
	trace_umbra_age_hva(start, end);
	return locked_range(&notifier_to_vm(mn)->mmu, start, end, clear_age);
}

static int test_young(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long address)
{
	trace_umbra_test_age_hva(address, address + 1);
	return locked_range(&notifier_to_vm(mn)->mmu, address, address + 1, test_age);
}

/*
 * The address space is going away, maybe before the fds are closed. No vCPU can
 * run any more, since KVM_RUN needs the creator's mm.
 */
static void release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct umbra_mmu *mmu = &notifier_to_vm(mn)->mmu;

	if (locked_range(mmu, 0, ULONG_MAX, unmap_slowly))
		umbra_mmu_flush(mmu);
}

static const struct mmu_notifier_ops notifier_ops = {
	.invalidate_range_start = invalidate_range_start,
	.invalidate_range_end = invalidate_range_end,
	.clear_flush_young = clear_flush_young,
	.clear_young = clear_young,
	.test_young = test_young,
	.release = release,
};

int umbra_notifier_register(struct umbra_vm *vm)
{
	vm->notifier.ops = &notifier_ops;
	return mmu_notifier_register(&vm->notifier, vm->mm);
}

/* Runs release() unless the mm's exit has done so, and waits for callbacks. */
void umbra_notifier_unregister(struct umbra_vm *vm)
{
	mmu_notifier_unregister(&vm->notifier, vm->mm);
}
