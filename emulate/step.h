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
u64 step_get(const struct umbra_stepper *s, const struct umbra_step *st, u8 where);
void step_set(struct umbra_stepper *s, u8 where, unsigned int size, u64 value);
u64 step_compute(u8 op, u64 dst, u64 src, unsigned int size, u64 *rflags);
enum umbra_step_result step_jump(struct umbra_stepper *s, u64 rip);

/* step_rare.c */
enum umbra_step_result step_rare(struct umbra_stepper *s, const struct umbra_step *st);

#endif
