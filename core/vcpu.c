// SPDX-License-Identifier: GPL-2.0
/* The vCPU object: creation, its fd and mmap, loading, kicking, destruction. */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <umbra/compat.h>
#include <umbra/irqchip.h>
#include <umbra/vcpu.h>
#include <umbra/vmx.h>
#include "ioctl.h"
#include "ring.h"

static void vcpu_sched_in(struct preempt_notifier *pn, int cpu)
{
	struct umbra_vcpu *vcpu = container_of(pn, struct umbra_vcpu, pn);

	WRITE_ONCE(vcpu->preempted, false);
	if (vcpu->pv.steal)
		set_bit(UMBRA_REQ_STEAL, &vcpu->requests);
	umbra_vmx_vcpu_load(vcpu, cpu);
}

static void vcpu_sched_out(struct preempt_notifier *pn, struct task_struct *next)
{
	struct umbra_vcpu *vcpu = container_of(pn, struct umbra_vcpu, pn);

	if (READ_ONCE(current->__state) == TASK_RUNNING)
		WRITE_ONCE(vcpu->preempted, true);
	umbra_vmx_vcpu_put(vcpu);
}

static struct preempt_ops vcpu_preempt_ops = {
	.sched_in = vcpu_sched_in,
	.sched_out = vcpu_sched_out,
};

void umbra_vcpu_load(struct umbra_vcpu *vcpu)
{
	int cpu = get_cpu();

	preempt_notifier_register(&vcpu->pn);
	umbra_vmx_vcpu_load(vcpu, cpu);
	put_cpu();
}

void umbra_vcpu_put(struct umbra_vcpu *vcpu)
{
	preempt_disable();
	umbra_vmx_vcpu_put(vcpu);
	preempt_notifier_unregister(&vcpu->pn);
	preempt_enable();
}

void umbra_vcpu_kick(struct umbra_vcpu *vcpu)
{
	int me = get_cpu();
	int cpu = READ_ONCE(vcpu->cpu);

	/*
	 * Any interrupt makes it exit. Outside the guest there is nothing to
	 * do: it looks at its requests before it enters.
	 */
	if (READ_ONCE(vcpu->mode) == UMBRA_IN_GUEST && cpu != me && cpu >= 0 &&
	    cpu_online(cpu))
		smp_send_reschedule(cpu);
	put_cpu();
}

u64 umbra_vcpu_cr8(struct umbra_vcpu *vcpu)
{
	return vcpu->lapic ? umbra_lapic_get_cr8(vcpu) : vcpu->cr8;
}

static int vcpu_alloc_pages(struct umbra_vcpu *vcpu)
{
	vcpu->run = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	vcpu->pio_page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->run || !vcpu->pio_page)
		return -ENOMEM;
	if (umbra_ring_create(vcpu))
		return -ENOMEM;
	if (!fpu_alloc_guest_fpstate(&vcpu->guest_fpu))
		return -ENOMEM;
	return 0;
}

/* Also for a vCPU whose creation stopped half way. */
static void vcpu_free(struct umbra_vcpu *vcpu)
{
	if (vcpu->guest_fpu.fpstate)
		fpu_free_guest_fpstate(&vcpu->guest_fpu);
	umbra_ring_destroy(vcpu);
	free_page((unsigned long)vcpu->pio_page);
	free_page((unsigned long)vcpu->run);
	kvfree(vcpu->cpuid);
	put_pid(rcu_access_pointer(vcpu->pid));
	umbra_vmx_vcpu_free(vcpu);
}

void umbra_vcpu_destroy(struct umbra_vcpu *vcpu)
{
	umbra_lapic_destroy(vcpu);
	umbra_mmu_vcpu_destroy(&vcpu->mmu);
	vcpu_free(vcpu);
}

static struct umbra_vcpu *vcpu_new(struct umbra_vm *vm, int id)
{
	struct umbra_vcpu *vcpu = umbra_vmx_vcpu_alloc(vm);
	int ret;

	if (!vcpu)
		return ERR_PTR(-ENOMEM);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->idx = vm->nr_vcpus;
	vcpu->cpu = -1;
	vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	mutex_init(&vcpu->mutex);
	rcuwait_init(&vcpu->wait);
	preempt_notifier_init(&vcpu->pn, &vcpu_preempt_ops);

	ret = vcpu_alloc_pages(vcpu);
	if (ret)
		goto err;
	ret = umbra_mmu_vcpu_init(&vcpu->mmu, &vm->mmu);
	if (ret)
		goto err;
	umbra_vmx_vcpu_reset(vcpu);
	if (!vm->irqchip)
		return vcpu;

	/* With local APICs in the kernel all but one wait to be started. */
	ret = umbra_lapic_create(vcpu);
	if (ret)
		goto err_mmu;
	if (vcpu->id != vm->boot_cpu_id)
		vcpu->mp_state = KVM_MP_STATE_UNINITIALIZED;
	return vcpu;

err_mmu:
	umbra_mmu_vcpu_destroy(&vcpu->mmu);
err:
	vcpu_free(vcpu);
	return ERR_PTR(ret);
}

static int vcpu_check_id(struct umbra_vm *vm, unsigned long id)
{
	unsigned int i;

	if (id >= (vm->opt.max_vcpu_id ?: UMBRA_MAX_VCPU_ID) || vm->nr_vcpus == UMBRA_MAX_VCPUS)
		return -EINVAL;
	for (i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpu[i]->id == id)
			return -EEXIST;
	return 0;
}

/* The file first: once others can see the vCPU, nothing may fail any more. */
long umbra_vcpu_create(struct umbra_call *call)
{
	struct umbra_vm *vm = call->vm;
	struct umbra_vcpu *vcpu;
	struct file *file;
	char name[24];
	int fd, ret;

	ret = vcpu_check_id(vm, call->arg);
	if (!ret && !vm->nr_vcpus)
		ret = umbra_mmu_slots_prepare(&vm->mmu);
	if (ret)
		return ret;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	vcpu = vcpu_new(vm, call->arg);
	if (IS_ERR(vcpu)) {
		ret = PTR_ERR(vcpu);
		goto err_fd;
	}
	snprintf(name, sizeof(name), "kvm-vcpu:%d", vcpu->id);
	file = anon_inode_getfile(name, &umbra_vcpu_fops, vcpu, O_RDWR);
	if (IS_ERR(file)) {
		ret = PTR_ERR(file);
		goto err_vcpu;
	}

	umbra_vm_get(vm);
	vm->vcpu[vcpu->idx] = vcpu;
	/* Pairs with the acquire in umbra_vm_vcpu(). */
	smp_store_release(&vm->nr_vcpus, vcpu->idx + 1);
	fd_install(fd, file);
	return fd;

err_vcpu:
	umbra_vcpu_destroy(vcpu);
err_fd:
	put_unused_fd(fd);
	return ret;
}

/* The vCPU itself lives as long as its VM: kicks find it without a lock. */
int umbra_vcpu_release(struct inode *inode, struct file *file)
{
	struct umbra_vcpu *vcpu = file->private_data;

	umbra_vm_put(vcpu->vm);
	return 0;
}

static vm_fault_t vcpu_mmap_fault(struct vm_fault *vmf)
{
	struct umbra_vcpu *vcpu = vmf->vma->vm_file->private_data;
	struct page *page = umbra_ring_page(vcpu, vmf->pgoff);
	void *addr;

	if (page) {
		vmf->page = page;
		get_page(page);
		return 0;
	}
	switch (vmf->pgoff) {
	case UMBRA_VCPU_RUN_PAGE:
		addr = vcpu->run;
		break;
	case UMBRA_VCPU_PIO_PAGE:
		addr = vcpu->pio_page;
		break;
	case KVM_COALESCED_MMIO_PAGE_OFFSET:
		addr = vcpu->vm->coalesced_ring;
		break;
	default:
		return VM_FAULT_SIGBUS;
	}
	vmf->page = virt_to_page(addr);
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct vcpu_vm_ops = {
	.fault = vcpu_mmap_fault,
};

int umbra_vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct umbra_vcpu *vcpu = file->private_data;
	pgoff_t last = vma->vm_pgoff + vma_pages(vma) - 1;

	/* Both sides write to the ring: it must be the same one. */
	if ((umbra_ring_page(vcpu, vma->vm_pgoff) || umbra_ring_page(vcpu, last)) &&
	    (vma->vm_flags & VM_EXEC || !(vma->vm_flags & VM_SHARED)))
		return -EINVAL;
	vma->vm_ops = &vcpu_vm_ops;
	return 0;
}
