// SPDX-License-Identifier: GPL-2.0
/*
 * The MMU's requests to the CPUs: everybody out of the guest, and one vCPU to
 * come by for a new root.
 */
#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <linux/smp.h>

#include <umbra/trace.h>
#include "vmx.h"

static DEFINE_PER_CPU(cpumask_var_t, kick_mask);

int vmx_kick_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		if (!zalloc_cpumask_var_node(per_cpu_ptr(&kick_mask, cpu), GFP_KERNEL,
					     cpu_to_node(cpu))) {
			vmx_kick_exit();
			return -ENOMEM;
		}
	}
	return 0;
}

void vmx_kick_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		free_cpumask_var(per_cpu(kick_mask, cpu));
}

/* That the interrupt arrived means that the guest has been left. */
static void nothing(void *unused)
{
}

static void kick_all(struct umbra_mmu *mmu)
{
	struct umbra_vm *vm = mmu_to_vm(mmu);
	struct cpumask *mask;
	unsigned int i, nr;
	int me = get_cpu();

	/* Pairs with the release in umbra_vcpu_create(). */
	nr = smp_load_acquire(&vm->nr_vcpus);
	mask = this_cpu_cpumask_var_ptr(kick_mask);
	cpumask_clear(mask);
	/* tlb_gen is written before mode is read; run_guest() does the reverse. */
	smp_mb();
	for (i = 0; i < nr; i++) {
		struct umbra_vcpu *vcpu = vm->vcpu[i];
		int cpu = READ_ONCE(vcpu->cpu);

		/* Pairs with the release in run_guest(): what was logged is in the log. */
		if (smp_load_acquire(&vcpu->mode) == UMBRA_IN_GUEST && cpu >= 0 && cpu != me)
			__cpumask_set_cpu(cpu, mask);
	}
	trace_umbra_tlb_flush(atomic64_read(&mmu->tlb_gen), cpumask_weight(mask));
	if (!cpumask_empty(mask))
		smp_call_function_many(mask, nothing, NULL, true);
	put_cpu();
}

static void request_reload(struct umbra_mmu_vcpu *mv)
{
	struct umbra_vcpu *vcpu = mmu_to_vcpu(mv);

	umbra_make_request(vcpu, UMBRA_REQ_MMU_RELOAD);
	umbra_vcpu_kick(vcpu);
}

const struct umbra_cpu_ops umbra_vmx_cpu_ops = {
	.kick_all = kick_all,
	.set_logging = vmx_set_logging,
	.request_reload = request_reload,
};
