// SPDX-License-Identifier: GPL-2.0
/* What random guests access, see entries.h. */
#include <linux/minmax.h>
#include <string.h>
#include "entries.h"
#include "machine.h"

static void random_access(struct cpu *cpu, struct guest_access *a)
{
	*a = (struct guest_access) {
		.unpaged_gfn = random_gfn() & 0xfffff,
		.fetch = chance(15),
		.unknown = chance(25),
		.len = 8,
	};
	u64 entry = random_entry();

	a->write = !a->fetch && chance(45);
	a->offset = random_table_offset(cpu);
	memcpy(a->data, &entry, sizeof(entry));
	/* The second of a pair of 32-bit entries. */
	if (a->offset & 4 || has_short_entries(cpu))
		a->len = 4;
	if (chance(85))
		return;
	/* Parts of entries, and writes across two. */
	a->len = 1u << rnd(4);
	a->offset = min_t(unsigned int, (a->offset & ~7u) + rnd(16), 4096 - a->len);
}

/* An address that the CPU has used lately, or another, mostly one that works. */
static void choose_gva(struct cpu *cpu, struct guest_access *a)
{
	u8 *slot = &cpu->recent[rnd(NR_RECENT)];

	for (int tries = 0; tries < 6; tries++) {
		a->gva_nr = chance(60) ? *slot : rnd(NR_GVAS);
		if (chance(25) || guest_translates(cpu, a))
			break;
		slot = &cpu->recent[rnd(NR_RECENT)];
	}
	*slot = a->gva_nr;
}

void next_access(struct cpu *cpu, struct guest_access *a)
{
	struct umbra_paging_state *s = &cpu->v.state;
	u64 entry;

	random_access(cpu, a);
	/* Supervisor accesses at CPL 3 are implicit ones, and never fetches. */
	s->cpl = chance(50) ? 3 : 0;
	s->rflags_ac = chance(50);
	a->user = s->cpl == 3 && (a->fetch || chance(85));
	choose_gva(cpu, a);
	if (chance(machine.keys ? 15 : 3))
		guest_set_pkru(cpu, random_pkru());
	if (a->write && a->len >= 4 && chance(30) && guest_peek(cpu, a, &entry)) {
		entry = changed_rights(entry);
		memcpy(a->data, &entry, a->len);
	}
}
