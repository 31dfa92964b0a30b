// SPDX-License-Identifier: GPL-2.0
/*
 * End of interrupt without an exit: a word in guest memory says that the interrupt
 * which is being served needs no EOI. The guest clears it instead of writing to the
 * register, and the next exit finds it cleared:
 *
 *	arm:     word = 1, interrupt delivered --> guest
 *	collect: word cleared: the EOI was meant; still set: the guest is not there
 *	         yet, and will have to write to the register
 *
 * Only the vCPU itself touches the word, the guest or this thread of the host.
 */
#include <asm/kvm_para.h>
#include <umbra/hostmem.h>
#include <umbra/irqchip.h>
#include <umbra/pv.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include <umbra/vmx.h>

static gpa_t word_of(const struct umbra_vcpu *vcpu)
{
	return vcpu->pv.eoi & ~(u64)KVM_MSR_ENABLED;
}

static bool write_word(struct umbra_vcpu *vcpu, u8 value)
{
	int ret, idx = srcu_read_lock(&vcpu->mmu.mmu->srcu);

	ret = umbra_guest_write_atomic(&vcpu->mmu, word_of(vcpu), &value, sizeof(value));
	srcu_read_unlock(&vcpu->mmu.mmu->srcu, idx);
	return !ret;
}

void umbra_pv_eoi_arm(struct umbra_vcpu *vcpu, u8 vector)
{
	if (likely(!(vcpu->pv.eoi & KVM_MSR_ENABLED)) || !umbra_irq_needs_no_eoi(vcpu, vector))
		return;
	vcpu->pv.eoi_armed = write_word(vcpu, BIT(KVM_PV_EOI_BIT));
}

void umbra_pv_eoi_collect(struct umbra_vcpu *vcpu)
{
	int ret, idx = srcu_read_lock(&vcpu->mmu.mmu->srcu);
	u8 word = 0;

	vcpu->pv.eoi_armed = false;
	/* Memory that went away took the guest's EOI with it. */
	ret = umbra_guest_read(vcpu->mmu.mmu, word_of(vcpu), &word, sizeof(word));
	srcu_read_unlock(&vcpu->mmu.mmu->srcu, idx);
	if (ret)
		return;
	if (word & BIT(KVM_PV_EOI_BIT)) {
		write_word(vcpu, 0);
	} else {
		umbra_irq_eoi(vcpu);
		/* What it held back may be delivered now. */
		umbra_vmx_request_window(vcpu);
	}
}
