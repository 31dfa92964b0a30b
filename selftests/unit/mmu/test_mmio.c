// SPDX-License-Identifier: GPL-2.0
/*
 * Entries for frames without memory, one scene at a time, in both families: what
 * finds them, and what ends them.
 */
#include <linux/kvm.h>
#include <stdlib.h>
#include "scene.h"

#define HOLE		300ull		/* a frame between the slots */
#define PERIOD		(1ull << UMBRA_MMIO_GEN_BITS)

/* By an instruction of the guest's. */
static void store_entry(gfn_t table, unsigned int index, u64 entry)
{
	int idx = srcu_read_lock(&mmu->srcu);

	cpu_exit(cpu);
	if (umbra_mmu_guest_write(&cpu->v, (table << 12) + index * 8, &entry, sizeof(entry)))
		violation("no such table");
	srcu_read_unlock(&mmu->srcu, idx);
}

/* With shadow paging page 0 of a long-mode guest leads to HOLE. */
static void mmio_create(enum umbra_policy policy, bool reserved)
{
	const struct umbra_mmu_caps caps = {
		.host_maxphyaddr = 46, .pt_addr_bits = reserved ? 46 : 52, .mmio_caching = true,
	};

	vm_create_with(&caps, policy);
	if (policy != UMBRA_POLICY_SHADOW)
		return;
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, HOLE << 12 | PTE);
	set_entry(4, 1, 21 << 12 | PTE);
	long_mode();
}

static void visit(gfn_t frame, bool write)
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

	mmio_create(policy, true);
	hits();
	cpu->v.stat.pf_mmio_spte_created = 0;
	made();
	visit(frame, false);
	ok(made() == 1 && !hits(), "%s: the first access makes an entry", name);
	visit(frame, false);
	visit(frame, true);
	ok(hits() == 2 && !made(), "%s: the next ones find it", name);
	ok(counts.mmio - emulated == 3, "%s: all are MMIO", name);

	slot_log_dirty(0, true);
	visit(frame, false);
	ok(hits() == 1, "%s: other flags for a slot leave it", name);
	slot_delete(2);
	visit(frame, false);
	ok(hits() == 1, "%s: so does a slot that goes", name);
	slot_create(2, 0);
	visit(frame, false);
	ok(!hits() && made() == 1, "%s: one that comes makes it old", name);
	visit(frame, false);
	ok(hits() == 1, "%s: once", name);

	/* The same bits, a whole period later. */
	set_gen(PERIOD);
	visit(frame, false);
	ok(made() == 1, "%s: made with the first generation", name);
	slot_delete(2);
	set_gen(2 * PERIOD - 1);
	slot_create(2, 0);
	visit(frame, false);
	ok(made() == 1 && !hits(), "%s: not found in the same one of the next period", name);
	vm_destroy(name);
}

/* Memory appears where there was none, and goes. */
static void scene_memory(void)
{
	gfn_t frame = slot_plan[2].base;

	mmio_create(UMBRA_POLICY_EPT, true);
	slot_delete(2);
	visit(frame, false);
	visit(frame, true);
	ok(hits() == 1, "a frame without a slot");
	slot_create(2, 0);
	visit(frame, true);
	ok(!hits() && atomic64_read(&mmu->stat.pages_4k) == 1, "is mapped when it has one");
	slot_delete(2);
	visit(frame, true);
	ok(!hits() && !atomic64_read(&mmu->stat.pages_4k), "and is not when that went");
	visit(frame, true);
	ok(hits() == 1, "and is known again");
	vm_destroy("memory");
}

/* A guest that roams its address space cannot make tables for ever. */
static void scene_roam(void)
{
	s64 tables;

	mmio_create(UMBRA_POLICY_EPT, true);
	for (gfn_t gfn = 1ull << 24; gfn < (1ull << 24) + (4096ull << 9); gfn += 512)
		visit(gfn, false);
	tables = atomic64_read(&mmu->stat.table_bytes) / PAGE_SIZE;
	ok(tables > 512 && tables < 1100, "%lld tables for MMIO in 4096 places", tables);
	hits();
	vm_destroy("roam");
}

static void scene_grants(void)
{
	mmio_create(UMBRA_POLICY_SHADOW, true);
	made();
	set_entry(4, 0, HOLE << 12 | (PTE & ~0x40ull));
	visit(0, false);
	visit(0, true);
	ok(!hits() && made() == 2, "the first write sets the guest's dirty flag");
	visit(0, true);
	ok(hits() == 1, "and then the entry is for writes, too");
	store_entry(4, 0, HOLE << 12 | (PTE & ~2ull));
	guest_invlpg(cpu, 0);
	visit(0, true);
	ok(!hits(), "no longer when the guest takes the right away");
	store_entry(4, 0, 22 << 12 | PTE);
	guest_invlpg(cpu, 0);
	visit(0, true);
	ok(!hits() && atomic64_read(&mmu->stat.pages_4k), "a page takes its place");
	store_entry(4, 0, HOLE << 12 | PTE);
	guest_invlpg(cpu, 0);
	visit(0, true);
	visit(0, true);
	ok(hits() == 1, "and the other way round");
	vm_destroy("grants");

	/* The bits of some generations are where leaves have flags. */
	mmio_create(UMBRA_POLICY_SHADOW, true);
	set_gen(PERIOD + 127);
	made();
	visit(0, false);
	store_entry(4, 0, HOLE << 12 | PTE);
	made();
	visit(0, false);
	ok(hits() == 1 && !made(), "the same again in the guest's table changes nothing");
	vm_destroy("generation");

	mmio_create(UMBRA_POLICY_SHADOW, false);
	made();
	visit(0, false);
	visit(0, false);
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
