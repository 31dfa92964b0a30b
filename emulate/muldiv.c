// SPDX-License-Identifier: GPL-2.0
/*
 * Multiplication and division. A product, or a dividend, is twice as wide as the
 * operand: AX for bytes, else rDX:rAX.
 */
#include "emulate.h"

/**
 * struct wide - a number of 128 bits
 * @low: its low half
 * @high: its high half
 */
struct wide {
	u64 low;
	u64 high;
};

static struct wide multiply(u64 a, u64 b)
{
	struct wide product;

	asm("mulq %3" : "=a" (product.low), "=d" (product.high) : "a" (a), "r" (b) : "cc");
	return product;
}

static struct wide multiply_signed(u64 a, u64 b)
{
	struct wide product;

	asm("imulq %3" : "=a" (product.low), "=d" (product.high) : "a" (a), "r" (b) : "cc");
	return product;
}

/* Does the product fit in the operand size? Of less than 8 bytes, both halves are in low. */
static bool fits_signed(const struct wide *product, unsigned int size)
{
	u64 extended = emu_sign_extend(product->low, size);

	return extended == product->low && product->high == (u64)((s64)extended >> 63);
}

static void set_product_flags(u64 *rflags, bool fits)
{
	*rflags &= ~(EMU_CF | EMU_OF);
	if (!fits)
		*rflags |= EMU_CF | EMU_OF;
}

/**
 * emu_multiply() - IMUL with two or three operands
 * @a: one factor
 * @b: the other
 * @size: 2, 4 or 8 bytes
 * @rflags: flags, updated
 *
 * Return: the product's low half.
 */
u64 emu_multiply(u64 a, u64 b, unsigned int size, u64 *rflags)
{
	struct wide product = multiply_signed(emu_sign_extend(a, size), emu_sign_extend(b, size));

	set_product_flags(rflags, fits_signed(&product, size));
	return product.low & emu_size_mask(size);
}

static void write_halves(struct umbra_emu *emu, u64 low, u64 high)
{
	unsigned int size = emu->insn.opsize;

	if (size == 1) {
		emu_reg_write(emu, UMBRA_EMU_RAX, 2, (high & 0xff) << 8 | (low & 0xff));
		return;
	}
	emu_reg_write(emu, UMBRA_EMU_RAX, size, low);
	emu_reg_write(emu, UMBRA_EMU_RDX, size, high);
}

/**
 * emu_multiply_wide() - MUL and IMUL with one operand
 * @emu: context
 * @value: the factor that is not in the accumulator
 */
void emu_multiply_wide(struct umbra_emu *emu, u64 value)
{
	unsigned int size = emu->insn.opsize;
	u64 acc = emu_reg_read(emu, UMBRA_EMU_RAX, size), high;
	struct wide product;
	bool fits;

	if (emu->insn.op == OP_IMUL) {
		product = multiply_signed(emu_sign_extend(acc, size), emu_sign_extend(value, size));
		fits = fits_signed(&product, size);
	} else {
		product = multiply(acc, value);
		fits = !product.high && !(product.low & ~emu_size_mask(size));
	}
	set_product_flags(&emu->new_rflags, fits);
	high = size == 8 ? product.high : product.low >> (8 * size);
	write_halves(emu, product.low, high);
}

/* The quotient fits in 64 bits: what is in the high half is below @divisor. */
static u64 divide(const struct wide *number, u64 divisor, u64 *rest)
{
	u64 quotient;

	asm("divq %4" : "=a" (quotient), "=d" (*rest)
	    : "a" (number->low), "d" (number->high), "r" (divisor) : "cc");
	return quotient;
}

/* AX, or rDX:rAX, extended to 128 bits. */
static struct wide dividend(const struct umbra_emu *emu, bool is_signed)
{
	unsigned int size = emu->insn.opsize;
	struct wide number = {};

	if (size == 8)
		return (struct wide) {
			.low = emu_reg_read(emu, UMBRA_EMU_RAX, 8),
			.high = emu_reg_read(emu, UMBRA_EMU_RDX, 8),
		};
	if (size == 1)
		number.low = emu_reg_read(emu, UMBRA_EMU_RAX, 2);
	else
		number.low = emu_reg_read(emu, UMBRA_EMU_RDX, size) << (8 * size) |
			     emu_reg_read(emu, UMBRA_EMU_RAX, size);
	if (is_signed) {
		number.low = emu_sign_extend(number.low, 2 * size);
		number.high = (s64)number.low >> 63;
	}
	return number;
}

static void negate(struct wide *number)
{
	number->high = ~number->high + !number->low;
	number->low = -number->low;
}

/**
 * emu_divide() - DIV and IDIV
 * @emu: context
 * @divisor: operand
 */
enum umbra_emu_result emu_divide(struct umbra_emu *emu, u64 divisor)
{
	bool is_signed = emu->insn.op == OP_IDIV;
	struct wide number = dividend(emu, is_signed);
	unsigned int size = emu->insn.opsize;
	u64 quotient, rest, most = emu_size_mask(size);
	bool minus = is_signed && number.high >> 63;
	bool minus_divisor = is_signed && divisor >> (8 * size - 1) & 1;

	if (minus)
		negate(&number);
	if (minus_divisor)
		divisor = -emu_sign_extend(divisor, size);
	if (number.high >= divisor)
		return emu_fault(emu, EMU_VECTOR_DE, false);
	quotient = divide(&number, divisor, &rest);
	if (is_signed)
		most = (most >> 1) + (minus != minus_divisor);
	if (quotient > most)
		return emu_fault(emu, EMU_VECTOR_DE, false);
	write_halves(emu, minus != minus_divisor ? -quotient : quotient, minus ? -rest : rest);
	return UMBRA_EMU_DONE;
}
