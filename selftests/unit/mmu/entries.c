// SPDX-License-Identifier: GPL-2.0
/*
 * What random guests have in their page tables, see entries.h.
 */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include "entries.h"
#include "machine.h"

gfn_t table[NR_TABLES];
bool spare_huge;

gfn_t random_gfn(void)
{
	const struct slot_plan *plan = &slot_plan[rnd(chance(30) ? NR_SLOTS : NR_LOW_SLOTS)];

	if (chance(4))
		return chance(50) ? 300 + rnd(100) : rnd64() & GENMASK_ULL(39, 0);
	return plan->base + rnd(plan->npages);
}

/* What an entry leads to that is no large page may be used as a table. */
static gfn_t random_frame(void)
{
	gfn_t gfn;

	do {
		gfn = chance(65) ? table[rnd(NR_TABLES)] : random_gfn();
	} while (spare_huge && gfn >= slot_plan[1].base &&
		 gfn - slot_plan[1].base < slot_plan[1].npages && !chance(1));
	return gfn;
}

/* Few of them, so that entries and PKRU have to do with each other. */
static u64 random_key(void)
{
	return (u64)(chance(90) ? 1 + rnd(2) : rnd(16)) << 59;
}

u32 random_pkru(void)
{
	if (chance(30))
		return 0;
	return rnd64() & (chance(80) ? 0x3c : chance(80) ? 0x3f : U32_MAX);
}

/*
 * In orderly guests each table has a level, and only the kernel sees tables as
 * data: there user accesses are refused by the guest's tables alone, mostly.
 */
static u64 orderly_entry(void)
{
	unsigned int level = chance(60) ? 1 : 1 + rnd(4);
	u64 entry = table[rnd(NR_TABLES / 4) * 4 + (level + 2) % 4] << 12;

	if (level > 1)
		return entry | 0x67 | (rnd64() & 0xe00) | (chance(90) ? 0 : rnd64() & 7);
	if (chance(25))
		return table[rnd(NR_TABLES)] << 12 | 0x63;
	entry = random_gfn();
	for (int i = 0; i < NR_TABLES; i++)
		if (table[i] == entry)
			entry = 5;
	entry = entry << 12 | (rnd64() & 0xe00);
	if (chance(30))
		return entry | (chance(10) ? rnd64() & 0x67 : 0);
	entry |= chance(90) ? 0x25 : 0x21;
	entry |= chance(50) ? 0x42 : 0;
	if (machine.keys && chance(40))
		entry |= random_key();
	return entry | (chance(8) ? BIT_ULL(63) : 0);
}

u64 random_entry(void)
{
	u64 entry, low = rnd64() & 0xf78;

	if (machine.orderly && chance(98))
		return orderly_entry();
	if (chance(1))
		return rnd64();
	if (chance(spare_huge ? 25 : 12)) {
		static const gfn_t large[] = { 0, 512, 512, 1024, 511 * 512 };

		entry = large[rnd(ARRAY_SIZE(large))] << 12;
		low |= chance(85) ? 0x80 : 0;
	} else {
		entry = random_frame() << 12;
		low &= chance(95) ? ~0x80ull : ~0ull;
	}
	entry |= low;
	entry |= chance(97) ? 1 : 0;
	entry |= chance(88) ? 2 : 0;
	entry |= chance(85) ? 4 : 0;
	entry |= chance(60) ? 0x20 : 0;
	entry |= chance(50) ? 0x40 : 0;
	if (chance(8))
		entry |= BIT_ULL(63);
	if (chance(1))
		entry |= BIT_ULL(36 + rnd(16));
	/* Ignored in long mode, or a protection key, reserved with PAE. */
	if (chance(4))
		entry |= BIT_ULL(52 + rnd(11));
	if (machine.keys && chance(40))
		entry |= random_key();
	return entry;
}

bool has_short_entries(const struct cpu *cpu)
{
	const struct umbra_paging_state *s = &cpu->v.state;

	return s->cr0 & X86_CR0_PG && !(s->cr4 & X86_CR4_PAE);
}

/* Where the entries are that the linear pages lead through, see gva_of(). */
unsigned int random_table_offset(const struct cpu *cpu)
{
	static const unsigned int offset[] = { 0, 8, 16, 4088, 4, 4092 };
	static const unsigned int offset_32[] = {
		0, 4, 8, 12, 16, 1020, 1024, 2044, 2048, 2052, 3068, 3072, 4080, 4084, 4088, 4092,
	};

	if (has_short_entries(cpu))
		return offset_32[rnd(ARRAY_SIZE(offset_32))];
	return offset[chance(95) ? rnd(4) : rnd(6)];
}

/* The entry there with other rights or flags, as mprotect() makes of it. */
u64 changed_rights(u64 entry)
{
	static const u8 bit[] = { 0, 1, 1, 1, 2, 2, 5, 6, 6, 59, 63 };

	return entry ^ BIT_ULL(bit[rnd(ARRAY_SIZE(bit))]);
}

/* PDPTEs stand where no linear page leads through. */
#define PDPT_OFFSET	0x600
#define NR_PDPTS	4

u64 random_pdpte(void)
{
	u64 pdpte = (chance(90) ? table[rnd(NR_TABLES)] : random_gfn()) << 12 | (rnd64() & 0xe18);

	if (chance(2))
		pdpte |= rnd64();
	return chance(85) ? pdpte | 1 : pdpte & ~1ull;
}

u64 random_pdpt(void)
{
	return table[rnd(NR_TABLES)] << 12 | PDPT_OFFSET | rnd(NR_PDPTS) << 5;
}

u64 random_cr3(const struct cpu *cpu)
{
	const struct umbra_paging_state *s = &cpu->v.state;
	u64 cr3 = (chance(97) ? table[rnd(NR_TABLES)] : random_gfn()) << 12;

	if (machine.orderly && chance(90))
		cr3 = table[rnd(NR_TABLES / 4) * 4 + 3] << 12;
	if (s->cr0 & X86_CR0_PG && s->cr4 & X86_CR4_PAE && !(s->efer & EFER_LMA))
		return random_pdpt() & GENMASK_ULL(31, 0);
	if (s->cr4 & X86_CR4_PCIDE)
		cr3 |= rnd(NR_PCIDS);
	/* Beyond MAXPHYADDR it would be #GP. */
	return cr3 & (s->efer & EFER_LMA ? GENMASK_ULL(s->maxphyaddr - 1, 0) :
						  GENMASK_ULL(31, 0));
}

static const struct slot_plan *table_slot(void)
{
	int id = chance(50) ? 0 : rnd(NR_LOW_SLOTS);

	return &slot_plan[spare_huge && id == 1 ? 0 : id];
}

void fill_tables(void)
{
	for (int i = 0; i < NR_TABLES; i++) {
		const struct slot_plan *plan = table_slot();

		table[i] = plan->base + rnd(plan->npages);
	}
	/* Only the entries that the linear pages lead through. */
	for (int i = 0; i < NR_TABLES; i++) {
		static const unsigned int offset[] = { 0, 8, 16, 4088 };
		int page = gfn_to_page(table[i], false, NULL);

		for (unsigned int k = 0; k < ARRAY_SIZE(offset); k++) {
			u64 entry = random_entry();

			memcpy(&ram[page][offset[k]], &entry, sizeof(entry));
		}
		for (unsigned int k = 0; k < 4 * NR_PDPTS; k++) {
			u64 pdpte = random_pdpte();

			memcpy(&ram[page][PDPT_OFFSET + 8 * k], &pdpte, sizeof(pdpte));
		}
	}
}
