// SPDX-License-Identifier: GPL-2.0
/*
 * Flushes that a random run hardly ever needs: a CPU stays in the guest while
 * others do something, and has to be out of it, or to know better, afterwards.
 */
#include <linux/kvm.h>
#include "../../../mmu/ept.h"
#include "../../../mmu/sync.h"
#include "scene.h"

/* The frame that a read finds, from within the guest. */
static kvm_pfn_t reads(gfn_t gfn)
{
	kvm_pfn_t pfn = 0;
	u32 code;

	if (cpu_enter(cpu))
		violation("no memory");
	hw_physical(cpu, gfn << 12, false, false, &pfn, &code);
	return pfn;
}

/* Device memory may be replaced without a word from the notifier. */
static void scene_replaced(void)
{
	struct host_page *hp;

	vm_create(UMBRA_POLICY_SHADOW);
	hp = &host_page[gfn_to_page(20, false, NULL)];
	if (cpu_enter(cpu))
		violation("no memory");
	do {
		host_unmap(hp - host_page);
		cpu_exit(cpu);
	} while (cpu_enter(cpu) || fault_of_another(20 << 12, 0, true) || !hp->write_protected);
	ok(reads(20) == FIRST_PFN + hp->frame, "a page for reading");
	hp->present = false;
	ok(fault_of_another(20 << 12, UMBRA_ACC_WRITE, true) == UMBRA_FAULT_FIXED &&
	   !cpu->in_guest, "another one for writing: CPUs have to leave the guest");
	ok(reads(20) == FIRST_PFN + hp->frame, "and find it");
	vm_destroy("replaced");
}

/*
 * A page that the guest has made read-only becomes a table: a CPU on which it has
 * not invalidated yet may write to it, and must not do so without an exit.
 */
static void scene_reduced(void)
{
	int idx;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(3, 1, 20 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | PTE);
	set_entry(4, 2, 4 << 12 | PTE);
	set_entry(20, 0, 21 << 12 | PTE);
	ok(works(0x1000 - 8, 0) && works(0x2000, UMBRA_ACC_WRITE) && works(0, UMBRA_ACC_WRITE) &&
	   mmu->stat.mmu_unsync == 1, "a page, and its table out of sync");
	umbra_mmu_flush(mmu);
	if (cpu_enter(cpu) || !works(0, UMBRA_ACC_WRITE) || !cpu->in_guest)
		violation("the scene is not set");
	set_entry(4, 0, 20 << 12 | (PTE & ~2ull));
	idx = srcu_read_lock(&mmu->srcu);
	umbra_mmu_invlpg(&cpu->v, 0);
	srcu_read_unlock(&mmu->srcu, idx);
	ok(cpu->in_guest, "its loss of rights is the guest's own business");
	ok(fault_of_another(0x200000, 0, false) == UMBRA_FAULT_FIXED && !cpu->in_guest,
	   "until the page becomes a table");
	vm_destroy("reduced");
}

/* No CPU may go on without logging when logging begins. */
static void scene_logging(void)
{
	const struct umbra_mmu_caps caps = {
		.host_maxphyaddr = 46, .ept_ad = true, .pml = true,
	};

	vm_create_with(&caps, UMBRA_POLICY_EPT);
	if (cpu_enter(cpu))
		violation("no memory");
	umbra_mmu_log_begin(mmu);
	ok(!cpu->in_guest, "CPUs leave the guest when logging begins");
	umbra_mmu_log_end(mmu);
	vm_destroy("logging");
}

/* Nor without exits for page faults and INVLPG when a table is let go. */
static void scene_direct(void)
{
	bool gone;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | PTE);
	if (!works(0, UMBRA_ACC_WRITE))
		violation("the scene is not set");
	guest_flush_all(cpu);
	ok(cpu->v.direct & UMBRA_DIRECT_USER, "faults and INVLPG need no exit");
	umbra_mmu_flush(mmu);
	if (cpu_enter(cpu))
		violation("no memory");
	write_lock(&mmu->lock);
	gone = umbra_unsync(mmu, umbra_gfn_to_slot(mmu, 4), 4) && !cpu->in_guest;
	write_unlock(&mmu->lock);
	ok(gone && cpu->v.direct == UMBRA_DIRECT_HOLES, "CPUs leave the guest when they do");
	vm_destroy("direct");
}

/* Nor when another one's write to a table makes a leaf refuse what the guest grants. */
static void scene_withheld(void)
{
	u64 entry = 20 << 12 | (PTE & ~0x40ull);
	int idx;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(4, 0, 20 << 12 | PTE);
	if (!works(0, UMBRA_ACC_WRITE))
		violation("the scene is not set");
	guest_flush_all(cpu);
	umbra_mmu_flush(mmu);
	if (cpu_enter(cpu))
		violation("no memory");
	ok(cpu->v.direct & UMBRA_DIRECT_USER, "users' faults need no exit");
	idx = srcu_read_lock(&mmu->srcu);
	umbra_mmu_guest_write(&cpu->v, 4 << 12, &entry, sizeof(entry));
	srcu_read_unlock(&mmu->srcu, idx);
	ok(!cpu->in_guest && !(cpu->v.direct & UMBRA_DIRECT_USER),
	   "CPUs leave the guest when a dirty flag has to be set again");
	vm_destroy("withheld");
}

/* The CPU's own translations of linear addresses are not simulated under EPT. */
static void scene_cr3_on_ept(void)
{
	vm_create(UMBRA_POLICY_EPT);
	long_mode();
	if (cpu_enter(cpu))
		violation("no memory");
	guest_toggle(cpu, 0, X86_CR4_PCIDE, 0);
	cpu->v.flush_guest = false;
	guest_set_cr3(cpu, 1 << 12, true);
	ok(!cpu->v.flush_guest, "a CR3 load that says so flushes nothing");
	guest_set_cr3(cpu, 1 << 12, false);
	ok(cpu->v.flush_guest, "another one does");
	vm_destroy("CR3 on EPT");
}

/* INVLPG names one address of a large page, which CPUs know in small ones. */
static void scene_large(void)
{
	struct hw_access hw = { .addr = 0x15000, .gva_nr = 0x15 };
	u64 entry = 4 << 12 | PTE;
	struct hw_fault fault;
	kvm_pfn_t pfn;
	int idx;

	vm_create(UMBRA_POLICY_SHADOW);
	long_mode();
	set_entry(3, 0, PTE | BIT_ULL(7));
	set_entry(4, 0x15, 22 << 12 | PTE);
	ok(works(0x14000, 0) && works(0x15000, 0), "a large page, in small ones");
	umbra_mmu_flush(mmu);
	if (!works(0x14000, 0) || !works(0x15000, 0) || !cpu->in_guest)
		violation("the scene is not set");
	idx = srcu_read_lock(&mmu->srcu);
	umbra_mmu_guest_write(&cpu->v, 0x3000, &entry, sizeof(entry));
	ok(!cpu->in_guest, "CPUs leave the guest when it makes something else of it");
	srcu_read_unlock(&mmu->srcu, idx);
	guest_invlpg(cpu, 0);
	ok(!cpu_enter(cpu) && (!hw_linear(cpu, &hw, &pfn, &fault) ||
			       (int)pfn_to_ram(pfn, false) == gfn_to_page(22, false, NULL)),
	   "and know nothing of the rest of it");
	vm_destroy("large");
}

int main(void)
{
	random_state = 1;
	scene_cr3_on_ept();
	scene_large();
	scene_direct();
	scene_withheld();
	scene_replaced();
	scene_reduced();
	scene_logging();
	return tap_done();
}
