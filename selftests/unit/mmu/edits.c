// SPDX-License-Identifier: GPL-2.0
/* What random guests do to their page tables, see edits.h. */
#include <asm/processor-flags.h>
#include "edits.h"
#include "entries.h"
#include "machine.h"

/* A write that is not a CPU's direct one: the emulator's, or a device's. */
void edit_to(struct cpu *cpu, u64 gpa, u64 entry)
{
	struct umbra_memslot *slot;
	unsigned int len = has_short_entries(cpu) ? 4 : 8;
	int idx, page;

	gpa &= ~(u64)(len - 1);
	idx = srcu_read_lock(&machine.mmu.srcu);
	page = gfn_to_page(gpa >> 12, false, &slot);
	if (page >= 0 && !(slot->flags & KVM_MEM_READONLY)) {
		bool tracked = slot->track && slot->track[(gpa >> 12) - slot->base_gfn];

		cpu_exit(cpu);
		cpu->busy = true;
		if (tracked || chance(30))
			umbra_mmu_guest_write(&cpu->v, gpa, &entry, len);
		else
			history_write(page, gpa & 0xfff, &entry, len);
		cpu->busy = false;
	}
	srcu_read_unlock(&machine.mmu.srcu, idx);
}

void edit(struct cpu *cpu, u64 gpa)
{
	unsigned int len = has_short_entries(cpu) ? 4 : 8;
	u64 entry = read_now(NULL, gpa & ~(u64)(len - 1), len);

	edit_to(cpu, gpa, chance(35) ? changed_rights(entry) : random_entry());
}

/* The PDPTEs that a CPU has loaded do not change with it. */
static void edit_pdpt(struct cpu *cpu)
{
	edit_to(cpu, random_pdpt() + 8 * rnd(4), random_pdpte());
}

/*
 * The PDPTEs in use change in memory and are loaded again, by a register that has
 * nothing to do with paging.
 */
static void reload_pdptes(struct cpu *cpu)
{
	unsigned int nr = rnd(NR_GVAS);

	for (unsigned int i = 1 + rnd(3); i; i--)
		edit_to(cpu, (cpu->v.state.cr3 & ~0x1full) + 8 * rnd(4), random_pdpte());
	guest_toggle(cpu, X86_CR0_CD, 0, 0);
	for (unsigned int i = rnd(8); i; i--)
		guest_invlpg(cpu, nr++ % NR_GVAS);
}

void step_edit(struct cpu *cpu)
{
	if (guest_is_pae(cpu) && chance(10)) {
		reload_pdptes(cpu);
		return;
	}
	if (chance(5)) {
		edit_pdpt(cpu);
		return;
	}
	edit(cpu, (table[rnd(NR_TABLES)] << 12) + random_table_offset(cpu));
}

/* A whole table of neighbouring pages, as a guest maps a file or a heap. */
void step_fill(struct cpu *cpu)
{
	gfn_t target = table[rnd(NR_TABLES)], gfn = random_gfn();
	unsigned int len = has_short_entries(cpu) ? 4 : 8;
	u64 flags = 0x7 | (rnd64() & 0x60);

	for (unsigned int i = 0; i < 4096 / len; i++) {
		/* Not all of them used, or dirty. */
		u64 entry = (gfn + i) << 12 | flags | (rnd64() & 0x60);

		edit_to(cpu, (target << 12) + len * i, entry);
	}
}

/* Another CPU changes an entry that the fault in progress goes through. */
void edit_under_walk(struct cpu *cpu)
{
	struct ref_cpu ref = cpu_reference(machine.walking);
	struct ref_result r;

	reference_walk(&ref, &machine.walk, read_now, NULL, &r);
	if (r.nr)
		edit(cpu, r.entry[rnd(r.nr)].gpa);
}

/*
 * Lead the page of @a to the slot of huge pages by a large page, where the table of
 * the last level was.
 */
static void lead_to_huge(struct cpu *cpu, const struct guest_access *a)
{
	struct ref_access ra = { .gva = gva_of(cpu, guest_gva_nr(cpu, a->gva_nr)) };
	struct ref_cpu ref = cpu_reference(cpu);
	struct ref_result r;

	reference_walk(&ref, &ra, read_now, NULL, &r);
	if (r.nr < 2)
		return;
	edit_to(cpu, r.entry[r.nr - 2].gpa, slot_plan[1].base << 12 | 0xe7);
	guest_flush_all(cpu);
}

/* All of it is in the log, and nothing has to be made small; or all of it goes. */
static void log_or_delete(void)
{
	const struct umbra_memslot *slot = machine.slot[1];

	if (slot->dirty_bitmap) {
		slot_harvest_dirty(1);
	} else if (chance(60)) {
		slot_log_initially_set(1);
	} else {
		slot_delete(1);
		slot_create(1, 0);
	}
}

void step_huge(struct cpu *cpu)
{
	struct guest_access a;
	unsigned int cpl;

	if (!machine.slot[1] || (!spare_huge && !chance(10)))
		return;
	host_clear_huge();
	host_collapse();
	next_access(cpu, &a);
	cpl = cpu->v.state.cpl;
	a.unpaged_gfn = slot_plan[1].base + rnd(slot_plan[1].npages);
	a.write = chance(70);
	a.fetch = false;
	if (cpu->v.state.cr0 & X86_CR0_PG)
		lead_to_huge(cpu, &a);
	cpu->v.state.cpl = cpl;
	for (unsigned int i = 2 + rnd(3); i && machine.slot[1]; i--) {
		guest_access(cpu, &a);
		log_or_delete();
		/* Others come from another privilege level. */
		cpu->v.state.cpl = cpl;
	}
	guest_access(cpu, &a);
	if (machine.slot[1] && machine.slot[1]->dirty_bitmap && chance(80))
		slot_log_dirty(1, false);
}
