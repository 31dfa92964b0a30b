// SPDX-License-Identifier: GPL-2.0
/*
 * MOVS, CMPS, STOS, LODS, SCAS and what INS and OUTS share with them. Each
 * iteration commits on its own.
 */
#include "emulate.h"

static bool is_repeated(const struct umbra_emu *emu)
{
	return emu->insn.prefixes & EMU_PFX_ANY_REP;
}

/**
 * emu_string_count() - iterations that are left
 * @emu: context
 */
u64 emu_string_count(const struct umbra_emu *emu)
{
	if (!is_repeated(emu))
		return 1;
	return emu_reg_read(emu, UMBRA_EMU_RCX, emu->insn.adsize);
}

static u64 stride(const struct umbra_emu *emu)
{
	u64 size = emu->insn.opsize;

	return emu->rflags & EMU_DF ? -size : size;
}

/**
 * emu_string_operand() - the memory operand of one iteration
 * @emu: context
 * @reg: RSI for the source, RDI for the destination
 * @index: iterations from now
 * @mem: result, not yet linearized
 */
void emu_string_operand(const struct umbra_emu *emu, enum umbra_emu_reg reg, u32 index,
			struct umbra_emu_operand *mem)
{
	const struct umbra_emu_insn *insn = &emu->insn;
	bool dst = reg == UMBRA_EMU_RDI;

	*mem = (struct umbra_emu_operand) {
		.offset = emu->regs[reg] + index * stride(emu),
		.size = insn->opsize,
		.seg = dst ? UMBRA_EMU_ES : insn->seg >= 0 ? (u8)insn->seg : UMBRA_EMU_DS,
		.write = dst && (insn->flags & EMU_F_WRITE),
	};
	mem->offset &= emu_size_mask(insn->adsize);
}

/**
 * emu_string_advance() - move pointers and counter, not yet committed
 * @emu: context
 * @count: iterations done
 */
void emu_string_advance(struct umbra_emu *emu, u32 count)
{
	const struct umbra_emu_insn *insn = &emu->insn;
	u64 delta = count * stride(emu);

	if (insn->src == KIND_STRING)
		emu_reg_write(emu, UMBRA_EMU_RSI, insn->adsize, emu->regs[UMBRA_EMU_RSI] + delta);
	if (insn->dst == KIND_STRING)
		emu_reg_write(emu, UMBRA_EMU_RDI, insn->adsize, emu->regs[UMBRA_EMU_RDI] + delta);
	if (is_repeated(emu))
		emu_reg_write(emu, UMBRA_EMU_RCX, insn->adsize, emu->regs[UMBRA_EMU_RCX] - count);
}

/**
 * emu_string_retire() - commit iterations
 * @emu: context
 * @more: the instruction is not at its end
 *
 * Return: RETRY if iterations are left, else DONE. Under RFLAGS.TF every
 * iteration is single-stepped, so it is DONE with rip unchanged.
 */
enum umbra_emu_result emu_string_retire(struct umbra_emu *emu, bool more)
{
	if (!more)
		return emu_finish(emu);
	emu_commit(emu);
	emu->tf_trap = emu->rflags & EMU_TF;
	return emu->tf_trap ? UMBRA_EMU_DONE : UMBRA_EMU_RETRY;
}

static enum umbra_emu_result load_source(struct umbra_emu *emu, struct umbra_emu_span *dst,
					 u64 *value)
{
	struct umbra_emu_operand mem;
	enum umbra_emu_result ret;
	struct umbra_emu_span span;

	emu_string_operand(emu, UMBRA_EMU_RSI, 0, &mem);
	ret = emu_span_map(emu, &mem, &span);
	/* Both operands must be accessible before one is touched. */
	if (!ret && dst)
		ret = emu_span_map(emu, &emu->mem, dst);
	if (ret)
		return ret;
	return emu_span_read(emu, &span, value);
}

/* CMPS and SCAS: compare @value with the destination. */
static enum umbra_emu_result compare(struct umbra_emu *emu, const struct umbra_emu_span *dst,
				     u64 value)
{
	enum umbra_emu_result ret;
	u64 other = 0;

	ret = emu_span_read(emu, dst, &other);
	if (!ret)
		emu_alu(OP_CMP, value, other, emu->insn.opsize, &emu->new_rflags);
	return ret;
}

static enum umbra_emu_result iterate(struct umbra_emu *emu)
{
	unsigned int size = emu->insn.opsize;
	enum umbra_emu_result ret;
	struct umbra_emu_span dst;
	u64 value = 0;

	emu_resolve(emu);
	switch (emu->insn.op) {
	case OP_MOVS:
		ret = load_source(emu, &dst, &value);
		return ret ? ret : emu_span_write(emu, &dst, &value);
	case OP_CMPS:
		ret = load_source(emu, &dst, &value);
		return ret ? ret : compare(emu, &dst, value);
	case OP_LODS:
		ret = load_source(emu, NULL, &value);
		if (!ret)
			emu_reg_write(emu, UMBRA_EMU_RAX, size, value);
		return ret;
	}
	value = emu_reg_read(emu, UMBRA_EMU_RAX, size);
	ret = emu_span_map(emu, &emu->mem, &dst);
	if (ret)
		return ret;
	if (emu->insn.op == OP_SCAS)
		return compare(emu, &dst, value);
	return emu_span_write(emu, &dst, &value);
}

/* Is another iteration due after the one just executed, @left counted down? */
static bool goes_on(const struct umbra_emu *emu, u64 left)
{
	bool zero = emu->new_rflags & EMU_ZF;

	if (!left)
		return false;
	if (emu->insn.op != OP_CMPS && emu->insn.op != OP_SCAS)
		return true;
	return zero == !!(emu->insn.prefixes & EMU_PFX_REP);
}

/**
 * emu_string() - execute a string instruction, up to EMU_MAX_ITERATIONS or
 *	until an op yields
 * @emu: context
 *
 * What it is resumed for counts, too: its devices may all be in the kernel, where
 * nobody waits for anything in between.
 */
enum umbra_emu_result emu_string(struct umbra_emu *emu)
{
	u64 left = emu_string_count(emu);
	enum umbra_emu_result ret;

	if (!left) {
		emu_begin(emu);
		return emu_finish(emu);
	}
	while (emu->iterations < EMU_MAX_ITERATIONS) {
		emu_begin(emu);
		ret = iterate(emu);
		if (ret)
			return ret;
		emu->iterations++;
		emu_string_advance(emu, 1);
		ret = emu_string_retire(emu, goes_on(emu, --left));
		if (ret != UMBRA_EMU_RETRY || emu->yield)
			return ret;
	}
	return UMBRA_EMU_RETRY;
}
