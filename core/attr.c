// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes of a vCPU: how far its TSC is ahead of the host's. Of the node: what
 * XCR0 guests may have.
 */
#include <linux/kvm.h>
#include <linux/uaccess.h>
#include <umbra/vcpu.h>
#include <umbra/vmx.h>
#include "ioctl.h"

static bool is_tsc_offset(const struct kvm_device_attr *attr)
{
	return attr->group == KVM_VCPU_TSC_CTRL && attr->attr == KVM_VCPU_TSC_OFFSET;
}

static u64 __user *user_value(const struct kvm_device_attr *attr)
{
	return (u64 __user *)(uintptr_t)attr->addr;
}

long umbra_attr_has(struct umbra_call *call)
{
	return is_tsc_offset(call->data) ? 0 : -ENXIO;
}

long umbra_attr_get(struct umbra_call *call)
{
	if (!is_tsc_offset(call->data))
		return -ENXIO;
	return put_user(umbra_vmx_tsc_offset(call->vcpu), user_value(call->data));
}

long umbra_attr_set(struct umbra_call *call)
{
	u64 offset;

	if (!is_tsc_offset(call->data))
		return -ENXIO;
	if (get_user(offset, user_value(call->data)))
		return -EFAULT;
	umbra_vmx_set_tsc_offset(call->vcpu, offset);
	return 0;
}

static bool is_xcr0(const struct kvm_device_attr *attr)
{
	return !attr->group && attr->attr == KVM_X86_XCOMP_GUEST_SUPP;
}

long umbra_attr_sys_has(struct umbra_call *call)
{
	return is_xcr0(call->data) ? 0 : -ENXIO;
}

long umbra_attr_sys_get(struct umbra_call *call)
{
	if (!is_xcr0(call->data))
		return -ENXIO;
	return put_user(umbra_vmx_xcr0(), user_value(call->data));
}
