// SPDX-License-Identifier: GPL-2.0
/* CPUID: what a guest can have, what user space chose, and finding it again. */
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <umbra/vcpu.h>
#include <umbra/vmx.h>
#include "cpuid.h"
#include "ioctl.h"

#define NO_HINT		U16_MAX

static struct kvm_cpuid_entry2 __user *user_entries(const struct umbra_call *call)
{
	struct kvm_cpuid2 __user *user = umbra_call_user(call);

	return user->entries;
}

long umbra_cpuid_supported(struct umbra_call *call)
{
	struct kvm_cpuid2 *head = call->data;
	struct umbra_cpuid_list list = {};
	unsigned int room = head->nent;
	long ret = 0;

	list.entry = kvcalloc(UMBRA_MAX_CPUID, sizeof(*list.entry), GFP_KERNEL_ACCOUNT);
	if (!list.entry)
		return -ENOMEM;
	umbra_cpuid_host(&list);
	head->nent = list.nr;
	if (room < list.nr)
		ret = -E2BIG;
	else if (copy_to_user(user_entries(call), list.entry, list.nr * sizeof(*list.entry)))
		ret = -EFAULT;
	kvfree(list.entry);
	return ret;
}

/* Place of a leaf in the hint table, or UMBRA_CPUID_HINTS when it has none. */
static unsigned int hint_slot(u32 function)
{
	if (function < 32)
		return function;
	if (function - 0x40000000 < 16)
		return 32 + (function - 0x40000000);
	if (function - 0x80000000 < 32)
		return 48 + (function - 0x80000000);
	return UMBRA_CPUID_HINTS;
}

static void build_hints(struct umbra_vcpu *vcpu)
{
	unsigned int i, slot;

	memset16(vcpu->cpuid_hint, NO_HINT, UMBRA_CPUID_HINTS);
	for (i = vcpu->nr_cpuid; i--; ) {
		slot = hint_slot(vcpu->cpuid[i].function);
		if (slot < UMBRA_CPUID_HINTS)
			vcpu->cpuid_hint[slot] = i;
	}
}

struct kvm_cpuid_entry2 *umbra_vcpu_cpuid(struct umbra_vcpu *vcpu, u32 function, u32 index)
{
	unsigned int slot = hint_slot(function);
	unsigned int i = slot < UMBRA_CPUID_HINTS ? vcpu->cpuid_hint[slot] : 0;

	/* A leaf without an entry has NO_HINT, which is beyond any table. */
	for (; i < vcpu->nr_cpuid; i++) {
		struct kvm_cpuid_entry2 *entry = &vcpu->cpuid[i];

		if (entry->function == function &&
		    (!(entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || entry->index == index))
			return entry;
	}
	return NULL;
}

/* A linear address width that no CPU has would make canonical checks nonsense. */
static int check_entries(const struct kvm_cpuid_entry2 *entry, unsigned int nr)
{
	unsigned int i, bits;

	for (i = 0; i < nr; i++) {
		if (entry[i].function != 0x80000008)
			continue;
		bits = entry[i].eax >> 8 & 0xff;
		if (bits && bits != 48 && bits != 57)
			return -EINVAL;
	}
	return 0;
}

static bool same_entries(const struct umbra_vcpu *vcpu, const struct kvm_cpuid_entry2 *entry,
			 unsigned int nr)
{
	return nr == vcpu->nr_cpuid &&
	       !memcmp(entry, vcpu->cpuid, array_size(nr, sizeof(*entry)));
}

long umbra_cpuid_set(struct umbra_call *call)
{
	const struct kvm_cpuid2 *head = call->data;
	struct umbra_vcpu *vcpu = call->vcpu;
	struct kvm_cpuid_entry2 *entry = NULL;
	int ret;

	if (head->nent > UMBRA_MAX_CPUID)
		return -E2BIG;
	if (head->nent) {
		size_t size = array_size(head->nent, sizeof(*entry));

		entry = kvmalloc(size, GFP_KERNEL_ACCOUNT);
		if (!entry)
			return -ENOMEM;
		ret = -EFAULT;
		if (copy_from_user(entry, user_entries(call), size))
			goto err;
		ret = check_entries(entry, head->nent);
		if (ret)
			goto err;
	}
	umbra_vmx_cpuid_runtime(vcpu, entry, head->nent);
	/* A CPU does not change under the guest; the same again is harmless. */
	ret = -EINVAL;
	if (vcpu->stat.exits && !same_entries(vcpu, entry, head->nent))
		goto err;
	kvfree(vcpu->cpuid);
	vcpu->cpuid = entry;
	vcpu->nr_cpuid = head->nent;
	build_hints(vcpu);
	umbra_vmx_cpuid_changed(vcpu);
	return 0;

err:
	kvfree(entry);
	return ret;
}

long umbra_cpuid_get(struct umbra_call *call)
{
	struct kvm_cpuid2 *head = call->data;
	struct umbra_vcpu *vcpu = call->vcpu;
	unsigned int room = head->nent;

	head->nent = vcpu->nr_cpuid;
	if (room < vcpu->nr_cpuid)
		return -E2BIG;
	if (copy_to_user(user_entries(call), vcpu->cpuid,
			 array_size(vcpu->nr_cpuid, sizeof(*vcpu->cpuid))))
		return -EFAULT;
	return 0;
}
