// SPDX-License-Identifier: GPL-2.0
/*
 * Coalesced MMIO and port output: writes to zones that user space has named are
 * kept in a ring, which it reads when the vCPU comes back for another reason.
 *
 *	ring->last	next to be filled, moved here
 *	ring->first	next to be read, moved by user space
 *
 * One ring for the VM, in the mmap area of each vCPU. User space can write
 * anything into it at any time: an index that makes no sense means that there is
 * no room, and then the vCPU exits as it would without a zone.
 */
#include <linux/kvm.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <umbra/coalesced.h>
#include <umbra/vm.h>
#include "ioctl.h"

/* As many as KVM has. */
#define MAX_ZONES	1000

struct coalesced_zone {
	struct list_head list;
	u64 addr;
	u32 size;
	bool pio;
};

int umbra_coalesced_init(struct umbra_vm *vm)
{
	spin_lock_init(&vm->coalesced_lock);
	INIT_LIST_HEAD(&vm->coalesced_zones);
	vm->coalesced_ring = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return vm->coalesced_ring ? 0 : -ENOMEM;
}

void umbra_coalesced_destroy(struct umbra_vm *vm)
{
	struct coalesced_zone *zone, *next;

	list_for_each_entry_safe(zone, next, &vm->coalesced_zones, list)
		kfree(zone);
	free_page((unsigned long)vm->coalesced_ring);
}

static bool zone_has(const struct coalesced_zone *zone, bool pio, u64 addr, u64 len)
{
	u64 offset = addr - zone->addr;

	return zone->pio == pio && addr >= zone->addr && len <= zone->size &&
	       offset <= zone->size - len;
}

static bool in_zone(struct umbra_vm *vm, bool pio, u64 addr, unsigned int len)
{
	struct coalesced_zone *zone;
	bool found = false;

	rcu_read_lock();
	list_for_each_entry_rcu(zone, &vm->coalesced_zones, list) {
		found = zone_has(zone, pio, addr, len);
		if (found)
			break;
	}
	rcu_read_unlock();
	return found;
}

/* Room for @count more behind @last; one place stays empty. */
static bool has_room(u32 first, u32 last, u32 count)
{
	u32 used;

	if (first >= KVM_COALESCED_MMIO_MAX || last >= KVM_COALESCED_MMIO_MAX)
		return false;
	used = (last + KVM_COALESCED_MMIO_MAX - first) % KVM_COALESCED_MMIO_MAX;
	return used + count < KVM_COALESCED_MMIO_MAX;
}

bool umbra_coalesced_write(struct umbra_vm *vm, bool pio, u64 addr, const void *data,
			   unsigned int len, u32 count)
{
	struct kvm_coalesced_mmio_ring *ring = vm->coalesced_ring;
	bool room;
	u32 last;

	if (likely(list_empty(&vm->coalesced_zones)) || !in_zone(vm, pio, addr, len))
		return false;
	spin_lock(&vm->coalesced_lock);
	last = READ_ONCE(ring->last);
	room = has_room(READ_ONCE(ring->first), last, count);
	for (; room && count; count--) {
		u32 i = array_index_nospec(last, KVM_COALESCED_MMIO_MAX);
		struct kvm_coalesced_mmio *entry = &ring->coalesced_mmio[i];

		entry->phys_addr = addr;
		entry->len = len;
		memcpy(entry->data, data, len);
		entry->pio = pio;
		data += len;
		last = (last + 1) % KVM_COALESCED_MMIO_MAX;
		/* User space reads what lies before @last. */
		smp_store_release(&ring->last, last);
	}
	spin_unlock(&vm->coalesced_lock);
	return room;
}

long umbra_coalesced_register(struct umbra_call *call)
{
	const struct kvm_coalesced_mmio_zone *args = call->data;
	struct umbra_vm *vm = call->vm;
	unsigned int nr = 0;
	struct coalesced_zone *zone;

	lockdep_assert_held(&vm->lock);
	if (args->pio > 1)
		return -EINVAL;
	list_for_each_entry(zone, &vm->coalesced_zones, list)
		nr++;
	if (nr >= MAX_ZONES)
		return -ENOSPC;
	zone = kzalloc(sizeof(*zone), GFP_KERNEL_ACCOUNT);
	if (!zone)
		return -ENOMEM;
	zone->addr = args->addr;
	zone->size = args->size;
	zone->pio = args->pio;
	list_add_tail_rcu(&zone->list, &vm->coalesced_zones);
	return 0;
}

/* All zones that the given range is a part of. That there is none is no error. */
long umbra_coalesced_unregister(struct umbra_call *call)
{
	const struct kvm_coalesced_mmio_zone *args = call->data;
	struct umbra_vm *vm = call->vm;
	struct coalesced_zone *zone, *next;

	lockdep_assert_held(&vm->lock);
	if (args->pio > 1)
		return -EINVAL;
	list_for_each_entry_safe(zone, next, &vm->coalesced_zones, list) {
		if (!zone_has(zone, args->pio, args->addr, args->size))
			continue;
		list_del_rcu(&zone->list);
		synchronize_rcu_expedited();
		kfree(zone);
	}
	return 0;
}
