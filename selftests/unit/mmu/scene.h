/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests that play single scenes under shadow paging: a VM with one vCPU and
 * all slots, and its accesses.
 */
#ifndef UNIT_MMU_SCENE_H
#define UNIT_MMU_SCENE_H

#include <asm/processor-flags.h>
#include <tap.h>
#include "machine.h"
#include "shim.h"

static struct umbra_mmu *const mmu = &machine.mmu;
static struct cpu *const cpu = &cpus[0];

/* ---- the guest ---- */

#define PTE		0x67ull		/* present, writable, user, accessed, dirty */

static inline void set_entry(gfn_t table, unsigned int index, u64 entry)
{
	int page = gfn_to_page(table, false, NULL);

	history_write(page, index * 8, &entry, sizeof(entry));
}

static inline void vm_create(enum umbra_policy policy)
{
	const struct umbra_mmu_caps caps = { .host_maxphyaddr = 46 };

	memset(&machine, 0, sizeof(machine));
	memset(cpus, 0, sizeof(cpus));
	memset(ram, 0, sizeof(ram));
	history_reset();
	if (umbra_mmu_module_init(&caps) || umbra_mmu_init(mmu, &sim_cpu_ops, policy))
		violation("no memory");
	host_init();
	for (int id = 0; id < NR_SLOTS; id++)
		slot_create(id, 0);
	if (umbra_mmu_slots_prepare(mmu) || umbra_mmu_vcpu_init(&cpu->v, mmu))
		violation("no memory");
	cpu->exists = true;
	cpu->v.state.cr0 = X86_CR0_PE;
	cpu->v.state.maxphyaddr = 40;
	cpu->v.state.state_legal = true;
	umbra_mmu_state_changed(&cpu->v);
}

static inline void vm_destroy(const char *name)
{
	umbra_mmu_vcpu_destroy(&cpu->v);
	umbra_mmu_destroy(mmu);
	ok(!atomic64_read(&mmu->stat.table_bytes), "%s: no table is left", name);
	host_destroy();
	umbra_mmu_module_exit();
	ok(!shim_pages && !shim_objects, "%s: nothing is leaked", name);
}

/* Long mode, tables at frames 1 (root), 2, 3 of the first slot. */
static inline void long_mode(void)
{
	set_entry(1, 0, 2 << 12 | PTE);
	set_entry(2, 0, 3 << 12 | PTE);
	guest_paging_on(cpu, GUEST_MODE_4LEVEL, 1 << 12, true);
}

/* One access at any address: the last result of the faults it takes. */
static inline int touch(u64 gva, u32 access, struct umbra_fault *fault)
{
	int result = UMBRA_FAULT_SPURIOUS, idx = srcu_read_lock(&mmu->srcu);

	for (int i = 0; i < 8; i++) {
		struct umbra_fault f = { .addr = gva, .access = access };
		struct hw_access hw = {
			.addr = gva, .gva_nr = (gva >> 12) % NR_GVAS,
			.write = access & UMBRA_ACC_WRITE, .user = access & UMBRA_ACC_USER,
		};
		struct hw_fault hw_fault;
		kvm_pfn_t pfn;

		if (cpu_enter(cpu))
			violation("no memory");
		if (hw_linear(cpu, &hw, &pfn, &hw_fault))
			break;
		f.access = hw_fault.code;
		cpu_exit(cpu);
		result = umbra_mmu_shadow_fault(&cpu->v, &f);
		if (fault)
			*fault = f;
		if (result == UMBRA_FAULT_EMULATE || result == UMBRA_FAULT_GUEST || result < 0)
			break;
	}
	srcu_read_unlock(&mmu->srcu, idx);
	return result;
}

static inline bool works(u64 gva, u32 access)
{
	int result = touch(gva, access, NULL);

	return result == UMBRA_FAULT_FIXED || result == UMBRA_FAULT_SPURIOUS ||
	       result == UMBRA_FAULT_RETRY;
}

#endif
