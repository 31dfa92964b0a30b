/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private to emulate/: operations, operand kinds, and what the files share.
 *
 *	opcodes.c   opcode tables                 alu.c      arithmetic and flags
 *	decode.c    bytes to struct umbra_emu_insn   execute.c  ordinary instructions
 *	operand.c   registers, addresses, segments   string.c   MOVS STOS LODS SCAS CMPS
 *	memory.c    spans of guest memory         pio.c      INS OUTS
 *	emulate.c   the public entry points       sse.c      XMM and YMM loads and stores
 *	shift.c     shifts and rotations          muldiv.c   MUL IMUL DIV IDIV
 *	stack.c     PUSH POP CALL JMP by memory
 *
 * Functions return enum umbra_emu_result; UMBRA_EMU_DONE (0) means "go on".
 */
#ifndef UMBRA_EMULATE_PRIVATE_H
#define UMBRA_EMULATE_PRIVATE_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>
#include <umbra/emulate.h>

/* Iterations of a string instruction, before the guest is entered again. */
#define EMU_MAX_ITERATIONS	1024
/* Lost compare-exchanges before the guest is entered again. */
#define EMU_MAX_RACES		16
#define EMU_PAGE_SIZE		4096u

#define EMU_VECTOR_DE		0
#define EMU_VECTOR_UD		6
#define EMU_VECTOR_SS		12
#define EMU_VECTOR_GP		13
#define EMU_VECTOR_AC		17

#define EMU_CF			BIT_ULL(0)
#define EMU_PF			BIT_ULL(2)
#define EMU_AF			BIT_ULL(4)
#define EMU_ZF			BIT_ULL(6)
#define EMU_SF			BIT_ULL(7)
#define EMU_TF			BIT_ULL(8)
#define EMU_DF			BIT_ULL(10)
#define EMU_OF			BIT_ULL(11)
#define EMU_RF			BIT_ULL(16)
#define EMU_ARITH_FLAGS		(EMU_CF | EMU_PF | EMU_AF | EMU_ZF | EMU_SF | EMU_OF)

/* umbra_emu_insn.prefixes; of F2 and F3 the last one counts. */
#define EMU_PFX_OPSIZE		BIT(0)
#define EMU_PFX_ADSIZE		BIT(1)
#define EMU_PFX_LOCK		BIT(2)
#define EMU_PFX_REP		BIT(3)
#define EMU_PFX_REPNE		BIT(4)
#define EMU_PFX_ANY_REP		(EMU_PFX_REP | EMU_PFX_REPNE)

#define EMU_REX_B		BIT(0)
#define EMU_REX_X		BIT(1)
#define EMU_REX_R		BIT(2)
#define EMU_REX_W		BIT(3)

enum emu_op {
	OP_NONE,
	/* the eight of group 1, in the order of their encoding */
	OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP,
	OP_TEST, OP_INC, OP_DEC, OP_NOT, OP_NEG,
	OP_MOV, OP_MOVSX, OP_MOVBE, OP_XCHG, OP_XADD, OP_CMPXCHG, OP_CMPXCHG8B,
	/* in the order of group 8 */
	OP_BT, OP_BTS, OP_BTR, OP_BTC,
	OP_MOVS, OP_CMPS, OP_STOS, OP_LODS, OP_SCAS, OP_INS, OP_OUTS,
	OP_SSE_LOAD, OP_SSE_STORE,
	/* 8 bytes of a register's low 16, the others stay */
	OP_SSE_LOAD_LOW, OP_SSE_LOAD_HIGH, OP_SSE_STORE_HIGH,
	/* group 2, in the order of its encoding; 6 is SHL, too */
	OP_ROL, OP_ROR, OP_RCL, OP_RCR, OP_SHL, OP_SHR, OP_SAL, OP_SAR,
	OP_SHLD, OP_SHRD,
	OP_MUL, OP_IMUL, OP_DIV, OP_IDIV, OP_IMUL2, OP_IMUL3,
	OP_SETCC, OP_CMOVCC,
	OP_PUSH, OP_POP, OP_CALL, OP_JMP,
	/* only as steps */
	OP_JCC, OP_RET, OP_LEAVE, OP_PUSHF, OP_POPF, OP_CLI,
	OP_LEA, OP_NOP, OP_FENCE, OP_CWDE, OP_CDQ, OP_BSWAP,
	OP_INVLPG, OP_FROM_CR, OP_TO_CR, OP_IN, OP_OUT, OP_CPUID, OP_RDMSR, OP_WRMSR,
	/* refined by ModRM.reg */
	OP_GROUP1, OP_GROUP1A, OP_GROUP2, OP_GROUP3, OP_GROUP4, OP_GROUP5, OP_GROUP7,
	OP_GROUP8, OP_GROUP9, OP_GROUP11, OP_GROUP15,
};

/* Where an operand is. */
enum emu_kind {
	KIND_NONE,
	KIND_RM,	/* register or memory by ModRM */
	KIND_RM8,	/* the same, 1 byte whatever the operand size */
	KIND_RM16,	/* 2 bytes */
	KIND_RM32,	/* 4 bytes, or the operand size where that is smaller */
	KIND_REG,	/* ModRM.reg */
	KIND_ACC,	/* accumulator */
	KIND_IMM,	/* immediate of operand size, at most 4 bytes */
	KIND_IMM8,	/* sign-extended byte */
	KIND_IMM64,	/* immediate of operand size */
	KIND_ONE,	/* the number 1 */
	KIND_CL,
	KIND_MOFFS,	/* memory at an absolute offset */
	KIND_STRING,	/* memory at rSI and/or rDI */
};

/* Properties of an opcode, umbra_emu_insn.flags. */
#define EMU_F_BYTE		BIT(0)	/* operand size is 1 */
#define EMU_F_MODRM		BIT(1)
#define EMU_F_LOCK		BIT(2)	/* LOCK allowed if dst is memory */
#define EMU_F_READ		BIT(3)	/* dst is read */
#define EMU_F_WRITE		BIT(4)	/* dst is written */
#define EMU_F_MEMONLY		BIT(5)	/* register form is #UD */
#define EMU_F_ALIGN		BIT(6)	/* #GP unless aligned to its size */
#define EMU_F_ONLY64		BIT(7)	/* only in 64-bit mode */
#define EMU_F_NOT64		BIT(8)	/* not in 64-bit mode */
#define EMU_F_BITS		BIT(9)	/* register bit offset addresses beyond dst */
#define EMU_F_IMM		BIT(10)	/* an immediate besides the operands */
#define EMU_F_IMM8		BIT(11)	/* likewise, a sign-extended byte */
#define EMU_F_STACK		BIT(12)	/* 8 bytes in 64-bit mode, but for 66 */
#define EMU_F_NEAR		BIT(13)	/* 8 bytes in 64-bit mode, whatever prefixes say */
#define EMU_F_VVVV		BIT(14)	/* VEX.vvvv is an operand */
#define EMU_F_NARROW		BIT(15)	/* VEX.L has to be 0 */
#define EMU_F_STEP		BIT(16)	/* known to steps only */
#define EMU_F_OPREG		BIT(17)	/* the opcode's low bits are ModRM.rm, a register */
#define EMU_F_RMW		(EMU_F_READ | EMU_F_WRITE)

struct emu_opcode {
	u8 op;
	u8 dst;
	u8 src;
	u32 flags;
};

/* opcodes.c */
bool emu_opcode_lookup(struct umbra_emu_insn *insn);
bool emu_opcode_group(struct umbra_emu_insn *insn);

/* decode.c */
enum umbra_emu_result emu_decode(struct umbra_emu *emu);
enum umbra_emu_result emu_decode_bytes(struct umbra_emu *emu, const u8 *bytes, unsigned int nr);

/* operand.c */
enum umbra_emu_result emu_fault(struct umbra_emu *emu, u8 vector, bool has_error_code);
enum umbra_emu_result emu_access_result(enum umbra_emu_access access);
u64 emu_size_mask(unsigned int size);
u64 emu_sign_extend(u64 value, unsigned int size);
u64 emu_reg_read(const struct umbra_emu *emu, unsigned int reg, unsigned int size);
void emu_reg_write(struct umbra_emu *emu, unsigned int reg, unsigned int size, u64 value);
bool emu_has_memory(const struct umbra_emu_insn *insn);
void emu_resolve(struct umbra_emu *emu);
unsigned int emu_kind_size(const struct umbra_emu_insn *insn, u8 kind);
bool emu_kind_is_memory(const struct umbra_emu_insn *insn, u8 kind);
u64 emu_linear(struct umbra_emu *emu, const struct umbra_emu_operand *mem);
enum umbra_emu_result emu_linearize(struct umbra_emu *emu, struct umbra_emu_operand *mem);
bool emu_canonical(const struct umbra_emu *emu, u64 gva);

/* memory.c */
enum umbra_emu_result emu_map_operand(struct umbra_emu *emu);
enum umbra_emu_result emu_span_map(struct umbra_emu *emu, struct umbra_emu_operand *mem,
				   struct umbra_emu_span *span);
enum umbra_emu_result emu_span_read(struct umbra_emu *emu, const struct umbra_emu_span *span,
				    void *buf);
enum umbra_emu_result emu_span_write(struct umbra_emu *emu, const struct umbra_emu_span *span,
				     const void *buf);
enum umbra_emu_result emu_span_replace(struct umbra_emu *emu, const struct umbra_emu_span *span,
				       const void *old, const void *new, bool *raced);

/* alu.c, shift.c, muldiv.c */
u64 emu_alu(enum emu_op op, u64 dst, u64 src, unsigned int size, u64 *rflags);
u64 emu_result_flags(u64 result, unsigned int size);
bool emu_condition(u8 opcode, u64 rflags);
u64 emu_shift(enum emu_op op, u64 dst, unsigned int count, unsigned int size, u64 *rflags);
u64 emu_double_shift(enum emu_op op, u64 dst, u64 src, unsigned int count, unsigned int size,
		     u64 *rflags);
u64 emu_multiply(u64 a, u64 b, unsigned int size, u64 *rflags);
void emu_multiply_wide(struct umbra_emu *emu, u64 value);
enum umbra_emu_result emu_divide(struct umbra_emu *emu, u64 divisor);

/* execute.c, sse.c, stack.c, string.c, pio.c */
enum umbra_emu_result emu_execute(struct umbra_emu *emu);
enum umbra_emu_result emu_sse(struct umbra_emu *emu);
enum umbra_emu_result emu_stack(struct umbra_emu *emu);
enum umbra_emu_result emu_string(struct umbra_emu *emu);
enum umbra_emu_result emu_string_io(struct umbra_emu *emu);
u64 emu_string_count(const struct umbra_emu *emu);
void emu_string_operand(const struct umbra_emu *emu, enum umbra_emu_reg reg, u32 index,
			struct umbra_emu_operand *mem);
void emu_string_advance(struct umbra_emu *emu, u32 count);
enum umbra_emu_result emu_string_retire(struct umbra_emu *emu, bool more);

/* emulate.c */
void emu_begin(struct umbra_emu *emu);
void emu_commit(struct umbra_emu *emu);
enum umbra_emu_result emu_finish(struct umbra_emu *emu);

#endif
