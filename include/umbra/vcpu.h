/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The vCPU object as core/ and vmx/ share it. vmx/ allocates it inside its own
 * larger struct; core/ sees only this part.
 *
 * Everything here is guarded by vcpu->mutex (one ioctl at a time) unless the
 * comment says otherwise.
 */
#ifndef _UMBRA_VCPU_H
#define _UMBRA_VCPU_H

#include <asm/fpu/api.h>
#include <linux/kvm.h>
#include <linux/math64.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcuwait.h>
#include <umbra/emulate.h>
#include <umbra/mmu.h>
#include <umbra/types.h>
#include <umbra/vm.h>

struct umbra_lapic;

/* Index of the general registers in vcpu->regs: the encoding's order. */
enum umbra_reg {
	UMBRA_RAX, UMBRA_RCX, UMBRA_RDX, UMBRA_RBX,
	UMBRA_RSP, UMBRA_RBP, UMBRA_RSI, UMBRA_RDI,
	UMBRA_R8, UMBRA_R9, UMBRA_R10, UMBRA_R11,
	UMBRA_R12, UMBRA_R13, UMBRA_R14, UMBRA_R15,
	UMBRA_NR_REGS,
};

/* Where the vCPU is, for kicks: see umbra_vcpu_kick(). */
enum umbra_vcpu_mode {
	UMBRA_OUTSIDE_GUEST,
	UMBRA_IN_GUEST,
};

/* Bits of vcpu->requests: work to be done before the next entry. */
enum umbra_request {
	UMBRA_REQ_MMU_RELOAD,
	UMBRA_REQ_TRIPLE_FAULT,
	UMBRA_REQ_EVENT,
	UMBRA_REQ_LOGGING,
	UMBRA_REQ_CLOCK,
	UMBRA_REQ_STEAL,
	UMBRA_REQ_MSR_FILTER,
	UMBRA_REQ_DEBUG,
	UMBRA_REQ_TPR_ACCESS,
};

/* Bits of vcpu->signals: what other CPUs send to a vCPU with a local APIC. */
enum umbra_signal {
	UMBRA_SIGNAL_NMI,
	UMBRA_SIGNAL_INIT,
	UMBRA_SIGNAL_SIPI,
};

/* Pages of the vCPU fd's mmap area, in order. */
#define UMBRA_VCPU_RUN_PAGE	0
#define UMBRA_VCPU_PIO_PAGE	1
#define UMBRA_VCPU_MMAP_PAGES	3

#define UMBRA_MAX_CPUID		256

/* What KVM_SET_GUEST_DEBUG knows. */
#define UMBRA_GUESTDBG		(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | \
				 KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW_BP | \
				 KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP | \
				 KVM_GUESTDBG_BLOCKIRQ)

/* Leaves found without a search: 32 basic, 16 hypervisor, 32 extended ones. */
#define UMBRA_CPUID_HINTS	80

/* Per-vCPU counters; names as in KVM where the meaning is the same. */
struct umbra_vcpu_stat {
	u64 exits;
	u64 io_exits;
	u64 mmio_exits;
	u64 signal_exits;
	u64 irq_window_exits;
	u64 nmi_window_exits;
	u64 halt_exits;
	u64 request_irq_exits;
	u64 irq_exits;
	u64 host_state_reload;
	u64 fpu_reload;
	u64 insn_emulation;
	u64 insn_emulation_fail;
	u64 hypercalls;
	u64 irq_injections;
	u64 nmi_injections;
	u64 req_event;
	u64 guest_mode;
	u64 family_switches;
	u64 ahead_exits;
	u64 ahead_insns;
	u64 shadow_family;
};

/**
 * struct umbra_vcpu - one virtual CPU
 * @vm: the VM, a reference held by the vCPU's fd
 * @id: the id user space gave
 * @idx: index in vm->vcpu
 * @cpu: host CPU that holds the VMCS, -1 when none (preempt off to change)
 * @mode: enum umbra_vcpu_mode; written by the vCPU, read by kickers
 * @requests: bit set of enum umbra_request; atomic bit operations
 * @mutex: one ioctl at a time
 * @run: page shared with user space: hostile, read each field once
 * @pio_page: page shared with user space
 * @ring: dirty ring, shared with user space: hostile; NULL without
 * @ring_head: pushed so far; written by the vCPU's thread
 * @ring_tail: taken back so far (slots_lock to write)
 * @pn: hook for schedule-in and -out while in KVM_RUN or another ioctl that
 *	loads the vCPU
 * @pid: the thread that ran it last; written under @mutex, read with RCU
 * @preempted: that thread lost its CPU although it had something to run
 * @sigset: mask during KVM_RUN
 * @sigset_active: @sigset is to be used
 * @regs: general registers; RSP is valid only through umbra_vmx_*()
 * @mmu: page-table view
 * @mp_state: KVM_MP_STATE_*
 * @lapic: local APIC in the kernel, or NULL: user space has it
 * @vapic_addr: gpa of the word of KVM_SET_VAPIC_ADDR, or 0
 * @tpr_reporting: user space wants to know who uses the task priority register
 * @tpr_write: how the last one did
 * @tpr_rip: and where
 * @wait: where the vCPU sleeps; woken by any CPU
 * @signals: bit set of enum umbra_signal; atomic bit operations
 * @sipi_vector: start-up page of UMBRA_SIGNAL_SIPI; written before the bit
 * @cpuid: table set by KVM_SET_CPUID2
 * @nr_cpuid: entries used
 * @cpuid_hint: where the first entry of a common leaf is in @cpuid
 * @apic_base: MSR_IA32_APICBASE, kept for user space's local APIC
 * @cr8: task priority for user space's local APIC
 * @guest_fpu: guest FPU state, swapped around KVM_RUN
 * @xcr0: guest XCR0
 * @tsc_khz: rate of the guest's TSC
 * @tsc_ratio: that to the host's, with 48 fractional bits; 0: the same
 * @emu: the instruction under emulation, if any
 * @emu_tracked: the instruction is emulated because it writes to a guest table
 * @emu_stale: user space had the vCPU since @mmu.state was brought up to date
 * @emu_error: -errno when memory that the instruction needs cannot be had
 * @complete: what the next KVM_RUN has to finish first, or NULL
 * @complete_rip: linear address of the instruction that @complete skips
 * @guest_debug: KVM_GUESTDBG_*: how user space debugs the guest; 0: not
 * @pv: what a guest gets that knows it is one
 * @stat: counters
 */
struct umbra_vcpu {
	struct umbra_vm *vm;
	int id;
	unsigned int idx;
	int cpu;
	int mode;
	unsigned long requests;
	struct mutex mutex;	/* all but what the comments above except */
	struct kvm_run *run;
	void *pio_page;
	struct kvm_dirty_gfn *ring;
	u32 ring_head;
	u32 ring_tail;
	struct preempt_notifier pn;
	struct pid __rcu *pid;
	bool preempted;
	sigset_t sigset;
	bool sigset_active;

	unsigned long regs[UMBRA_NR_REGS];
	struct umbra_mmu_vcpu mmu;

	u32 mp_state;
	struct umbra_lapic *lapic;
	gpa_t vapic_addr;
	bool tpr_reporting;
	bool tpr_write;
	u64 tpr_rip;
	struct rcuwait wait;
	unsigned long signals;
	u8 sipi_vector;
	struct kvm_cpuid_entry2 *cpuid;
	unsigned int nr_cpuid;
	u16 cpuid_hint[UMBRA_CPUID_HINTS];
	u64 apic_base;
	u64 cr8;
	struct fpu_guest guest_fpu;
	u64 xcr0;
	u32 tsc_khz;
	u64 tsc_ratio;
	struct umbra_emu emu;
	int emu_error;
	bool emu_tracked;
	bool emu_stale;
	int (*complete)(struct umbra_vcpu *vcpu);
	u64 complete_rip;
	u32 guest_debug;
	struct umbra_pv pv;

	struct umbra_vcpu_stat stat;
};

static inline struct umbra_vcpu *mmu_to_vcpu(struct umbra_mmu_vcpu *mmu)
{
	return container_of(mmu, struct umbra_vcpu, mmu);
}

/* What the guest's TSC counts in the time that the host's takes for @tsc. */
static inline u64 umbra_vcpu_scale_tsc(const struct umbra_vcpu *vcpu, u64 tsc)
{
	return unlikely(vcpu->tsc_ratio) ? mul_u64_u64_shr(tsc, vcpu->tsc_ratio, 48) : tsc;
}

static inline void umbra_make_request(struct umbra_vcpu *vcpu, enum umbra_request req)
{
	set_bit(req, &vcpu->requests);
	/* Pairs with the barrier between vcpu->mode = IN_GUEST and the check. */
	smp_mb__after_atomic();
}

/**
 * umbra_vcpu_load() - make this vCPU current on this CPU (preempt notifier on)
 * umbra_vcpu_put() - undo it
 *
 * Context: vcpu->mutex held; nests not. core/vcpu.c; calls
 * umbra_vmx_vcpu_load() and _put() with preemption disabled.
 */
void umbra_vcpu_load(struct umbra_vcpu *vcpu);
void umbra_vcpu_put(struct umbra_vcpu *vcpu);

/**
 * umbra_vcpu_kick() - make a vCPU that is in guest mode exit soon
 *
 * Context: any but NMI; does not wait.
 */
void umbra_vcpu_kick(struct umbra_vcpu *vcpu);

/**
 * umbra_vcpu_cr8() - the task priority, wherever it is kept
 */
u64 umbra_vcpu_cr8(struct umbra_vcpu *vcpu);

/**
 * umbra_vcpu_wait() - sleep until the vCPU is runnable
 *
 * Context: the vCPU's thread in KVM_RUN, loaded.
 * Return: 0, or -EINTR when a signal is pending.
 */
int umbra_vcpu_wait(struct umbra_vcpu *vcpu);

/**
 * umbra_vcpu_yield() - let another vCPU of the VM run, which the guest waits for
 *
 * Context: the vCPU's thread in KVM_RUN, loaded.
 * Return: whether there was one that had lost its CPU.
 */
bool umbra_vcpu_yield(struct umbra_vcpu *vcpu);

/**
 * umbra_vcpu_take_signals() - act on INIT, SIPI and NMI that have arrived
 *
 * Context: the vCPU's thread, loaded.
 */
void umbra_vcpu_take_signals(struct umbra_vcpu *vcpu);

/**
 * umbra_vcpu_cpuid() - what CPUID tells this guest
 * @function: leaf
 * @index: subleaf
 *
 * Return: the entry that answers, or NULL (then all zeroes, or the highest
 * basic leaf as the architecture says: the caller, CPUID emulation, does it).
 */
struct kvm_cpuid_entry2 *umbra_vcpu_cpuid(struct umbra_vcpu *vcpu, u32 function, u32 index);

/**
 * umbra_vcpu_memory_fault() - the host's memory behind a guest address cannot be had
 * @gpa: guest-physical address
 * @error: why
 *
 * Describes it to user space; sends SIGBUS for memory that is bad.
 * Context: the vCPU's thread in KVM_RUN; mmu.srcu held.
 * Return: what the handler of the exit returns: @error, or 1 when a signal is
 * pending, which ends KVM_RUN by itself.
 */
int umbra_vcpu_memory_fault(struct umbra_vcpu *vcpu, gpa_t gpa, int error);

/**
 * umbra_vcpu_run() - KVM_RUN
 *
 * core/run.c (the run loop). Context: vcpu->mutex held, vCPU not loaded.
 * Return: 0 with vcpu->run->exit_reason set, or -errno (-EINTR, -EFAULT, ...).
 */
int umbra_vcpu_run(struct umbra_vcpu *vcpu);

#endif /* _UMBRA_VCPU_H */
