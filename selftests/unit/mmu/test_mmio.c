// SPDX-License-Identifier: GPL-2.0
/*
 * Entries for frames without memory, one scene at a time, in both families: what
 * finds them, and what ends them.
 */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <tap.h>
#include "machine.h"
#include "shim.h"

#define PTE		0x67ull		/* present, writable, user, accessed, dirty */
#define HOLE		300ull		/* a frame between the slots */
#define PERIOD		(1ull << UMBRA_MMIO_GEN_BITS)

static struct umbra_mmu *const mmu = &machine.mmu;
static struct cpu *const cpu = &cpus[0];

static void set_entry(gfn_t table, unsigned int index, u64 entry)
{
	history_write(gfn_to_page(table, false, NULL), index * 8, &entry, sizeof(entry));
}

/* With shadow paging page 0 of a long-mode guest leads to HOLE, and page n to frame n. */
/* By an instruction of the guest's. */
static void store_entry(gfn_t table, unsigned int index, u64 entry)
{
	int idx = srcu_read_lock(&mmu->srcu);

	cpu_exit(cpu);
	if (umbra_mmu_guest_write(&cpu->v, (table << 12) + index * 8, &entry, sizeof(entry)))
		violation("no such table");
	srcu_read_unlock(&mmu->srcu, idx);
}

static void vm_create(enum umbra_policy policy, bool reserved)
{
	const struct umbra_mmu_caps caps = {
		.host_maxphyaddr = 46, .pt_addr_bits = reserved ? 46 : 52, .mmio_caching = true,
	};

	sim_mmio = true;
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
	if (policy != UMBRA_POLICY_SHADOW)
		return;
	set_entry(1, 0, 2 << 12 | PTE);
	set_entry(2, 0, 3 << 12 | PTE);
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, HOLE << 12 | PTE);
	set_entry(4, 1, 21 << 12 | PTE);
	guest_paging_on(cpu, GUEST_MODE_4LEVEL, 1 << 12, true);
}

static void vm_destroy(const char *name)
{
	umbra_mmu_vcpu_destroy(&cpu->v);
	umbra_mmu_destroy(mmu);
	ok(!atomic64_read(&mmu->stat.table_bytes), "%s: no table is left", name);
	ok(!atomic64_read(&mmu->stat.pages_4k), "%s: no page is counted", name);
	host_destroy();
	umbra_mmu_module_exit();
	ok(!shim_pages && !shim_objects, "%s: nothing is leaked", name);
}

static void touch(gfn_t frame, bool write)
{
	struct guest_access a = { .unpaged_gfn = frame, .write = write, .len = 8 };

	guest_access(cpu, &a);
}

/* Accesses that an entry decides, and entries made, since the last call. */
static u64 hits(void)
{
	static u64 before;
	u64 n = counts.mmio_fast - before;

	before = counts.mmio_fast;
	return n;
}

static u64 made(void)
{
	static u64 before;
	u64 n = cpu->v.stat.pf_mmio_spte_created - before;

	before = cpu->v.stat.pf_mmio_spte_created;
	return n;
}

static void set_gen(u64 gen)
{
	struct umbra_memslots *slots = mmu->memslots;

	slots->mmio_gen = gen;
}

/* What the families have in common: page 0, or frame HOLE, has no memory. */
static void scene(enum umbra_policy policy, const char *name)
{
	bool shadow = policy == UMBRA_POLICY_SHADOW;
	gfn_t frame = shadow ? 0 : HOLE;
	u64 emulated = counts.mmio;

	vm_create(policy, true);
	hits();
	cpu->v.stat.pf_mmio_spte_created = 0;
	made();
	touch(frame, false);
	ok(made() == 1 && !hits(), "%s: the first access makes an entry", name);
	touch(frame, false);
	touch(frame, true);
	ok(hits() == 2 && !made(), "%s: the next ones find it", name);
	ok(counts.mmio - emulated == 3, "%s: all are MMIO", name);

	slot_log_dirty(0, true);
	touch(frame, false);
	ok(hits() == 1, "%s: other flags for a slot leave it", name);
	slot_delete(2);
	touch(frame, false);
	ok(hits() == 1, "%s: so does a slot that goes", name);
	slot_create(2, 0);
	touch(frame, false);
	ok(!hits() && made() == 1, "%s: one that comes makes it old", name);
	touch(frame, false);
	ok(hits() == 1, "%s: once", name);

	/* The same bits, a whole period later. */
	set_gen(PERIOD);
	touch(frame, false);
	ok(made() == 1, "%s: made with the first generation", name);
	slot_delete(2);
	set_gen(2 * PERIOD - 1);
	slot_create(2, 0);
	touch(frame, false);
	ok(made() == 1 && !hits(), "%s: not found in the same one of the next period", name);
	vm_destroy(name);
}

/* Memory appears where there was none, and goes. */
static void scene_memory(void)
{
	gfn_t frame = slot_plan[2].base;

	vm_create(UMBRA_POLICY_EPT, true);
	slot_delete(2);
	touch(frame, false);
	touch(frame, true);
	ok(hits() == 1, "a frame without a slot");
	slot_create(2, 0);
	touch(frame, true);
	ok(!hits() && atomic64_read(&mmu->stat.pages_4k) == 1, "is mapped when it has one");
	slot_delete(2);
	touch(frame, true);
	ok(!hits() && !atomic64_read(&mmu->stat.pages_4k), "and is not when that went");
	touch(frame, true);
	ok(hits() == 1, "and is known again");
	vm_destroy("memory");
}

/* A guest that roams its address space cannot make tables for ever. */
static void scene_roam(void)
{
	s64 tables;

	vm_create(UMBRA_POLICY_EPT, true);
	for (gfn_t gfn = 1ull << 24; gfn < (1ull << 24) + (4096ull << 9); gfn += 512)
		touch(gfn, false);
	tables = atomic64_read(&mmu->stat.table_bytes) / PAGE_SIZE;
	ok(tables > 512 && tables < 1100, "%lld tables for MMIO in 4096 places", tables);
	hits();
	vm_destroy("roam");
}

static void scene_grants(void)
{
	vm_create(UMBRA_POLICY_SHADOW, true);
	made();
	set_entry(4, 0, HOLE << 12 | (PTE & ~0x40ull));
	touch(0, false);
	touch(0, true);
	ok(!hits() && made() == 2, "the first write sets the guest's dirty flag");
	touch(0, true);
	ok(hits() == 1, "and then the entry is for writes, too");
	store_entry(4, 0, HOLE << 12 | (PTE & ~2ull));
	guest_invlpg(cpu, 0);
	touch(0, true);
	ok(!hits(), "no longer when the guest takes the right away");
	store_entry(4, 0, 22 << 12 | PTE);
	guest_invlpg(cpu, 0);
	touch(0, true);
	ok(!hits() && atomic64_read(&mmu->stat.pages_4k), "a page takes its place");
	store_entry(4, 0, HOLE << 12 | PTE);
	guest_invlpg(cpu, 0);
	touch(0, true);
	touch(0, true);
	ok(hits() == 1, "and the other way round");
	vm_destroy("grants");

	vm_create(UMBRA_POLICY_SHADOW, false);
	made();
	touch(0, false);
	touch(0, false);
	ok(!hits() && !made(), "no entries where no address bit is reserved");
	vm_destroy("no reserved bit");
}

int main(void)
{
	random_state = 1;
	scene(UMBRA_POLICY_EPT, "EPT");
	scene(UMBRA_POLICY_SHADOW, "shadow");
	scene_memory();
	scene_roam();
	scene_grants();
	return tap_done();
}
