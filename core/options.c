// SPDX-License-Identifier: GPL-2.0
/* The choices of struct umbra_options: KVM_ENABLE_CAP on a VM. */
#include <linux/kvm.h>
#include <linux/nospec.h>
#include <asm/cpufeature.h>
#include <umbra/options.h>
#include <umbra/vm.h>
#include "ioctl.h"

static long disable_quirks(struct umbra_vm *vm, u64 quirks)
{
	if (quirks & ~UMBRA_QUIRKS)
		return -EINVAL;
	WRITE_ONCE(vm->opt.quirks_off, quirks);
	return 0;
}

static long set_max_vcpu_id(struct umbra_vm *vm, u64 max)
{
	if (!max || max > UMBRA_MAX_VCPU_ID)
		return -EINVAL;
	if (vm->opt.max_vcpu_id == max)
		return 0;
	if (vm->opt.max_vcpu_id || vm->nr_vcpus)
		return -EINVAL;
	vm->opt.max_vcpu_id = max;
	return 0;
}

static long set_user_msr(struct umbra_vm *vm, u64 reasons)
{
	if (reasons & ~UMBRA_USER_MSR)
		return -EINVAL;
	WRITE_ONCE(vm->opt.user_msr, reasons);
	return 0;
}

/* A guest in MWAIT must be one that an interrupt wakes, on a CPU that stays awake. */
u32 umbra_exits_optional(void)
{
	u32 exits = KVM_X86_DISABLE_EXITS_HLT | KVM_X86_DISABLE_EXITS_PAUSE |
		    KVM_X86_DISABLE_EXITS_CSTATE;

	if (boot_cpu_has(X86_FEATURE_MWAIT) && boot_cpu_has(X86_FEATURE_ARAT) &&
	    !boot_cpu_has_bug(X86_BUG_MONITOR))
		exits |= KVM_X86_DISABLE_EXITS_MWAIT;
	return exits;
}

static long disable_exits(struct umbra_vm *vm, u64 exits)
{
	if (exits & ~(u64)umbra_exits_optional() || vm->nr_vcpus)
		return -EINVAL;
	vm->opt.no_exits |= exits;
	return 0;
}

long umbra_vm_set_option(struct umbra_vm *vm, const struct kvm_enable_cap *cap)
{
	u64 arg = cap->args[0];

	switch (cap->cap) {
	case KVM_CAP_DISABLE_QUIRKS:
		/* Clients of it do not know which there are. */
		return disable_quirks(vm, arg & UMBRA_QUIRKS);
	case KVM_CAP_DISABLE_QUIRKS2:
		return disable_quirks(vm, arg);
	case KVM_CAP_X86_DISABLE_EXITS:
		return disable_exits(vm, arg);
	case KVM_CAP_MAX_VCPU_ID:
		return set_max_vcpu_id(vm, arg);
	case KVM_CAP_X86_USER_SPACE_MSR:
		return set_user_msr(vm, arg);
	case KVM_CAP_MSR_PLATFORM_INFO:
		WRITE_ONCE(vm->opt.no_platform_info, !arg);
		return 0;
	case KVM_CAP_EXCEPTION_PAYLOAD:
		WRITE_ONCE(vm->opt.payloads, arg);
		return 0;
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
		WRITE_ONCE(vm->opt.triple_faults, arg);
		return 0;
	default:
		return -EINVAL;
	}
}
