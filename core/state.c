// SPDX-License-Identifier: GPL-2.0
/* The register ioctls of a vCPU. The VMCS half of each is in vmx/. */
#include <linux/kvm.h>
#include <linux/signal.h>
#include <linux/uaccess.h>
#include <umbra/vcpu.h>
#include <umbra/vmx.h>
#include "ioctl.h"

long umbra_state_get_regs(struct umbra_call *call)
{
	umbra_vmx_get_regs(call->vcpu, call->data);
	return 0;
}

long umbra_state_set_regs(struct umbra_call *call)
{
	umbra_vmx_set_regs(call->vcpu, call->data);
	return 0;
}

long umbra_state_get_sregs(struct umbra_call *call)
{
	umbra_vmx_get_sregs(call->vcpu, call->data);
	return 0;
}

long umbra_state_set_sregs(struct umbra_call *call)
{
	return umbra_vmx_set_sregs(call->vcpu, call->data);
}

long umbra_state_get_sregs2(struct umbra_call *call)
{
	umbra_vmx_get_sregs2(call->vcpu, call->data);
	return 0;
}

long umbra_state_set_sregs2(struct umbra_call *call)
{
	return umbra_vmx_set_sregs2(call->vcpu, call->data);
}

long umbra_state_get_mp_state(struct umbra_call *call)
{
	struct kvm_mp_state *state = call->data;
	struct umbra_vcpu *vcpu = call->vcpu;

	/* No ioctl tells of signals: whoever saves a vCPU needs what they make of it. */
	if (!vcpu->complete)
		umbra_vcpu_take_signals(vcpu);
	state->mp_state = vcpu->mp_state;
	return 0;
}

/* The other states belong to a local APIC in the kernel. */
static bool mp_state_valid(const struct umbra_vcpu *vcpu, u32 state)
{
	switch (state) {
	case KVM_MP_STATE_RUNNABLE:
		return true;
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_INIT_RECEIVED:
	case KVM_MP_STATE_HALTED:
		return vcpu->lapic;
	default:
		return false;
	}
}

long umbra_state_set_mp_state(struct umbra_call *call)
{
	const struct kvm_mp_state *state = call->data;

	if (!mp_state_valid(call->vcpu, state->mp_state))
		return -EINVAL;
	call->vcpu->mp_state = state->mp_state;
	return 0;
}

long umbra_state_get_events(struct umbra_call *call)
{
	umbra_vmx_get_events(call->vcpu, call->data);
	return 0;
}

long umbra_state_set_events(struct umbra_call *call)
{
	return umbra_vmx_set_events(call->vcpu, call->data);
}

long umbra_state_get_debugregs(struct umbra_call *call)
{
	umbra_vmx_get_debugregs(call->vcpu, call->data);
	return 0;
}

long umbra_state_set_debugregs(struct umbra_call *call)
{
	return umbra_vmx_set_debugregs(call->vcpu, call->data);
}

long umbra_state_guest_debug(struct umbra_call *call)
{
	return umbra_vmx_set_guest_debug(call->vcpu, call->data);
}

long umbra_state_interrupt(struct umbra_call *call)
{
	const struct kvm_interrupt *irq = call->data;

	return umbra_vmx_queue_interrupt(call->vcpu, irq->irq);
}

long umbra_state_nmi(struct umbra_call *call)
{
	return umbra_vmx_queue_nmi(call->vcpu);
}

long umbra_state_mce_supported(struct umbra_call *call)
{
	*(u64 *)call->data = umbra_vmx_mce_supported();
	return 0;
}

long umbra_state_mce_setup(struct umbra_call *call)
{
	return umbra_vmx_mce_setup(call->vcpu, *(u64 *)call->data);
}

long umbra_state_mce_inject(struct umbra_call *call)
{
	return umbra_vmx_mce_inject(call->vcpu, call->data);
}

/* The mask that holds during KVM_RUN; NULL: the thread's own. */
long umbra_state_signal_mask(struct umbra_call *call)
{
	struct kvm_signal_mask __user *user = umbra_call_user(call);
	struct umbra_vcpu *vcpu = call->vcpu;
	struct kvm_signal_mask head;
	sigset_t set;

	if (!user) {
		vcpu->sigset_active = false;
		return 0;
	}
	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.len != sizeof(set))
		return -EINVAL;
	if (copy_from_user(&set, user->sigset, sizeof(set)))
		return -EFAULT;
	sigdelsetmask(&set, sigmask(SIGKILL) | sigmask(SIGSTOP));
	vcpu->sigset = set;
	vcpu->sigset_active = true;
	return 0;
}

long umbra_state_translate(struct umbra_call *call)
{
	struct kvm_translation *tr = call->data;
	struct umbra_vcpu *vcpu = call->vcpu;
	gpa_t gpa = ~0ULL;

	umbra_vmx_sync_paging(vcpu);
	tr->valid = !umbra_mmu_translate_quiet(&vcpu->mmu, tr->linear_address, 0, &gpa, NULL);
	tr->physical_address = tr->valid ? gpa : ~0ULL;
	tr->writeable = 1;
	tr->usermode = 0;
	return 0;
}
