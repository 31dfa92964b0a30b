// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty bitmaps. A slot's bitmap is followed by a second one of the same size,
 * in which KVM_GET_DIRTY_LOG takes its snapshot (slots_lock).
 */
#include <linux/bitmap.h>
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <umbra/hostmem.h>
#include <umbra/vm.h>
#include "ioctl.h"

int umbra_dirty_alloc(struct umbra_memslot *slot)
{
	if (!(slot->flags & KVM_MEM_LOG_DIRTY_PAGES))
		return 0;
	/* User space may ask for more than there is: that is no news for the log. */
	slot->dirty_bitmap = kvcalloc(2 * BITS_TO_LONGS(slot->npages), sizeof(long),
				      GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	return slot->dirty_bitmap ? 0 : -ENOMEM;
}

void umbra_dirty_free(struct umbra_memslot *slot)
{
	kvfree(slot->dirty_bitmap);
	slot->dirty_bitmap = NULL;
}

void umbra_mark_dirty(struct umbra_memslot *slot, gfn_t gfn)
{
	if (slot->dirty_bitmap)
		set_bit(gfn - slot->base_gfn, slot->dirty_bitmap);
}

/* Move the bits into the second half. Return true when there were any. */
static bool dirty_snapshot(struct umbra_memslot *slot)
{
	unsigned long longs = BITS_TO_LONGS(slot->npages);
	unsigned long *from = slot->dirty_bitmap, *to = from + longs;
	bool any = false;
	unsigned long i;

	for (i = 0; i < longs; i++) {
		/* Reading first keeps clean cache lines shared. */
		to[i] = READ_ONCE(from[i]) ? xchg(&from[i], 0) : 0;
		any |= !!to[i];
		cond_resched();
	}
	return any;
}

/*
 * Bits first, rights second: a write that comes in between sets its bit again
 * in the live bitmap, and is reported twice rather than never.
 */
long umbra_dirty_get_log(struct umbra_call *call)
{
	const struct kvm_dirty_log *log = call->data;
	struct umbra_memslot *slot;
	unsigned long longs;

	if (log->slot >= UMBRA_MAX_SLOTS)
		return -EINVAL;
	slot = xa_load(&call->vm->slot_ids, log->slot);
	if (!slot || !slot->dirty_bitmap)
		return -ENOENT;

	longs = BITS_TO_LONGS(slot->npages);
	if (dirty_snapshot(slot))
		umbra_mmu_write_protect_dirty(&call->vm->mmu, slot, slot->dirty_bitmap + longs);
	if (copy_to_user(log->dirty_bitmap, slot->dirty_bitmap + longs, longs * sizeof(long)))
		return -EFAULT;
	return 0;
}
