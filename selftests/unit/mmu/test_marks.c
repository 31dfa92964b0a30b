// SPDX-License-Identifier: GPL-2.0
/*
 * Tables that are out of sync, with very many ways that lead to them: how far marks
 * are set and followed under one hold of mmu_lock.
 */
#include <linux/kvm.h>
#include "scene.h"
#include "../../../mmu/direct.h"
#include "../../../mmu/shadow.h"

/* What one hold of the lock may do to marks takes fewer looks at pages than this. */
#define LOOKS_MAX	6000

/* Stores to users' tables are emulated rather. */
#define KERNEL_PTE	(PTE & ~4ull)

/* Pages that were looked at under the longest hold of mmu_lock. */
static u64 longest, hold_began;

static void hold_ends(void)
{
	longest = max(longest, unit_page_lookups - hold_began);
	hold_began = unit_page_lookups;
}

static void watch_holds(void)
{
	longest = 0;
	hold_began = unit_page_lookups;
	unit_hold_ends = hold_ends;
}

static bool short_holds(void)
{
	unit_hold_ends = NULL;
	return longest < LOOKS_MAX;
}

/* Write to the table of level 1 at frame 4 through itself. */
static int write_table(u64 gva)
{
	struct umbra_fault fault;

	return touch(gva + 0x1000, UMBRA_ACC_WRITE, &fault);
}

/* A table that is linked to very often, from tables that are, too. */
static void scene_marks(void)
{
	bool good = true;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(4, 0, 20 << 12 | PTE);
	set_entry(4, 1, 4 << 12 | PTE);
	for (unsigned int i = 0; i < 512; i++) {
		set_entry(3, i, 4 << 12 | PTE);
		set_entry(30, i, 4 << 12 | PTE);
		for (unsigned int t = 0; t < 4; t++)
			set_entry(512 + t, i, (i & 1 ? 3ull : 30ull) << 12 | PTE);
	}
	for (unsigned int t = 0; t < 4; t++)
		set_entry(1, 1 + t, (u64)(512 + t) << 12 | PTE);
	for (u64 i = 0; good && i < 512; i++)
		good = works(i << 21, 0);
	ok(good && write_table(0) == UMBRA_FAULT_FIXED && mmu->stat.mmu_unsync == 1,
	   "512 links to a table: it may be written to");
	guest_flush_all(cpu);
	for (u64 i = 0; good && i < 4 * 512; i++)
		good = works((512 + i) << 30, 0);
	for (u64 i = 0; good && i < 512; i++)
		good = works(512ull << 30 | i << 21, 0);
	ok(good && write_table(512ull << 30) == UMBRA_FAULT_EMULATE && !mmu->stat.mmu_unsync,
	   "and as many to each directory: too much to mark, the write is emulated");
	ok(audited(), "all is in order");
	vm_destroy("marks");
}

/*
 * The table at frame 4, with one entry; that at frame 5 maps it, so that it can be
 * written to.
 */
static void make_tables(void)
{
	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | KERNEL_PTE);
	set_entry(3, 1, 5 << 12 | KERNEL_PTE);
	set_entry(4, 0, 20 << 12 | PTE);
	set_entry(5, 0, 21 << 12 | PTE);
	set_entry(5, 1, 4 << 12 | PTE);
}

static bool let_go(void)
{
	return works(0, 0) && works(0x201000, UMBRA_ACC_WRITE) && mmu->stat.mmu_unsync == 1;
}

/* A table that is let go each time stays so. */
static bool make_restless(void)
{
	bool good = true;

	for (unsigned int i = 0; good && i < 4; i++) {
		good = let_go();
		set_entry(4, 0, (30ull + i) << 12 | PTE);
		guest_set_cr3(cpu, 1 << 12, false);
	}
	return good && works(0, 0) && mmu->stat.mmu_unsync == 1;
}

/* What is left alone is brought back. */
static void keep_restless(u64 turn)
{
	set_entry(4, 0, (30 + turn % 4) << 12 | PTE);
}

static void empty_table(void)
{
	host_unmap(gfn_to_page(20, false, NULL));
}

/* 512 * 512 ways to a table without entries, after 1025 marks were set. */
static void scene_paths(void)
{
	bool good = true;

	make_tables();
	for (unsigned int i = 2; i < 512; i++)
		set_entry(3, i, 4 << 12 | KERNEL_PTE);
	for (unsigned int i = 0; i < 512; i++)
		set_entry(2, i, 3 << 12 | KERNEL_PTE);
	for (u64 i = 0; good && i < 512; i++)
		good = works(i << 21, 0) && works(i << 30, 0);
	ok(good && let_go(), "paths: a table is let go");
	empty_table();
	watch_holds();
	for (u64 i = 0; i < 4; i++)
		guest_invlpg(cpu, i);
	ok(short_holds() && audited(), "paths: INVLPG takes %llu looks", longest);
	ok(works(0, 0), "paths: and the table is as good as ever");
	vm_destroy("paths");
}

#define ROOTS		16u
#define DIRECTORIES	8u
#define LINKS		100u	/* of each directory */

/* Address below entry @top of a root, entry @third below that, and so on. */
static u64 gva(u64 top, u64 third, u64 second, u64 first)
{
	return (u64)((s64)(top << 39 << 16) >> 16) | third << 30 | second << 21 | first << 12;
}

/*
 * Very many ways to the table of level 2 at @gfn: roots at frames 100 and following,
 * directories at 130. Its entry 1 leads to a table of its own.
 */
static bool make_ways(gfn_t gfn)
{
	bool good = true;

	set_entry(gfn, 1, 5 << 12 | KERNEL_PTE);
	for (unsigned int d = 0; d < DIRECTORIES; d++)
		for (unsigned int i = 0; i < LINKS; i++)
			set_entry(130 + d, i, gfn << 12 | PTE);
	for (unsigned int r = 0; r < ROOTS; r++)
		for (unsigned int i = 0; i < 512; i++)
			set_entry(100 + r, i, (130ull + i % DIRECTORIES) << 12 | PTE);
	for (unsigned int r = 0; r < ROOTS; r++) {
		guest_set_cr3(cpu, (100ull + r) << 12, false);
		for (u64 i = 0; good && i < 512; i++)
			good = works(gva(i, 0, 1, 0), 0);
	}
	for (u64 d = 0; d < DIRECTORIES; d++)
		for (u64 i = 0; good && i < LINKS; i++)
			good = works(gva(d, i, 1, 0), 0);
	return good;
}

/* They lead to a table that was let go, has no entry, and gets one. */
static void scene_wake(void)
{
	make_tables();
	ok(let_go(), "wake: a table is let go");
	empty_table();
	ok(make_ways(3) && mmu->stat.mmu_unsync == 1, "wake: then very many ways lead to it");
	ok(works(gva(3, 3, 1, 1), UMBRA_ACC_WRITE) && cpu->in_guest,
	   "wake: the table may be written to");
	watch_holds();
	ok(fault_of_another(gva(3, 3, 0, 0), 0, false) == UMBRA_FAULT_FIXED && !cpu->in_guest,
	   "wake: an entry is added, CPUs leave the guest");
	ok(short_holds() && audited(), "wake: with %llu looks", longest);
	ok(!mmu->stat.mmu_unsync &&
	   touch(gva(3, 3, 1, 1), UMBRA_ACC_WRITE, NULL) == UMBRA_FAULT_EMULATE,
	   "wake: the table is protected instead");
	vm_destroy("wake");
}

/* The same by INVLPG, which would bring the entry in. */
static void scene_invlpg(void)
{
	umbra_direct_faults = false;
	make_tables();
	ok(let_go(), "invlpg: a table is let go");
	empty_table();
	ok(make_ways(3), "invlpg: then very many ways lead to it");
	guest_set_cr3(cpu, 100 << 12, false);
	/* The host has the page, so that the entry can be made. */
	set_entry(4, 0, 21 << 12 | PTE);
	watch_holds();
	guest_invlpg(cpu, 0);
	ok(short_holds() && audited(), "invlpg: takes %llu looks", longest);
	umbra_direct_faults = true;
	vm_destroy("invlpg");
}

/* The ways come to an end above it, and a link is made that they all go on with. */
static void scene_link(void)
{
	make_tables();
	ok(make_ways(6), "link: very many ways");
	set_entry(6, 0, 4 << 12 | KERNEL_PTE);
	guest_set_cr3(cpu, 1 << 12, false);
	ok(make_restless(), "link: a table is out of sync for good");
	guest_set_cr3(cpu, 100 << 12, false);
	watch_holds();
	ok(works(gva(3, 3, 0, 0), 0), "link: the ways are led to it");
	ok(short_holds() && audited(), "link: with %llu looks", longest);
	ok(!mmu->stat.mmu_unsync, "link: the table is protected instead");
	vm_destroy("link");
}

#define BRANCHES	24u

/* What a page of the guest's leads to. */
static bool reads(u64 addr, gfn_t gfn)
{
	struct hw_access hw = { .addr = addr, .gva_nr = (addr >> 12) % NR_GVAS };
	struct hw_fault fault;
	kvm_pfn_t pfn;

	return works(addr, 0) && hw_linear(cpu, &hw, &pfn, &fault) &&
	       (int)pfn_to_ram(pfn, false) == gfn_to_page(gfn, false, NULL);
}

/* One way after the other is led to it, until a root has more marks than are followed. */
static void scene_follow(void)
{
	bool good = true;

	make_tables();
	for (unsigned int b = 0; b < BRANCHES; b++) {
		set_entry(1, 1 + b, (100ull + b) << 12 | PTE);
		set_entry(130 + b, 0, 4 << 12 | KERNEL_PTE);
		for (unsigned int i = 0; i < 512; i++)
			set_entry(100 + b, i, (130ull + b) << 12 | PTE);
	}
	/* Behind all of these there is another one. */
	set_entry(1, 200, 60 << 12 | PTE);
	set_entry(60, 0, 61 << 12 | PTE);
	set_entry(61, 0, 62 << 12 | KERNEL_PTE);
	set_entry(62, 0, 22 << 12 | PTE);
	set_entry(5, 2, 62 << 12 | PTE);
	ok(make_restless(), "follow: a table is out of sync for good");
	watch_holds();
	for (u64 b = 0; good && b < BRANCHES; b++)
		for (u64 i = 0; good && i < 512; i++) {
			keep_restless(i);
			good = works(gva(1 + b, i, 0, 0), 0);
		}
	ok(good && short_holds() && audited(), "follow: more and more ways, %llu looks", longest);
	ok(reads(gva(200, 0, 0, 0), 22) && works(0x202000, UMBRA_ACC_WRITE) &&
	   mmu->stat.mmu_unsync == 2, "follow: another table is let go");
	set_entry(4, 0, 40 << 12 | PTE);
	set_entry(62, 0, 41 << 12 | PTE);
	watch_holds();
	guest_set_cr3(cpu, 1 << 12, false);
	ok(short_holds() && audited(), "follow: CR3 takes %llu", longest);
	ok(reads(gva(1, 1, 0, 0), 40) && reads(gva(200, 0, 0, 0), 41),
	   "follow: and what both map is what it is now");
	vm_destroy("follow");
}

#define SHARED		64u
#define OTHERS		16u

/* Few ways of one root, in tables that very many others share. */
static void scene_shared(void)
{
	bool good = true;

	make_tables();
	set_entry(70, 0, 71 << 12 | PTE);
	for (u64 i = 0; i < SHARED; i++) {
		set_entry(512 + i, 0, 4 << 12 | KERNEL_PTE);
		set_entry(71, i, (512 + i) << 12 | PTE);
	}
	for (u64 d = 0; d < OTHERS; d++) {
		set_entry(1, 1 + d, (600 + d) << 12 | PTE);
		for (u64 i = 0; i < 512; i++)
			set_entry(600 + d, i, (512 + i % SHARED) << 12 | PTE);
	}
	umbra_mmu_set_page_limit(mmu, 200);
	ok(make_restless(), "shared: a table is out of sync for good");
	for (u64 i = 0; good && i < OTHERS * 512; i++) {
		keep_restless(i);
		good = works(gva(1 + i / 512, i % 512, 0, 0), 0);
	}
	guest_set_cr3(cpu, 70 << 12, false);
	for (u64 i = 0; good && i < SHARED; i++) {
		keep_restless(i);
		good = works(gva(0, i, 0, 0), 0);
	}
	ok(good && mmu->stat.mmu_unsync == 1, "shared: very many ways");
	watch_holds();
	guest_set_cr3(cpu, 70 << 12, false);
	ok(short_holds() && audited(), "shared: CR3 takes %llu looks", longest);
	ok(!mmu->stat.mmu_unsync, "shared: the table is protected instead");
	vm_destroy("shared");
}

int main(void)
{
	random_state = 1;
	scene_marks();
	scene_paths();
	scene_wake();
	scene_invlpg();
	scene_link();
	scene_follow();
	scene_shared();
	return tap_done();
}
