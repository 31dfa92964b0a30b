// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_SET_USER_MEMORY_REGION: the rules, and the order of steps that lets
 * faults run on while slots come and go. All memory is had before the first
 * step, so that nothing can fail half way.
 */
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>
#include <umbra/trace.h>
#include <umbra/vm.h>
#include "core.h"
#include "ioctl.h"

/* As in KVM: the length of a dirty bitmap fits a signed int. */
#define SLOT_MAX_PAGES	((1UL << 31) - 1)

#define SLOT_USER_FLAGS	(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY)

struct umbra_memslots *umbra_memslots_current(struct umbra_mmu *mmu)
{
	/* Held by the caller: mmu->srcu, or slots_lock, which mmu/ cannot name. */
	return srcu_dereference_check(mmu->memslots, &mmu->srcu, true);
}

struct umbra_memslot *umbra_gfn_to_slot(struct umbra_mmu *mmu, gfn_t gfn)
{
	return umbra_memslot_find(umbra_memslots_current(mmu), gfn);
}

/*
 * Wait until nobody uses a set that was replaced. Without a vCPU, of which
 * slots_lock keeps a first one from appearing, only the notifier looks at slots,
 * with mmu->lock held, or during an invalidation: when there is none, that lock
 * will do, and a grace period would cost ten times as much.
 */
static void wait_for_readers(struct umbra_vm *vm)
{
	struct umbra_mmu *mmu = &vm->mmu;
	bool readers = vm->nr_vcpus;

	if (!readers) {
		write_lock(&mmu->lock);
		readers = mmu->invalidate_count;
		write_unlock(&mmu->lock);
	}
	if (readers)
		synchronize_srcu_expedited(&mmu->srcu);
}

/*
 * Publish the set with @add in place of @drop; one may be NULL. When it returns
 * no reader has @drop any more, and both sets are the same.
 */
static void set_publish(struct umbra_vm *vm, struct umbra_memslot *drop,
			struct umbra_memslot *add)
{
	struct umbra_memslots *old = umbra_memslots_current(&vm->mmu);
	struct umbra_memslots *new = &vm->slot_set[!old->index];
	const struct umbra_memslot *slot = add ?: drop;

	trace_umbra_slot(slot->id, slot->flags, slot->base_gfn, add ? add->npages : 0, slot->hva);
	umbra_memslots_replace(new, drop, add);
	new->generation = old->generation + 1;
	new->mmio_gen = umbra_mmio_gen_next(old->mmio_gen, drop, add);
	if (new->mmio_gen != old->mmio_gen && umbra_mmio_gen_wrapped(new->mmio_gen))
		umbra_mmu_zap_mmio(&vm->mmu);
	rcu_assign_pointer(vm->mmu.memslots, new);
	wait_for_readers(vm);
	umbra_memslots_replace(old, drop, add);
}

void umbra_slots_init(struct umbra_vm *vm)
{
	xa_init_flags(&vm->slot_ids, XA_FLAGS_ACCOUNT);
	umbra_memslots_init(&vm->slot_set[0], 0);
	umbra_memslots_init(&vm->slot_set[1], 1);
	rcu_assign_pointer(vm->mmu.memslots, &vm->slot_set[0]);
}

static void slot_free(struct umbra_memslot *slot)
{
	umbra_mmu_slot_free(slot);
	umbra_dirty_free(slot);
	kfree(slot);
}

/* The VM is going: no readers are left. */
void umbra_slots_destroy(struct umbra_vm *vm)
{
	struct umbra_memslot *slot;
	unsigned long id;

	rcu_assign_pointer(vm->mmu.memslots, NULL);
	xa_for_each(&vm->slot_ids, id, slot)
		slot_free(slot);
	xa_destroy(&vm->slot_ids);
}

/* Everything that does not depend on other slots, in the order KVM checks it. */
static int region_check(const struct kvm_userspace_memory_region *mem)
{
	unsigned int bits = min_t(unsigned int, umbra_caps.host_maxphyaddr, 48);

	if (mem->flags & ~SLOT_USER_FLAGS)
		return -EINVAL;
	if (!PAGE_ALIGNED(mem->memory_size) || !PAGE_ALIGNED(mem->guest_phys_addr) ||
	    !PAGE_ALIGNED(mem->userspace_addr))
		return -EINVAL;
	if (mem->userspace_addr != untagged_addr(mem->userspace_addr) ||
	    !access_ok((void __user *)(unsigned long)mem->userspace_addr, mem->memory_size))
		return -EINVAL;
	/* The upper half would be an address space; there is only number 0. */
	if (mem->slot >= UMBRA_MAX_SLOTS)
		return -EINVAL;
	if (mem->guest_phys_addr + mem->memory_size < mem->guest_phys_addr)
		return -EINVAL;
	if (mem->memory_size >> PAGE_SHIFT > SLOT_MAX_PAGES)
		return -EINVAL;
	/* Beyond what EPT can address; deleting needs no place. */
	if (mem->memory_size && (mem->guest_phys_addr + mem->memory_size - 1) >> bits)
		return -EINVAL;
	return 0;
}

/* A slot for @mem, with fresh memory for its bitmap and for mmu/. */
static struct umbra_memslot *slot_new(struct umbra_vm *vm,
				      const struct kvm_userspace_memory_region *mem)
{
	struct umbra_memslot *slot = kzalloc(sizeof(*slot), GFP_KERNEL_ACCOUNT);

	if (!slot)
		return NULL;
	slot->id = mem->slot;
	slot->flags = mem->flags;
	slot->base_gfn = umbra_gpa_to_gfn(mem->guest_phys_addr);
	slot->npages = mem->memory_size >> PAGE_SHIFT;
	slot->hva = mem->userspace_addr;
	if (umbra_dirty_alloc(vm, slot) || umbra_mmu_slot_alloc(&vm->mmu, slot)) {
		slot_free(slot);
		return NULL;
	}
	return slot;
}

static int slot_create(struct umbra_vm *vm, const struct kvm_userspace_memory_region *mem)
{
	struct umbra_memslots *current_set = umbra_memslots_current(&vm->mmu);
	unsigned long npages = mem->memory_size >> PAGE_SHIFT;
	struct umbra_memslot *slot;
	int ret;

	if (umbra_memslots_overlap(current_set, umbra_gpa_to_gfn(mem->guest_phys_addr), npages,
				   NULL))
		return -EEXIST;

	slot = slot_new(vm, mem);
	if (!slot)
		return -ENOMEM;
	ret = xa_insert(&vm->slot_ids, slot->id, slot, GFP_KERNEL);
	if (ret) {
		slot_free(slot);
		return ret;
	}
	if (umbra_memslot_logged(slot))
		umbra_mmu_log_begin(&vm->mmu);
	set_publish(vm, NULL, slot);
	return 0;
}

/* Faults that still map from @old are over when it is out, so the zap finds all there is. */
static void slot_remove(struct umbra_vm *vm, struct umbra_memslot *old)
{
	umbra_mmu_slot_retire(&vm->mmu, old);
	set_publish(vm, old, NULL);
	trace_umbra_zap(old->base_gfn, old->base_gfn + old->npages);
	umbra_mmu_zap_gfns(&vm->mmu, old, old->base_gfn, old->base_gfn + old->npages);
	if (umbra_memslot_logged(old))
		umbra_mmu_log_end(&vm->mmu);
}

static void slot_delete(struct umbra_vm *vm, struct umbra_memslot *old)
{
	xa_erase(&vm->slot_ids, old->id);
	slot_remove(vm, old);
	slot_free(old);
}

/* A deletion and a creation: the guest finds nothing there in between. */
static int slot_move(struct umbra_vm *vm, struct umbra_memslot *old,
		     const struct kvm_userspace_memory_region *mem)
{
	struct umbra_memslot *new;

	if (umbra_memslots_overlap(umbra_memslots_current(&vm->mmu),
				   umbra_gpa_to_gfn(mem->guest_phys_addr), old->npages, old))
		return -EEXIST;
	new = slot_new(vm, mem);
	if (!new)
		return -ENOMEM;

	/* The entry exists: replacing its value needs no memory. */
	xa_store(&vm->slot_ids, new->id, new, GFP_KERNEL);
	if (umbra_memslot_logged(new))
		umbra_mmu_log_begin(&vm->mmu);
	/* CPUs have noted frames of the old place, which nobody knows soon. */
	umbra_mmu_log_sync(&vm->mmu);
	slot_remove(vm, old);
	/* What user space has not fetched yet moves along. */
	if (new->dirty_bitmap && old->dirty_bitmap)
		swap(new->dirty_bitmap, old->dirty_bitmap);
	set_publish(vm, NULL, new);
	slot_free(old);
	return 0;
}

/* Only LOG_DIRTY_PAGES can have changed. The new slot inherits mmu/'s memory. */
static int slot_change_flags(struct umbra_vm *vm, struct umbra_memslot *old, u32 flags)
{
	struct umbra_memslot *new;

	new = kmemdup(old, sizeof(*old), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	new->flags = flags;
	new->dirty_bitmap = NULL;
	if (umbra_dirty_alloc(vm, new)) {
		kfree(new);
		return -ENOMEM;
	}

	xa_store(&vm->slot_ids, new->id, new, GFP_KERNEL);
	if (umbra_memslot_logged(new)) {
		umbra_mmu_log_begin(&vm->mmu);
		set_publish(vm, old, new);
		/* Whatever was mapped writable before leaves no trace in the log. */
		umbra_dirty_start(vm, new);
	} else {
		set_publish(vm, old, new);
		umbra_mmu_log_end(&vm->mmu);
		umbra_mmu_log_stop(&vm->mmu, new);
	}
	umbra_dirty_free(old);
	kfree(old);
	return 0;
}

long umbra_slots_set_region(struct umbra_call *call)
{
	const struct kvm_userspace_memory_region *mem = call->data;
	struct umbra_vm *vm = call->vm;
	struct umbra_memslot *old;
	int ret;

	ret = region_check(mem);
	if (ret)
		return ret;
	old = xa_load(&vm->slot_ids, mem->slot);
	if (!mem->memory_size) {
		if (!old)
			return -EINVAL;
		slot_delete(vm, old);
		return 0;
	}
	if (!old)
		return slot_create(vm, mem);

	if (mem->userspace_addr != old->hva ||
	    mem->memory_size >> PAGE_SHIFT != old->npages ||
	    (mem->flags ^ old->flags) & KVM_MEM_READONLY)
		return -EINVAL;
	if (umbra_gpa_to_gfn(mem->guest_phys_addr) != old->base_gfn)
		return slot_move(vm, old, mem);
	return mem->flags != old->flags ? slot_change_flags(vm, old, mem->flags) : 0;
}
