// SPDX-License-Identifier: GPL-2.0
/*
 * The EPT family on the simulated machine, one scene at a time: how many exits
 * things take, and at what size they are mapped.
 */
#include <asm/processor-flags.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <tap.h>
#include "machine.h"
#include "shim.h"

static struct umbra_mmu *const mmu = &machine.mmu;
static struct cpu *const cpu = &cpus[0];

/* Of VMs that are created from now on. */
static bool with_pml;

static void vm_create(void)
{
	const struct umbra_mmu_caps caps = {
		.host_maxphyaddr = 46, .ept_2m = true, .ept_ad = true, .pml = with_pml,
	};

	sim_ept_ad = true;
	sim_pml = with_pml;
	memset(&machine, 0, sizeof(machine));
	memset(cpus, 0, sizeof(cpus));
	memset(ram, 0, sizeof(ram));
	history_reset();
	if (umbra_mmu_module_init(&caps) || umbra_mmu_init(mmu, &sim_cpu_ops, UMBRA_POLICY_EPT))
		violation("no memory");
	host_init();
	for (int id = 0; id < NR_SLOTS; id++)
		slot_create(id, 0);
	if (umbra_mmu_slots_prepare(mmu) || umbra_mmu_vcpu_init(&cpu->v, mmu))
		violation("no memory");
	cpu->exists = true;
	cpu->v.state.cr0 = X86_CR0_PE;
	cpu->v.state.maxphyaddr = 40;
	umbra_mmu_state_changed(&cpu->v);
}

static void vm_destroy(const char *name)
{
	umbra_mmu_vcpu_destroy(&cpu->v);
	umbra_mmu_destroy(mmu);
	ok(!atomic64_read(&mmu->stat.table_bytes), "%s: no table is left", name);
	ok(!atomic64_read(&mmu->stat.pages_4k) && !atomic64_read(&mmu->stat.pages_2m),
	   "%s: no page is counted", name);
	host_destroy();
	umbra_mmu_module_exit();
	ok(!shim_pages && !shim_objects, "%s: nothing is leaked", name);
}

/* Touch frames with an unpaged guest. Return: the exits it took. */
static u64 touch(gfn_t first, unsigned int nr, bool write)
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

static s64 large(void)
{
	return atomic64_read(&mmu->stat.pages_2m);
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

	vm_create();
	ok(touch(0, 8, true) == 8, "what the host lacks takes an exit each");
	ok(small() == 8, "and is not brought in for its neighbours");
	populate(0);
	touch(100, 1, false);
	ok(small() == 8 + 32, "a window of present neighbours is mapped");
	ok(!touch(96, 32, true), "for writing too");
	ok(!touch(0, 8, true), "what was mapped still is");
	ok(touch(8, 24, true) == 1 && small() == 64, "a part of a window is filled up");
	ok(touch(190, 10, true) == 2, "a window ends with its slot");

	host_unmap(gfn_to_page(70, false, NULL));
	touch(80, 1, true);
	for (gfn_t gfn = 64; gfn < 96; gfn++)
		holes += touch(gfn, 1, true);
	ok(holes == 2, "a run ends at a hole");
	host_write_protect(gfn_to_page(150, false, NULL));
	touch(140, 1, false);
	ok(touch(150, 1, true), "nor is copy on write broken");
	vm_destroy("around");
}

static void scene_log(void)
{
	u64 fast;

	vm_create();
	populate(0);
	touch(0, 64, true);
	slot_log_dirty(0, true);
	fast = cpu->v.stat.pf_fast;
	ok(touch(0, 64, false) == 0, "logging leaves the read right");
	ok(touch(0, 64, true) == 64, "each page's first write exits");
	ok(cpu->v.stat.pf_fast - fast == 64, "without asking the host");
	ok(touch(64, 1, true) == 1 && touch(65, 1, true) == 1, "neighbours are not writable");
	ok(logged(0) == 66, "the log has them all");
	slot_harvest_dirty(0);
	ok(touch(10, 2, true) == 2, "writes after the harvest exit again");
	ok(logged(0) == 2, "and are in the log alone");
	slot_log_dirty(0, false);
	vm_destroy("log");
}

static void scene_huge(void)
{
	vm_create();
	host_collapse();
	ok(touch(512, 512, true) == 1 && large() == 1, "a huge page takes one exit");
	slot_log_dirty(1, true);
	ok(!large(), "logging removes the large leaf");
	ok(touch(600, 1, true) == 1 && !large() && small(), "small ones take its place");
	slot_log_dirty(1, false);
	touch(700, 1, true);
	ok(large() == 1 && !small(), "the end of logging brings it back");
	ok(!touch(512, 512, true), "for all of it");
	host_unmap(gfn_to_page(520, false, NULL));
	ok(!large(), "the host's split removes it");
	/* The hole itself, and what is behind it in its window. */
	ok(touch(512, 512, true) == 512 / 32 + 2 && !large(), "small pages follow");
	host_collapse();
	ok(touch(512, 512, true) == 1 && large() == 1 && !small(),
	   "the host's collapse is followed");
	vm_destroy("huge");
}

static s64 splits(void)
{
	return atomic64_read(&mmu->stat.nx_lpage_splits);
}

static void scene_nx(void)
{
	vm_create();
	umbra_mmu_set_nx_huge(mmu, true);
	host_collapse();
	touch(512, 8, true);
	ok(large() == 1 && !splits(), "what is not executed is large");
	fetch(600);
	ok(!large() && small() && splits() == 1, "what is executed is small");
	touch(512, 512, true);
	ok(!large() && splits() == 1, "and stays so");
	fetch(700);
	ok(splits() == 1, "all of it");
	umbra_mmu_recover_nx(mmu, 0);
	ok(splits() == 1 && small(), "nothing is recovered when nothing may be");
	umbra_mmu_recover_nx(mmu, 5);
	ok(!splits() && !small(), "recovery takes the small pages away");
	touch(512, 8, true);
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
	vm_create();
	populate(0);
	touch(0, 64, true);
	slot_log_dirty(0, true);
	ok(!touch(0, 64, false) && !touch(0, 64, true), "pml: logged writes need no exit");
	umbra_mmu_log_sync(mmu);
	ok(logged(0) == 64, "pml: the log has them");
	slot_harvest_dirty(0);
	ok(!touch(0, 64, false) && !logged(0), "pml: what is read is not in the log");
	ok(!touch(10, 2, true), "pml: nor do writes after the harvest exit");
	umbra_mmu_log_sync(mmu);
	ok(logged(0) == 2, "pml: and are in the log alone");
	ok(touch(100, 1, false) == 1 && !touch(96, 32, true),
	   "pml: neighbours of what is read may be written to");
	umbra_mmu_log_sync(mmu);
	ok(logged(0) == 34, "pml: and are logged then");
	slot_log_dirty(0, false);
	vm_destroy("pml");
}

static void scene_split(bool pml)
{
	const char *name = pml ? "split, pml" : "split";

	with_pml = pml;
	vm_create();
	host_collapse();
	touch(512, 512, true);
	slot_log_dirty(1, true);
	ok(!large() && small() == 512, "%s: a large leaf is split at once", name);
	ok(!touch(512, 512, false), "%s: and stays readable", name);
	ok(touch(512, 512, true) == (pml ? 0 : 512), "%s: the first writes are noted", name);
	umbra_mmu_log_sync(mmu);
	ok(logged(1) == 512, "%s: all of them", name);
	slot_log_dirty(1, false);
	ok(!large() && !small(), "%s: the end of logging removes the small ones", name);
	ok(touch(600, 1, true) == 1 && large() == 1, "%s: for a large one", name);

	umbra_eager_page_split = false;
	slot_log_dirty(1, true);
	ok(large() == 1 && !touch(512, 512, false), "%s: or it stays for reading", name);
	ok(touch(600, 1, true) == 1 && small() == 512, "%s: until the first write", name);
	umbra_mmu_log_sync(mmu);
	ok(logged(1) == 1, "%s: which alone is in the log", name);
	ok(touch(601, 1, true) == 1, "%s: the next one exits, too", name);
	umbra_mmu_log_sync(mmu);
	ok(logged(1) == 2, "%s: and is in the log", name);
	slot_log_dirty(1, false);
	umbra_eager_page_split = true;
	vm_destroy(name);
	with_pml = false;
}

static void scene_delete(void)
{
	vm_create();
	host_collapse();
	populate(0);
	populate(2);
	for (int id = 0; id < NR_SLOTS; id++)
		touch(slot_plan[id].base, slot_plan[id].npages, true);
	slot_delete(2);
	ok(!touch(0, 200, true) && !touch(512, 512, true) && !touch(511 * 512 + 504, 8, true),
	   "deleting a slot leaves the others mapped");
	slot_create(2, 0);
	ok(touch(1024, 32, true), "and takes all of its own");
	slot_delete(1);
	ok(!large() && !touch(0, 200, true) && !touch(1024, 32, true), "also a large one");
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
	scene_delete();
	return tap_done();
}
