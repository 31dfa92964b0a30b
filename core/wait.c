// SPDX-License-Identifier: GPL-2.0
/*
 * A vCPU that waits: for an interrupt after HLT, for a SIPI after INIT. And the
 * signals that end the wait, which any CPU may send at any time.
 */
#include <linux/kvm.h>
#include <linux/rcuwait.h>
#include <linux/sched/signal.h>
#include <asm/msr.h>
#include <umbra/irqchip.h>
#include <umbra/vcpu.h>
#include <umbra/vmx.h>

void umbra_vcpu_notify(struct umbra_vcpu *vcpu)
{
	umbra_make_request(vcpu, UMBRA_REQ_EVENT);
	rcuwait_wake_up(&vcpu->wait);
	umbra_vcpu_kick(vcpu);
}

void umbra_vcpu_nmi(struct umbra_vcpu *vcpu)
{
	set_bit(UMBRA_SIGNAL_NMI, &vcpu->signals);
	umbra_vcpu_notify(vcpu);
}

void umbra_vcpu_init_signal(struct umbra_vcpu *vcpu)
{
	/* A SIPI that came before is for a start that is no more. */
	clear_bit(UMBRA_SIGNAL_SIPI, &vcpu->signals);
	set_bit(UMBRA_SIGNAL_INIT, &vcpu->signals);
	umbra_vcpu_notify(vcpu);
}

void umbra_vcpu_sipi(struct umbra_vcpu *vcpu, u8 vector)
{
	WRITE_ONCE(vcpu->sipi_vector, vector);
	/* The vector first: pairs with the test_and_clear_bit() of the vCPU. */
	smp_mb__before_atomic();
	set_bit(UMBRA_SIGNAL_SIPI, &vcpu->signals);
	umbra_vcpu_notify(vcpu);
}

/* INIT: the bootstrap processor starts anew, the others wait for a SIPI. */
static void take_init(struct umbra_vcpu *vcpu)
{
	umbra_vmx_vcpu_init(vcpu);
	umbra_lapic_reset(vcpu, true);
	vcpu->mp_state = vcpu->apic_base & MSR_IA32_APICBASE_BSP ?
			 KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_INIT_RECEIVED;
}

void umbra_vcpu_take_signals(struct umbra_vcpu *vcpu)
{
	if (likely(!READ_ONCE(vcpu->signals)))
		return;
	if (test_and_clear_bit(UMBRA_SIGNAL_INIT, &vcpu->signals))
		take_init(vcpu);
	if (test_and_clear_bit(UMBRA_SIGNAL_SIPI, &vcpu->signals) &&
	    vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED) {
		umbra_vmx_vcpu_sipi(vcpu, READ_ONCE(vcpu->sipi_vector));
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	}
	if (test_and_clear_bit(UMBRA_SIGNAL_NMI, &vcpu->signals))
		umbra_vmx_queue_nmi(vcpu);
}

/* Something that a halted vCPU goes on for. */
static bool has_event(struct umbra_vcpu *vcpu)
{
	if (READ_ONCE(vcpu->signals))
		return true;
	if (vcpu->mp_state != KVM_MP_STATE_HALTED)
		return false;
	return umbra_vmx_nmi_pending(vcpu) || umbra_vmx_exception_pending(vcpu) ||
	       (umbra_irq_pending(vcpu) && umbra_vmx_ready_for_interrupt(vcpu));
}

/* The preempt notifier puts the vCPU while it sleeps. */
static int sleep(struct umbra_vcpu *vcpu)
{
	int ret = 0;

	prepare_to_rcuwait(&vcpu->wait);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (has_event(vcpu))
			break;
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		schedule();
	}
	finish_rcuwait(&vcpu->wait);
	return ret;
}

int umbra_vcpu_wait(struct umbra_vcpu *vcpu)
{
	while (vcpu->mp_state != KVM_MP_STATE_RUNNABLE) {
		int ret = sleep(vcpu);

		if (ret)
			return ret;
		umbra_vcpu_take_signals(vcpu);
		if (vcpu->mp_state == KVM_MP_STATE_HALTED && has_event(vcpu))
			vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
		/* Others may send signals faster than they are taken here. */
		if (signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* Who runs now needs no help, who sleeps would not be helped. */
static bool yield_to_vcpu(struct umbra_vcpu *vcpu)
{
	struct task_struct *task;
	bool done;

	if (!vcpu || !READ_ONCE(vcpu->preempted))
		return false;
	rcu_read_lock();
	task = pid_task(rcu_dereference(vcpu->pid), PIDTYPE_PID);
	if (task)
		get_task_struct(task);
	rcu_read_unlock();
	if (!task)
		return false;
	done = yield_to(task, true) > 0;
	put_task_struct(task);
	return done;
}

bool umbra_vcpu_yield(struct umbra_vcpu *vcpu)
{
	unsigned int i, nr = READ_ONCE(vcpu->vm->nr_vcpus);

	/* The next ones in turn, so that each gets its share. */
	for (i = 1; i < nr; i++) {
		if (yield_to_vcpu(umbra_vm_vcpu(vcpu->vm, (vcpu->idx + i) % nr)))
			return true;
	}
	cond_resched();
	return false;
}

u64 umbra_vcpu_guest_tsc(struct umbra_vcpu *vcpu)
{
	return umbra_vcpu_scale_tsc(vcpu, rdtsc()) + umbra_vmx_tsc_offset(vcpu);
}

u32 umbra_vcpu_tsc_khz(struct umbra_vcpu *vcpu)
{
	return vcpu->tsc_khz;
}
