// SPDX-License-Identifier: GPL-2.0
/* The common steps: moves, arithmetic, branches. */
#include "step.h"

#define VA_BITS		48

/* 1 and 2 bytes keep what is above. */
void step_set_part(struct umbra_stepper *s, u8 where, unsigned int size, u64 value)
{
	u64 *reg = &s->regs[where & 15];

	if (size == 2) {
		*reg = (*reg & ~0xffffull) | (u16)value;
	} else if (where < STEP_HIGH) {
		*reg = (*reg & ~0xffull) | (u8)value;
	} else {
		reg = &s->regs[where & 3];
		*reg = (*reg & ~0xff00ull) | (u64)(u8)value << 8;
	}
}

u64 umbra_step_address(struct umbra_stepper *s, const struct umbra_step *st)
{
	u64 gva = st->disp;

	if (st->base < STEP_NO_REG)
		gva += s->regs[st->base];
	if (st->index < STEP_NO_REG)
		gva += s->regs[st->index] << st->scale;
	if (st->relative)
		gva += s->rip + st->len;
	if (unlikely(st->seg))
		gva += s->ops->base(s, st->seg);
	return gva;
}

/* Going where no code can be is a fault of this instruction. */
enum umbra_step_result step_jump(struct umbra_stepper *s, u64 rip)
{
	if (unlikely((u64)((s64)(rip << (64 - VA_BITS)) >> (64 - VA_BITS)) != rip))
		return UMBRA_STEP_STOP;
	s->rip = rip;
	return UMBRA_STEP_JUMP;
}

/* A destination in memory: read it, compute, write it. */
static enum umbra_step_result alu_memory(struct umbra_stepper *s, const struct umbra_step *st)
{
	bool quiet = st->op == OP_CMP || st->op == OP_TEST || st->op == OP_BT;
	u64 flags = s->rflags, gva = umbra_step_address(s, st), old, new;

	/* A write of a part, and then not of the rest, could not be done again. */
	if (!quiet && (gva & (st->size - 1)))
		return UMBRA_STEP_STOP;
	if (!s->ops->load(s, gva, st->size, &old))
		return UMBRA_STEP_STOP;
	new = step_compute(st->op, old, step_get(s, st, st->src), st->size, &flags);
	if (!quiet && !(st->lock ? s->ops->replace(s, gva, st->size, old, new) :
				   s->ops->store(s, gva, st->size, new)))
		return UMBRA_STEP_STOP;
	s->rflags = flags;
	return step_next(s, st);
}

static enum umbra_step_result alu(struct umbra_stepper *s, const struct umbra_step *st)
{
	u64 src, result;

	if (st->dst == STEP_MEM)
		return alu_memory(s, st);
	if (st->src != STEP_MEM)
		src = step_get(s, st, st->src);
	else if (!s->ops->load(s, umbra_step_address(s, st), st->size, &src))
		return UMBRA_STEP_STOP;
	result = step_compute(st->op, step_get(s, st, st->dst), src, st->size, &s->rflags);
	if (st->op != OP_CMP && st->op != OP_TEST && st->op != OP_BT)
		step_set(s, st->dst, st->size, result);
	return step_next(s, st);
}

static enum umbra_step_result move(struct umbra_stepper *s, const struct umbra_step *st)
{
	u64 value;

	if (st->src != STEP_MEM) {
		value = step_get(s, st, st->src);
		if (st->src_size != st->size)
			value &= emu_size_mask(st->src_size);
	} else if (!s->ops->load(s, umbra_step_address(s, st), st->src_size, &value)) {
		return UMBRA_STEP_STOP;
	}
	if (st->class == STEP_MOVE_SIGNED)
		value = emu_sign_extend(value, st->src_size);
	step_set(s, st->dst, st->size, value);
	return step_next(s, st);
}

enum umbra_step_result umbra_step_execute(struct umbra_stepper *s, const struct umbra_step *st)
{
	switch (st->class) {
	case STEP_ALU:
		return alu(s, st);
	case STEP_MOVE:
	case STEP_MOVE_SIGNED:
		return move(s, st);
	case STEP_TO_MEMORY:
		if (!s->ops->store(s, umbra_step_address(s, st), st->size,
				   step_get(s, st, st->src)))
			return UMBRA_STEP_STOP;
		return step_next(s, st);
	case STEP_BRANCH:
		if (!emu_condition(st->number, s->rflags))
			return step_next(s, st);
		return step_jump(s, s->rip + st->len + st->imm);
	case STEP_EXITS:
		return UMBRA_STEP_EXIT;
	default:
		return step_rare(s, st);
	}
}

u16 umbra_step_port(const struct umbra_stepper *s, const struct umbra_step *st)
{
	return st->src == STEP_IMM ? (u8)st->imm : s->regs[UMBRA_EMU_RDX];
}
