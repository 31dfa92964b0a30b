// SPDX-License-Identifier: GPL-2.0
/* The slot whose writes are logged: what the host does for CALL_LOG. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "guest_vm.h"

#define LOG_SLOT	30

static u64 bits_set(const u64 *bitmap, u64 pages)
{
	u64 nr = 0, i;

	for (i = 0; i < (pages + 63) / 64; i++)
		nr += __builtin_popcountll(bitmap[i]);
	return nr;
}

static int create(struct guest *guest, u64 pages)
{
	void *hva;

	if (uvmm_mem_add(&guest->vm, LOG_SLOT, GUEST_LOG_GPA, pages << 12, NULL, 0))
		return -1;
	hva = uvmm_hva(&guest->vm, GUEST_LOG_GPA, pages << 12);
	return madvise(hva, pages << 12, MADV_POPULATE_WRITE);
}

static int set_flags(struct guest *guest, u64 pages, u32 flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = LOG_SLOT, .flags = flags, .guest_phys_addr = GUEST_LOG_GPA,
		.memory_size = pages << 12,
		.userspace_addr = (unsigned long)uvmm_hva(&guest->vm, GUEST_LOG_GPA, pages << 12),
	};

	return ioctl(guest->vm.fd, KVM_SET_USER_MEMORY_REGION, &region);
}

int guest_log_slot(struct guest *guest)
{
	static u64 bitmap[GUEST_LOG_PAGES / 64];
	u64 pages = guest->ctl->arg[1];
	struct kvm_dirty_log log = { .slot = LOG_SLOT, .dirty_bitmap = bitmap };
	struct kvm_clear_dirty_log clear = {
		.slot = LOG_SLOT, .num_pages = pages, .dirty_bitmap = bitmap,
	};
	int ret = -1;

	if (pages > GUEST_LOG_PAGES)
		return GUEST_FAILED;
	switch (guest->ctl->arg[0]) {
	case GUEST_LOG_CREATE:
		ret = create(guest, pages);
		break;
	case GUEST_LOG_ARM:
		ret = set_flags(guest, pages, KVM_MEM_LOG_DIRTY_PAGES);
		break;
	case GUEST_LOG_GET:
		ret = ioctl(guest->vm.fd, KVM_GET_DIRTY_LOG, &log);
		guest->ctl->arg[1] = bits_set(bitmap, pages);
		break;
	case GUEST_LOG_CLEAR:
		memset(bitmap, 0xff, sizeof(bitmap));
		ret = ioctl(guest->vm.fd, KVM_CLEAR_DIRTY_LOG, &clear);
		break;
	case GUEST_LOG_DISARM:
		ret = set_flags(guest, pages, 0);
		break;
	}
	return ret ? GUEST_FAILED : 0;
}
