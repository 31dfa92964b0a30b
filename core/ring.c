// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty rings, instead of bitmaps: what a vCPU writes to goes into its own ring of
 * pages shared with user space.
 *
 *	user space collects             the vCPU pushes
 *	        |                              |
 *	[ reset | reset | dirty | dirty | dirty |       |       ]
 *	    |                                   |
 *	  tail                                head
 *
 * The vCPU's thread writes an entry, then its flags, then the head. User space
 * flags what it has collected; KVM_RESET_DIRTY_RINGS takes entries so flagged from
 * the tail on, makes their frames log again, and gives the places back. Head and
 * tail are the kernel's own. All that user space gains by writing something else
 * into the ring is that other frames of its own log again.
 */
#include <linux/kvm.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/vmalloc.h>
#include <umbra/hostmem.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include "ioctl.h"
#include "ring.h"

/*
 * Places that are kept for what one stay in the guest and one exit can add: a full
 * page of PML, and the pages that one instruction writes to.
 */
#define RING_RESERVED	(512 + 64)
#define RING_BYTES_MAX	(UMBRA_RING_MAX * sizeof(struct kvm_dirty_gfn))

long umbra_ring_enable(struct umbra_vm *vm, const struct kvm_enable_cap *cap)
{
	u64 bytes = cap->args[0];

	if (!is_power_of_2(bytes) || bytes < PAGE_SIZE ||
	    bytes < RING_RESERVED * sizeof(struct kvm_dirty_gfn))
		return -EINVAL;
	if (bytes > RING_BYTES_MAX)
		return -E2BIG;
	if (vm->ring_entries || vm->nr_vcpus)
		return -EINVAL;
	vm->ring_entries = bytes / sizeof(struct kvm_dirty_gfn);
	/* Nobody has written anything yet. */
	umbra_dirty_drop_bitmaps(vm);
	return 0;
}

int umbra_ring_create(struct umbra_vcpu *vcpu)
{
	u32 entries = vcpu->vm->ring_entries;

	if (!entries)
		return 0;
	vcpu->ring = __vcalloc(entries, sizeof(*vcpu->ring), GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	return vcpu->ring ? 0 : -ENOMEM;
}

void umbra_ring_destroy(struct umbra_vcpu *vcpu)
{
	vfree(vcpu->ring);
}

struct page *umbra_ring_page(struct umbra_vcpu *vcpu, pgoff_t pgoff)
{
	unsigned long pages = vcpu->vm->ring_entries * sizeof(*vcpu->ring) / PAGE_SIZE;

	if (pgoff < KVM_DIRTY_LOG_PAGE_OFFSET || pgoff - KVM_DIRTY_LOG_PAGE_OFFSET >= pages)
		return NULL;
	return vmalloc_to_page((void *)vcpu->ring +
			       (pgoff - KVM_DIRTY_LOG_PAGE_OFFSET) * PAGE_SIZE);
}

bool umbra_ring_full(struct umbra_vcpu *vcpu)
{
	/* Pairs with the release in reset_ring(): the places are free. */
	u32 used = vcpu->ring_head - smp_load_acquire(&vcpu->ring_tail);

	return used >= vcpu->vm->ring_entries - RING_RESERVED;
}

void umbra_ring_push(struct umbra_vcpu *vcpu, const struct umbra_memslot *slot, gfn_t gfn)
{
	u32 entries = vcpu->vm->ring_entries, head = vcpu->ring_head;
	struct kvm_dirty_gfn *entry = &vcpu->ring[head & (entries - 1)];

	if (unlikely(head - READ_ONCE(vcpu->ring_tail) >= entries)) {
		pr_warn_ratelimited("umbra: a dirty ring overflows\n");
		return;
	}
	WRITE_ONCE(entry->slot, slot->id);
	WRITE_ONCE(entry->offset, gfn - slot->base_gfn);
	/* User space acquires. */
	smp_store_release(&entry->flags, KVM_DIRTY_GFN_F_DIRTY);
	/* Pairs with the acquire in reset_ring(). */
	smp_store_release(&vcpu->ring_head, head + 1);
}

/* Frames of one word of one slot, collected from neighbouring entries. */
struct batch {
	u32 slot;
	u64 first;
	unsigned long word;
	bool any;
};

static void batch_finish(struct umbra_vm *vm, struct batch *b)
{
	struct umbra_memslot *slot;

	if (!b->word)
		return;
	slot = b->slot < UMBRA_MAX_SLOTS ? xa_load(&vm->slot_ids, b->slot) : NULL;
	/* The slot may have become smaller, or user space made it up. */
	if (slot && umbra_memslot_logged(slot) && b->first < slot->npages) {
		if (slot->npages - b->first < BITS_PER_LONG)
			b->word &= (1UL << (slot->npages - b->first)) - 1;
		umbra_mmu_log_again(&vm->mmu, slot, &b->word, b->first, BITS_PER_LONG);
		b->any = true;
	}
	b->word = 0;
}

static void batch_add(struct umbra_vm *vm, struct batch *b, u32 slot, u64 offset)
{
	u64 first = offset & ~(u64)(BITS_PER_LONG - 1);

	if (slot != b->slot || first != b->first)
		batch_finish(vm, b);
	b->slot = slot;
	b->first = first;
	b->word |= BIT(offset % BITS_PER_LONG);
}

static u32 reset_ring(struct umbra_vm *vm, struct umbra_vcpu *vcpu, struct batch *b)
{
	/* Pairs with the release in umbra_ring_push(). No further, whatever the flags say. */
	u32 tail = vcpu->ring_tail, nr = smp_load_acquire(&vcpu->ring_head) - tail, i;

	for (i = 0; i < nr; i++, tail++) {
		struct kvm_dirty_gfn *entry = &vcpu->ring[tail & (vm->ring_entries - 1)];

		/* Pairs with user space, which has read the entry before. */
		if (!(smp_load_acquire(&entry->flags) & KVM_DIRTY_GFN_F_RESET))
			break;
		batch_add(vm, b, READ_ONCE(entry->slot), READ_ONCE(entry->offset));
		WRITE_ONCE(entry->flags, 0);
		cond_resched();
	}
	batch_finish(vm, b);
	/* Pairs with the acquire in umbra_ring_full(). */
	smp_store_release(&vcpu->ring_tail, tail);
	return i;
}

long umbra_ring_reset(struct umbra_call *call)
{
	struct umbra_vm *vm = call->vm;
	struct batch b = { };
	struct umbra_vcpu *vcpu;
	unsigned int i;
	u32 nr = 0;

	if (!vm->ring_entries)
		return -EINVAL;
	for (i = 0; (vcpu = umbra_vm_vcpu(vm, i)); i++)
		nr += reset_ring(vm, vcpu, &b);
	if (b.any)
		umbra_mmu_flush(&vm->mmu);
	return nr;
}
