/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The CPU side as core/ sees it: capabilities, VMX on and off, and the part of
 * a vCPU's state that lives in the VMCS.
 *
 * Functions that take a vCPU need vcpu->mutex, and unless they say otherwise
 * the vCPU loaded (umbra_vcpu_load()).
 */
#ifndef _UMBRA_VMX_H
#define _UMBRA_VMX_H

#include <linux/kvm.h>
#include <umbra/mmu.h>
#include <umbra/types.h>

/* Guests that ask for the microcode's revision get one that needs no update. */
#define UMBRA_UCODE_REV		0x100000000ull

struct umbra_emu;
struct umbra_emu_segment;
struct umbra_vcpu;
struct umbra_vm;

/**
 * umbra_vmx_init() - check every CPU's capabilities, hook hotplug, suspend and
 *	reboot
 * @caps: filled for mmu/
 *
 * Return: 0; -EOPNOTSUPP with a log line that names what is missing; -ENOMEM.
 */
int umbra_vmx_init(struct umbra_mmu_caps *caps);
void umbra_vmx_exit(void);

/**
 * umbra_vmx_get() - a VM is being created: VMX on, on every CPU, if it is the
 *	first
 *
 * Context: may sleep.
 * Return: 0; -EBUSY when another hypervisor has VMX on somewhere; -EIO.
 */
int umbra_vmx_get(void);
void umbra_vmx_put(void);

/* The MMU's CPU operations, to hand to umbra_mmu_init(). */
extern const struct umbra_cpu_ops umbra_vmx_cpu_ops;

/**
 * umbra_vmx_vcpu_alloc() - allocate a vCPU with its VMCS, zeroed but for vmx/
 * @vm: the VM; the caller has vm->lock
 *
 * The caller fills in the core part (vm, id, run page, ...), then calls
 * umbra_vmx_vcpu_reset(). umbra_vmx_vcpu_free() frees all of it.
 * Return: the vCPU or NULL.
 */
struct umbra_vcpu *umbra_vmx_vcpu_alloc(struct umbra_vm *vm);
void umbra_vmx_vcpu_free(struct umbra_vcpu *vcpu);

/**
 * umbra_vmx_vcpu_reset() - architectural reset state (loads and puts itself)
 */
void umbra_vmx_vcpu_reset(struct umbra_vcpu *vcpu);

/**
 * umbra_vmx_vcpu_load() / umbra_vmx_vcpu_put() - VMCS and host state
 *
 * Context: preemption disabled; from umbra_vcpu_load()/put() and the preempt
 * notifier.
 */
void umbra_vmx_vcpu_load(struct umbra_vcpu *vcpu, int cpu);
void umbra_vmx_vcpu_put(struct umbra_vcpu *vcpu);

/* Can guests execute RDTSCP and INVPCID? */
bool umbra_vmx_has_rdtscp(void);
bool umbra_vmx_has_invpcid(void);

/**
 * umbra_vmx_cpuid_changed() - vcpu->cpuid was replaced
 */
void umbra_vmx_cpuid_changed(struct umbra_vcpu *vcpu);

/* The register ioctls. set returns -EINVAL for what VM entry would refuse. */
void umbra_vmx_get_regs(struct umbra_vcpu *vcpu, struct kvm_regs *regs);
void umbra_vmx_set_regs(struct umbra_vcpu *vcpu, const struct kvm_regs *regs);
void umbra_vmx_get_sregs(struct umbra_vcpu *vcpu, struct kvm_sregs *sregs);
int umbra_vmx_set_sregs(struct umbra_vcpu *vcpu, const struct kvm_sregs *sregs);
void umbra_vmx_get_sregs2(struct umbra_vcpu *vcpu, struct kvm_sregs2 *sregs2);
int umbra_vmx_set_sregs2(struct umbra_vcpu *vcpu, const struct kvm_sregs2 *sregs2);
void umbra_vmx_get_debugregs(struct umbra_vcpu *vcpu, struct kvm_debugregs *dr);
int umbra_vmx_set_debugregs(struct umbra_vcpu *vcpu, const struct kvm_debugregs *dr);

/**
 * umbra_vmx_xcr0() - state components that guests can have; 0 without XSAVE
 */
u64 umbra_vmx_xcr0(void);

/**
 * umbra_vmx_has_pku() - can guests have protection keys?
 */
bool umbra_vmx_has_pku(void);

/**
 * umbra_vmx_has_umip() - can guests keep their users from descriptor-table registers?
 */
bool umbra_vmx_has_umip(void);

/**
 * umbra_vmx_xsave_size() - bytes of an XSAVE area with these components
 */
u32 umbra_vmx_xsave_size(u64 features);

/**
 * umbra_vmx_set_xcr0() - XCR0 of a vCPU
 * Return: 0, or -EINVAL for what XSETBV refuses on this vCPU.
 */
int umbra_vmx_set_xcr0(struct umbra_vcpu *vcpu, u64 xcr0);

/**
 * umbra_vmx_cpuid_runtime() - the bits of a CPUID table that follow other state
 * @entry: the vCPU's table, or one that it is to get
 * @nr: its entries
 */
void umbra_vmx_cpuid_runtime(struct umbra_vcpu *vcpu, struct kvm_cpuid_entry2 *entry,
			     unsigned int nr);

/**
 * umbra_vmx_set_guest_debug() - KVM_SET_GUEST_DEBUG
 * Return: 0, -EINVAL for what does not exist, -EBUSY when an exception is to be
 * injected while another one waits.
 */
int umbra_vmx_set_guest_debug(struct umbra_vcpu *vcpu, const struct kvm_guest_debug *dbg);

/**
 * umbra_vmx_debug_begin() / umbra_vmx_debug_end() - KVM_RUN of a guest that is debugged
 * umbra_vmx_debug_exit() - UMBRA_REQ_DEBUG: report that a step is done
 *
 * Between begin and end RFLAGS.TF is set when the guest is to be stepped.
 * Context: the vCPU's thread, loaded.
 */
void umbra_vmx_debug_begin(struct umbra_vcpu *vcpu);
void umbra_vmx_debug_end(struct umbra_vcpu *vcpu);
void umbra_vmx_debug_exit(struct umbra_vcpu *vcpu);

void umbra_vmx_get_events(struct umbra_vcpu *vcpu, struct kvm_vcpu_events *ev);
int umbra_vmx_set_events(struct umbra_vcpu *vcpu, const struct kvm_vcpu_events *ev);

/**
 * umbra_vmx_queue_interrupt() - KVM_INTERRUPT
 * Return: 0, -EINVAL (vector > 255), -EEXIST when one is queued already.
 */
int umbra_vmx_queue_interrupt(struct umbra_vcpu *vcpu, u32 vector);
int umbra_vmx_queue_nmi(struct umbra_vcpu *vcpu);

/**
 * umbra_vmx_queue_exception() - deliver an exception at the next entry
 *
 * Follows the double-fault rules with what is being delivered already.
 */
void umbra_vmx_queue_exception(struct umbra_vcpu *vcpu, const struct umbra_exception *exc);

/**
 * umbra_vmx_rip() - RIP, of the instruction that is being executed
 */
u64 umbra_vmx_rip(struct umbra_vcpu *vcpu);

/**
 * umbra_vmx_nmi_pending() - does an NMI wait for delivery?
 */
bool umbra_vmx_nmi_pending(struct umbra_vcpu *vcpu);

/**
 * umbra_vmx_exception_pending() - does an exception wait for delivery?
 */
bool umbra_vmx_exception_pending(struct umbra_vcpu *vcpu);

/**
 * umbra_vmx_vcpu_init() - INIT: registers as after reset, memory types and TSC
 *	as they were
 * umbra_vmx_vcpu_sipi() - start at page @vector in real mode
 */
void umbra_vmx_vcpu_init(struct umbra_vcpu *vcpu);
void umbra_vmx_vcpu_sipi(struct umbra_vcpu *vcpu, u8 vector);

/**
 * umbra_vmx_tsc_offset() - guest TSC minus host TSC
 */
u64 umbra_vmx_tsc_offset(struct umbra_vcpu *vcpu);
void umbra_vmx_set_tsc_offset(struct umbra_vcpu *vcpu, u64 offset);

/**
 * umbra_vmx_tsc_ratio() - the ratio of a rate to that of the host's TSC
 * @khz: not 0
 * @ratio: out: with 48 fractional bits, 0 when it is as good as 1
 *
 * Return: 0, -EINVAL when guests cannot have it on this CPU.
 */
int umbra_vmx_tsc_ratio(u32 khz, u64 *ratio);

/**
 * umbra_vmx_set_tsc_khz() - let the TSC run at another rate, from 0 on or with others
 * Return: 0, -EINVAL when this CPU cannot.
 */
int umbra_vmx_set_tsc_khz(struct umbra_vcpu *vcpu, u32 khz);

/* Can they be any? */
bool umbra_vmx_has_tsc_scaling(void);

/**
 * umbra_vmx_if_flag() - are the guest's interrupts on?
 */
bool umbra_vmx_if_flag(struct umbra_vcpu *vcpu);

/**
 * umbra_vmx_ready_for_interrupt() - would KVM_INTERRUPT be delivered at once?
 */
bool umbra_vmx_ready_for_interrupt(struct umbra_vcpu *vcpu);

/**
 * umbra_vmx_request_window() - look at run->request_interrupt_window again
 */
void umbra_vmx_request_window(struct umbra_vcpu *vcpu);

/**
 * umbra_vmx_run_once() - enter the guest and handle the exit
 * @vcpu: vcpu->mmu.root is valid
 *
 * Return: 1 to go on, 0 to return to user space, -errno.
 */
int umbra_vmx_run_once(struct umbra_vcpu *vcpu);

/**
 * umbra_vmx_update_logging() - mmu->nr_logged has become zero, or is no longer
 */
void umbra_vmx_update_logging(struct umbra_vcpu *vcpu);

/**
 * umbra_vmx_emu_load() / umbra_vmx_emu_store() - registers for the emulator
 *
 * load fills regs, rip, rflags, mode, cpl and the like; the registers are the
 * vCPU's own, not a copy. store, with @retired, takes rip and rflags back, ends
 * blocking by STI and MOV SS, and raises a single-step trap that is due. reload
 * goes on with an instruction after user space had the vCPU; it is false when rip
 * is another one.
 */
void umbra_vmx_emu_load(struct umbra_vcpu *vcpu, struct umbra_emu *emu);
bool umbra_vmx_emu_reload(struct umbra_vcpu *vcpu, struct umbra_emu *emu);
void umbra_vmx_emu_store(struct umbra_vcpu *vcpu, const struct umbra_emu *emu);
void umbra_vmx_emu_segment(struct umbra_vcpu *vcpu, int seg, struct umbra_emu_segment *out);

/**
 * umbra_vmx_get_msr() / umbra_vmx_set_msr() - one MSR
 * @host: user space asks, so that what RDMSR/WRMSR would refuse is allowed
 *
 * Return: 0, -ENOENT for an unknown MSR, -EINVAL for a value that the CPU would
 * refuse.
 */
int umbra_vmx_get_msr(struct umbra_vcpu *vcpu, u32 index, u64 *data, bool host);
int umbra_vmx_set_msr(struct umbra_vcpu *vcpu, u32 index, u64 data, bool host);

/**
 * umbra_vmx_msr_filter_changed() - intercept what the VM's filter denies
 */
void umbra_vmx_msr_filter_changed(struct umbra_vcpu *vcpu);

/**
 * umbra_vmx_set_apic_base() - MSR_IA32_APICBASE, also from KVM_SET_SREGS
 * Return: 0, or -EINVAL for reserved bits.
 */
int umbra_vmx_set_apic_base(struct umbra_vcpu *vcpu, u64 base);

/**
 * umbra_vmx_msr_list() - MSRs that KVM_GET_MSR_INDEX_LIST reports
 * @nr: out: how many
 */
const u32 *umbra_vmx_msr_list(unsigned int *nr);

/**
 * umbra_vmx_mce_supported() - KVM_X86_GET_MCE_CAP_SUPPORTED
 */
u64 umbra_vmx_mce_supported(void);

/**
 * umbra_vmx_mce_setup() - KVM_X86_SETUP_MCE
 * @cap: MCG_CAP for the guest
 *
 * Return: 0, or -EINVAL for banks or features that are not supported.
 */
int umbra_vmx_mce_setup(struct umbra_vcpu *vcpu, u64 cap);

/**
 * umbra_vmx_mce_inject() - KVM_X86_SET_MCE
 * Return: 0, or -EINVAL for a bank that is not there or a status without VAL.
 */
int umbra_vmx_mce_inject(struct umbra_vcpu *vcpu, const struct kvm_x86_mce *mce);

/**
 * umbra_vmx_sync_paging() - bring vcpu->mmu.state up to date from the VMCS
 *
 * Before any call of umbra_mmu_translate*() outside the run loop.
 */
void umbra_vmx_sync_paging(struct umbra_vcpu *vcpu);

#endif /* _UMBRA_VMX_H */
