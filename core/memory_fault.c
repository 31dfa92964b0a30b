// SPDX-License-Identifier: GPL-2.0
/* Guest memory that the host cannot provide: what KVM_RUN says of it. */
#include <linux/kvm.h>
#include <linux/sched/signal.h>
#include <linux/umbra.h>
#include <umbra/memslot.h>
#include <umbra/vcpu.h>

static void describe(struct umbra_vcpu *vcpu, gpa_t gpa)
{
	/* Later kernels have a member for it in the union that begins here. */
	struct umbra_memory_fault *out = (void *)&vcpu->run->hw;

	vcpu->run->exit_reason = KVM_EXIT_MEMORY_FAULT;
	out->flags = 0;
	out->gpa = gpa & PAGE_MASK;
	out->size = PAGE_SIZE;
}

/* As if the thread had touched the page itself: user space knows what to do. */
static void signal_poison(struct umbra_vcpu *vcpu, gpa_t gpa)
{
	gfn_t gfn = umbra_gpa_to_gfn(gpa);
	struct umbra_memslot *slot = umbra_gfn_to_slot(vcpu->mmu.mmu, gfn);

	if (slot)
		send_sig_mceerr(BUS_MCEERR_AR, (void __user *)umbra_memslot_hva(slot, gfn),
				PAGE_SHIFT, current);
}

int umbra_vcpu_memory_fault(struct umbra_vcpu *vcpu, gpa_t gpa, int error)
{
	switch (error) {
	case -EHWPOISON:
		signal_poison(vcpu, gpa);
		fallthrough;
	case -EINTR:
		/* KVM_RUN ends because of the signal, unless the thread blocks it. */
		if (signal_pending(current))
			return 1;
		fallthrough;
	case -EFAULT:
		describe(vcpu, gpa);
		fallthrough;
	default:
		return error;
	}
}
