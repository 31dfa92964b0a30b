// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_X86_SET_MSR_FILTER: which MSRs a guest may read and write. A filter never
 * changes once it is published; readers hold mmu.srcu.
 */
#include <linux/bitmap.h>
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <umbra/options.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include "ioctl.h"

struct msr_range {
	u32 access;
	u32 base;
	u32 nr;
	unsigned long *allowed;
};

struct umbra_msr_filter {
	bool default_allow;
	unsigned int nr;
	struct msr_range range[KVM_MSR_FILTER_MAX_RANGES];
};

static void filter_free(struct umbra_msr_filter *filter)
{
	unsigned int i;

	if (!filter)
		return;
	for (i = 0; i < filter->nr; i++)
		kvfree(filter->range[i].allowed);
	kfree(filter);
}

static int range_add(struct umbra_msr_filter *filter, const struct kvm_msr_filter_range *in)
{
	struct msr_range *range = &filter->range[filter->nr];
	size_t size = BITS_TO_LONGS(in->nmsrs) * sizeof(long);
	void *bitmap;

	if (!in->nmsrs)
		return 0;
	if (in->flags & ~(KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE))
		return -EINVAL;
	if (size > KVM_MSR_FILTER_MAX_BITMAP_SIZE)
		return -EINVAL;
	bitmap = vmemdup_user((const void __user *)(uintptr_t)in->bitmap, size);
	if (IS_ERR(bitmap))
		return PTR_ERR(bitmap);
	range->access = in->flags;
	range->base = in->base;
	range->nr = in->nmsrs;
	range->allowed = bitmap;
	filter->nr++;
	return 0;
}

static struct umbra_msr_filter *filter_new(const struct kvm_msr_filter *in)
{
	struct umbra_msr_filter *filter;
	int i, ret;

	filter = kzalloc(sizeof(*filter), GFP_KERNEL_ACCOUNT);
	if (!filter)
		return ERR_PTR(-ENOMEM);
	filter->default_allow = !(in->flags & KVM_MSR_FILTER_DEFAULT_DENY);
	for (i = 0; i < ARRAY_SIZE(in->ranges); i++) {
		ret = range_add(filter, &in->ranges[i]);
		if (ret) {
			filter_free(filter);
			return ERR_PTR(ret);
		}
	}
	return filter;
}

static bool is_empty(const struct kvm_msr_filter *in)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(in->ranges); i++)
		if (in->ranges[i].nmsrs)
			return false;
	return true;
}

/* Each vCPU sees it at its next entry, for which it leaves the guest now. */
long umbra_msr_filter_set(struct umbra_call *call)
{
	const struct kvm_msr_filter *in = call->data;
	struct umbra_vm *vm = call->vm;
	struct umbra_msr_filter *filter = NULL, *old;
	unsigned int i;

	if (in->flags & ~KVM_MSR_FILTER_DEFAULT_DENY)
		return -EINVAL;
	if (is_empty(in)) {
		if (in->flags)
			return -EINVAL;
	} else {
		filter = filter_new(in);
		if (IS_ERR(filter))
			return PTR_ERR(filter);
	}
	old = rcu_replace_pointer(vm->msr_filter, filter, lockdep_is_held(&vm->lock));
	synchronize_srcu(&vm->mmu.srcu);
	filter_free(old);
	for (i = 0; i < vm->nr_vcpus; i++) {
		umbra_make_request(vm->vcpu[i], UMBRA_REQ_MSR_FILTER);
		umbra_vcpu_kick(vm->vcpu[i]);
	}
	return 0;
}

void umbra_msr_filter_destroy(struct umbra_vm *vm)
{
	filter_free(rcu_dereference_protected(vm->msr_filter, true));
}

/* The first range that names the MSR decides. */
bool umbra_msr_allowed(struct umbra_vm *vm, u32 index, u32 access)
{
	const struct umbra_msr_filter *filter = srcu_dereference(vm->msr_filter, &vm->mmu.srcu);
	unsigned int i;

	/* x2APIC registers are not filtered: user space cannot stand in for them. */
	if (!filter || (index >> 8) == 8)
		return true;
	for (i = 0; i < filter->nr; i++) {
		const struct msr_range *range = &filter->range[i];

		if ((range->access & access) && index >= range->base &&
		    index - range->base < range->nr)
			return test_bit(index - range->base, range->allowed);
	}
	return filter->default_allow;
}
