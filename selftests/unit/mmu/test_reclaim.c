// SPDX-License-Identifier: GPL-2.0
/*
 * How many shadow pages there are, and how much is done to them under one hold of
 * mmu_lock, one scene at a time.
 */
#include <asm/processor-flags.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <tap.h>
#include "../../../mmu/shadow.h"
#include "../../../mmu/track.h"
#include "scene.h"

/* Entries that the longest hold of mmu_lock has dropped so far. */
static u64 longest, hold_began;

static void hold_ends(void)
{
	u64 dropped = atomic64_read(&mmu->tlb_leftovers);

	longest = max(longest, dropped - hold_began);
	hold_began = dropped;
}

static void watch_holds(void)
{
	longest = 0;
	hold_began = atomic64_read(&mmu->tlb_leftovers);
	unit_hold_ends = hold_ends;
}

/* @nr tables of level 1 below the directory at frame 3, each with one page. */
static void vm_with_tables(unsigned int nr)
{
	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	for (unsigned int i = 0; i < nr; i++) {
		set_entry(3, i, (u64)(512 + i) << 12 | PTE);
		set_entry(512 + i, 0, 20 << 12 | PTE);
	}
}

static u64 table_gva(unsigned int i)
{
	return (u64)i << 21;
}

/* More tables than a VM may have. */
static void scene_limit(void)
{
	unsigned long most = 0;
	bool good = true;

	vm_with_tables(400);
	ok(umbra_mmu_page_limit(mmu) == UMBRA_MIN_SHADOW_PAGES, "a small VM has the least");
	for (unsigned int i = 0; good && i < 1200; i++) {
		good = works(table_gva(i % 400), 0);
		most = max(most, mmu->shadow->nr_pages);
	}
	ok(good && mmu->stat.mmu_recycled, "400 tables in use, the oldest are recycled");
	ok(most <= UMBRA_MIN_SHADOW_PAGES, "never more than %lu", most);
	umbra_mmu_set_page_limit(mmu, 200);
	for (unsigned int i = 0; good && i < 400; i++)
		good = works(table_gva(i), 0);
	ok(good && mmu->shadow->nr_pages > 150 && mmu->shadow->nr_pages <= 200,
	   "another number, when user space wants it");
	umbra_mmu_set_page_limit(mmu, 64);
	ok(mmu->shadow->nr_pages <= 64 && audited(), "and at once when it is less");
	ok(works(table_gva(399), 0) && mmu->shadow->nr_pages <= 64, "the guest gets on");
	umbra_mmu_set_page_limit(mmu, 0);
	ok(umbra_mmu_page_limit(mmu) == UMBRA_MIN_SHADOW_PAGES, "back to what is usual");
	vm_destroy("limit");
}

/* The CPU goes through one table all the time, and needs others once. */
static void scene_recall(void)
{
	u64 faults = 0;
	bool good = true;

	vm_with_tables(400);
	set_entry(512, 1, 21 << 12 | PTE);
	for (unsigned int i = 1; good && i < 400; i++) {
		u64 before;

		good = works(table_gva(i), 0);
		cpu_guest_flushed_all(cpu);
		before = cpu->v.stat.pf_taken;
		good &= works(table_gva(0), 0);
		faults += cpu->v.stat.pf_taken - before;
		/* A CPU's TLB does not keep everything. */
		guest_flush_all(cpu);
	}
	ok(good && mmu->stat.mmu_recycled > 300, "%llu pages reclaimed", mmu->stat.mmu_recycled);
	ok(faults < 10, "a table that is used is recalled: %llu faults for it", faults);
	vm_destroy("recall");
}

/* Others have mmu_lock when the tables of a fault are there, and its leaf is not. */
static void tables_go(void)
{
	LIST_HEAD(dead);

	unit_hold_ends = NULL;
	for (gfn_t gfn = 2; gfn <= 4; gfn++)
		umbra_track_zap(mmu, gfn, &dead);
	umbra_shadow_free_dead(mmu, &dead);
}

static void scene_built_again(void)
{
	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | PTE);
	if (cpu_enter(cpu))
		violation("no memory");
	unit_hold_ends = tables_go;
	ok(works(0, 0) && !unit_hold_ends && mmu->shadow->nr_pages == 4 && audited(),
	   "tables that go before they are used are built again");
	vm_destroy("built again");
}

static void scene_roots_stay(void)
{
	hpa_t root;
	u64 faults;

	vm_with_tables(20);
	for (unsigned int i = 0; i < 20; i++)
		works(table_gva(i), 0);
	root = cpu->v.root;
	ok(umbra_mmu_shrink_count() == mmu->shadow->nr_pages, "the host is told of %lu pages",
	   mmu->shadow->nr_pages);
	/* All of them were used just now: the first look only notes it. */
	umbra_mmu_shrink(1000);
	ok(mmu->shadow->nr_pages == 1 && cpu->v.root == root && audited(),
	   "the host gets all of them but the root");
	faults = cpu->v.stat.pf_taken;
	ok(works(table_gva(7), 0) && cpu->v.stat.pf_taken > faults, "they come back by faults");
	ok(umbra_mmu_shrink(2) == 2, "it gets as many as it wants");
	write_lock(&mmu->lock);
	ok(!umbra_mmu_shrink(1000), "and none while somebody is at work");
	write_unlock(&mmu->lock);
	vm_destroy("roots");
}

/* Full tables: 100 of them, each with all of 150 frames more than three times. */
static bool vm_with_full_tables(void)
{
	bool good = true;

	vm_with_tables(100);
	umbra_mmu_set_page_limit(mmu, 200);
	for (unsigned int t = 0; t < 100; t++)
		for (unsigned int i = 0; i < 512; i++)
			set_entry(512 + t, i, (u64)(20 + (i + t) % 150) << 12 | PTE);
	for (u64 i = 0; good && i < 100 * 512; i++)
		good = works(i << 12, 0);
	good &= mmu->shadow->nr_pages == 103;
	return good;
}

static bool tables_come_back(void)
{
	bool good = true;

	for (unsigned int i = 0; good && i < 100; i++)
		good = works(table_gva(i), 0);
	return good && audited();
}

/* The guest goes on while the pages of the last generation go. */
static unsigned int meanwhile, failed;

static void guest_goes_on(void)
{
	/* The newest of the old pages are there for longest. */
	failed += !works(table_gva(99 - meanwhile++), 0) || !audited();
}

static void scene_generations(void)
{
	ok(vm_with_full_tables(), "100 full tables");
	meanwhile = 0;
	failed = 0;
	unit_lock_free = guest_goes_on;
	umbra_mmu_set_nx_huge(mmu, true);
	unit_lock_free = NULL;
	ok(meanwhile > 4 && !failed, "the guest is not in the way, %u times", meanwhile);
	/* A root, its two tables, and what was touched. */
	ok(mmu->shadow->nr_pages == 3 + meanwhile && audited(), "%lu new pages",
	   mmu->shadow->nr_pages);
	vm_destroy("generations");
}

static void scene_zap_all(void)
{
	u64 dropped;

	ok(vm_with_full_tables(), "100 full tables");
	watch_holds();
	dropped = hold_began;
	umbra_mmu_set_nx_huge(mmu, true);
	dropped = hold_began - dropped;
	unit_hold_ends = NULL;
	ok(cpu->reload && mmu->shadow->nr_pages == 1 && audited(),
	   "%llu entries are dropped, the vCPU loads another root", dropped);
	ok(dropped > 40000 && longest < 5000, "%llu at most under one hold of the lock", longest);
	ok(tables_come_back(), "everything comes back");
	vm_destroy("all");
}

/* The guest cuts off all of them with one write. */
static void scene_orphans(void)
{
	static const u64 none;
	int idx;

	ok(vm_with_full_tables(), "100 full tables");
	watch_holds();
	idx = srcu_read_lock(&mmu->srcu);
	umbra_mmu_guest_write(&cpu->v, 2 << 12, &none, sizeof(none));
	srcu_read_unlock(&mmu->srcu, idx);
	unit_hold_ends = NULL;
	ok(mmu->shadow->nr_pages < 90 && longest < 9000 && audited(),
	   "%lu are left, %llu entries dropped under one hold", mmu->shadow->nr_pages, longest);
	set_entry(2, 0, 3 << 12 | PTE);
	ok(tables_come_back(), "everything comes back");
	vm_destroy("orphans");
}

/* The host takes away what many entries map. */
static void scene_unmap(void)
{
	int first;
	u64 dropped;

	ok(vm_with_full_tables(), "100 full tables");
	first = gfn_to_page(20, false, NULL);
	watch_holds();
	dropped = hold_began;
	write_lock(&mmu->lock);
	umbra_mmu_invalidate_begin(mmu, (hva_t)ram[first], (hva_t)ram[first + 150]);
	umbra_mmu_unmap_gfns(mmu, machine.slot[0], 20, 170, true);
	umbra_mmu_flush(mmu);
	umbra_mmu_invalidate_end(mmu);
	write_unlock(&mmu->lock);
	dropped = hold_began - dropped;
	unit_hold_ends = NULL;
	ok(dropped > 40000 && longest < 4000, "%llu of %llu entries at most under one hold",
	   longest, dropped);
	ok(audited(), "all is in order");
	vm_destroy("unmap");
}

/* While the host takes memory back from a slot that is being deleted, that comes to an end. */
static struct umbra_memslot retired;

static void deletion_ends(void)
{
	unit_lock_free = NULL;
	umbra_mmu_zap_gfns(mmu, &retired, retired.base_gfn, retired.base_gfn + retired.npages);
	memset(&retired, 0x5a, sizeof(retired));
}

static void scene_retired(void)
{
	ok(vm_with_full_tables(), "100 full tables");
	retired = *machine.slot[0];
	umbra_mmu_slot_retire(mmu, &retired);
	write_lock(&mmu->lock);
	unit_lock_free = deletion_ends;
	umbra_mmu_unmap_gfns(mmu, &retired, 20, 170, true);
	write_unlock(&mmu->lock);
	ok(!unit_lock_free && !mmu->retiring && !atomic64_read(&mmu->stat.pages_4k),
	   "a slot that goes meanwhile is left alone");
	ok(audited(), "all is in order");
	vm_destroy("retired");
}

static void scene_slot(void)
{
	u64 dropped;

	ok(vm_with_full_tables(), "100 full tables");
	watch_holds();
	dropped = hold_began;
	slot_delete(0);
	dropped = hold_began - dropped;
	unit_hold_ends = NULL;
	ok(dropped > 40000 && longest < 4000, "a slot goes: %llu of %llu entries at most", longest,
	   dropped);
	ok(audited(), "all is in order");
	slot_create(0, 0);
	vm_destroy("slot");
}

static s64 large_left;

static void first_hold_ends(void)
{
	unit_hold_ends = NULL;
	large_left = atomic64_read(&mmu->stat.pages_2m);
}

/* Many large leaves for each block of a slot: not all blocks' at once, in the end. */
static void scene_large(void)
{
	const struct slot_plan *plan = &slot_plan[1];
	bool good = true;

	vm_create(UMBRA_POLICY_SHADOW);
	host_collapse();
	long_mode();
	for (unsigned int i = 0; i < 512; i++)
		set_entry(3, i, plan->base << 12 | 0x80 | PTE);
	for (unsigned int i = 0; good && i < 512; i++)
		good = works(table_gva(i), 0);
	ok(good && atomic64_read(&mmu->stat.pages_2m) == 512, "512 leaves for a large page");
	retired = *machine.slot[1];
	umbra_mmu_slot_retire(mmu, &retired);
	unit_hold_ends = first_hold_ends;
	umbra_mmu_zap_gfns(mmu, &retired, plan->base, plan->base + plan->npages);
	ok(!unit_hold_ends && !large_left, "go with its first frame");
	ok(!atomic64_read(&mmu->stat.pages_2m) && audited(), "all is in order");
	vm_destroy("large");
}

int main(void)
{
	random_state = 1;
	scene_limit();
	scene_recall();
	scene_built_again();
	scene_roots_stay();
	scene_zap_all();
	scene_generations();
	scene_orphans();
	scene_unmap();
	scene_slot();
	scene_retired();
	scene_large();
	return tap_done();
}
