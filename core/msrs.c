// SPDX-License-Identifier: GPL-2.0
/* Lists of MSRs: which there are, and reading and writing many at once. */
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/msr-index.h>
#include <umbra/vcpu.h>
#include <umbra/vmx.h>
#include "ioctl.h"

/* As in KVM: this many, or more, are too many for one call. */
#define MAX_MSRS	256

static long copy_list(struct umbra_call *call, const u32 *index, unsigned int nr)
{
	struct kvm_msr_list *list = call->data;
	struct kvm_msr_list __user *user = umbra_call_user(call);
	unsigned int room = list->nmsrs;

	list->nmsrs = nr;
	if (room < nr)
		return -E2BIG;
	if (copy_to_user(user->indices, index, array_size(nr, sizeof(*index))))
		return -EFAULT;
	return 0;
}

long umbra_msrs_list(struct umbra_call *call)
{
	unsigned int nr;
	const u32 *index = umbra_vmx_msr_list(&nr);

	return copy_list(call, index, nr);
}

/* MSRs that tell what a vCPU could have, and the values of those. */
static const struct {
	u64 value;
	u32 index;
} features[] = {
	{ UMBRA_UCODE_REV, MSR_IA32_UCODE_REV },
	{ 0, MSR_IA32_PERF_CAPABILITIES },
};

long umbra_msrs_feature_list(struct umbra_call *call)
{
	u32 index[ARRAY_SIZE(features)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(features); i++)
		index[i] = features[i].index;
	return copy_list(call, index, ARRAY_SIZE(features));
}

static int get_feature(struct umbra_vcpu *vcpu, struct kvm_msr_entry *entry)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		if (features[i].index != entry->index)
			continue;
		entry->data = features[i].value;
		return 0;
	}
	return -ENOENT;
}

static int get_msr(struct umbra_vcpu *vcpu, struct kvm_msr_entry *entry)
{
	return umbra_vmx_get_msr(vcpu, entry->index, &entry->data, true);
}

static int set_msr(struct umbra_vcpu *vcpu, struct kvm_msr_entry *entry)
{
	return umbra_vmx_set_msr(vcpu, entry->index, entry->data, true);
}

/*
 * Stop at the first MSR for which @one fails.
 * Return: how many were done, or -errno.
 */
static long do_entries(struct umbra_call *call, bool copy_back,
		       int (*one)(struct umbra_vcpu *vcpu, struct kvm_msr_entry *entry))
{
	const struct kvm_msrs *msrs = call->data;
	struct kvm_msrs __user *user = umbra_call_user(call);
	struct kvm_msr_entry *entries;
	long i;

	if (msrs->nmsrs >= MAX_MSRS)
		return -E2BIG;
	entries = memdup_user(user->entries, array_size(msrs->nmsrs, sizeof(*entries)));
	if (IS_ERR(entries))
		return PTR_ERR(entries);
	for (i = 0; i < msrs->nmsrs; i++)
		if (one(call->vcpu, &entries[i]))
			break;
	if (copy_back &&
	    copy_to_user(user->entries, entries, array_size(msrs->nmsrs, sizeof(*entries))))
		i = -EFAULT;
	kfree(entries);
	return i;
}

long umbra_msrs_get(struct umbra_call *call)
{
	return do_entries(call, true, get_msr);
}

/* Without a vCPU. */
long umbra_msrs_get_features(struct umbra_call *call)
{
	return do_entries(call, true, get_feature);
}

long umbra_msrs_set(struct umbra_call *call)
{
	return do_entries(call, false, set_msr);
}
