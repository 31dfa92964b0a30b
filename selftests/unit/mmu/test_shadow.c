// SPDX-License-Identifier: GPL-2.0
/*
 * mmu/ on the simulated machine, one scene at a time: what a random run does
 * not reach, or cannot see to be right.
 */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <linux/errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <tap.h>
#include "../../../mmu/rmap.h"
#include "../../../mmu/shadow.h"
#include "../../../mmu/sync.h"
#include "scene.h"

/* ---- scenes ---- */

static void scene_families(void)
{
	vm_create(UMBRA_POLICY_SHADOW);
	ok(cpu->v.family == UMBRA_FAMILY_EPT, "an unpaged guest runs on EPT");
	long_mode();
	ok(cpu->v.family == UMBRA_FAMILY_SHADOW, "a long-mode guest on shadow pages");
	guest_set_legal(cpu, false);
	ok(cpu->v.family == UMBRA_FAMILY_EPT, "not while its state is not legal");
	guest_set_legal(cpu, true);
	ok(cpu->v.family == UMBRA_FAMILY_SHADOW && !umbra_mmu_state_changed(&cpu->v),
	   "but then again, and no change is no change");
	guest_paging_off(cpu);
	ok(cpu->v.family == UMBRA_FAMILY_EPT, "and paging off goes back");
	vm_destroy("families");

	vm_create(UMBRA_POLICY_EPT);
	long_mode();
	ok(cpu->v.family == UMBRA_FAMILY_EPT && !mmu->shadow, "with policy EPT, EPT always");
	/* The policy comes late, the slots are there already. */
	mmu->policy = UMBRA_POLICY_SHADOW;
	ok(!umbra_mmu_slots_prepare(mmu) && umbra_mmu_state_changed(&cpu->v) &&
	   cpu->v.family == UMBRA_FAMILY_SHADOW, "unless the policy changes");
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | PTE);
	ok(works(0, UMBRA_ACC_WRITE), "and old slots can be shadowed");
	vm_destroy("late policy");
}

/* Three tables full of one frame: more aliases than a chain may have. */
static void scene_aliases(void)
{
	bool good = true;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	for (unsigned int t = 0; t < 3; t++) {
		set_entry(3, t, (u64)(4 + t) << 12 | PTE);
		for (unsigned int i = 0; i < 512; i++)
			set_entry(4 + t, i, 20 << 12 | PTE);
	}
	for (u64 i = 0; good && i < 3 * 512; i++)
		good = works(i << 12, UMBRA_ACC_WRITE);
	ok(good, "1536 aliases of a frame");
	ok(mmu->stat.max_mmu_rmap_size <= RMAP_MAX &&
	   atomic64_read(&mmu->stat.pages_4k) <= RMAP_MAX, "at most %d at a time", RMAP_MAX);
	host_unmap(gfn_to_page(20, false, NULL));
	ok(!atomic64_read(&mmu->stat.pages_4k), "all of them go with the host's page");
	for (u64 i = 0; good && i < 3 * 512; i++)
		good = works(i << 12, UMBRA_ACC_WRITE);
	ok(good, "and come back");
	vm_destroy("aliases");
}

/* A table that three full directories link to. */
static void scene_parents(void)
{
	bool good = true;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	for (unsigned int t = 0; t < 3; t++) {
		set_entry(2, t, (u64)(30 + t) << 12 | PTE);
		for (unsigned int i = 0; i < 512; i++)
			set_entry(30 + t, i, 4 << 12 | PTE);
	}
	set_entry(4, 0, 20 << 12 | PTE);
	for (u64 i = 0; good && i < 3 * 512; i++)
		good = works(i << 21, UMBRA_ACC_WRITE);
	ok(good, "1536 links to one table");
	ok(mmu->stat.max_mmu_rmap_size <= RMAP_MAX, "at most %d at a time", RMAP_MAX);
	ok(mmu->shadow->nr_pages == 6, "and one shadow page for it");
	vm_destroy("parents");
}

static void scene_roots(void)
{
	u64 misses;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | PTE);
	for (unsigned int i = 0; i < 4; i++)
		set_entry(10 + i, 0, 2 << 12 | PTE);
	for (unsigned int round = 0; round < 3; round++) {
		misses = mmu->stat.mmu_cache_miss;
		for (u64 i = 0; i < 4; i++) {
			guest_set_cr3(cpu, (10 + i) << 12, false);
			works(0, 0);
		}
	}
	ok(mmu->stat.mmu_cache_miss == misses, "known roots are not built again");
	misses = cpu->v.stat.pf_taken;
	guest_set_cr3(cpu, 10 << 12, false);
	ok(works(0, 0) && cpu->v.stat.pf_taken == misses, "nor do they fault");

	guest_set_cr3(cpu, 0x3ffff000, false);
	ok(touch(0, UMBRA_ACC_WRITE, NULL) == UMBRA_FAULT_GUEST,
	   "CR3 outside memory: the guest's #PF");
	guest_set_cr3(cpu, 10 << 12, false);
	ok(works(0, 0), "and back");
	vm_destroy("roots");
}

static void emulated_write(gpa_t gpa, u64 value)
{
	int idx = srcu_read_lock(&mmu->srcu);

	umbra_mmu_guest_write(&cpu->v, gpa, &value, sizeof(value));
	srcu_read_unlock(&mmu->srcu, idx);
}

static void scene_tracking(void)
{
	struct umbra_fault fault;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | PTE);
	set_entry(4, 1, 5 << 12 | PTE);	/* an ordinary page, so far */
	set_entry(4, 2, 3 << 12 | PTE);	/* the table above */
	ok(works(0x1000, UMBRA_ACC_WRITE), "a frame that is no table is written directly");
	ok(works(0, 0) && touch(0x2000, UMBRA_ACC_WRITE, &fault) == UMBRA_FAULT_EMULATE &&
	   fault.tracked && fault.self_map && fault.gpa == 0x3000, "a table through itself is not");
	ok(works(0x2000, 0), "but read");
	set_entry(5, 0, 6 << 12 | PTE);
	set_entry(6, 0, 20 << 12 | PTE);
	emulated_write(0x2008, 5 << 12 | PTE);	/* now it becomes a table of level 2 */
	ok(works(1 << 30, 0) && touch(0x1000, UMBRA_ACC_WRITE, &fault) == UMBRA_FAULT_EMULATE &&
	   fault.tracked && !fault.self_map, "a frame that becomes a table is tracked");
	{
		int idx = srcu_read_lock(&mmu->srcu);

		ok(umbra_mmu_unprotect(mmu, 5) && !umbra_mmu_unprotect(mmu, 5),
		   "what is tracked can be untracked, once");
		srcu_read_unlock(&mmu->srcu, idx);
	}
	ok(works(0x1000, UMBRA_ACC_WRITE), "then it is written directly");
	works(0, 0);
	for (unsigned int i = 0; i < 16; i++)
		emulated_write(0x3000 + 8 * (100 + i), 20 << 12 | PTE);
	ok(mmu->stat.mmu_flooded, "a flood of writes zaps the shadow");
	ok(works(0, UMBRA_ACC_WRITE), "and it is built again");
	vm_destroy("tracking");
}

/* Where a page of ram[] is what a read finds, with no fault in between. */
static bool reads(u64 gva, gfn_t gfn)
{
	struct hw_access hw = { .addr = gva, .gva_nr = (gva >> 12) % NR_GVAS };
	struct hw_fault fault;
	kvm_pfn_t pfn;

	return works(gva, 0) && !cpu_enter(cpu) && hw_linear(cpu, &hw, &pfn, &fault) &&
	       (int)pfn_to_ram(pfn, false) == gfn_to_page(gfn, false, NULL);
}

static void scene_unsync(void)
{
	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(3, 1, 4 << 12 | PTE);		/* two ways to the same table */
	set_entry(4, 0, 20 << 12 | PTE);
	set_entry(4, 1, 21 << 12 | PTE);
	set_entry(4, 2, 4 << 12 | PTE);		/* the table itself */
	ok(reads(0, 20) && reads(0x1000, 21) && reads(0x201000, 21), "a table is shadowed");
	ok(works(0x2000, UMBRA_ACC_WRITE) && mmu->stat.mmu_unsync == 1,
	   "written through itself, it goes out of sync");
	set_entry(4, 0, 22 << 12 | PTE);
	set_entry(4, 1, 23 << 12 | PTE);
	ok(reads(0, 20), "the old translation may stay");
	guest_invlpg(cpu, 0);
	ok(reads(0, 22) && reads(0x1000, 21), "until INVLPG, which brings in one entry");
	ok(mmu->stat.mmu_unsync == 1, "and leaves the table writable");
	set_entry(4, 0, 0);
	guest_set_cr3(cpu, 1 << 12, false);
	ok(!mmu->stat.mmu_unsync, "CR3 puts an end to it");
	ok(reads(0x1000, 23) && touch(0, 0, NULL) == UMBRA_FAULT_GUEST, "and brings in all");
	ok(works(0x2000, UMBRA_ACC_WRITE), "it begins anew");
	set_entry(4, 1, 24 << 12 | PTE);
	guest_flush_all(cpu);
	ok(reads(0x201000, 24), "so does a flush of everything");
	works(0x2000, UMBRA_ACC_WRITE);
	set_entry(4, 1, 25 << 12 | PTE);
	emulated_write(0x3010, 4 << 12 | PTE);
	ok(reads(0x401000, 25), "and a new link to the table");
	vm_destroy("unsync");
}

/* Tables that go out of sync again and again are not protected each time. */
static void scene_restless(void)
{
	const u64 kernel = PTE & ~4ull;
	unsigned int i, good = 0;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | kernel);
	set_entry(4, 0, 20 << 12 | PTE);
	set_entry(4, 2, 4 << 12 | PTE);		/* the table itself */
	for (i = 0; i < 4; i++) {
		works(0x2000, UMBRA_ACC_WRITE);
		set_entry(4, 0, (21 + i) << 12 | PTE);
		guest_set_cr3(cpu, 1 << 12, false);
		good += reads(0, 21 + i);
	}
	ok(good == 4 && mmu->stat.mmu_unsync == 1, "a table that is let go each time stays so");
	ok(!(cpu->v.direct & UMBRA_DIRECT_INVLPG), "INVLPG exits");
	set_entry(4, 0, 30 << 12 | PTE);
	emulated_write(0x3010, 4 << 12 | kernel);
	ok(reads(0x400000, 30), "a new link to it brings it in line");
	set_entry(4, 0, 31 << 12 | PTE);
	guest_invlpg(cpu, 0);
	ok(reads(0, 31), "and INVLPG");
	for (i = 0; i < 9; i++)
		guest_set_cr3(cpu, 1 << 12, false);
	ok(!mmu->stat.mmu_unsync, "until it is left alone");
	vm_destroy("restless");
}

/* Many INVLPGs in a row need no exits, nor does the next access miss anything. */
static void scene_invlpg_run(void)
{
	u64 exits;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | PTE);
	set_entry(4, 1, 21 << 12 | PTE);
	set_entry(4, 2, 4 << 12 | PTE);
	ok(reads(0, 20) && reads(0x1000, 21) && works(0x2000, UMBRA_ACC_WRITE) &&
	   mmu->stat.mmu_unsync == 1, "a table out of sync");
	guest_invlpg(cpu, 3);
	guest_invlpg(cpu, 4);
	exits = cpu->v.stat.invlpg;
	set_entry(4, 0, 22 << 12 | PTE);
	guest_invlpg(cpu, 0);
	guest_invlpg(cpu, 1);
	ok(exits == 2 && cpu->v.stat.invlpg == exits, "INVLPG exits twice");
	ok(reads(0, 22) && mmu->stat.mmu_unsync == 1, "what was changed is found");
	set_entry(4, 0, 23 << 12 | PTE);
	guest_invlpg(cpu, 0);
	ok(cpu->v.stat.invlpg == exits + 1 && reads(0, 23), "and INVLPG exits again");
	guest_set_cr3(cpu, 1 << 12, false);
	ok(!mmu->stat.mmu_unsync, "CR3 puts an end to it");
	vm_destroy("invlpg");
}

/* A guest that uses a page after it has invalidated it. */
static void scene_invlpg_use(void)
{
	unsigned int i, good = 0;
	u64 faults;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | PTE);
	set_entry(4, 1, 21 << 12 | PTE);
	ok(reads(0, 20) && reads(0x1000, 21), "two pages");
	cpu_exit(cpu);
	write_lock(&mmu->lock);
	umbra_unsync(mmu, umbra_gfn_to_slot(mmu, 4), 4);
	write_unlock(&mmu->lock);
	faults = cpu->v.stat.pf_taken;
	for (i = 0; i < 8; i++) {
		guest_invlpg(cpu, i % 2);
		good += reads((u64)(i % 2) << 12, 20 + i % 2);
	}
	ok(good == 8 && cpu->v.stat.pf_taken == faults, "INVLPGs with uses between drop nothing");
	vm_destroy("used after invlpg");
}

/* With PCID INVLPG always exits: nothing is to be gained by dropping entries. */
static void scene_invlpg_pcid(void)
{
	u64 faults;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	guest_toggle(cpu, 0, X86_CR4_PCIDE, 0);
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | PTE);
	ok(reads(0, 20) && (cpu->v.state.cr4 & X86_CR4_PCIDE), "a guest with PCID");
	cpu_exit(cpu);
	write_lock(&mmu->lock);
	umbra_unsync(mmu, umbra_gfn_to_slot(mmu, 4), 4);
	write_unlock(&mmu->lock);
	faults = cpu->v.stat.pf_taken;
	for (unsigned int i = 0; i < 4; i++)
		guest_invlpg(cpu, i);
	ok(reads(0, 20) && cpu->v.stat.pf_taken == faults, "INVLPGs in a row drop nothing");
	vm_destroy("invlpg with PCID");
}

/* Device memory may be replaced without a word from the notifier. */
static void scene_silent_replacement(void)
{
	struct host_page *hp;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | PTE);
	hp = &host_page[gfn_to_page(20, false, NULL)];
	do {
		host_unmap(hp - host_page);
		works(0, 0);
	} while (!hp->write_protected);
	hp->present = false;
	ok(works(0, UMBRA_ACC_WRITE) && works(0, 0), "shadow: the new page replaces the old");
	host_frame[hp->frame].live = false;

	guest_paging_off(cpu);
	do {
		int idx = srcu_read_lock(&mmu->srcu);
		struct umbra_fault f = { .addr = 20 << 12 };

		host_unmap(hp - host_page);
		while (cpu_enter(cpu) || umbra_mmu_ept_fault(&cpu->v, &f) == UMBRA_FAULT_RETRY)
			;
		srcu_read_unlock(&mmu->srcu, idx);
	} while (!hp->write_protected);
	hp->present = false;
	{
		struct guest_access a = {
			.unpaged_gfn = 20, .write = true, .len = 8,
		};

		guest_access(cpu, &a);
	}
	ok(hp->present && !hp->write_protected, "EPT: too");
	vm_destroy("silent replacement");
}

static void set_short(gfn_t table, unsigned int index, u32 entry)
{
	history_write(gfn_to_page(table, false, NULL), index * 4, &entry, sizeof(entry));
}

/* PDPTEs at the end of frame 1; directories in frames 2 and 3. */
#define PDPT		(1 << 12 | 0xfe0)

static void scene_pae(void)
{
	u64 misses;

	vm_create(UMBRA_POLICY_SHADOW);
	for (unsigned int i = 0; i < 4; i++)
		set_entry(1, 508 + i, (2 + (i & 1)) << 12 | 1);
	set_entry(2, 0, 4 << 12 | PTE);
	set_entry(3, 0, 5 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | PTE);
	set_entry(5, 0, 21 << 12 | PTE);
	guest_paging_on(cpu, GUEST_MODE_PAE, PDPT, true);
	ok(cpu->v.family == UMBRA_FAMILY_SHADOW, "a PAE guest runs on shadow pages");
	ok(reads(0, 20) && reads(1 << 30, 21) && reads(2u << 30, 20) && reads(3u << 30, 21),
	   "all its PDPTEs lead somewhere");
	ok(!(cpu->v.root >> 32) && mmu->shadow->nr_pages == 4,
	   "its root is below 4 GiB and no page of the pool");
	set_entry(1, 508, 3 << 12 | 1);
	guest_invlpg(cpu, 0);
	ok(reads(0, 20), "a PDPTE in memory is not one in a register");
	misses = mmu->stat.mmu_cache_miss;
	guest_set_cr3(cpu, PDPT, false);
	ok(reads(0, 21) && reads(2u << 30, 20) && mmu->stat.mmu_cache_miss == misses,
	   "until CR3 is loaded, and then known tables are found again");
	set_entry(1, 509, 3 << 12 | 3);
	guest_set_cr3(cpu, PDPT, false);
	ok(reads(1 << 30, 21), "reserved bits: the load is refused");
	set_entry(1, 509, 0);
	guest_toggle(cpu, 0, X86_CR4_PGE, 0);
	ok(touch(1 << 30, 0, NULL) == UMBRA_FAULT_GUEST, "CR4.PGE loads them, too");
	set_entry(1, 509, 700ull << 12 | 1);
	guest_set_cr3(cpu, PDPT, false);
	ok(touch(1 << 30, 0, NULL) == UMBRA_FAULT_GUEST, "a directory outside memory is #PF");
	long_mode();
	ok(reads(0, 21), "long mode in between");
	set_entry(2, 0, 4 << 12 | PTE);
	guest_paging_on(cpu, GUEST_MODE_PAE, PDPT, true);
	ok(reads(2u << 30, 20), "and back");
	vm_destroy("PAE");
}

static void scene_legacy(void)
{
	vm_create(UMBRA_POLICY_SHADOW);
	for (unsigned int i = 0; i < 4; i++)
		set_short(1, i * 256 + i, 2 << 12 | PTE);
	set_short(2, 511, 20 << 12 | PTE);
	set_short(2, 512, 21 << 12 | PTE);
	guest_paging_on(cpu, GUEST_MODE_32BIT, 1 << 12, true);
	ok(cpu->v.family == UMBRA_FAMILY_SHADOW, "a guest with 32-bit paging runs on shadow pages");
	for (unsigned int i = 0; i < 4; i++) {
		u64 gva = (u64)i << 30 | i << 22;

		ok(reads(gva + (511 << 12), 20) && reads(gva + (512 << 12), 21),
		   "quadrant %u, both halves of a table", i);
	}
	ok(mmu->shadow->nr_pages == 6, "four pages for the directory, two for the table");
	guest_toggle(cpu, 0, X86_CR4_PSE, 0);
	set_short(1, 700, 0x80 | PTE);
	ok(reads((700ull << 22) + (5 << 12), 5) &&
	   reads((700ull << 22) + (600 << 12), 600), "a page of 4 MiB");
	emulated_write((1 << 12) + 4 * 700, 0);
	ok(touch(700ull << 22, 0, NULL) == UMBRA_FAULT_GUEST &&
	   touch((700ull << 22) + (600 << 12), 0, NULL) == UMBRA_FAULT_GUEST,
	   "one write takes both halves");
	ok(reads(511 << 12, 20), "and leaves the other quadrants alone");
	vm_destroy("32-bit paging");
}

/* A large page of the guest's, in one of the host's. */
static void scene_large(void)
{
	gfn_t base = slot_plan[1].base;

	vm_create(UMBRA_POLICY_SHADOW);
	host_collapse();
	long_mode();
	set_entry(3, 0, base << 12 | 0x80 | PTE);
	set_entry(3, 1, (base + 7) << 12 | PTE);
	ok(reads(0, base) && large() == 1, "a large page is mapped as one");
	slot_delete(1);
	ok(!large(), "and goes with its slot");
	slot_create(1, 0);
	ok(reads(0, base) && large() == 1, "and comes back");
	set_entry(base + 7, 0, 20 << 12 | PTE);
	ok(reads(0x6000, base + 6) && large() <= 1, "it may be so again");
	ok(reads(0x200000, 20) && !large() && reads(0x6000, base + 6) && !large(),
	   "not with a table in it");
	vm_destroy("large");
}

static void scene_nx(void)
{
	gfn_t base = slot_plan[1].base;
	u64 large_entry = base << 12 | 0x80 | (PTE & ~GPTE_DIRTY);

	vm_create(UMBRA_POLICY_SHADOW);
	umbra_mmu_set_nx_huge(mmu, true);
	host_collapse();
	long_mode();
	guest_toggle(cpu, 0, 0, EFER_NX);
	set_entry(3, 0, large_entry);
	set_entry(3, 1, large_entry | GPTE_NX);
	ok(reads(0x5000, base + 5) && large() == 1 && !splits(), "what is read is large");
	ok(works(0x6000, UMBRA_ACC_FETCH) && !large() && splits() == 1,
	   "what is executed is small");
	ok(reads(0x7000, base + 7) && works(0x9000, UMBRA_ACC_FETCH) && !large() &&
	   splits() == 1, "all of it");
	ok(works(0x200000, UMBRA_ACC_WRITE) && large() == 1,
	   "where it cannot be executed it is large");
	ok(works(0x5000, UMBRA_ACC_WRITE) && works(0x8000, 0) && large() == 1,
	   "once dirty, it stays small");
	umbra_mmu_recover_nx(mmu, 0);
	ok(splits() && reads(0x5000, base + 5) && large() == 1,
	   "nothing is recovered when nothing may be");
	umbra_mmu_recover_nx(mmu, 100);
	ok(!splits() && large() == 1, "recovery takes the small pages away");
	ok(reads(0x5000, base + 5) && large() == 2, "large ones come back");
	ok(works(0x5000, UMBRA_ACC_FETCH) && splits() == 1 && audited(), "until the next fetch");
	slot_delete(1);
	slot_create(1, 0);
	host_collapse();
	ok(works(0x5000, UMBRA_ACC_FETCH) && splits() == 1 && audited(),
	   "it is so in another slot, too");
	umbra_mmu_set_nx_huge(mmu, false);
	ok(!splits(), "nothing is left after the end of it");
	ok(works(0x5000, UMBRA_ACC_FETCH) && large() == 1 && !splits(),
	   "when large pages are executed again");
	vm_destroy("nx");
}

/* One frame as a table of 8-byte entries and of 4-byte ones. */
static void scene_halves(void)
{
	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, slot_plan[4].base << 12 | PTE);
	set_entry(4, 1, slot_plan[4].base << 12 | PTE);
	set_short(6, 0, 4 << 12 | PTE);
	ok(reads(0, slot_plan[4].base) && reads(0x1000, slot_plan[4].base),
	   "a table of 8-byte entries is shadowed");
	guest_paging_on(cpu, GUEST_MODE_32BIT, 6 << 12, true);
	ok(works(0x1000, 0) && works(0x3000, UMBRA_ACC_WRITE),
	   "the upper halves of two are used as entries");
	guest_paging_on(cpu, GUEST_MODE_4LEVEL, 1 << 12, true);
	ok(reads(0, slot_plan[5].base), "the flag that says so is part of an address");
	ok(touch(0x1000, 0, NULL) == UMBRA_FAULT_EMULATE, "so is the one of a write");
	vm_destroy("halves");
}

static void scene_smap_without_wp(void)
{
	struct umbra_paging_state *s = &cpu->v.state;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | (PTE & ~2));
	set_entry(4, 1, 21 << 12 | (PTE & ~6));
	s->rflags_ac = true;
	guest_toggle(cpu, 0, X86_CR4_SMAP, 0);
	ok(cpu->v.family == UMBRA_FAMILY_SHADOW && works(0, 0) &&
	   works(0x1000, UMBRA_ACC_WRITE) && !cpu->v.leave_shadow,
	   "SMAP without WP: reads, and writes to a supervisor's page");
	ok(touch(0, UMBRA_ACC_WRITE, NULL) == UMBRA_FAULT_RETRY && cpu->v.leave_shadow,
	   "a write to a user page that is read-only cannot be done");
	ok(umbra_mmu_state_changed(&cpu->v) && cpu->v.family == UMBRA_FAMILY_EPT, "but on EPT");
	guest_toggle(cpu, X86_CR0_WP, 0, 0);
	ok(cpu->v.family == UMBRA_FAMILY_SHADOW && !cpu->v.leave_shadow, "until WP is set");
	vm_destroy("SMAP without WP");
}

/* Pages 0 and 1 have keys 1 and 2. */
static void keyed_pages(void)
{
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | PTE | 1ull << 59);
	set_entry(4, 1, 21 << 12 | PTE | 2ull << 59);
	guest_toggle(cpu, X86_CR0_WP, X86_CR4_PKE, 0);
}

static u32 refused(u64 gva, u32 access)
{
	struct umbra_fault fault;

	return touch(gva, access, &fault) == UMBRA_FAULT_GUEST ? fault.guest.error_code : 0;
}

/* A structure of the guest's that begins at the end of one of its tables. */
static void scene_across(void)
{
	const u64 words[] = { 22 << 12 | PTE, 0x1111, 0x2222, 0x3333 };
	static u64 before[512];
	const u64 *beyond;
	bool live;
	int idx;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 511, 21 << 12 | PTE);
	ok(works(511 << 12, 0) && umbra_mmu_tracked(mmu, 4), "the last entry of a table is used");
	beyond = umbra_shadow_next(mmu->shadow, 4, NULL)->spt + 512;
	live = shim_page_live(umbra_table_pa(beyond));
	if (live)
		memcpy(before, beyond, sizeof(before));
	idx = srcu_read_lock(&mmu->srcu);
	cpu_exit(cpu);
	ok(!umbra_mmu_guest_write(&cpu->v, (4 << 12) + 511 * 8, words, sizeof(words)),
	   "and is written to together with what follows the table");
	srcu_read_unlock(&mmu->srcu, idx);
	ok(!live || !memcmp(before, beyond, sizeof(before)), "nothing follows its shadow");
	ok(!memcmp(ram[gfn_to_page(5, false, NULL)], &words[1], 3 * sizeof(u64)) && audited(),
	   "all of it is written");
	guest_flush_all(cpu);
	ok(works(511 << 12, UMBRA_ACC_WRITE), "the entry is another");
	vm_destroy("across");
}

static void scene_keys(void)
{
	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	keyed_pages();
	ok(cpu->v.family == UMBRA_FAMILY_SHADOW && works(0, UMBRA_ACC_WRITE) &&
	   works(0x1000, UMBRA_ACC_WRITE), "pages with keys, which PKRU lets in");
	guest_set_pkru(cpu, 0x18);
	ok(refused(0, UMBRA_ACC_WRITE) == 0x23 && works(0, UMBRA_ACC_USER) &&
	   refused(0x1000, UMBRA_ACC_USER) == 0x25, "and which it does not, without an exit");
	guest_set_pkru(cpu, 4);
	ok(refused(0, 0) == 0x21 && works(0x1000, UMBRA_ACC_WRITE), "another PKRU counts at once");
	guest_set_pkru(cpu, 0);
	ok(works(0, 0), "the page is in use");
	cpu_exit(cpu);
	write_lock(&mmu->lock);
	umbra_unsync(mmu, umbra_gfn_to_slot(mmu, 4), 4);
	write_unlock(&mmu->lock);
	set_entry(4, 0, 20 << 12 | PTE | 2ull << 59);
	guest_invlpg(cpu, 0);
	guest_set_pkru(cpu, 0x10);
	ok(refused(0, 0) == 0x21, "with INVLPG it gets another key");
	guest_set_pkru(cpu, 4);
	ok(works(0, UMBRA_ACC_WRITE), "another key of a page counts");
	guest_set_pkru(cpu, 0x10);
	ok(refused(0, 0) == 0x21, "in either direction");
	guest_toggle(cpu, 0, X86_CR4_PKE, 0);
	ok(works(0, UMBRA_ACC_WRITE), "without PKE none does");
	guest_toggle(cpu, X86_CR0_WP, X86_CR4_PKE, 0);
	ok(cpu->v.family == UMBRA_FAMILY_EPT, "keys with WP = 0 are for EPT");
	guest_toggle(cpu, X86_CR0_WP, 0, 0);
	ok(cpu->v.family == UMBRA_FAMILY_SHADOW && refused(0, 0) == 0x21, "until WP is set");
	vm_destroy("keys");
}

/* Of large pages, mapped in one piece and in small ones. */
static void scene_large_keys(void)
{
	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	machine.huge = true;
	set_entry(3, 0, slot_plan[1].base << 12 | PTE | 0x80 | 3ull << 59);
	guest_toggle(cpu, X86_CR0_WP, X86_CR4_PKE, 0);
	ok(works(0, UMBRA_ACC_WRITE), "a large page with a key");
	guest_set_pkru(cpu, 1 << 6);
	ok(refused(0, 0) == 0x21 && refused(0x5000, UMBRA_ACC_WRITE) == 0x23, "which is closed");
	set_entry(3, 0, slot_plan[1].base << 12 | PTE | 0x80 | 5ull << 59);
	guest_flush_all(cpu);
	ok(works(0, UMBRA_ACC_WRITE), "and gets another one");
	guest_set_pkru(cpu, 2 << 10);
	ok(works(0, 0) && refused(0, UMBRA_ACC_WRITE) == 0x23, "which is closed to writes");
	vm_destroy("large keys");
}

int main(void)
{
	random_state = 1;
	scene_families();
	scene_aliases();
	scene_parents();
	scene_roots();
	scene_tracking();
	scene_unsync();
	scene_restless();
	scene_invlpg_run();
	scene_invlpg_use();
	scene_invlpg_pcid();
	scene_silent_replacement();
	scene_pae();
	scene_legacy();
	scene_large();
	scene_nx();
	scene_halves();
	scene_smap_without_wp();
	scene_across();
	scene_keys();
	scene_large_keys();
	return tap_done();
}
