/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests that play single scenes: a VM with one vCPU and all slots, and, under
 * shadow paging, its accesses.
 */
#ifndef UNIT_MMU_SCENE_H
#define UNIT_MMU_SCENE_H

#include <asm/processor-flags.h>
#include <tap.h>
#include "machine.h"
#include "shim.h"

static struct umbra_mmu *const mmu = &machine.mmu;
static struct cpu *const cpu = &cpus[0];

/*
 * A VM with all slots and one vCPU, unpaged; nothing of another is left. What can
 * be made can be refused: vm_begin() returns 0 or -ENOMEM, the others end the test.
 */
int vm_begin(const struct umbra_mmu_caps *caps, enum umbra_policy policy);
void vm_end(void);
void vm_create_with(const struct umbra_mmu_caps *caps, enum umbra_policy policy);

static inline void vm_create(enum umbra_policy policy)
{
	vm_create_with(&(const struct umbra_mmu_caps) { .host_maxphyaddr = 46 }, policy);
}

/* In the test's own file, which counts what fails. */
static inline void vm_destroy(const char *name)
{
	vm_end();
	ok(!atomic64_read(&mmu->stat.table_bytes), "%s: no table is left", name);
	/* Shadow pages take their leaves with them. */
	if (mmu->policy == UMBRA_POLICY_EPT)
		ok(!atomic64_read(&mmu->stat.pages_4k) && !atomic64_read(&mmu->stat.pages_2m),
		   "%s: no page is counted", name);
	ok(!shim_pages && !shim_objects, "%s: nothing is leaked", name);
}

#define PTE		0x67ull		/* present, writable, user, accessed, dirty */

/* How many large leaves there are, and tables in place of such that are executed. */
static inline s64 large(void)
{
	return atomic64_read(&mmu->stat.pages_2m);
}

static inline s64 splits(void)
{
	return atomic64_read(&mmu->stat.nx_lpage_splits);
}

void set_entry(gfn_t table, unsigned int index, u64 entry);

/* Long mode, tables at frames 1 (root), 2, 3 of the first slot. */
void long_mode(void);

/* One access at any address: the last result of the faults it takes. */
int touch(u64 gva, u32 access, struct umbra_fault *fault);

/* A fault that another vCPU takes, which leaves the CPU in the guest. */
int fault_of_another(u64 addr, u32 access, bool ept);

/* Does the auditor agree? */
bool audited(void);

static inline bool works(u64 gva, u32 access)
{
	int result = touch(gva, access, NULL);

	return result == UMBRA_FAULT_FIXED || result == UMBRA_FAULT_SPURIOUS ||
	       result == UMBRA_FAULT_RETRY;
}

#endif
