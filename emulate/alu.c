// SPDX-License-Identifier: GPL-2.0
/* Arithmetic and its flags: pure functions of operands and flags. */
#include "emulate.h"

struct sum {
	u64 result;
	bool carry;
	bool overflow;
};

static struct sum add(u64 dst, u64 src, bool carry, unsigned int size)
{
	u64 mask = emu_size_mask(size);
	struct sum sum = { .result = (dst + src + carry) & mask };
	u64 sign = sum.result ^ dst;

	sum.carry = carry ? sum.result <= dst : sum.result < dst;
	sum.overflow = (sign & ~(dst ^ src)) >> (8 * size - 1) & 1;
	return sum;
}

static struct sum subtract(u64 dst, u64 src, bool borrow, unsigned int size)
{
	u64 mask = emu_size_mask(size);
	struct sum sum = { .result = (dst - src - borrow) & mask };
	u64 sign = sum.result ^ dst;

	sum.carry = borrow ? dst <= src : dst < src;
	sum.overflow = (sign & (dst ^ src)) >> (8 * size - 1) & 1;
	return sum;
}

static bool parity_even(u8 byte)
{
	byte ^= byte >> 4;
	byte ^= byte >> 2;
	byte ^= byte >> 1;
	return !(byte & 1);
}

/**
 * emu_result_flags() - PF, ZF and SF of a result
 * @result: zero-extended from @size
 * @size: 1 to 8 bytes
 */
u64 emu_result_flags(u64 result, unsigned int size)
{
	u64 flags = 0;

	if (parity_even(result))
		flags |= EMU_PF;
	if (!result)
		flags |= EMU_ZF;
	if (result >> (8 * size - 1) & 1)
		flags |= EMU_SF;
	return flags;
}

static u64 bit_op(enum emu_op op, u64 dst, u64 src, unsigned int size, u64 *rflags)
{
	u64 bit = 1ull << (src & (8 * size - 1));

	*rflags &= ~EMU_CF;
	if (dst & bit)
		*rflags |= EMU_CF;
	if (op == OP_BTS)
		return dst | bit;
	if (op == OP_BTR)
		return dst & ~bit;
	return op == OP_BTC ? dst ^ bit : dst;
}

static struct sum logic(enum emu_op op, u64 dst, u64 src)
{
	struct sum sum = {};

	if (op == OP_OR)
		sum.result = dst | src;
	else if (op == OP_XOR)
		sum.result = dst ^ src;
	else
		sum.result = dst & src;
	return sum;
}

static struct sum arithmetic(enum emu_op op, u64 dst, u64 src, unsigned int size, bool carry)
{
	switch (op) {
	case OP_ADD:
	case OP_INC:
	case OP_XADD:
		return add(dst, src, false, size);
	case OP_ADC:
		return add(dst, src, carry, size);
	case OP_SBB:
		return subtract(dst, src, carry, size);
	default:
		return subtract(dst, src, false, size);
	}
}

/**
 * emu_condition() - is the condition true that an opcode names in its low 4 bits?
 * @opcode: of SETcc or CMOVcc
 * @rflags: flags
 */
bool emu_condition(u8 opcode, u64 rflags)
{
	bool less = !(rflags & EMU_SF) != !(rflags & EMU_OF);
	const bool conditions[8] = {
		rflags & EMU_OF, rflags & EMU_CF, rflags & EMU_ZF, rflags & (EMU_CF | EMU_ZF),
		rflags & EMU_SF, rflags & EMU_PF, less, less || (rflags & EMU_ZF),
	};

	return conditions[opcode >> 1 & 7] != (opcode & 1);
}

/**
 * emu_alu() - compute one operation
 * @op: OP_ADD to OP_NEG, OP_XADD, or OP_BT to OP_BTC
 * @dst: destination, zero-extended from @size
 * @src: source, likewise; ignored by operations with one operand
 * @size: operand size in bytes
 * @rflags: flags, updated. Flags that the architecture leaves undefined are
 *	cleared by logic operations and kept by bit operations.
 *
 * Return: the result; OP_CMP and OP_TEST: to be thrown away.
 */
u64 emu_alu(enum emu_op op, u64 dst, u64 src, unsigned int size, u64 *rflags)
{
	u64 keep = ~EMU_ARITH_FLAGS;
	u64 flags = 0;
	struct sum sum;

	if (op >= OP_BT && op <= OP_BTC)
		return bit_op(op, dst, src, size, rflags);
	if (op == OP_NOT)
		return ~dst & emu_size_mask(size);
	if (op == OP_NEG) {
		src = dst;
		dst = 0;
	} else if (op == OP_INC || op == OP_DEC) {
		src = 1;
		keep |= EMU_CF;
	}
	if (op == OP_OR || op == OP_AND || op == OP_XOR || op == OP_TEST) {
		sum = logic(op, dst, src);
	} else {
		sum = arithmetic(op, dst, src, size, *rflags & EMU_CF);
		flags |= (dst ^ src ^ sum.result) & EMU_AF;
	}
	flags |= emu_result_flags(sum.result, size);
	if (sum.carry)
		flags |= EMU_CF;
	if (sum.overflow)
		flags |= EMU_OF;
	*rflags = (*rflags & keep) | (flags & ~(keep & EMU_ARITH_FLAGS));
	return sum.result;
}
