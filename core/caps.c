// SPDX-License-Identifier: GPL-2.0
/* KVM_CHECK_EXTENSION and KVM_ENABLE_CAP. */
#include <linux/capability.h>
#include <linux/cpumask.h>
#include <linux/kvm.h>
#include <linux/umbra.h>
#include <umbra/irqchip.h>
#include <umbra/options.h>
#include <umbra/types.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include <umbra/vmx.h>
#include "core.h"
#include "ioctl.h"
#include "ring.h"

/* A VM on shadow tables could do it for unpaged guests only. */
static bool prefaults(const struct umbra_vm *vm)
{
	return (vm ? vm->mmu.policy : umbra_default_policy()) == UMBRA_POLICY_EPT;
}

/* What is there whatever the host and the VM are like. */
static bool always_there(unsigned long cap)
{
	switch (cap) {
	case KVM_CAP_USER_MEMORY:
	case KVM_CAP_MMU_SHADOW_CACHE_CONTROL:
	case KVM_CAP_DESTROY_MEMORY_REGION_WORKS:
	case KVM_CAP_JOIN_MEMORY_REGIONS_WORKS:
	case KVM_CAP_READONLY_MEM:
	case KVM_CAP_SYNC_MMU:
	case KVM_CAP_HLT:
	case KVM_CAP_SET_TSS_ADDR:
	case KVM_CAP_SET_IDENTITY_MAP_ADDR:
	case KVM_CAP_EXT_CPUID:
	case KVM_CAP_NOP_IO_DELAY:
	case KVM_CAP_MP_STATE:
	case KVM_CAP_USER_NMI:
	case KVM_CAP_INTERNAL_ERROR_DATA:
	case KVM_CAP_DISABLE_QUIRKS:
	case KVM_CAP_VCPU_EVENTS:
	case KVM_CAP_EXCEPTION_PAYLOAD:
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
	case KVM_CAP_DEBUGREGS:
	case KVM_CAP_SET_GUEST_DEBUG:
	case KVM_CAP_X86_ROBUST_SINGLESTEP:
	case KVM_CAP_KVMCLOCK_CTRL:
	case KVM_CAP_SREGS2:
	case KVM_CAP_ENABLE_CAP_VM:
	case KVM_CAP_CHECK_EXTENSION_VM:
	case KVM_CAP_GET_TSC_KHZ:
	case KVM_CAP_IMMEDIATE_EXIT:
	case KVM_CAP_BINARY_STATS_FD:
	case KVM_CAP_IRQCHIP:
	case KVM_CAP_VAPIC:
	case KVM_CAP_IRQ_INJECT_STATUS:
	case KVM_CAP_SIGNAL_MSI:
	case KVM_CAP_IRQFD:
	case KVM_CAP_IRQFD_RESAMPLE:
	case KVM_CAP_IOEVENTFD:
	case KVM_CAP_COALESCED_PIO:
	case KVM_CAP_IOEVENTFD_NO_LENGTH:
	case KVM_CAP_IOEVENTFD_ANY_LENGTH:
	case KVM_CAP_PIT:
	case KVM_CAP_PIT2:
	case KVM_CAP_PIT_STATE2:
	case KVM_CAP_REINJECT_CONTROL:
	case KVM_CAP_SET_BOOT_CPU_ID:
	case KVM_CAP_TSC_DEADLINE_TIMER:
	case KVM_CAP_MEMORY_FAULT_INFO:
	case KVM_CAP_VM_DISABLE_NX_HUGE_PAGES:
	case KVM_CAP_MSR_PLATFORM_INFO:
	case KVM_CAP_X86_MSR_FILTER:
	case KVM_CAP_ENFORCE_PV_FEATURE_CPUID:
	case KVM_CAP_GET_MSR_FEATURES:
	case KVM_CAP_XSAVE:
	case KVM_CAP_ENABLE_CAP:
	case KVM_CAP_VCPU_ATTRIBUTES:
	case KVM_CAP_SYS_ATTRIBUTES:
	case UMBRA_CAP_PAGING_MODE:
		return true;
	default:
		return false;
	}
}

/* What is not listed answers 0; what is listed works. */
long umbra_check_extension(struct umbra_call *call)
{
	switch (call->arg) {
	case KVM_CAP_DISABLE_QUIRKS2:
		return UMBRA_QUIRKS;
	case KVM_CAP_X86_DISABLE_EXITS:
		return umbra_exits_optional();
	case KVM_CAP_SET_GUEST_DEBUG2:
		return UMBRA_GUESTDBG;
	case KVM_CAP_TSC_CONTROL:
	case KVM_CAP_VM_TSC_CONTROL:
		return umbra_vmx_has_tsc_scaling();
	case KVM_CAP_XCRS:
		return !!umbra_vmx_xcr0();
	case KVM_CAP_XSAVE2:
		return sizeof(struct kvm_xsave);
	case KVM_CAP_X86_USER_SPACE_MSR:
		return UMBRA_USER_MSR;
	case KVM_CAP_SYNC_REGS:
		return KVM_SYNC_X86_VALID_FIELDS;
	case KVM_CAP_PRE_FAULT_MEMORY:
		return prefaults(call->vm);
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		return UMBRA_LOG_FLAGS;
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL:
		return UMBRA_RING_MAX * sizeof(struct kvm_dirty_gfn);
	case KVM_CAP_MCE:
		return UMBRA_MAX_MCE_BANKS;
	case KVM_CAP_ADJUST_CLOCK:
		return KVM_CLOCK_REALTIME |
		       (umbra_pv_has_clock() ? KVM_CLOCK_HOST_TSC | KVM_CLOCK_TSC_STABLE : 0);
	case KVM_CAP_CLOCKSOURCE:
		return umbra_pv_has_clock();
	case KVM_CAP_IRQ_ROUTING:
		return UMBRA_MAX_ROUTES;
	case KVM_CAP_NR_VCPUS:
		return min_t(unsigned int, num_online_cpus(), UMBRA_MAX_VCPUS);
	case KVM_CAP_MAX_VCPUS:
		return UMBRA_MAX_VCPUS;
	case KVM_CAP_MAX_VCPU_ID:
		return UMBRA_MAX_VCPU_ID;
	case KVM_CAP_COALESCED_MMIO:
		return KVM_COALESCED_MMIO_PAGE_OFFSET;
	case KVM_CAP_NR_MEMSLOTS:
		return UMBRA_MAX_SLOTS;
	default:
		return always_there(call->arg);
	}
}

static long set_paging_mode(struct umbra_vm *vm, const struct kvm_enable_cap *cap)
{
	enum umbra_policy old;
	int ret;

	if (cap->args[1] || cap->args[2] || cap->args[3])
		return -EINVAL;
	if (cap->args[0] != UMBRA_PAGING_EPT && cap->args[0] != UMBRA_PAGING_SHADOW)
		return -EINVAL;
	if (vm->nr_vcpus)
		return -EBUSY;

	old = vm->mmu.policy;
	vm->mmu.policy = cap->args[0] == UMBRA_PAGING_SHADOW ? UMBRA_POLICY_SHADOW :
							       UMBRA_POLICY_EPT;
	ret = umbra_mmu_slots_prepare(&vm->mmu);
	if (ret)
		vm->mmu.policy = old;
	return ret;
}

/* A guest that executes from large pages may take an affected host down. */
static long disable_nx_huge_pages(struct umbra_vm *vm, const struct kvm_enable_cap *cap)
{
	if (cap->args[0])
		return -EINVAL;
	if (!capable(CAP_SYS_BOOT))
		return -EPERM;
	if (vm->nr_vcpus)
		return -EINVAL;
	umbra_nx_disable(vm);
	return 0;
}

long umbra_vm_enable_cap(struct umbra_call *call)
{
	const struct kvm_enable_cap *cap = call->data;

	if (cap->flags)
		return -EINVAL;
	switch (cap->cap) {
	case UMBRA_CAP_PAGING_MODE:
		return set_paging_mode(call->vm, cap);
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		return umbra_dirty_set_manual(call->vm, cap);
	case KVM_CAP_VM_DISABLE_NX_HUGE_PAGES:
		return disable_nx_huge_pages(call->vm, cap);
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL:
		return umbra_ring_enable(call->vm, cap);
	default:
		return umbra_vm_set_option(call->vm, cap);
	}
}

/* The capabilities of a vCPU. */
long umbra_vcpu_enable_cap(struct umbra_call *call)
{
	const struct kvm_enable_cap *cap = call->data;

	if (cap->flags || cap->cap != KVM_CAP_ENFORCE_PV_FEATURE_CPUID)
		return -EINVAL;
	call->vcpu->pv.enforced = cap->args[0];
	return 0;
}
