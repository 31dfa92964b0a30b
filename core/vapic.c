// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_SET_VAPIC_ADDR: a word in guest memory through which patched guests read
 * and write the task priority without an exit. KVM_TPR_ACCESS_REPORTING: where user
 * space has to patch them.
 */
#include <linux/kvm.h>
#include <umbra/hostmem.h>
#include <umbra/irqchip.h>
#include <umbra/vcpu.h>
#include <umbra/vmx.h>
#include "ioctl.h"
#include "vapic.h"

long umbra_vapic_set_addr(struct umbra_call *call)
{
	const struct kvm_vapic_addr *args = call->data;
	struct umbra_vcpu *vcpu = call->vcpu;
	u32 word;

	if (!vcpu->lapic)
		return -EINVAL;
	if (args->vapic_addr &&
	    umbra_guest_read(vcpu->mmu.mmu, args->vapic_addr, &word, sizeof(word)))
		return -EINVAL;
	vcpu->vapic_addr = args->vapic_addr;
	return 0;
}

long umbra_vapic_set_reporting(struct umbra_call *call)
{
	const struct kvm_tpr_access_ctl *ctl = call->data;

	if (ctl->flags)
		return -EINVAL;
	call->vcpu->tpr_reporting = ctl->enabled;
	return 0;
}

/* A later access of the same instruction may make kvm_run its own: keep it here. */
void umbra_vcpu_tpr_access(struct umbra_vcpu *vcpu, bool write)
{
	if (!vcpu->tpr_reporting)
		return;
	vcpu->tpr_rip = umbra_vmx_rip(vcpu);
	vcpu->tpr_write = write;
	umbra_make_request(vcpu, UMBRA_REQ_TPR_ACCESS);
}

void umbra_vapic_report(struct umbra_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_TPR_ACCESS;
	run->tpr_access.rip = vcpu->tpr_rip;
	run->tpr_access.is_write = vcpu->tpr_write;
}

void umbra_vapic_publish(struct umbra_vcpu *vcpu)
{
	u32 word = umbra_lapic_vapic_word(vcpu);
	int idx = srcu_read_lock(&vcpu->mmu.mmu->srcu);

	/* Memory that went away is the guest's loss. */
	umbra_mmu_guest_write(&vcpu->mmu, vcpu->vapic_addr, &word, sizeof(word));
	srcu_read_unlock(&vcpu->mmu.mmu->srcu, idx);
}

void umbra_vapic_collect(struct umbra_vcpu *vcpu)
{
	int idx = srcu_read_lock(&vcpu->mmu.mmu->srcu);
	u8 tpr;

	if (!umbra_guest_read(vcpu->mmu.mmu, vcpu->vapic_addr, &tpr, sizeof(tpr)))
		umbra_lapic_set_tpr(vcpu, tpr);
	srcu_read_unlock(&vcpu->mmu.mmu->srcu, idx);
}
