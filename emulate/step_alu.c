// SPDX-License-Identifier: GPL-2.0
/*
 * Arithmetic of steps: the CPU computes result and flags in one go, for which
 * emu_alu() and emu_shift() take a hundred instructions.
 */
#include "step.h"

/* LAHF loads AH with them; SETO adds OF in AL. */
#define LAHF_FLAGS	(EMU_SF | EMU_ZF | EMU_AF | EMU_PF | EMU_CF)

#define EXECUTE(insn, from, to, where) \
	asm(insn " " from ", " to "; lahf; seto %%al" \
	    : "+r" (value), "=&a" (ax) : where (src) : "cc")

#define BY_SIZE(insn, from8, from4, from2, from1, where) do { \
	if (size == 8) \
		EXECUTE(insn "q", from8, "%q0", where); \
	else if (size == 4) \
		EXECUTE(insn "l", from4, "%k0", where); \
	else if (size == 2) \
		EXECUTE(insn "w", from2, "%w0", where); \
	else \
		EXECUTE(insn "b", from1, "%b0", where); \
} while (0)

#define BINARY(insn)	BY_SIZE(insn, "%q2", "%k2", "%w2", "%b2", "r")
#define SHIFT(insn)	BY_SIZE(insn, "%%cl", "%%cl", "%%cl", "%%cl", "c")

static u64 flags_of(u32 ax, u64 rflags, u64 keep)
{
	u64 flags = (ax >> 8 & LAHF_FLAGS) | ((ax & 1) ? EMU_OF : 0);

	keep |= ~EMU_ARITH_FLAGS;
	return (rflags & keep) | (flags & ~keep);
}

static u64 shift(u8 op, u64 value, u64 src, unsigned int size, u64 *rflags)
{
	u32 ax;

	/* Then the flags stay as they are. */
	if (!(src & (size == 8 ? 63 : 31)))
		return value;
	if (op == OP_SHR)
		SHIFT("shr");
	else if (op == OP_SAR)
		SHIFT("sar");
	else
		SHIFT("shl");
	*rflags = flags_of(ax, *rflags, 0);
	return value;
}

/* As emu_alu() and its like, of values whose upper bits do not count. */
static u64 rare(u8 op, u64 dst, u64 src, unsigned int size, u64 *rflags)
{
	u64 mask = emu_size_mask(size);

	dst &= mask;
	if (op >= OP_ROL && op <= OP_SAR)
		return emu_shift(op, dst, (u8)src, size, rflags);
	src &= mask;
	if (op == OP_IMUL2)
		return emu_multiply(dst, src, size, rflags);
	return emu_alu(op, dst, src, size, rflags);
}

u64 step_compute(u8 op, u64 value, u64 src, unsigned int size, u64 *rflags)
{
	u64 keep = 0;
	u32 ax;

	switch (op) {
	case OP_INC:
		keep = EMU_CF;
		src = 1;
		fallthrough;
	case OP_ADD:
		BINARY("add");
		break;
	case OP_DEC:
		keep = EMU_CF;
		src = 1;
		fallthrough;
	case OP_CMP:
	case OP_SUB:
		BINARY("sub");
		break;
	case OP_TEST:
	case OP_AND:
		BINARY("and");
		break;
	case OP_OR:
		BINARY("or");
		break;
	case OP_XOR:
		BINARY("xor");
		break;
	case OP_SHL:
	case OP_SHR:
	case OP_SAL:
	case OP_SAR:
		return shift(op, value, src, size, rflags);
	default:
		return rare(op, value, src, size, rflags);
	}
	*rflags = flags_of(ax, *rflags, keep);
	return value;
}
