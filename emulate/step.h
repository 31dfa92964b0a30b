/* SPDX-License-Identifier: GPL-2.0 */
/* Private to emulate/step*.c. */
#ifndef UMBRA_EMULATE_STEP_H
#define UMBRA_EMULATE_STEP_H

#include <umbra/step.h>
#include "emulate.h"

/* umbra_step.dst and src: 0 to 15 are registers. */
#define STEP_HIGH	16	/* AH, CH, DH, BH: 16 to 19 */
#define STEP_MEM	32
#define STEP_IMM	33
#define STEP_NONE	34

/* umbra_step.base and index */
#define STEP_NO_REG	16

enum step_class {
	STEP_ALU,	/* dst = dst op src */
	STEP_MOVE,	/* dst = src, zero-extended */
	STEP_MOVE_SIGNED,
	STEP_TO_MEMORY,	/* mem = src */
	STEP_BRANCH,	/* Jcc */
	STEP_RARE,
	STEP_EXITS,
};

/* step.c */
void step_set_part(struct umbra_stepper *s, u8 where, unsigned int size, u64 value);
enum umbra_step_result step_jump(struct umbra_stepper *s, u64 rip);

/* step_alu.c */
u64 step_compute(u8 op, u64 value, u64 src, unsigned int size, u64 *rflags);

/* step_rare.c */
enum umbra_step_result step_rare(struct umbra_stepper *s, const struct umbra_step *st);

/* Where a value is, but for memory. Bits above the operand's size are of no account. */
static inline u64 step_get(const struct umbra_stepper *s, const struct umbra_step *st, u8 where)
{
	if (likely(where < STEP_HIGH))
		return s->regs[where];
	if (where == STEP_IMM)
		return st->imm;
	return s->regs[where & 3] >> 8;
}

/* Write a register: 4 bytes clear the upper half. */
static inline void step_set(struct umbra_stepper *s, u8 where, unsigned int size, u64 value)
{
	if (likely(size == 8))
		s->regs[where & 15] = value;
	else if (size == 4)
		s->regs[where & 15] = (u32)value;
	else
		step_set_part(s, where, size, value);
}

static inline enum umbra_step_result step_next(struct umbra_stepper *s,
					       const struct umbra_step *st)
{
	s->rip += st->len;
	return UMBRA_STEP_NEXT;
}

#endif
