// SPDX-License-Identifier: GPL-2.0
/*
 * Registers and addresses.
 *
 *	base + index << scale + disp --mask--> offset --segment--> linear address
 */
#include "emulate.h"

/**
 * emu_fault() - make an exception with error code 0
 * @emu: context
 * @vector: exception vector
 * @has_error_code: the vector carries an error code
 *
 * Return: UMBRA_EMU_FAULT.
 */
enum umbra_emu_result emu_fault(struct umbra_emu *emu, u8 vector, bool has_error_code)
{
	emu->exception = (struct umbra_emu_exception) {
		.vector = vector,
		.has_error_code = has_error_code && emu->mode != UMBRA_EMU_REAL,
	};
	return UMBRA_EMU_FAULT;
}

/* Limit and canonical violations are #SS for the stack segment, else #GP. */
static enum umbra_emu_result segment_fault(struct umbra_emu *emu, u8 seg)
{
	return emu_fault(emu, seg == UMBRA_EMU_SS ? EMU_VECTOR_SS : EMU_VECTOR_GP, true);
}

/**
 * emu_access_result() - what an op's answer means for the instruction
 * @access: answer of an op that cannot be passed on as MMIO
 */
enum umbra_emu_result emu_access_result(enum umbra_emu_access access)
{
	switch (access) {
	case UMBRA_EMU_ACC_OK:
		return UMBRA_EMU_DONE;
	case UMBRA_EMU_ACC_FAULT:
		return UMBRA_EMU_FAULT;
	case UMBRA_EMU_ACC_RETRY:
		return UMBRA_EMU_RETRY;
	default:
		return UMBRA_EMU_UNKNOWN;
	}
}

/**
 * emu_size_mask() - the bits of an operand
 * @size: 1 to 8 bytes
 */
u64 emu_size_mask(unsigned int size)
{
	return ~0ull >> (64 - 8 * size);
}

/**
 * emu_sign_extend() - extend to 64 bits
 * @value: value of @size bytes, bits above are ignored
 * @size: 0 to 8 bytes; 0 gives 0
 */
u64 emu_sign_extend(u64 value, unsigned int size)
{
	u64 sign;

	if (!size)
		return 0;
	sign = 1ull << (8 * size - 1);
	return ((value & emu_size_mask(size)) ^ sign) - sign;
}

/* Without REX, byte registers 4 to 7 are AH, CH, DH, BH. */
static bool is_high_byte(const struct umbra_emu *emu, unsigned int reg, unsigned int size)
{
	return size == 1 && !emu->insn.rex && reg >= 4;
}

/**
 * emu_reg_read() - read a register as it was when the instruction began
 * @emu: context
 * @reg: register number of the encoding
 * @size: 1 to 8 bytes
 */
u64 emu_reg_read(const struct umbra_emu *emu, unsigned int reg, unsigned int size)
{
	if (is_high_byte(emu, reg, size))
		return emu->regs[reg & 3] >> 8 & 0xff;
	return emu->regs[reg] & emu_size_mask(size);
}

/**
 * emu_reg_write() - write a register; committed with the instruction
 * @emu: context
 * @reg: register number of the encoding
 * @size: 1 to 8 bytes; 4 clears the upper half, 1 and 2 keep what is above
 * @value: new value
 */
void emu_reg_write(struct umbra_emu *emu, unsigned int reg, unsigned int size, u64 value)
{
	u64 mask = size == 4 ? ~0ull : emu_size_mask(size);

	value &= emu_size_mask(size);
	if (is_high_byte(emu, reg, size)) {
		reg &= 3;
		mask <<= 8;
		value <<= 8;
	}
	if (!(emu->written & BIT(reg))) {
		emu->written |= BIT(reg);
		emu->new_regs[reg] = emu->regs[reg];
	}
	emu->new_regs[reg] = (emu->new_regs[reg] & ~mask) | value;
}

/**
 * emu_canonical() - is a linear address canonical?
 * @emu: context
 * @gva: address
 */
bool emu_canonical(const struct umbra_emu *emu, u64 gva)
{
	unsigned int shift = 64 - emu->va_bits;

	return (u64)((s64)(gva << shift) >> shift) == gva;
}

/**
 * emu_kind_is_memory() - is this operand of the instruction in memory?
 * @insn: decoded instruction
 * @kind: its destination or source
 */
bool emu_kind_is_memory(const struct umbra_emu_insn *insn, u8 kind)
{
	switch (kind) {
	case KIND_RM:
	case KIND_RM8:
	case KIND_RM16:
	case KIND_RM32:
		return insn->modrm >> 6 != 3;
	case KIND_MOFFS:
	case KIND_STRING:
		return true;
	default:
		return false;
	}
}

/**
 * emu_kind_size() - the size of an operand in bytes
 * @insn: decoded instruction
 * @kind: its destination or source
 */
unsigned int emu_kind_size(const struct umbra_emu_insn *insn, u8 kind)
{
	switch (kind) {
	case KIND_RM8:
		return 1;
	case KIND_RM16:
		return 2;
	case KIND_RM32:
		return min_t(unsigned int, insn->opsize, 4);
	default:
		return insn->opsize;
	}
}

/**
 * emu_has_memory() - does the instruction have a memory operand?
 * @insn: decoded instruction
 */
bool emu_has_memory(const struct umbra_emu_insn *insn)
{
	return emu_kind_is_memory(insn, insn->dst) || emu_kind_is_memory(insn, insn->src);
}

static u64 effective_address(const struct umbra_emu *emu)
{
	const struct umbra_emu_insn *insn = &emu->insn;
	u64 offset = insn->disp;

	if (insn->base >= 0)
		offset += emu->regs[insn->base];
	if (insn->index >= 0)
		offset += emu->regs[insn->index] << insn->scale;
	if (insn->riprel)
		offset += emu->rip + insn->len;
	return offset;
}

/* The operand that holds the bit: a register's bit offset is signed. */
static u64 bit_displacement(const struct umbra_emu *emu)
{
	unsigned int size = emu->insn.opsize;
	s64 bit = emu_sign_extend(emu_reg_read(emu, emu->insn.reg, size), size);

	return (bit >> 3) & -(s64)size;
}

static enum umbra_emu_seg default_segment(const struct umbra_emu_insn *insn)
{
	if (insn->base == UMBRA_EMU_RSP || insn->base == UMBRA_EMU_RBP)
		return UMBRA_EMU_SS;
	return UMBRA_EMU_DS;
}

/**
 * emu_resolve() - find the memory operand, before segmentation
 * @emu: context with a decoded instruction that has one; emu->mem is set
 */
void emu_resolve(struct umbra_emu *emu)
{
	const struct umbra_emu_insn *insn = &emu->insn;
	bool dst = emu_kind_is_memory(insn, insn->dst);

	if (insn->dst == KIND_STRING) {
		emu_string_operand(emu, UMBRA_EMU_RDI, 0, &emu->mem);
		return;
	}
	if (insn->src == KIND_STRING) {
		emu_string_operand(emu, UMBRA_EMU_RSI, 0, &emu->mem);
		return;
	}
	emu->mem = (struct umbra_emu_operand) {
		.offset = effective_address(emu),
		.size = emu_kind_size(insn, dst ? insn->dst : insn->src),
		.seg = insn->seg >= 0 ? (u8)insn->seg : default_segment(insn),
		.write = dst && (insn->flags & EMU_F_WRITE),
	};
	if (insn->flags & EMU_F_BITS)
		emu->mem.offset += bit_displacement(emu);
	/* The stack pointer has moved when POP looks for its destination. */
	if (insn->op == OP_POP && insn->base == UMBRA_EMU_RSP)
		emu->mem.offset += insn->opsize;
	emu->mem.offset &= emu_size_mask(insn->adsize);
}

static u64 linear(struct umbra_emu *emu, const struct umbra_emu_operand *mem,
		  struct umbra_emu_segment *seg)
{
	*seg = (struct umbra_emu_segment) {};
	if (emu->mode == UMBRA_EMU_LONG64 && mem->seg < UMBRA_EMU_FS)
		return mem->offset;
	emu->ops->segment(emu, mem->seg, seg);
	if (emu->mode == UMBRA_EMU_LONG64)
		return seg->base + mem->offset;
	return (u32)(seg->base + mem->offset);
}

/**
 * emu_linear() - linear address of an operand, without any check
 * @emu: context
 * @mem: operand
 */
u64 emu_linear(struct umbra_emu *emu, const struct umbra_emu_operand *mem)
{
	struct umbra_emu_segment seg;

	return linear(emu, mem, &seg);
}

/* May a protected-mode segment be accessed this way? */
static bool type_allows(u32 ar, bool write)
{
	if (ar & UMBRA_EMU_AR_UNUSABLE || !(ar & UMBRA_EMU_AR_PRESENT))
		return false;
	if (ar & UMBRA_EMU_AR_CODE)
		return !write && (ar & UMBRA_EMU_AR_RW);
	return !write || (ar & UMBRA_EMU_AR_RW);
}

static bool limit_allows(const struct umbra_emu_segment *seg, u64 first, u64 last)
{
	bool down = (seg->ar & (UMBRA_EMU_AR_CODE | UMBRA_EMU_AR_DOWN)) == UMBRA_EMU_AR_DOWN;

	if (!down)
		return last <= seg->limit;
	return first > seg->limit && last <= (seg->ar & UMBRA_EMU_AR_DB ? U32_MAX : U16_MAX);
}

static enum umbra_emu_result check_segment(struct umbra_emu *emu,
					   const struct umbra_emu_operand *mem,
					   const struct umbra_emu_segment *seg)
{
	bool protected = emu->mode == UMBRA_EMU_PROT16 || emu->mode == UMBRA_EMU_PROT32;

	if (protected && !type_allows(seg->ar, mem->write))
		return emu_fault(emu, EMU_VECTOR_GP, true);
	if (!limit_allows(seg, mem->offset, mem->offset + mem->size - 1))
		return segment_fault(emu, mem->seg);
	return UMBRA_EMU_DONE;
}

/**
 * emu_linearize() - linear address of an operand, with all checks of segmentation
 * @emu: context
 * @mem: operand; its gva is set
 */
enum umbra_emu_result emu_linearize(struct umbra_emu *emu, struct umbra_emu_operand *mem)
{
	struct umbra_emu_segment seg;
	enum umbra_emu_result ret;
	u64 misaligned;

	mem->gva = linear(emu, mem, &seg);
	misaligned = mem->gva & (mem->size - 1);
	/* It comes before canonical and limit checks. */
	if (misaligned && (emu->insn.flags & EMU_F_ALIGN))
		return emu_fault(emu, EMU_VECTOR_GP, true);
	if (emu->mode != UMBRA_EMU_LONG64) {
		ret = check_segment(emu, mem, &seg);
		if (ret)
			return ret;
	} else if (!emu_canonical(emu, mem->gva) ||
		   !emu_canonical(emu, mem->gva + mem->size - 1)) {
		return segment_fault(emu, mem->seg);
	}
	if (misaligned && emu->align_check && mem->size <= 8)
		return emu_fault(emu, EMU_VECTOR_AC, true);
	return UMBRA_EMU_DONE;
}
