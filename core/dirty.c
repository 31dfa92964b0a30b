// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty bitmaps. A slot's bitmap is followed by a second one of the same size:
 * what KVM_GET_DIRTY_LOG and KVM_CLEAR_DIRTY_LOG have taken out of the first one
 * and make log again (slots_lock).
 *
 * Bits first, rights second: a write that comes in between sets its bit again in
 * the live bitmap, or it was made before the ioctl has returned.
 */
#include <linux/bitmap.h>
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <umbra/hostmem.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include "ioctl.h"
#include "ring.h"

/* Words that are handled without a chance for others to run. */
#define CHUNK	1024

int umbra_dirty_alloc(struct umbra_vm *vm, struct umbra_memslot *slot)
{
	if (!umbra_memslot_logged(slot) || vm->ring_entries)
		return 0;
	/* User space may ask for more than there is: that is no news for the log. */
	slot->dirty_bitmap = kvcalloc(2 * BITS_TO_LONGS(slot->npages), sizeof(long),
				      GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!slot->dirty_bitmap)
		return -ENOMEM;
	if (vm->log_flags & KVM_DIRTY_LOG_INITIALLY_SET)
		bitmap_set(slot->dirty_bitmap, 0, slot->npages);
	return 0;
}

void umbra_dirty_free(struct umbra_memslot *slot)
{
	kvfree(slot->dirty_bitmap);
	slot->dirty_bitmap = NULL;
}

/* A slot that was not logged is now. Where all is dirty already nothing is news. */
void umbra_dirty_start(struct umbra_vm *vm, struct umbra_memslot *slot)
{
	if (vm->ring_entries || !(vm->log_flags & KVM_DIRTY_LOG_INITIALLY_SET))
		umbra_mmu_log_start(&vm->mmu, slot);
}

void umbra_dirty_drop_bitmaps(struct umbra_vm *vm)
{
	struct umbra_memslot *slot;
	unsigned long id;

	xa_for_each(&vm->slot_ids, id, slot)
		umbra_dirty_free(slot);
}

void umbra_mark_dirty(struct umbra_mmu_vcpu *mv, const struct umbra_memslot *slot, gfn_t gfn)
{
	unsigned long i = gfn - slot->base_gfn;
	struct umbra_vcpu *vcpu = mmu_to_vcpu(mv);

	if (vcpu->ring) {
		umbra_ring_push(vcpu, slot, gfn);
		return;
	}
	/* Looking first keeps lines shared that have the bit. */
	if (!test_bit(i, slot->dirty_bitmap))
		set_bit(i, slot->dirty_bitmap);
}

long umbra_dirty_set_manual(struct umbra_vm *vm, const struct kvm_enable_cap *cap)
{
	u64 allowed = 0;

	if (cap->args[0] & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)
		allowed = UMBRA_LOG_FLAGS;
	if (cap->args[0] & ~allowed)
		return -EINVAL;
	vm->log_flags = cap->args[0];
	return 0;
}

/* The slot whose bitmap @id asks for, or an error. */
static struct umbra_memslot *logged_slot(struct umbra_vm *vm, u32 id)
{
	struct umbra_memslot *slot;

	if (vm->ring_entries)
		return ERR_PTR(-ENXIO);
	if (id >= UMBRA_MAX_SLOTS)
		return ERR_PTR(-EINVAL);
	slot = xa_load(&vm->slot_ids, id);
	if (!slot || !slot->dirty_bitmap)
		return ERR_PTR(-ENOENT);
	return slot;
}

static unsigned long *second_half(const struct umbra_memslot *slot)
{
	return slot->dirty_bitmap + BITS_TO_LONGS(slot->npages);
}

/* Move all bits into the second half. Return true when there were any. */
static bool take_all(struct umbra_memslot *slot)
{
	unsigned long longs = BITS_TO_LONGS(slot->npages), i;
	unsigned long *from = slot->dirty_bitmap, *to = from + longs;
	unsigned long any = 0;

	for (i = 0; i < longs; i++) {
		/* Reading first keeps clean cache lines shared. */
		to[i] = READ_ONCE(from[i]) ? xchg(&from[i], 0) : 0;
		any |= to[i];
		if (i % CHUNK == 0)
			cond_resched();
	}
	return any;
}

/* User space did not get them. */
static void give_back(struct umbra_memslot *slot)
{
	unsigned long longs = BITS_TO_LONGS(slot->npages), i;
	unsigned long *to = slot->dirty_bitmap, *from = to + longs;

	for (i = 0; i < longs; i++) {
		if (from[i])
			atomic_long_or(from[i], (atomic_long_t *)&to[i]);
		if (i % CHUNK == 0)
			cond_resched();
	}
}

long umbra_dirty_get_log(struct umbra_call *call)
{
	const struct kvm_dirty_log *log = call->data;
	struct umbra_vm *vm = call->vm;
	struct umbra_memslot *slot = logged_slot(vm, log->slot);
	unsigned long bytes;

	if (IS_ERR(slot))
		return PTR_ERR(slot);
	bytes = BITS_TO_LONGS(slot->npages) * sizeof(long);
	umbra_mmu_log_sync(&vm->mmu);
	/* With manual protection KVM_CLEAR_DIRTY_LOG does the rest. */
	if (vm->log_flags & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)
		return copy_to_user(log->dirty_bitmap, slot->dirty_bitmap, bytes) ? -EFAULT : 0;

	if (take_all(slot)) {
		umbra_mmu_log_again(&vm->mmu, slot, second_half(slot), 0, slot->npages);
		umbra_mmu_flush(&vm->mmu);
	}
	if (copy_to_user(log->dirty_bitmap, second_half(slot), bytes)) {
		give_back(slot);
		return -EFAULT;
	}
	return 0;
}

static bool clear_range_valid(const struct umbra_memslot *slot,
			      const struct kvm_clear_dirty_log *log)
{
	u64 left;

	if (log->first_page > slot->npages)
		return false;
	left = slot->npages - log->first_page;
	if (log->num_pages > left)
		return false;
	/* Only the slot's end may cut a word in two. */
	return log->num_pages == left || log->num_pages % BITS_PER_LONG == 0;
}

/* Reduce the words of the second half to bits that could be cleared in the first. */
static bool take_some(struct umbra_memslot *slot, unsigned long first, unsigned long words)
{
	unsigned long *live = slot->dirty_bitmap + first, *mask = second_half(slot) + first;
	unsigned long any = 0, i;

	for (i = 0; i < words; i++) {
		unsigned long bits = mask[i] & READ_ONCE(live[i]);

		if (bits)
			bits &= atomic_long_fetch_andnot(bits, (atomic_long_t *)&live[i]);
		mask[i] = bits;
		any |= bits;
		if (i % CHUNK == 0)
			cond_resched();
	}
	return any;
}

long umbra_dirty_clear_log(struct umbra_call *call)
{
	const struct kvm_clear_dirty_log *log = call->data;
	struct umbra_vm *vm = call->vm;
	unsigned long first, words;
	struct umbra_memslot *slot;

	if (!vm->ring_entries && log->first_page % BITS_PER_LONG)
		return -EINVAL;
	slot = logged_slot(vm, log->slot);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	if (!clear_range_valid(slot, log))
		return -EINVAL;
	first = log->first_page / BITS_PER_LONG;
	words = BITS_TO_LONGS(log->num_pages);
	umbra_mmu_log_sync(&vm->mmu);
	if (copy_from_user(second_half(slot) + first, log->dirty_bitmap, words * sizeof(long)))
		return -EFAULT;
	if (take_some(slot, first, words)) {
		umbra_mmu_log_again(&vm->mmu, slot, second_half(slot) + first, log->first_page,
				    log->num_pages);
		umbra_mmu_flush(&vm->mmu);
	}
	return 0;
}
