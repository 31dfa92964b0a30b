/* SPDX-License-Identifier: GPL-2.0 */
/* What random guests do to their page tables, for torture.c. */
#ifndef _UNIT_MMU_EDITS_H
#define _UNIT_MMU_EDITS_H

#include <umbra/types.h>

struct cpu;

/* A write that is not a CPU's direct one: the emulator's, or a device's. */
void edit_to(struct cpu *cpu, u64 gpa, u64 entry);

/* Some other entry in the place of the one at @gpa. */
void edit(struct cpu *cpu, u64 gpa);

/* Another CPU changes an entry that the fault in progress goes through. */
void edit_under_walk(struct cpu *cpu);

void step_edit(struct cpu *cpu);

/* A whole table of neighbouring pages, as a guest maps a file or a heap. */
void step_fill(struct cpu *cpu);

/* A large page is used in a huge one of the host's, until the log or its end splits it. */
void step_huge(struct cpu *cpu);

#endif /* _UNIT_MMU_EDITS_H */
