// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation fails once. Each operation below is done again and again, on a
 * new VM each time, with its first allocation failing, then its second, and so on
 * until there is none left to fail. It has to say -ENOMEM, or to do without; the
 * auditor has to agree, the same operation has to work when there is memory again,
 * and nothing may be left of the VM.
 */
#include <linux/errno.h>
#include <linux/kvm.h>
#include "../../../mmu/ept.h"
#include "../../../mmu/shadow.h"
#include "scene.h"

static int try_vm(void)
{
	const struct umbra_mmu_caps caps = {
		.host_maxphyaddr = 46, .ept_2m = true, .pt_addr_bits = 46,
	};

	return vm_begin(&caps, UMBRA_POLICY_SHADOW);
}

/* ---- operations: 0, or a negative errno ---- */

static int ept_fault(gfn_t gfn)
{
	struct umbra_fault f = { .addr = gfn << 12, .access = UMBRA_ACC_WRITE };
	int ret = umbra_mmu_ept_fault(&cpu->v, &f);

	return ret == UMBRA_FAULT_RETRY ? -EAGAIN : ret;
}

static int op_load(void)
{
	return umbra_mmu_load(&cpu->v);
}

static int op_small(void)
{
	return ept_fault(20);
}

static int op_large(void)
{
	return ept_fault(600);
}

static int op_shadow(void)
{
	struct umbra_fault f = { .addr = 0, .access = UMBRA_ACC_WRITE };
	int ret = umbra_mmu_shadow_fault(&cpu->v, &f);

	return ret == UMBRA_FAULT_RETRY ? -EAGAIN : ret;
}

static int op_cr3(void)
{
	umbra_mmu_set_cr3(&cpu->v, false);
	return cpu->v.root == INVALID_PAGE ? umbra_mmu_load(&cpu->v) : 0;
}

static int op_invlpg(void)
{
	umbra_mmu_invlpg(&cpu->v, 0);
	return 0;
}

static int op_write(void)
{
	const u64 entry = 22 << 12 | PTE;

	return umbra_mmu_guest_write(&cpu->v, 0x4000, &entry, sizeof(entry));
}

static int op_slot(void)
{
	return slot_create(2, KVM_MEM_LOG_DIRTY_PAGES);
}

static int op_prefault(void)
{
	gpa_t end;

	return umbra_mmu_prefault(&cpu->v, 30 << 12, &end);
}

/* ---- what they are done to ---- */

static void nothing(void)
{
}

static void load(void)
{
	if (umbra_mmu_load(&cpu->v))
		violation("no memory");
	umbra_cache_drain(&cpu->v);
}

static void unpaged(void)
{
	load();
	host_collapse();
}

static void tables(void)
{
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | PTE);
	long_mode();
}

static void paged(void)
{
	int idx;

	tables();
	load();
	idx = srcu_read_lock(&mmu->srcu);
	op_shadow();
	srcu_read_unlock(&mmu->srcu, idx);
	umbra_cache_drain(&cpu->v);
}

static void faulting(void)
{
	tables();
	load();
}

static void pae(void)
{
	set_entry(1, 0, 3 << 12 | 1);
	guest_paging_on(cpu, GUEST_MODE_PAE, 1 << 12, true);
}

static void no_slot(void)
{
	slot_delete(2);
}

static void logged(void)
{
	int idx;

	unpaged();
	idx = srcu_read_lock(&mmu->srcu);
	op_large();
	srcu_read_unlock(&mmu->srcu, idx);
	umbra_eager_page_split = false;
	slot_log_dirty(1, true);
	umbra_eager_page_split = true;
	umbra_cache_drain(&cpu->v);
}

/* In line with the guest's tables there is nothing to do for INVLPG. */
static void out_of_line(void)
{
	paged();
	cpu->v.direct = UMBRA_DIRECT_HOLES;
}

static const struct {
	const char *name;
	void (*before)(void);
	int (*op)(void);
	unsigned int least;		/* allocations that can fail */
} operation[] = {
	{ "a root, EPT", nothing, op_load, 1 },
	{ "a root, shadow pages", tables, op_load, 3 },
	{ "a root, PAE", pae, op_load, 3 },
	{ "CR3", paged, op_cr3, 0 },
	{ "CR3, PAE", pae, op_cr3, 3 },
	{ "a small page", unpaged, op_small, 3 },
	{ "a large page", unpaged, op_large, 2 },
	{ "a write to a large page that is logged", logged, op_large, 1 },
	{ "a page ahead of its use", unpaged, op_prefault, 3 },
	{ "a shadow fault", faulting, op_shadow, 6 },
	{ "INVLPG", out_of_line, op_invlpg, 1 },
	{ "a write to a table", paged, op_write, 0 },
	{ "a slot", no_slot, op_slot, 1 },
};

/* Return: allocations that were made to fail; -1 when something was wrong. */
static int fail_each(void (*before)(void), int (*op)(void))
{
	for (unsigned int n = 1;; n++) {
		int ret, again, idx;
		bool failed;

		if (try_vm())
			violation("no memory");
		before();
		idx = op == op_slot ? -1 : srcu_read_lock(&mmu->srcu);
		shim_fail_at = n;
		ret = op();
		failed = !shim_fail_at;
		shim_fail_at = 0;
		mmu_audit();
		again = ret ? op() : 0;
		if (idx >= 0)
			srcu_read_unlock(&mmu->srcu, idx);
		mmu_audit();
		vm_end();
		if (shim_pages || shim_objects || again || (ret && ret != -ENOMEM) ||
		    (ret && !failed)) {
			printf("# allocation %u: %d, then %d; %ld pages, %ld objects left\n", n,
			       ret, again, shim_pages, shim_objects);
			return -1;
		}
		if (!failed)
			return n - 1;
	}
}

static void all_of_a_vm(void)
{
	unsigned int n = 0;
	bool failed, good = true;

	do {
		int ret;

		shim_fail_at = ++n;
		ret = try_vm();
		failed = !shim_fail_at;
		shim_fail_at = 0;
		if (!ret)
			vm_end();
		good &= (ret == -ENOMEM) == failed && !shim_pages && !shim_objects;
	} while (failed && good);
	ok(good && n > 8, "a VM: each of %u allocations fails, nothing is left", n - 1);
}

int main(void)
{
	random_state = 1;
	all_of_a_vm();
	for (unsigned int i = 0; i < ARRAY_SIZE(operation); i++) {
		int n = fail_each(operation[i].before, operation[i].op);

		ok(n >= (int)operation[i].least, "%s: each of %d allocations fails",
		   operation[i].name, n);
	}
	return tap_done();
}
