// SPDX-License-Identifier: GPL-2.0
/* Shifts and rotations: pure functions of operands and flags. */
#include "emulate.h"

static u64 sign_bit(u64 value, unsigned int bits)
{
	return value >> (bits - 1) & 1;
}

static void set_flag(u64 *rflags, u64 flag, bool on)
{
	*rflags = on ? *rflags | flag : *rflags & ~flag;
}

/* @count is below @bits and not 0. */
static u64 rotate_left(u64 value, unsigned int count, unsigned int bits)
{
	return value << count | value >> (bits - count);
}

/* ROL and ROR. */
static u64 rotate(bool left, u64 dst, unsigned int count, unsigned int size, u64 *rflags)
{
	unsigned int bits = 8 * size, n = count & (bits - 1);
	u64 mask = emu_size_mask(size);

	if (n)
		dst = rotate_left(dst, left ? n : bits - n, bits) & mask;
	if (left) {
		set_flag(rflags, EMU_CF, dst & 1);
		set_flag(rflags, EMU_OF, (dst & 1) ^ sign_bit(dst, bits));
	} else {
		set_flag(rflags, EMU_CF, sign_bit(dst, bits));
		set_flag(rflags, EMU_OF, sign_bit(dst, bits) ^ sign_bit(dst << 1, bits));
	}
	return dst;
}

/* RCL and RCR: CF is one bit more of the operand. */
static u64 rotate_carry(bool left, u64 dst, unsigned int count, unsigned int size, u64 *rflags)
{
	unsigned int bits = 8 * size, i;
	bool carry = *rflags & EMU_CF, out;

	for (i = count % (bits + 1); i; i--) {
		if (left) {
			out = sign_bit(dst, bits);
			dst = (dst << 1 | carry) & emu_size_mask(size);
		} else {
			out = dst & 1;
			dst = dst >> 1 | (u64)carry << (bits - 1);
		}
		carry = out;
	}
	set_flag(rflags, EMU_CF, carry);
	if (left)
		set_flag(rflags, EMU_OF, sign_bit(dst, bits) ^ carry);
	else
		set_flag(rflags, EMU_OF, sign_bit(dst, bits) ^ sign_bit(dst << 1, bits));
	return dst;
}

/* The flags of a result; AF is undefined. */
static void set_result_flags(u64 *rflags, u64 result, unsigned int size)
{
	*rflags &= ~(EMU_ARITH_FLAGS & ~(EMU_CF | EMU_OF));
	*rflags |= emu_result_flags(result, size);
}

static u64 shift_left(u64 dst, unsigned int count, unsigned int size, u64 *rflags)
{
	unsigned int bits = 8 * size;
	u64 result = dst << count & emu_size_mask(size);
	bool carry = count <= bits && sign_bit(dst << (count - 1), bits);

	set_flag(rflags, EMU_CF, carry);
	set_flag(rflags, EMU_OF, sign_bit(result, bits) ^ carry);
	return result;
}

static u64 shift_right(bool arithmetic, u64 dst, unsigned int count, unsigned int size,
		       u64 *rflags)
{
	u64 wide = arithmetic ? emu_sign_extend(dst, size) : dst;
	u64 last = arithmetic ? (u64)((s64)wide >> (count - 1)) : wide >> (count - 1);
	u64 result = arithmetic ? (u64)((s64)wide >> count) : wide >> count;

	set_flag(rflags, EMU_CF, last & 1);
	set_flag(rflags, EMU_OF, !arithmetic && sign_bit(dst, 8 * size));
	return result & emu_size_mask(size);
}

/**
 * emu_shift() - compute one of group 2
 * @op: OP_ROL to OP_SAR
 * @dst: operand, zero-extended from @size
 * @count: as the instruction gives it
 * @size: operand size in bytes
 * @rflags: flags, updated
 *
 * Return: the result.
 */
u64 emu_shift(enum emu_op op, u64 dst, unsigned int count, unsigned int size, u64 *rflags)
{
	u64 result;

	count &= size == 8 ? 63 : 31;
	if (!count)
		return dst;
	switch (op) {
	case OP_ROL:
	case OP_ROR:
		return rotate(op == OP_ROL, dst, count, size, rflags);
	case OP_RCL:
	case OP_RCR:
		return rotate_carry(op == OP_RCL, dst, count, size, rflags);
	case OP_SHR:
	case OP_SAR:
		result = shift_right(op == OP_SAR, dst, count, size, rflags);
		break;
	default:
		result = shift_left(dst, count, size, rflags);
		break;
	}
	set_result_flags(rflags, result, size);
	return result;
}

/**
 * emu_double_shift() - compute SHLD or SHRD
 * @op: which
 * @dst: operand that is shifted
 * @src: where the bits come from
 * @count: as the instruction gives it
 * @size: 2, 4 or 8 bytes
 * @rflags: flags, updated
 *
 * Return: the result; it is undefined when 16 bits are shifted by more.
 */
u64 emu_double_shift(enum emu_op op, u64 dst, u64 src, unsigned int count, unsigned int size,
		     u64 *rflags)
{
	unsigned int bits = 8 * size;
	bool carry;
	u64 result;

	count &= size == 8 ? 63 : 31;
	if (!count || count > bits)
		return dst;
	if (op == OP_SHLD) {
		result = count == bits ? src : dst << count | src >> (bits - count);
		carry = sign_bit(dst << (count - 1), bits);
	} else {
		result = count == bits ? src : dst >> count | src << (bits - count);
		carry = dst >> (count - 1) & 1;
	}
	result &= emu_size_mask(size);
	set_flag(rflags, EMU_CF, carry);
	set_flag(rflags, EMU_OF, sign_bit(result, bits) ^ sign_bit(dst, bits));
	set_result_flags(rflags, result, size);
	return result;
}
