// SPDX-License-Identifier: GPL-2.0
/*
 * Ordinary instructions: load, compute, store.
 *
 * A read-modify-write of memory ends in a compare-exchange, with or without
 * LOCK, so that a change by another vCPU in between is never lost.
 */
#include <linux/swab.h>
#include "emulate.h"

struct values {
	u64 dst;
	u64 src;
	bool store;	/* dst is to be written back */
};

static enum umbra_emu_result load(struct umbra_emu *emu, u8 kind, const struct umbra_emu_span *span,
				  u64 *value)
{
	const struct umbra_emu_insn *insn = &emu->insn;
	unsigned int size = emu_kind_size(insn, kind);

	*value = 0;
	if (emu_kind_is_memory(insn, kind))
		return emu_span_read(emu, span, value);
	switch (kind) {
	case KIND_NONE:
		break;
	case KIND_REG:
		*value = emu_reg_read(emu, insn->reg, size);
		break;
	case KIND_ACC:
		*value = emu_reg_read(emu, UMBRA_EMU_RAX, size);
		break;
	case KIND_ONE:
		*value = 1;
		break;
	case KIND_CL:
		*value = emu_reg_read(emu, UMBRA_EMU_RCX, 1);
		break;
	case KIND_IMM:
	case KIND_IMM8:
		*value = insn->imm & emu_size_mask(size);
		break;
	default:
		*value = emu_reg_read(emu, insn->rm, size);
		break;
	}
	return UMBRA_EMU_DONE;
}

static void store_register(struct umbra_emu *emu, u64 value)
{
	const struct umbra_emu_insn *insn = &emu->insn;
	unsigned int reg = insn->rm;

	if (insn->dst == KIND_REG)
		reg = insn->reg;
	else if (insn->dst == KIND_ACC)
		reg = UMBRA_EMU_RAX;
	emu_reg_write(emu, reg, insn->opsize, value);
}

static void compare_exchange(struct umbra_emu *emu, struct values *v)
{
	unsigned int size = emu->insn.opsize;
	u64 acc = emu_reg_read(emu, UMBRA_EMU_RAX, size);

	emu_alu(OP_CMP, acc, v->dst, size, &emu->new_rflags);
	if (acc == v->dst) {
		v->dst = v->src;
	} else {
		emu_reg_write(emu, UMBRA_EMU_RAX, size, v->dst);
		v->store = false;
	}
}

static u64 swap_bytes(u64 value, unsigned int size)
{
	return swab64(value) >> (64 - 8 * size);
}

static u64 double_shift(struct umbra_emu *emu, const struct values *v)
{
	const struct umbra_emu_insn *insn = &emu->insn;
	u8 count = insn->flags & EMU_F_IMM8 ? insn->imm : emu_reg_read(emu, UMBRA_EMU_RCX, 1);

	return emu_double_shift(insn->op, v->dst, v->src, count, insn->opsize, &emu->new_rflags);
}

/* What moves values, with a condition or without. */
static void compute_move(struct umbra_emu *emu, struct values *v)
{
	const struct umbra_emu_insn *insn = &emu->insn;
	unsigned int size = insn->opsize;
	u64 old = v->dst;

	switch (insn->op) {
	case OP_MOV:
		v->dst = v->src;
		break;
	case OP_MOVSX:
		v->dst = emu_sign_extend(v->src, emu_kind_size(insn, insn->src));
		break;
	case OP_MOVBE:
		v->dst = swap_bytes(v->src, size);
		break;
	case OP_XCHG:
		emu_reg_write(emu, insn->reg, size, old);
		v->dst = v->src;
		break;
	case OP_XADD:
		v->dst = emu_alu(OP_XADD, old, v->src, size, &emu->new_rflags);
		emu_reg_write(emu, insn->reg, size, old);
		break;
	case OP_CMPXCHG:
		compare_exchange(emu, v);
		break;
	case OP_SETCC:
		v->dst = emu_condition(insn->opcode, emu->rflags);
		break;
	case OP_CMOVCC:
		if (emu_condition(insn->opcode, emu->rflags))
			v->dst = v->src;
		break;
	}
}

static enum umbra_emu_result compute(struct umbra_emu *emu, struct values *v)
{
	const struct umbra_emu_insn *insn = &emu->insn;
	unsigned int size = insn->opsize;
	u64 *rflags = &emu->new_rflags;

	switch (insn->op) {
	case OP_ADD ... OP_NEG:
	case OP_BT ... OP_BTC:
		v->dst = emu_alu(insn->op, v->dst, v->src, size, rflags);
		break;
	case OP_ROL ... OP_SAR:
		v->dst = emu_shift(insn->op, v->dst, v->src, size, rflags);
		break;
	case OP_SHLD:
	case OP_SHRD:
		v->dst = double_shift(emu, v);
		break;
	case OP_IMUL2:
		v->dst = emu_multiply(v->dst, v->src, size, rflags);
		break;
	case OP_IMUL3:
		v->dst = emu_multiply(v->src, insn->imm, size, rflags);
		break;
	case OP_MUL:
	case OP_IMUL:
		emu_multiply_wide(emu, v->dst);
		break;
	case OP_DIV:
	case OP_IDIV:
		return emu_divide(emu, v->dst);
	default:
		compute_move(emu, v);
		break;
	}
	return UMBRA_EMU_DONE;
}

static enum umbra_emu_result general(struct umbra_emu *emu, const struct umbra_emu_span *span,
				     bool *raced)
{
	const struct umbra_emu_insn *insn = &emu->insn;
	struct values v = { .store = insn->flags & EMU_F_WRITE };
	enum umbra_emu_result ret;
	u64 old;

	ret = load(emu, insn->src, span, &v.src);
	if (!ret && (insn->flags & EMU_F_READ))
		ret = load(emu, insn->dst, span, &v.dst);
	if (ret)
		return ret;
	old = v.dst;
	ret = compute(emu, &v);
	if (ret || !v.store)
		return ret;
	if (!emu_kind_is_memory(insn, insn->dst)) {
		store_register(emu, v.dst);
		return UMBRA_EMU_DONE;
	}
	if (!(insn->flags & EMU_F_READ))
		return emu_span_write(emu, span, &v.dst);
	return emu_span_replace(emu, span, &old, &v.dst, raced);
}

/* CMPXCHG8B and CMPXCHG16B */
static enum umbra_emu_result compare_exchange_pair(struct umbra_emu *emu,
						   const struct umbra_emu_span *span, bool *raced)
{
	unsigned int half = emu->insn.opsize / 2;
	u8 old[16], expected[16], new[16];
	enum umbra_emu_result ret;
	u64 low = 0, high = 0;

	ret = emu_span_read(emu, span, old);
	if (ret)
		return ret;
	memcpy(expected, &emu->regs[UMBRA_EMU_RAX], half);
	memcpy(expected + half, &emu->regs[UMBRA_EMU_RDX], half);
	if (!memcmp(old, expected, 2 * half)) {
		memcpy(new, &emu->regs[UMBRA_EMU_RBX], half);
		memcpy(new + half, &emu->regs[UMBRA_EMU_RCX], half);
		emu->new_rflags |= EMU_ZF;
		return emu_span_replace(emu, span, old, new, raced);
	}
	memcpy(&low, old, half);
	memcpy(&high, old + half, half);
	emu_reg_write(emu, UMBRA_EMU_RAX, half, low);
	emu_reg_write(emu, UMBRA_EMU_RDX, half, high);
	emu->new_rflags &= ~EMU_ZF;
	/* 16 bytes were read in two accesses: prove that they belong together. */
	if (half == 8)
		return emu_span_replace(emu, span, old, old, raced);
	return UMBRA_EMU_DONE;
}

static enum umbra_emu_result attempt(struct umbra_emu *emu, bool *raced)
{
	enum umbra_emu_result ret;

	if (emu_has_memory(&emu->insn)) {
		ret = emu_map_operand(emu);
		if (ret)
			return ret;
	}
	if (emu->insn.op == OP_CMPXCHG8B)
		return compare_exchange_pair(emu, &emu->span, raced);
	return general(emu, &emu->span, raced);
}

static enum umbra_emu_result ordinary(struct umbra_emu *emu)
{
	enum umbra_emu_result ret;
	unsigned int tries;
	bool raced;

	for (tries = 0; tries < EMU_MAX_RACES; tries++) {
		raced = false;
		emu_begin(emu);
		ret = attempt(emu, &raced);
		if (ret)
			return ret;
		if (!raced)
			return emu_finish(emu);
	}
	return UMBRA_EMU_RETRY;
}

/**
 * emu_execute() - execute the decoded instruction
 * @emu: context
 */
enum umbra_emu_result emu_execute(struct umbra_emu *emu)
{
	switch (emu->insn.op) {
	case OP_MOVS:
	case OP_CMPS:
	case OP_STOS:
	case OP_LODS:
	case OP_SCAS:
		return emu_string(emu);
	case OP_INS:
	case OP_OUTS:
		return emu_string_io(emu);
	case OP_SSE_LOAD ... OP_SSE_STORE_HIGH:
		return emu_sse(emu);
	case OP_PUSH ... OP_JMP:
		return emu_stack(emu);
	default:
		return ordinary(emu);
	}
}
