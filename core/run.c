// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_RUN: from user space into the guest, round and round, and back.
 */
#include <asm/fpu/api.h>
#include <linux/context_tracking.h>
#include <linux/entry-kvm.h>
#include <linux/kvm_host.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/umbra.h>
#include <umbra/compat.h>
#include <umbra/irqchip.h>
#include <umbra/vcpu.h>
#include <umbra/vmx.h>
#include "ring.h"
#include "sync_regs.h"
#include "vapic.h"

/* What others asked for. Return: 1 to go on, 0 for an exit, -errno. */
static int handle_requests(struct umbra_vcpu *vcpu)
{
	if (test_and_clear_bit(UMBRA_REQ_TRIPLE_FAULT, &vcpu->requests)) {
		vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
		return 0;
	}
	if (test_and_clear_bit(UMBRA_REQ_DEBUG, &vcpu->requests)) {
		umbra_vmx_debug_exit(vcpu);
		return 0;
	}
	if (test_and_clear_bit(UMBRA_REQ_TPR_ACCESS, &vcpu->requests)) {
		umbra_vapic_report(vcpu);
		return 0;
	}
	if (test_and_clear_bit(UMBRA_REQ_EVENT, &vcpu->requests)) {
		umbra_vcpu_take_signals(vcpu);
		umbra_vmx_request_window(vcpu);
	}
	if (test_and_clear_bit(UMBRA_REQ_LOGGING, &vcpu->requests))
		umbra_vmx_update_logging(vcpu);
	if (test_and_clear_bit(UMBRA_REQ_MMU_RELOAD, &vcpu->requests))
		vcpu->mmu.root = INVALID_PAGE;
	if (test_and_clear_bit(UMBRA_REQ_MSR_FILTER, &vcpu->requests))
		umbra_vmx_msr_filter_changed(vcpu);
	if (test_and_clear_bit(UMBRA_REQ_CLOCK, &vcpu->requests))
		umbra_pv_update_clock(vcpu);
	if (test_and_clear_bit(UMBRA_REQ_STEAL, &vcpu->requests))
		umbra_pv_update_steal(vcpu);
	return 1;
}

static int load_root(struct umbra_vcpu *vcpu)
{
	int idx, r;

	if (likely(vcpu->mmu.root != INVALID_PAGE))
		return 0;
	idx = srcu_read_lock(&vcpu->mmu.mmu->srcu);
	r = umbra_mmu_load(&vcpu->mmu);
	srcu_read_unlock(&vcpu->mmu.mmu->srcu, idx);
	return r;
}

static int interrupted(struct umbra_vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	vcpu->stat.signal_exits++;
	return -EINTR;
}

/*
 * The kernel's helper notes a signal in a struct kvm_vcpu, which Umbra has not.
 * Nobody reads this one.
 */
static struct kvm_run signal_run;
static struct kvm_vcpu signal_vcpu = { .run = &signal_run };

/* User space asked to be told when it can inject, and now it can. */
static bool window_open(struct umbra_vcpu *vcpu)
{
	if (vcpu->lapic || likely(!READ_ONCE(vcpu->run->request_interrupt_window)))
		return false;
	if (!umbra_vmx_ready_for_interrupt(vcpu))
		return false;
	vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
	vcpu->stat.request_irq_exits++;
	return true;
}

static int run_loop(struct umbra_vcpu *vcpu)
{
	int r;

	for (;;) {
		if (unlikely(READ_ONCE(vcpu->requests))) {
			r = handle_requests(vcpu);
			if (r <= 0)
				return r;
		}
		if (unlikely(vcpu->mp_state != KVM_MP_STATE_RUNNABLE)) {
			if (umbra_vcpu_wait(vcpu))
				return interrupted(vcpu);
			umbra_vmx_request_window(vcpu);
		}
		r = load_root(vcpu);
		if (unlikely(r))
			return r;
		if (unlikely(vcpu->ring) && umbra_ring_full(vcpu)) {
			vcpu->run->exit_reason = KVM_EXIT_DIRTY_RING_FULL;
			return 0;
		}
		if (unlikely(vcpu->vapic_addr))
			umbra_vapic_publish(vcpu);
		r = umbra_vmx_run_once(vcpu);
		if (unlikely(vcpu->vapic_addr))
			umbra_vapic_collect(vcpu);
		if (r <= 0)
			return r;
		if (window_open(vcpu))
			return 0;
		if (__xfer_to_guest_mode_work_pending()) {
			r = xfer_to_guest_mode_handle_work(&signal_vcpu);
			if (r)
				return interrupted(vcpu);
		}
	}
}

/* Finish what the last exit left to user space. */
static int finish_exit(struct umbra_vcpu *vcpu)
{
	int (*fn)(struct umbra_vcpu *vcpu) = vcpu->complete;

	if (!fn)
		return 1;
	vcpu->complete = NULL;
	return fn(vcpu);
}

/* The part of struct kvm_run that user space's interrupt controller reads. */
static void publish(struct umbra_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->if_flag = umbra_vmx_if_flag(vcpu);
	run->cr8 = umbra_vcpu_cr8(vcpu);
	run->apic_base = vcpu->apic_base;
	run->ready_for_interrupt_injection = umbra_vmx_ready_for_interrupt(vcpu);
	run->flags = 0;
}

static int run_loaded(struct umbra_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	int r;

	/*
	 * Not to be taken for the reason of another error. Others stay: clients look
	 * at them after a run with immediate_exit.
	 */
	if (READ_ONCE(run->exit_reason) == KVM_EXIT_MEMORY_FAULT)
		run->exit_reason = KVM_EXIT_UNKNOWN;
	if (!vcpu->lapic) {
		u64 cr8 = READ_ONCE(run->cr8);

		if (cr8 > 15)
			return -EINVAL;
		vcpu->cr8 = cr8;
	}
	if (READ_ONCE(run->request_interrupt_window))
		umbra_vmx_request_window(vcpu);
	if (unlikely(vcpu->guest_debug))
		umbra_vmx_debug_begin(vcpu);
	r = finish_exit(vcpu);
	if (r > 0) {
		/* The exit that was completed stays to be seen. */
		if (umbra_immediate_exit(run))
			r = -EINTR;
		else if (signal_pending(current))
			r = interrupted(vcpu);
		else
			r = run_loop(vcpu);
	}
	if (unlikely(vcpu->guest_debug))
		umbra_vmx_debug_end(vcpu);
	publish(vcpu);
	return r;
}

/*
 * The thread's own mask is kept in real_blocked, so that a signal which only
 * the mask of KVM_RUN lets through is left pending rather than acted upon.
 */
static void sigmask_set(struct umbra_vcpu *vcpu)
{
	if (vcpu->sigset_active)
		sigprocmask(SIG_SETMASK, &vcpu->sigset, &current->real_blocked);
}

static void sigmask_restore(struct umbra_vcpu *vcpu)
{
	if (!vcpu->sigset_active)
		return;
	sigprocmask(SIG_SETMASK, &current->real_blocked, NULL);
	sigemptyset(&current->real_blocked);
}

/* Who yields to this vCPU yields to the thread that runs it. */
static void note_thread(struct umbra_vcpu *vcpu)
{
	struct pid *old = rcu_access_pointer(vcpu->pid);

	if (likely(old == task_pid(current)))
		return;
	rcu_assign_pointer(vcpu->pid, get_task_pid(current, PIDTYPE_PID));
	/* What it waited for its CPU before was not taken from this vCPU. */
	vcpu->pv.run_delay = current->sched_info.run_delay;
	if (!old)
		return;
	synchronize_rcu();
	put_pid(old);
}

int umbra_vcpu_run(struct umbra_vcpu *vcpu)
{
	int r;

	if (!umbra_sync_regs_valid(vcpu->run))
		return -EINVAL;
	note_thread(vcpu);
	sigmask_set(vcpu);
	umbra_vcpu_load(vcpu);
	fpu_swap_kvm_fpstate(&vcpu->guest_fpu, true);
	vcpu->stat.fpu_reload++;
	if (vcpu->pv.steal)
		umbra_make_request(vcpu, UMBRA_REQ_STEAL);
	r = umbra_sync_regs_take(vcpu);
	if (!r) {
		r = run_loaded(vcpu);
		umbra_sync_regs_give(vcpu);
	}
	fpu_swap_kvm_fpstate(&vcpu->guest_fpu, false);
	umbra_vcpu_put(vcpu);
	sigmask_restore(vcpu);
	return r;
}
