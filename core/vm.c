// SPDX-License-Identifier: GPL-2.0
/* The VM object: creation, reference count, destruction. */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/kvm.h>
#include <linux/preempt.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <umbra/irqchip.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include <umbra/vmx.h>
#include "core.h"
#include "debugfs.h"
#include "ioctl.h"

static struct umbra_vm *vm_alloc(void)
{
	struct umbra_vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);

	if (!vm)
		return NULL;
	mutex_init(&vm->lock);
	mutex_init(&vm->slots_lock);
	INIT_LIST_HEAD(&vm->ioeventfds);
	refcount_set(&vm->users, 1);
	snprintf(vm->name, sizeof(vm->name), "kvm-%d", task_pid_nr(current));
	vm->mm = current->mm;
	mmgrab(vm->mm);
	umbra_clock_init(&vm->clock);
	return vm;
}

static void vm_free(struct umbra_vm *vm)
{
	mmdrop(vm->mm);
	kfree(vm);
}

static struct umbra_vm *vm_new(void)
{
	struct umbra_vm *vm;
	int ret = -ENOMEM;

	vm = vm_alloc();
	if (!vm)
		return ERR_PTR(ret);
	ret = umbra_vmx_get();
	if (ret)
		goto err_free;
	ret = umbra_mmu_init(&vm->mmu, &umbra_vmx_cpu_ops, umbra_default_policy());
	if (ret)
		goto err_vmx;
	ret = umbra_coalesced_init(vm);
	if (ret)
		goto err_mmu;
	umbra_slots_init(vm);
	ret = umbra_notifier_register(vm);
	if (ret)
		goto err_slots;
	preempt_notifier_inc();
	umbra_nx_join(vm);
	return vm;

err_slots:
	umbra_slots_destroy(vm);
	umbra_coalesced_destroy(vm);
err_mmu:
	umbra_mmu_destroy(&vm->mmu);
err_vmx:
	umbra_vmx_put();
err_free:
	vm_free(vm);
	return ERR_PTR(ret);
}

/* The last fd is gone: nobody runs, nobody can look anything up. */
static void vm_destroy(struct umbra_vm *vm)
{
	unsigned int i, nr;

	umbra_debugfs_remove(vm);
	umbra_nx_leave(vm);
	preempt_notifier_dec();
	umbra_notifier_unregister(vm);
	umbra_irqchip_quiesce(vm);
	nr = vm->nr_vcpus;
	/* What looks for other vCPUs while one goes finds none. */
	vm->nr_vcpus = 0;
	for (i = 0; i < nr; i++)
		umbra_vcpu_destroy(vm->vcpu[i]);
	umbra_msr_filter_destroy(vm);
	umbra_irqchip_destroy(vm);
	umbra_ioeventfd_destroy(vm);
	umbra_coalesced_destroy(vm);
	umbra_mmu_destroy(&vm->mmu);
	umbra_slots_destroy(vm);
	umbra_vmx_put();
	vm_free(vm);
}

void umbra_vm_get(struct umbra_vm *vm)
{
	refcount_inc(&vm->users);
}

void umbra_vm_put(struct umbra_vm *vm)
{
	if (refcount_dec_and_test(&vm->users))
		vm_destroy(vm);
}

int umbra_vm_release(struct inode *inode, struct file *file)
{
	umbra_vm_put(file->private_data);
	return 0;
}

/* Once the fd is installed its owner may close it: add nothing to @vm then. */
static long vm_install(struct umbra_vm *vm)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);
	struct file *file;

	if (fd < 0)
		return fd;
	/* "kvm-vm" is what clients look for in /proc. */
	file = anon_inode_getfile("kvm-vm", &umbra_vm_fops, vm, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	umbra_debugfs_add(vm, fd);
	fd_install(fd, file);
	return fd;
}

long umbra_vm_create(struct umbra_call *call)
{
	struct umbra_vm *vm;
	long fd;

	/* The argument is the machine type; x86 has one. */
	if (call->arg)
		return -EINVAL;
	vm = vm_new();
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	fd = vm_install(vm);
	if (fd < 0)
		umbra_vm_put(vm);
	return fd;
}

/*
 * Where stock KVM puts its TSS and identity map, which a CPU without
 * unrestricted guest needs. Clients must be able to say it; nothing uses it.
 */
long umbra_vm_set_tss_addr(struct umbra_call *call)
{
	return call->arg > (u32)(-3 * PAGE_SIZE) ? -EINVAL : 0;
}

long umbra_vm_set_identity_map_addr(struct umbra_call *call)
{
	return call->vm->nr_vcpus ? -EINVAL : 0;
}
