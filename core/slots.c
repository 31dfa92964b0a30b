// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_SET_USER_MEMORY_REGION: the rules, and the order of steps that lets
 * faults run on while slots come and go. All memory is had before the first
 * step, so that nothing can fail half way.
 */
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>
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

static struct umbra_memslots *set_alloc(unsigned int nr)
{
	struct umbra_memslots *set;

	return kvzalloc(struct_size(set, slot, nr), GFP_KERNEL_ACCOUNT);
}

/* Publish @set, and free the old one when no reader can have it any more. */
static void set_publish(struct umbra_vm *vm, struct umbra_memslots *set)
{
	struct umbra_memslots *old = umbra_memslots_current(&vm->mmu);

	rcu_assign_pointer(vm->mmu.memslots, set);
	synchronize_srcu_expedited(&vm->mmu.srcu);
	kvfree(old);
}

/* Build the set with @add in place of @drop; both may be NULL. */
static struct umbra_memslots *set_build(struct umbra_vm *vm, const struct umbra_memslot *drop,
					struct umbra_memslot *add)
{
	struct umbra_memslots *old = umbra_memslots_current(&vm->mmu);
	struct umbra_memslots *set = set_alloc(old->nr + !!add);

	if (set)
		umbra_memslots_rebuild(set, old, drop, add);
	return set;
}

int umbra_slots_init(struct umbra_vm *vm)
{
	struct umbra_memslots *set = set_alloc(0);

	if (!set)
		return -ENOMEM;
	xa_init_flags(&vm->slot_ids, XA_FLAGS_ACCOUNT);
	rcu_assign_pointer(vm->mmu.memslots, set);
	return 0;
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
	struct umbra_memslots *set = umbra_memslots_current(&vm->mmu);
	unsigned int i;

	rcu_assign_pointer(vm->mmu.memslots, NULL);
	for (i = 0; i < set->nr; i++)
		slot_free(set->slot[i]);
	kvfree(set);
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
	if (umbra_dirty_alloc(slot) || umbra_mmu_slot_alloc(&vm->mmu, slot)) {
		slot_free(slot);
		return NULL;
	}
	return slot;
}

static int slot_create(struct umbra_vm *vm, const struct kvm_userspace_memory_region *mem)
{
	unsigned long npages = mem->memory_size >> PAGE_SHIFT;
	struct umbra_memslots *set;
	struct umbra_memslot *slot;
	int ret = -ENOMEM;

	if (vm->slot_pages + npages < vm->slot_pages)
		return -EINVAL;
	if (umbra_memslots_overlap(umbra_memslots_current(&vm->mmu),
				   umbra_gpa_to_gfn(mem->guest_phys_addr), npages, NULL))
		return -EEXIST;

	slot = slot_new(vm, mem);
	if (!slot)
		return ret;
	set = set_build(vm, NULL, slot);
	if (!set)
		goto err_slot;
	ret = xa_insert(&vm->slot_ids, slot->id, slot, GFP_KERNEL);
	if (ret)
		goto err_set;
	set_publish(vm, set);
	vm->slot_pages += npages;
	return 0;

err_set:
	kvfree(set);
err_slot:
	slot_free(slot);
	return ret;
}

/*
 * Publish @set, which lacks @old. Faults that still map from @old are over when
 * the publication is, so the zap finds all there is.
 */
static void slot_remove(struct umbra_vm *vm, struct umbra_memslot *old,
			struct umbra_memslots *set)
{
	umbra_mmu_slot_retire(&vm->mmu, old);
	set_publish(vm, set);
	umbra_mmu_zap_gfns(&vm->mmu, old, old->base_gfn, old->base_gfn + old->npages);
}

static int slot_delete(struct umbra_vm *vm, struct umbra_memslot *old)
{
	struct umbra_memslots *set = set_build(vm, old, NULL);

	if (!set)
		return -ENOMEM;
	xa_erase(&vm->slot_ids, old->id);
	vm->slot_pages -= old->npages;
	slot_remove(vm, old, set);
	slot_free(old);
	return 0;
}

/* A deletion and a creation: the guest finds nothing there in between. */
static int slot_move(struct umbra_vm *vm, struct umbra_memslot *old,
		     const struct kvm_userspace_memory_region *mem)
{
	struct umbra_memslots *without, *with;
	struct umbra_memslot *new;

	if (umbra_memslots_overlap(umbra_memslots_current(&vm->mmu),
				   umbra_gpa_to_gfn(mem->guest_phys_addr), old->npages, old))
		return -EEXIST;
	new = slot_new(vm, mem);
	if (!new)
		return -ENOMEM;
	without = set_build(vm, old, NULL);
	with = set_build(vm, old, new);
	if (!without || !with)
		goto err;
	with->generation++;

	/* The entry exists: replacing its value needs no memory. */
	xa_store(&vm->slot_ids, new->id, new, GFP_KERNEL);
	slot_remove(vm, old, without);
	/* What user space has not fetched yet moves along. */
	if (new->dirty_bitmap && old->dirty_bitmap)
		swap(new->dirty_bitmap, old->dirty_bitmap);
	set_publish(vm, with);
	slot_free(old);
	return 0;

err:
	kvfree(without);
	kvfree(with);
	slot_free(new);
	return -ENOMEM;
}

/* Only LOG_DIRTY_PAGES can have changed. The new slot inherits mmu/'s memory. */
static int slot_change_flags(struct umbra_vm *vm, struct umbra_memslot *old, u32 flags)
{
	struct umbra_memslots *set;
	struct umbra_memslot *new;

	new = kmemdup(old, sizeof(*old), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	new->flags = flags;
	new->dirty_bitmap = NULL;
	if (umbra_dirty_alloc(new))
		goto err_new;
	set = set_build(vm, old, new);
	if (!set)
		goto err_bitmap;

	xa_store(&vm->slot_ids, new->id, new, GFP_KERNEL);
	set_publish(vm, set);
	/* Whatever was mapped writable before is not logged: take that away. */
	if (flags & KVM_MEM_LOG_DIRTY_PAGES)
		umbra_mmu_write_protect_slot(&vm->mmu, new);
	umbra_dirty_free(old);
	kfree(old);
	return 0;

err_bitmap:
	umbra_dirty_free(new);
err_new:
	kfree(new);
	return -ENOMEM;
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
	if (!mem->memory_size)
		return old ? slot_delete(vm, old) : -EINVAL;
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
