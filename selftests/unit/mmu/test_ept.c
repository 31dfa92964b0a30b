// SPDX-License-Identifier: GPL-2.0
/*
 * The EPT family on the simulated machine, one scene at a time: how many exits
 * things take, and at what size they are mapped.
 */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include "scene.h"

/* Of VMs that are created from now on. */
static bool with_pml;

static void ept_create(void)
{
	const struct umbra_mmu_caps caps = {
		.host_maxphyaddr = 46, .ept_2m = true, .ept_ad = true, .pml = with_pml,
	};

	vm_create_with(&caps, UMBRA_POLICY_EPT);
}

/* Touch frames with an unpaged guest. Return: the exits it took. */
static u64 visit(gfn_t first, unsigned int nr, bool write)
{
	u64 before = cpu->v.stat.pf_taken;

	for (unsigned int i = 0; i < nr; i++) {
		struct guest_access a = {
			.unpaged_gfn = first + i, .write = write, .len = 8,
		};

		guest_access(cpu, &a);
	}
	return cpu->v.stat.pf_taken - before;
}

static void fetch(gfn_t gfn)
{
	struct guest_access a = { .unpaged_gfn = gfn, .fetch = true, .len = 8 };

	guest_access(cpu, &a);
}

/* The host has all of a slot at hand, as it is after user space wrote to it. */
static void populate(int id)
{
	u8 byte = 1;
	int idx = srcu_read_lock(&mmu->srcu);

	for (unsigned int i = 0; i < slot_plan[id].npages; i++)
		if (umbra_guest_write(&cpu->v, (slot_plan[id].base + i) << 12, &byte, 1))
			violation("cannot write");
	srcu_read_unlock(&mmu->srcu, idx);
}

static s64 small(void)
{
	return atomic64_read(&mmu->stat.pages_4k);
}

static unsigned int logged(int id)
{
	const struct umbra_memslot *slot = machine.slot[id];
	unsigned int nr = 0;

	for (unsigned int i = 0; i < slot->npages; i++)
		nr += test_bit(i, slot->dirty_bitmap);
	return nr;
}

static void scene_around(void)
{
	unsigned int holes = 0;

	ept_create();
	ok(visit(0, 8, true) == 8, "what the host lacks takes an exit each");
	ok(small() == 8, "and is not brought in for its neighbours");
	populate(0);
	visit(100, 1, false);
	ok(small() == 8 + 32, "a window of present neighbours is mapped");
	ok(!visit(96, 32, true), "for writing too");
	ok(!visit(0, 8, true), "what was mapped still is");
	ok(visit(8, 24, true) == 1 && small() == 64, "a part of a window is filled up");
	ok(visit(190, 10, true) == 2, "a window ends with its slot");

	host_unmap(gfn_to_page(70, false, NULL));
	visit(80, 1, true);
	for (gfn_t gfn = 64; gfn < 96; gfn++)
		holes += visit(gfn, 1, true);
	ok(holes == 2, "a run ends at a hole");
	host_write_protect(gfn_to_page(150, false, NULL));
	visit(140, 1, false);
	ok(visit(150, 1, true), "nor is copy on write broken");
	vm_destroy("around");
}

static void scene_log(void)
{
	u64 fast;

	ept_create();
	populate(0);
	visit(0, 64, true);
	slot_log_dirty(0, true);
	fast = cpu->v.stat.pf_fast;
	ok(visit(0, 64, false) == 0, "logging leaves the read right");
	ok(visit(0, 64, true) == 64, "each page's first write exits");
	ok(cpu->v.stat.pf_fast - fast == 64, "without asking the host");
	ok(visit(64, 1, true) == 1 && visit(65, 1, true) == 1, "neighbours are not writable");
	ok(logged(0) == 66, "the log has them all");
	slot_harvest_dirty(0);
	ok(visit(10, 2, true) == 2, "writes after the harvest exit again");
	ok(logged(0) == 2, "and are in the log alone");
	slot_log_dirty(0, false);
	vm_destroy("log");
}

static void scene_huge(void)
{
	ept_create();
	host_collapse();
	ok(visit(512, 512, true) == 1 && large() == 1, "a huge page takes one exit");
	slot_log_dirty(1, true);
	ok(!large(), "logging removes the large leaf");
	ok(visit(600, 1, true) == 1 && !large() && small(), "small ones take its place");
	slot_log_dirty(1, false);
	visit(700, 1, true);
	ok(large() == 1 && !small(), "the end of logging brings it back");
	ok(!visit(512, 512, true), "for all of it");
	host_unmap(gfn_to_page(520, false, NULL));
	ok(!large(), "the host's split removes it");
	/* The hole itself, and what is behind it in its window. */
	ok(visit(512, 512, true) == 512 / 32 + 2 && !large(), "small pages follow");
	host_collapse();
	ok(visit(512, 512, true) == 1 && large() == 1 && !small(),
	   "the host's collapse is followed");
	vm_destroy("huge");
}

static void scene_nx(void)
{
	ept_create();
	umbra_mmu_set_nx_huge(mmu, true);
	host_collapse();
	visit(512, 8, true);
	ok(large() == 1 && !splits(), "what is not executed is large");
	fetch(600);
	ok(!large() && small() && splits() == 1, "what is executed is small");
	visit(512, 512, true);
	ok(!large() && splits() == 1, "and stays so");
	fetch(700);
	ok(splits() == 1, "all of it");
	umbra_mmu_recover_nx(mmu, 0);
	ok(splits() == 1 && small(), "nothing is recovered when nothing may be");
	umbra_mmu_recover_nx(mmu, 5);
	ok(!splits() && !small(), "recovery takes the small pages away");
	visit(512, 8, true);
	ok(large() == 1 && !splits(), "large ones come back");
	fetch(512);
	host_unmap(gfn_to_page(520, false, NULL));
	ok(splits() == 1, "the host's changes leave the table");
	slot_delete(1);
	ok(!splits(), "which goes with its slot");
	slot_create(1, 0);
	host_collapse();
	fetch(512);
	umbra_mmu_set_nx_huge(mmu, false);
	ok(!splits(), "nothing is left after the end of it");
	fetch(512);
	ok(large() == 1 && !splits(), "when large pages are executed again");
	vm_destroy("nx");
}

/* The CPU notes what is written: no exit for it. */
static void scene_pml(void)
{
	with_pml = true;
	ept_create();
	populate(0);
	visit(0, 64, true);
	slot_log_dirty(0, true);
	ok(!visit(0, 64, false) && !visit(0, 64, true), "pml: logged writes need no exit");
	umbra_mmu_log_sync(mmu);
	ok(logged(0) == 64, "pml: the log has them");
	slot_harvest_dirty(0);
	ok(!visit(0, 64, false) && !logged(0), "pml: what is read is not in the log");
	ok(!visit(10, 2, true), "pml: nor do writes after the harvest exit");
	umbra_mmu_log_sync(mmu);
	ok(logged(0) == 2, "pml: and are in the log alone");
	ok(visit(100, 1, false) == 1 && !visit(96, 32, true),
	   "pml: neighbours of what is read may be written to");
	umbra_mmu_log_sync(mmu);
	ok(logged(0) == 34, "pml: and are logged then");
	slot_harvest_dirty(0);
	ok(!visit(20, 4, true), "pml: writes are noted");
	slot_move(0);
	ok(logged(0) == 4, "pml: and not forgotten while the slot moves");
	slot_log_dirty(0, false);
	vm_destroy("pml");
}

static void scene_split(bool pml)
{
	const char *name = pml ? "split, pml" : "split";

	with_pml = pml;
	ept_create();
	host_collapse();
	visit(512, 512, true);
	slot_log_dirty(1, true);
	ok(!large() && small() == 512, "%s: a large leaf is split at once", name);
	ok(!visit(512, 512, false), "%s: and stays readable", name);
	ok(visit(512, 512, true) == (pml ? 0 : 512), "%s: the first writes are noted", name);
	umbra_mmu_log_sync(mmu);
	ok(logged(1) == 512, "%s: all of them", name);
	slot_log_dirty(1, false);
	ok(!large() && !small(), "%s: the end of logging removes the small ones", name);
	ok(visit(600, 1, true) == 1 && large() == 1, "%s: for a large one", name);

	umbra_eager_page_split = false;
	slot_log_dirty(1, true);
	ok(large() == 1 && !visit(512, 512, false), "%s: or it stays for reading", name);
	ok(visit(600, 1, true) == 1 && small() == 512, "%s: until the first write", name);
	umbra_mmu_log_sync(mmu);
	ok(logged(1) == 1, "%s: which alone is in the log", name);
	ok(visit(601, 1, true) == 1, "%s: the next one exits, too", name);
	umbra_mmu_log_sync(mmu);
	ok(logged(1) == 2, "%s: and is in the log", name);
	slot_log_dirty(1, false);
	umbra_eager_page_split = true;
	vm_destroy(name);
	with_pml = false;
}

/* Logging begins with all of it in the log: nothing has to fault, or to be small. */
static void scene_log_all(void)
{
	ept_create();
	host_collapse();
	visit(512, 512, true);
	umbra_eager_page_split = false;
	slot_log_initially_set(1);
	ok(large() == 1 && !visit(512, 512, true), "log all: a large leaf stays writable");
	slot_harvest_dirty(1);
	ok(large() == 1 && visit(600, 1, true) == 1 && logged(1) == 1,
	   "log all: until the log was taken");
	slot_log_dirty(1, false);
	umbra_eager_page_split = true;
	vm_destroy("log all");
}

/* Others may have mmu_lock meanwhile: the tables that were looked at go. */
static void tables_go(void)
{
	unit_lock_free = NULL;
	umbra_mmu_set_nx_huge(mmu, true);
}

static void scene_log_yields(void)
{
	unsigned long all[8];
	int idx;

	ept_create();
	populate(1);
	slot_log_dirty(1, true);
	visit(512, 512, true);
	memset(all, 0xff, sizeof(all));
	idx = srcu_read_lock(&mmu->srcu);
	unit_lock_free = tables_go;
	umbra_mmu_log_again(mmu, machine.slot[1], all, 0, 512);
	umbra_mmu_flush(mmu);
	srcu_read_unlock(&mmu->srcu, idx);
	ok(!unit_lock_free && !small(), "log yields: the tables have gone");
	slot_log_dirty(1, false);
	vm_destroy("log yields");
}

/* The fewest small leaves there were when mmu_lock was given up. */
static s64 fewest;

static void hold_ends(void)
{
	fewest = min(fewest, small());
}

/* Nobody waits until all leaves are gone through: they go with their tables. */
static void scene_delete_tables(void)
{
	ept_create();
	populate(1);
	visit(512, 512, true);
	fewest = small();
	unit_hold_ends = hold_ends;
	slot_delete(1);
	unit_hold_ends = NULL;
	ok(fewest == 512 && !small(), "leaves are not counted under the lock");
	vm_destroy("delete tables");
}

static void scene_delete(void)
{
	ept_create();
	host_collapse();
	populate(0);
	populate(2);
	for (int id = 0; id < NR_SLOTS; id++)
		visit(slot_plan[id].base, slot_plan[id].npages, true);
	slot_delete(2);
	ok(!visit(0, 200, true) && !visit(512, 512, true) && !visit(511 * 512 + 504, 8, true),
	   "deleting a slot leaves the others mapped");
	slot_create(2, 0);
	ok(visit(1024, 32, true), "and takes all of its own");
	slot_delete(1);
	ok(!large() && !visit(0, 200, true) && !visit(1024, 32, true), "also a large one");
	vm_destroy("delete");
}

int main(void)
{
	random_state = 1;
	scene_around();
	scene_log();
	scene_huge();
	scene_nx();
	scene_pml();
	scene_split(false);
	scene_split(true);
	scene_log_all();
	scene_delete();
	scene_delete_tables();
	scene_log_yields();
	return tap_done();
}
