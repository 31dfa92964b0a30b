// SPDX-License-Identifier: GPL-2.0
/* KVM_CAP_SYNC_REGS: registers exchanged through struct kvm_run, without ioctls. */
#include <linux/kvm.h>
#include <linux/string.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include <umbra/vmx.h>
#include "sync_regs.h"

bool umbra_sync_regs_valid(const struct kvm_run *run)
{
	return !((READ_ONCE(run->kvm_valid_regs) | READ_ONCE(run->kvm_dirty_regs)) &
		 ~KVM_SYNC_X86_VALID_FIELDS);
}

/* User space may write to the page meanwhile: what is checked is a copy. */
static void take_regs(struct umbra_vcpu *vcpu)
{
	struct kvm_regs regs;

	memcpy(&regs, &vcpu->run->s.regs.regs, sizeof(regs));
	umbra_vmx_set_regs(vcpu, &regs);
}

static int take_sregs(struct umbra_vcpu *vcpu)
{
	struct kvm_sregs sregs;
	int idx, r;

	memcpy(&sregs, &vcpu->run->s.regs.sregs, sizeof(sregs));
	idx = srcu_read_lock(&vcpu->mmu.mmu->srcu);
	r = umbra_vmx_set_sregs(vcpu, &sregs);
	srcu_read_unlock(&vcpu->mmu.mmu->srcu, idx);
	return r;
}

static int take_events(struct umbra_vcpu *vcpu)
{
	struct kvm_vcpu_events events;

	memcpy(&events, &vcpu->run->s.regs.events, sizeof(events));
	return umbra_vmx_set_events(vcpu, &events);
}

int umbra_sync_regs_take(struct umbra_vcpu *vcpu)
{
	u64 dirty = READ_ONCE(vcpu->run->kvm_dirty_regs);
	int r = 0;

	if (likely(!dirty))
		return 0;
	if (dirty & KVM_SYNC_X86_REGS)
		take_regs(vcpu);
	if (dirty & KVM_SYNC_X86_SREGS)
		r = take_sregs(vcpu);
	if (!r && (dirty & KVM_SYNC_X86_EVENTS))
		r = take_events(vcpu);
	if (!r)
		vcpu->run->kvm_dirty_regs = 0;
	return r;
}

void umbra_sync_regs_give(struct umbra_vcpu *vcpu)
{
	struct kvm_sync_regs *out = &vcpu->run->s.regs;
	u64 valid = READ_ONCE(vcpu->run->kvm_valid_regs);

	if (likely(!valid))
		return;
	if (valid & KVM_SYNC_X86_REGS)
		umbra_vmx_get_regs(vcpu, &out->regs);
	if (valid & KVM_SYNC_X86_SREGS)
		umbra_vmx_get_sregs(vcpu, &out->sregs);
	if (valid & KVM_SYNC_X86_EVENTS)
		umbra_vmx_get_events(vcpu, &out->events);
}
