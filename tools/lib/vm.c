// SPDX-License-Identifier: GPL-2.0
/* VMs and their memory. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/umbra.h>
#include "uvmm.h"

static int vm_open_node(struct uvmm_vm *vm)
{
	vm->node_fd = open(vm->node, O_RDWR | O_CLOEXEC);
	return vm->node_fd < 0 ? -errno : 0;
}

static bool vm_chooses_paging(const struct uvmm_vm *vm)
{
	return ioctl(vm->node_fd, KVM_CHECK_EXTENSION, UMBRA_CAP_PAGING_MODE) > 0;
}

/*
 * The stock module has one mode for all VMs, chosen when it is loaded, and an
 * open node keeps it from being reloaded.
 */
static int vm_reload_stock(struct uvmm_vm *vm, enum uvmm_paging paging)
{
	int ret;

	close(vm->node_fd);
	vm->node_fd = -1;
	ret = uvmm_host_paging(vm->node, paging);
	return ret ? ret : vm_open_node(vm);
}

static int vm_set_paging(struct uvmm_vm *vm, enum uvmm_paging paging)
{
	struct kvm_enable_cap cap = { .cap = UMBRA_CAP_PAGING_MODE };

	cap.args[0] = paging == UVMM_PAGING_EPT ? UMBRA_PAGING_EPT : UMBRA_PAGING_SHADOW;
	return ioctl(vm->fd, KVM_ENABLE_CAP, &cap) < 0 ? -errno : 0;
}

/* The identity-map page and the TSS live below 4 GiB, out of any guest's way. */
static int vm_set_private_pages(struct uvmm_vm *vm)
{
	__u64 identity = 0xfffbc000;

	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return -errno;
	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000UL) < 0)
		return -errno;
	return 0;
}

int uvmm_vm_create(struct uvmm_vm *vm, const char *node, enum uvmm_paging paging)
{
	int ret;

	memset(vm, 0, sizeof(*vm));
	vm->node = node;
	vm->fd = -1;
	ret = vm_open_node(vm);
	if (ret == -ENOENT && paging != UVMM_PAGING_DEFAULT && !uvmm_host_paging(node, paging))
		ret = vm_open_node(vm);
	if (ret)
		return ret;

	if (paging != UVMM_PAGING_DEFAULT && !vm_chooses_paging(vm)) {
		ret = vm_reload_stock(vm, paging);
		if (ret)
			goto fail;
		paging = UVMM_PAGING_DEFAULT;
	}
	ret = -EPROTO;
	if (ioctl(vm->node_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		goto fail;
	ret = ioctl(vm->node_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (ret < 0)
		goto fail_errno;
	vm->run_size = ret;

	vm->fd = ioctl(vm->node_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		goto fail_errno;
	ret = paging == UVMM_PAGING_DEFAULT ? 0 : vm_set_paging(vm, paging);
	if (!ret)
		ret = vm_set_private_pages(vm);
	if (ret)
		goto fail;
	return 0;

fail_errno:
	ret = -errno;
fail:
	uvmm_vm_destroy(vm);
	return ret;
}

void uvmm_vm_destroy(struct uvmm_vm *vm)
{
	unsigned int i;

	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->node_fd >= 0)
		close(vm->node_fd);
	for (i = 0; i < vm->n_mem; i++)
		if (vm->mem[i].owned)
			munmap(vm->mem[i].hva, vm->mem[i].size);
	vm->fd = -1;
	vm->node_fd = -1;
	vm->n_mem = 0;
}

/* A slot that uvmm_hva() does not know of; of size 0 to delete it. */
int uvmm_slot(struct uvmm_vm *vm, u32 slot, u64 gpa, u64 size, void *hva, u32 flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (unsigned long)hva,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

static int vm_set_slot(struct uvmm_vm *vm, const struct uvmm_mem *mem, u64 size)
{
	return uvmm_slot(vm, mem->slot, mem->gpa, size, mem->hva, mem->flags);
}

/*
 * Add a memory slot. With hva == NULL the memory is private anonymous memory of
 * small pages, so that figures do not depend on the host's huge page luck.
 */
int uvmm_mem_add(struct uvmm_vm *vm, u32 slot, u64 gpa, u64 size, void *hva, u32 flags)
{
	struct uvmm_mem *mem = &vm->mem[vm->n_mem];
	int ret;

	if (vm->n_mem == UVMM_MAX_MEM)
		return -ENOSPC;

	*mem = (struct uvmm_mem){
		.slot = slot, .flags = flags, .gpa = gpa, .size = size, .hva = hva,
		.owned = !hva,
	};
	if (mem->owned) {
		mem->hva = mmap(NULL, size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (mem->hva == MAP_FAILED)
			return -errno;
		/* Fails only where the host has no huge pages to begin with. */
		madvise(mem->hva, size, MADV_NOHUGEPAGE);
	}

	ret = vm_set_slot(vm, mem, size);
	if (ret) {
		if (mem->owned)
			munmap(mem->hva, size);
		return ret;
	}
	vm->n_mem++;
	return 0;
}

int uvmm_mem_del(struct uvmm_vm *vm, u32 slot)
{
	unsigned int i;
	int ret;

	for (i = 0; i < vm->n_mem; i++)
		if (vm->mem[i].slot == slot)
			break;
	if (i == vm->n_mem)
		return -ENOENT;

	ret = vm_set_slot(vm, &vm->mem[i], 0);
	if (ret)
		return ret;
	if (vm->mem[i].owned)
		munmap(vm->mem[i].hva, vm->mem[i].size);
	vm->mem[i] = vm->mem[--vm->n_mem];
	return 0;
}

/* The host's view of guest memory, NULL unless one slot holds all of it. */
void *uvmm_hva(const struct uvmm_vm *vm, u64 gpa, u64 len)
{
	const struct uvmm_mem *mem;

	for (mem = vm->mem; mem < vm->mem + vm->n_mem; mem++)
		if (gpa >= mem->gpa && gpa - mem->gpa < mem->size &&
		    len <= mem->size - (gpa - mem->gpa))
			return (char *)mem->hva + (gpa - mem->gpa);
	return NULL;
}

int uvmm_load(struct uvmm_vm *vm, u64 gpa, const void *data, size_t len)
{
	void *hva = uvmm_hva(vm, gpa, len);

	if (!hva)
		return -EFAULT;
	memcpy(hva, data, len);
	return 0;
}
