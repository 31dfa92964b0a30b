/* SPDX-License-Identifier: GPL-2.0 */
/* What user space chose for a VM with KVM_ENABLE_CAP, and its filter of MSRs. */
#ifndef _UMBRA_OPTIONS_H
#define _UMBRA_OPTIONS_H

#include <linux/kvm.h>
#include <linux/types.h>

struct umbra_vm;

/**
 * struct umbra_options - choices of a VM
 * @quirks_off: KVM_X86_QUIRK_*: behaviour that the architecture does not have and
 *	that user space does not want
 * @max_vcpu_id: vCPU ids are below this; 0: not chosen
 * @user_msr: KVM_MSR_EXIT_REASON_*: accesses to MSRs that user space completes
 * @no_exits: KVM_X86_DISABLE_EXITS_*: instructions that do not exit; fixed with the
 *	first vCPU
 * @tsc_khz: rate of the TSC of vCPUs to be created; 0: the host's
 * @no_platform_info: a guest's read of MSR_PLATFORM_INFO faults
 * @payloads: KVM_*_VCPU_EVENTS tell exceptions that wait from those whose delivery was
 *	interrupted, and carry what delivery is to put into CR2 or DR6
 * @triple_faults: KVM_*_VCPU_EVENTS have the triple fault that waits
 *
 * Written under vm->lock, read without: a vCPU that runs may see a change late.
 * @max_vcpu_id is fixed with the first vCPU.
 */
struct umbra_options {
	u64 quirks_off;
	u32 max_vcpu_id;
	u32 user_msr;
	u32 no_exits;
	u32 tsc_khz;
	bool no_platform_info;
	bool payloads;
	bool triple_faults;
};

/* Quirks that can be switched off: what DISABLE_QUIRKS2 answers. */
#define UMBRA_QUIRKS		(KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT | \
				 KVM_X86_QUIRK_FIX_HYPERCALL_INSN | \
				 KVM_X86_QUIRK_OUT_7E_INC_RIP | \
				 KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS)

#define UMBRA_USER_MSR		(KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | \
				 KVM_MSR_EXIT_REASON_FILTER)

/**
 * umbra_exits_optional() - KVM_X86_DISABLE_EXITS_*: what a guest can do by itself
 */
u32 umbra_exits_optional(void);

/**
 * umbra_msr_allowed() - does user space's filter let the guest at an MSR?
 * @vm: the VM
 * @index: the MSR
 * @access: KVM_MSR_FILTER_READ or KVM_MSR_FILTER_WRITE
 *
 * Context: mmu.srcu held for reading.
 */
bool umbra_msr_allowed(struct umbra_vm *vm, u32 index, u32 access);

#endif /* _UMBRA_OPTIONS_H */
