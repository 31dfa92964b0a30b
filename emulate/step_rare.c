// SPDX-License-Identifier: GPL-2.0
/* The other steps: the stack, flags, exchanges. */
#include <linux/swab.h>
#include "step.h"

#define EMU_IF		BIT_ULL(9)
#define EMU_VM		BIT_ULL(17)

/* What POPF may change without anything to look at before the next instruction. */
#define POPF_QUIET	(EMU_ARITH_FLAGS | EMU_DF | EMU_IF)

static bool load_operand(struct umbra_stepper *s, const struct umbra_step *st, u8 where,
			 u64 *value)
{
	if (where == STEP_MEM)
		return s->ops->load(s, umbra_step_address(s, st), st->size, value);
	*value = step_get(s, st, where);
	return true;
}

static bool push(struct umbra_stepper *s, u64 value)
{
	u64 *rsp = &s->regs[UMBRA_EMU_RSP];

	if (!s->ops->store(s, *rsp - 8, 8, value))
		return false;
	*rsp -= 8;
	return true;
}

static enum umbra_step_result go(struct umbra_stepper *s, const struct umbra_step *st)
{
	u64 after = s->rip + st->len, target, from = s->rip;
	enum umbra_step_result r;

	if (!load_operand(s, st, st->src, &target))
		return UMBRA_STEP_STOP;
	if (st->src == STEP_IMM)
		target += after;
	r = step_jump(s, target);
	if (r != UMBRA_STEP_JUMP || st->op == OP_JMP || push(s, after))
		return r;
	s->rip = from;
	return UMBRA_STEP_STOP;
}

static enum umbra_step_result ret(struct umbra_stepper *s)
{
	enum umbra_step_result r;
	u64 target;

	if (!s->ops->load(s, s->regs[UMBRA_EMU_RSP], 8, &target))
		return UMBRA_STEP_STOP;
	r = step_jump(s, target);
	if (r == UMBRA_STEP_JUMP)
		s->regs[UMBRA_EMU_RSP] += 8;
	return r;
}

/* POP, and LEAVE, which pops RBP from where it points to. */
static enum umbra_step_result pop(struct umbra_stepper *s, const struct umbra_step *st)
{
	u64 rsp = s->regs[st->op == OP_LEAVE ? UMBRA_EMU_RBP : UMBRA_EMU_RSP], value;

	if (!s->ops->load(s, rsp, 8, &value))
		return UMBRA_STEP_STOP;
	s->regs[UMBRA_EMU_RSP] = rsp + 8;
	s->regs[st->dst & 15] = value;
	return step_next(s, st);
}

static enum umbra_step_result popf(struct umbra_stepper *s, const struct umbra_step *st)
{
	u64 value;

	if (!s->ops->load(s, s->regs[UMBRA_EMU_RSP], 8, &value))
		return UMBRA_STEP_STOP;
	if ((value ^ s->rflags) & 0x3fffff & ~POPF_QUIET)
		return UMBRA_STEP_STOP;
	s->rflags = (s->rflags & ~POPF_QUIET) | (value & POPF_QUIET);
	s->regs[UMBRA_EMU_RSP] += 8;
	return step_next(s, st);
}

/* CMOV writes its register in any case: 4 bytes clear the upper half. */
static enum umbra_step_result cmov(struct umbra_stepper *s, const struct umbra_step *st)
{
	u64 value;

	if (!load_operand(s, st, st->src, &value))
		return UMBRA_STEP_STOP;
	if (!emu_condition(st->number, s->rflags))
		value = s->regs[st->dst & 15];
	step_set(s, st->dst, st->size, value);
	return step_next(s, st);
}

static enum umbra_step_result setcc(struct umbra_stepper *s, const struct umbra_step *st)
{
	bool value = emu_condition(st->number, s->rflags);

	if (st->dst != STEP_MEM)
		step_set(s, st->dst, 1, value);
	else if (!s->ops->store(s, umbra_step_address(s, st), 1, value))
		return UMBRA_STEP_STOP;
	return step_next(s, st);
}

/* XCHG, XADD and CMPXCHG: the destination's old value goes to a register. */
static enum umbra_step_result exchange(struct umbra_stepper *s, const struct umbra_step *st)
{
	u64 flags = s->rflags, old, new, src = step_get(s, st, st->src), gva = 0;
	u64 mask = emu_size_mask(st->size), acc = s->regs[UMBRA_EMU_RAX];
	bool equal = true;

	if (st->dst == STEP_MEM) {
		gva = umbra_step_address(s, st);
		if (gva & (st->size - 1) || !s->ops->load(s, gva, st->size, &old))
			return UMBRA_STEP_STOP;
	} else {
		old = step_get(s, st, st->dst);
	}
	new = src;
	if (st->op == OP_XADD) {
		new = step_compute(OP_ADD, old, src, st->size, &flags);
	} else if (st->op == OP_CMPXCHG) {
		step_compute(OP_CMP, acc, old, st->size, &flags);
		equal = !((acc ^ old) & mask);
		/* The destination is written in any case. */
		if (!equal)
			new = old;
	}
	if (st->dst == STEP_MEM && !s->ops->replace(s, gva, st->size, old & mask, new & mask))
		return UMBRA_STEP_STOP;
	s->rflags = flags;
	if (st->op != OP_CMPXCHG)
		step_set(s, st->src, st->size, old);
	else if (!equal)
		step_set(s, UMBRA_EMU_RAX, st->size, old);
	/* After the source: of XADD with one register twice the sum stays. */
	if (st->dst != STEP_MEM && (st->op != OP_CMPXCHG || equal))
		step_set(s, st->dst, st->size, new);
	return step_next(s, st);
}

static void widen(struct umbra_stepper *s, const struct umbra_step *st)
{
	u64 *regs = s->regs;

	if (st->op == OP_CWDE)
		step_set(s, UMBRA_EMU_RAX, st->size,
			 emu_sign_extend(regs[UMBRA_EMU_RAX], st->size / 2));
	else
		step_set(s, UMBRA_EMU_RDX, st->size,
			 regs[UMBRA_EMU_RAX] >> (8 * st->size - 1) & 1 ? ~0ull : 0);
}

enum umbra_step_result step_rare(struct umbra_stepper *s, const struct umbra_step *st)
{
	u64 value;

	switch (st->op) {
	case OP_JMP:
	case OP_CALL:
		return go(s, st);
	case OP_RET:
		return ret(s);
	case OP_PUSH:
		if (!load_operand(s, st, st->src, &value) || !push(s, value))
			return UMBRA_STEP_STOP;
		break;
	case OP_PUSHF:
		if (!push(s, s->rflags))
			return UMBRA_STEP_STOP;
		break;
	case OP_POP:
	case OP_LEAVE:
		return pop(s, st);
	case OP_POPF:
		return popf(s, st);
	case OP_CLI:
		s->rflags &= ~EMU_IF;
		break;
	case OP_LEA:
		step_set(s, st->dst, st->size, umbra_step_address(s, st));
		break;
	case OP_CMOVCC:
		return cmov(s, st);
	case OP_SETCC:
		return setcc(s, st);
	case OP_XCHG:
	case OP_XADD:
	case OP_CMPXCHG:
		return exchange(s, st);
	case OP_CWDE:
	case OP_CDQ:
		widen(s, st);
		break;
	case OP_BSWAP:
		value = s->regs[st->dst & 15];
		step_set(s, st->dst, st->size, st->size == 8 ? swab64(value) : swab32(value));
		break;
	case OP_FENCE:
		asm volatile("mfence" : : : "memory");
		break;
	default:
		break;
	}
	return step_next(s, st);
}
