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

static bool get_feature(struct kvm_msr_entry *entry)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		if (features[i].index != entry->index)
			continue;
		entry->data = features[i].value;
		return true;
	}
	return false;
}

static struct kvm_msr_entry *copy_entries(struct umbra_call *call)
{
	const struct kvm_msrs *msrs = call->data;
	struct kvm_msrs __user *user = umbra_call_user(call);

	if (msrs->nmsrs >= MAX_MSRS)
		return ERR_PTR(-E2BIG);
	return memdup_user(user->entries, msrs->nmsrs * sizeof(user->entries[0]));
}

/* Both stop at the first MSR that fails and return how many they did. */
long umbra_msrs_get(struct umbra_call *call)
{
	const struct kvm_msrs *msrs = call->data;
	struct kvm_msrs __user *user = umbra_call_user(call);
	struct kvm_msr_entry *entry = copy_entries(call);
	long i;

	if (IS_ERR(entry))
		return PTR_ERR(entry);
	for (i = 0; i < msrs->nmsrs; i++)
		if (umbra_vmx_get_msr(call->vcpu, entry[i].index, &entry[i].data, true))
			break;
	if (copy_to_user(user->entries, entry, msrs->nmsrs * sizeof(*entry)))
		i = -EFAULT;
	kfree(entry);
	return i;
}

/* The same without a vCPU. */
long umbra_msrs_get_features(struct umbra_call *call)
{
	const struct kvm_msrs *msrs = call->data;
	struct kvm_msrs __user *user = umbra_call_user(call);
	struct kvm_msr_entry *entry = copy_entries(call);
	long i;

	if (IS_ERR(entry))
		return PTR_ERR(entry);
	for (i = 0; i < msrs->nmsrs; i++)
		if (!get_feature(&entry[i]))
			break;
	if (copy_to_user(user->entries, entry, msrs->nmsrs * sizeof(*entry)))
		i = -EFAULT;
	kfree(entry);
	return i;
}

long umbra_msrs_set(struct umbra_call *call)
{
	const struct kvm_msrs *msrs = call->data;
	struct kvm_msr_entry *entry = copy_entries(call);
	long i;

	if (IS_ERR(entry))
		return PTR_ERR(entry);
	for (i = 0; i < msrs->nmsrs; i++)
		if (umbra_vmx_set_msr(call->vcpu, entry[i].index, entry[i].data, true))
			break;
	kfree(entry);
	return i;
}
