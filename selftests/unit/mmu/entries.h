/* SPDX-License-Identifier: GPL-2.0 */
/* The page tables of random guests, and what they access, for torture.c. */
#ifndef _UNIT_MMU_ENTRIES_H
#define _UNIT_MMU_ENTRIES_H

#include <umbra/types.h>

struct cpu;
struct guest_access;

#define NR_TABLES	20

/* The frames that guests use as tables, of any level. */
extern gfn_t table[NR_TABLES];

/* No guest tables in the slot of huge pages: what is tracked is mapped small. */
extern bool spare_huge;

gfn_t random_gfn(void);
u64 random_entry(void);
u32 random_pkru(void);
u64 random_pdpte(void);
u64 random_pdpt(void);
u64 random_cr3(const struct cpu *cpu);

bool has_short_entries(const struct cpu *cpu);

/* Where the entries are that the linear pages lead through, see gva_of(). */
unsigned int random_table_offset(const struct cpu *cpu);

/* An entry with other rights or flags, as mprotect() makes of it. */
u64 changed_rights(u64 entry);

/* An access by @cpu, whose privilege level becomes what it needs. */
void next_access(struct cpu *cpu, struct guest_access *a);

/* Of a new VM: spare_huge is set. */
void fill_tables(void);

#endif /* _UNIT_MMU_ENTRIES_H */
