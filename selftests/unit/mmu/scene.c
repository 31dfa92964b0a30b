// SPDX-License-Identifier: GPL-2.0
/*
 * What the tests that play single scenes on the simulated machine share: a broken
 * rule ends them, and nothing happens but what the scene says.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "scene.h"

struct machine_counts counts;
bool sim_ept_ad, sim_mmio, sim_pml;

void violation(const char *format, ...)
{
	va_list args;

	printf("# ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\nBail out!\n");
	fflush(stdout);
	abort();
}

void interfere(bool may_notify)
{
}

void interfere_inside(void)
{
}

/* ---- the VM ---- */

static int slots_begin(void)
{
	int ret = 0;

	for (int id = 0; id < NR_SLOTS && !ret; id++)
		ret = slot_create(id, 0);
	return ret ?: umbra_mmu_slots_prepare(mmu);
}

static void slots_end(void)
{
	umbra_mmu_destroy(mmu);
	host_destroy();
}

int vm_begin(const struct umbra_mmu_caps *caps, enum umbra_policy policy)
{
	int ret;

	sim_ept_ad = caps->ept_ad;
	sim_mmio = caps->mmio_caching;
	sim_pml = caps->pml;
	memset(&machine, 0, sizeof(machine));
	memset(cpus, 0, sizeof(cpus));
	memset(ram, 0, sizeof(ram));
	history_reset();
	ret = umbra_mmu_module_init(caps);
	if (ret)
		return ret;
	ret = umbra_mmu_init(mmu, &sim_cpu_ops, policy);
	if (ret)
		goto err_module;
	host_init();
	ret = slots_begin();
	if (ret)
		goto err_slots;
	ret = umbra_mmu_vcpu_init(&cpu->v, mmu);
	if (ret)
		goto err_slots;
	cpu->exists = true;
	cpu->v.state.cr0 = X86_CR0_PE;
	cpu->v.state.maxphyaddr = 40;
	cpu->v.state.state_legal = true;
	umbra_mmu_state_changed(&cpu->v);
	return 0;

err_slots:
	slots_end();
err_module:
	umbra_mmu_module_exit();
	return ret;
}

void vm_end(void)
{
	umbra_mmu_vcpu_destroy(&cpu->v);
	slots_end();
	umbra_mmu_module_exit();
}

void vm_create_with(const struct umbra_mmu_caps *caps, enum umbra_policy policy)
{
	if (vm_begin(caps, policy))
		violation("no memory");
}

/* ---- the guest ---- */

void set_entry(gfn_t table, unsigned int index, u64 entry)
{
	int page = gfn_to_page(table, false, NULL);

	history_write(page, index * 8, &entry, sizeof(entry));
}

void long_mode(void)
{
	set_entry(1, 0, 2 << 12 | PTE);
	set_entry(2, 0, 3 << 12 | PTE);
	guest_paging_on(cpu, GUEST_MODE_4LEVEL, 1 << 12, true);
}

int touch(u64 gva, u32 access, struct umbra_fault *fault)
{
	int result = UMBRA_FAULT_SPURIOUS, idx = srcu_read_lock(&mmu->srcu);

	for (int i = 0; i < 8; i++) {
		struct umbra_fault f = { .addr = gva, .access = access };
		struct hw_access hw = {
			.addr = gva, .gva_nr = (gva >> 12) % NR_GVAS,
			.write = access & UMBRA_ACC_WRITE, .user = access & UMBRA_ACC_USER,
			.fetch = access & UMBRA_ACC_FETCH,
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

bool audited(void)
{
	struct umbra_audit audit;
	int idx = srcu_read_lock(&mmu->srcu);

	umbra_mmu_audit(mmu, true, &audit);
	srcu_read_unlock(&mmu->srcu, idx);
	if (audit.findings)
		printf("# %lu findings: %s\n", audit.findings, audit.first);
	return !audit.findings;
}

int fault_of_another(u64 addr, u32 access, bool ept)
{
	struct umbra_fault f = { .addr = addr, .access = access };
	int idx = srcu_read_lock(&mmu->srcu);
	int result = ept ? umbra_mmu_ept_fault(&cpu->v, &f) : umbra_mmu_shadow_fault(&cpu->v, &f);

	srcu_read_unlock(&mmu->srcu, idx);
	return result;
}
