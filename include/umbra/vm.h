/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The VM object. Keys in the field comments:
 *   C  constant after creation
 *   L  vm->lock
 *   S  vm->slots_lock for writing, mmu.srcu for reading
 *   A  atomic
 */
#ifndef _UMBRA_VM_H
#define _UMBRA_VM_H

#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <umbra/mmu.h>
#include <umbra/options.h>
#include <umbra/pv.h>
#include <umbra/types.h>

struct dentry;
struct umbra_irqchip;
struct umbra_msr_filter;
struct umbra_vcpu;

/**
 * struct umbra_vm - one virtual machine
 * @mm: C: the creator's; guest memory lives in it
 * @lock: vCPU creation and one-time configuration
 * @slots_lock: memslot changes
 * @users: A: the VM fd, each vCPU fd, each stats fd
 * @mmu: page tables; its own locks
 * @notifier: registered on @mm until the last fd is gone
 * @vcpu: L for writing; entries never change once set, readers use
 *	umbra_vm_vcpu() after an acquire-read of @nr_vcpus
 * @nr_vcpus: L for writing
 * @slot_ids: S: slots by user space's number
 * @slot_set: S: two sets with the same slots, of which one is published
 * @ring_entries: L: places in each vCPU's dirty ring; 0: bitmaps. Fixed with the
 *	first vCPU
 * @log_flags: S: KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE, KVM_DIRTY_LOG_INITIALLY_SET
 * @irqchip: L for writing, set once: interrupt controllers in the kernel, or NULL;
 *	readers without vm->lock use umbra_vm_irqchip()
 * @boot_cpu_id: L: id of the vCPU that is the boot processor; fixed with the first
 *	vCPU
 * @clock: the VM's clock; its own lock
 * @opt: L for writing: what user space chose
 * @msr_filter: L for writing, mmu.srcu for reading: NULL lets everything pass
 * @ioeventfds: L for writing, RCU for reading
 * @nx_link: among all VMs, see core/nx.c, whose lock guards this and the next two
 * @nx_work: lets what was split for execution become large again
 * @nx_disabled: the VM may execute from large pages anyway
 * @coalesced_ring: C: page shared with user space
 * @coalesced_lock: its writers
 * @coalesced_zones: L for writing, RCU for reading
 * @name: C: for stats and the log, "kvm-PID", as clients expect
 * @debugfs: C: its directory there
 */
struct umbra_vm {
	struct mm_struct *mm;
	struct mutex lock;		/* L */
	struct mutex slots_lock;	/* S */
	refcount_t users;
	struct umbra_mmu mmu;
	struct mmu_notifier notifier;
	struct umbra_vcpu *vcpu[UMBRA_MAX_VCPUS];
	unsigned int nr_vcpus;
	struct xarray slot_ids;
	struct umbra_memslots slot_set[2];
	u32 ring_entries;
	u32 log_flags;
	struct umbra_irqchip *irqchip;
	u32 boot_cpu_id;
	struct umbra_clock clock;
	struct umbra_options opt;
	struct umbra_msr_filter __rcu *msr_filter;
	struct list_head ioeventfds;
	struct list_head nx_link;
	struct delayed_work nx_work;
	bool nx_disabled;
	struct kvm_coalesced_mmio_ring *coalesced_ring;
	spinlock_t coalesced_lock;	/* innermost */
	struct list_head coalesced_zones;
	char name[24];
	struct dentry *debugfs;
};

static inline struct umbra_vm *mmu_to_vm(struct umbra_mmu *mmu)
{
	return container_of(mmu, struct umbra_vm, mmu);
}

/**
 * umbra_vm_get() / umbra_vm_put() - hold and release a VM; the last put frees it
 *
 * Context: put may sleep.
 */
void umbra_vm_get(struct umbra_vm *vm);
void umbra_vm_put(struct umbra_vm *vm);

/**
 * umbra_vm_vcpu() - the vCPU with index @i, for readers without vm->lock
 * @vm: the VM
 * @i: index
 *
 * Return: the vCPU, NULL when there are not so many.
 */
static inline struct umbra_vcpu *umbra_vm_vcpu(struct umbra_vm *vm, unsigned int i)
{
	/* Pairs with the release in umbra_vcpu_create(). */
	return i < smp_load_acquire(&vm->nr_vcpus) ? vm->vcpu[i] : NULL;
}

/* vm->irqchip for readers without vm->lock. */
static inline struct umbra_irqchip *umbra_vm_irqchip(struct umbra_vm *vm)
{
	/* Pairs with the release in umbra_irqchip_create(). */
	return smp_load_acquire(&vm->irqchip);
}

#endif /* _UMBRA_VM_H */
