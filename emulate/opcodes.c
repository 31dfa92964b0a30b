// SPDX-License-Identifier: GPL-2.0
/*
 * Opcode tables. Rows exist for instructions that access memory; those that
 * cannot (register-only forms, jumps, ...) are unknown on purpose, but for steps,
 * which may go on over instructions that need no help.
 */
#include "emulate.h"

#define F_B	EMU_F_BYTE
#define F_M	EMU_F_MODRM
#define F_L	EMU_F_LOCK
#define F_R	EMU_F_READ
#define F_W	EMU_F_WRITE
#define F_RMW	EMU_F_RMW
#define F_S	EMU_F_STEP
#define F_O	EMU_F_OPREG

/* The low three opcode bits of 00-3F choose the operands, the next the operation. */
static const struct emu_opcode arith[6] = {
	{ OP_NONE, KIND_RM,  KIND_REG, F_M | F_RMW | F_L | F_B },
	{ OP_NONE, KIND_RM,  KIND_REG, F_M | F_RMW | F_L },
	{ OP_NONE, KIND_REG, KIND_RM,  F_M | F_RMW | F_B },
	{ OP_NONE, KIND_REG, KIND_RM,  F_M | F_RMW },
	{ OP_NONE, KIND_ACC, KIND_IMM, F_RMW | F_B },
	{ OP_NONE, KIND_ACC, KIND_IMM, F_RMW },
};

static const struct emu_opcode one_byte[256] = {
	[0x50 ... 0x57] = { OP_PUSH, KIND_NONE, KIND_RM, F_S | F_O },
	[0x58 ... 0x5f] = { OP_POP, KIND_RM, KIND_NONE, F_S | F_O | F_W },
	[0x63] = { OP_MOVSX, KIND_REG, KIND_RM32, F_M | F_W | EMU_F_ONLY64 },
	[0x68] = { OP_PUSH, KIND_NONE, KIND_IMM, F_S },
	[0x69] = { OP_IMUL3, KIND_REG, KIND_RM, F_M | F_W | EMU_F_IMM },
	[0x6a] = { OP_PUSH, KIND_NONE, KIND_IMM8, F_S },
	[0x6b] = { OP_IMUL3, KIND_REG, KIND_RM, F_M | F_W | EMU_F_IMM8 },
	[0x6c] = { OP_INS, KIND_STRING, KIND_NONE, F_W | F_B },
	[0x6d] = { OP_INS, KIND_STRING, KIND_NONE, F_W },
	[0x6e] = { OP_OUTS, KIND_NONE, KIND_STRING, F_B },
	[0x6f] = { OP_OUTS, KIND_NONE, KIND_STRING, 0 },
	[0x70 ... 0x7f] = { OP_JCC, KIND_NONE, KIND_IMM8, F_S },
	[0x80] = { OP_GROUP1, KIND_RM, KIND_IMM, F_M | F_B },
	[0x81] = { OP_GROUP1, KIND_RM, KIND_IMM, F_M },
	[0x82] = { OP_GROUP1, KIND_RM, KIND_IMM, F_M | F_B | EMU_F_NOT64 },
	[0x83] = { OP_GROUP1, KIND_RM, KIND_IMM8, F_M },
	[0x84] = { OP_TEST, KIND_RM, KIND_REG, F_M | F_R | F_B },
	[0x85] = { OP_TEST, KIND_RM, KIND_REG, F_M | F_R },
	[0x86] = { OP_XCHG, KIND_RM, KIND_REG, F_M | F_RMW | F_L | F_B },
	[0x87] = { OP_XCHG, KIND_RM, KIND_REG, F_M | F_RMW | F_L },
	[0x88] = { OP_MOV, KIND_RM, KIND_REG, F_M | F_W | F_B },
	[0x89] = { OP_MOV, KIND_RM, KIND_REG, F_M | F_W },
	[0x8a] = { OP_MOV, KIND_REG, KIND_RM, F_M | F_W | F_B },
	[0x8b] = { OP_MOV, KIND_REG, KIND_RM, F_M | F_W },
	[0x8d] = { OP_LEA, KIND_REG, KIND_RM, F_S | F_M | F_W | EMU_F_MEMONLY },
	[0x8f] = { OP_GROUP1A, KIND_RM, KIND_NONE, F_M | EMU_F_STACK },
	[0x90] = { OP_NOP, KIND_NONE, KIND_NONE, F_S },
	[0x98] = { OP_CWDE, KIND_ACC, KIND_ACC, F_S | F_W },
	[0x99] = { OP_CDQ, KIND_NONE, KIND_ACC, F_S },
	[0x9c] = { OP_PUSHF, KIND_NONE, KIND_NONE, F_S },
	[0x9d] = { OP_POPF, KIND_NONE, KIND_NONE, F_S },
	[0xa0] = { OP_MOV, KIND_ACC, KIND_MOFFS, F_W | F_B },
	[0xa1] = { OP_MOV, KIND_ACC, KIND_MOFFS, F_W },
	[0xa2] = { OP_MOV, KIND_MOFFS, KIND_ACC, F_W | F_B },
	[0xa3] = { OP_MOV, KIND_MOFFS, KIND_ACC, F_W },
	[0xa4] = { OP_MOVS, KIND_STRING, KIND_STRING, F_W | F_B },
	[0xa5] = { OP_MOVS, KIND_STRING, KIND_STRING, F_W },
	[0xa6] = { OP_CMPS, KIND_STRING, KIND_STRING, F_R | F_B },
	[0xa7] = { OP_CMPS, KIND_STRING, KIND_STRING, F_R },
	[0xa8] = { OP_TEST, KIND_ACC, KIND_IMM, F_R | F_B },
	[0xa9] = { OP_TEST, KIND_ACC, KIND_IMM, F_R },
	[0xaa] = { OP_STOS, KIND_STRING, KIND_NONE, F_W | F_B },
	[0xab] = { OP_STOS, KIND_STRING, KIND_NONE, F_W },
	[0xac] = { OP_LODS, KIND_NONE, KIND_STRING, F_B },
	[0xad] = { OP_LODS, KIND_NONE, KIND_STRING, 0 },
	[0xae] = { OP_SCAS, KIND_STRING, KIND_NONE, F_R | F_B },
	[0xaf] = { OP_SCAS, KIND_STRING, KIND_NONE, F_R },
	[0xb0 ... 0xb7] = { OP_MOV, KIND_RM, KIND_IMM, F_S | F_O | F_W | F_B },
	[0xb8 ... 0xbf] = { OP_MOV, KIND_RM, KIND_IMM64, F_S | F_O | F_W },
	[0xc0] = { OP_GROUP2, KIND_RM, KIND_IMM8, F_M | F_B },
	[0xc1] = { OP_GROUP2, KIND_RM, KIND_IMM8, F_M },
	[0xc3] = { OP_RET, KIND_NONE, KIND_NONE, F_S },
	[0xc6] = { OP_GROUP11, KIND_RM, KIND_IMM, F_M | F_B },
	[0xc7] = { OP_GROUP11, KIND_RM, KIND_IMM, F_M },
	[0xc9] = { OP_LEAVE, KIND_NONE, KIND_NONE, F_S },
	[0xd0] = { OP_GROUP2, KIND_RM, KIND_ONE, F_M | F_B },
	[0xd1] = { OP_GROUP2, KIND_RM, KIND_ONE, F_M },
	[0xd2] = { OP_GROUP2, KIND_RM, KIND_CL, F_M | F_B },
	[0xd3] = { OP_GROUP2, KIND_RM, KIND_CL, F_M },
	[0xe4] = { OP_IN, KIND_ACC, KIND_IMM8, F_S | F_B },
	[0xe5] = { OP_IN, KIND_ACC, KIND_IMM8, F_S },
	[0xe6] = { OP_OUT, KIND_ACC, KIND_IMM8, F_S | F_B },
	[0xe7] = { OP_OUT, KIND_ACC, KIND_IMM8, F_S },
	[0xe8] = { OP_CALL, KIND_NONE, KIND_IMM, F_S },
	[0xe9] = { OP_JMP, KIND_NONE, KIND_IMM, F_S },
	[0xeb] = { OP_JMP, KIND_NONE, KIND_IMM8, F_S },
	[0xec] = { OP_IN, KIND_ACC, KIND_NONE, F_S | F_B },
	[0xed] = { OP_IN, KIND_ACC, KIND_NONE, F_S },
	[0xee] = { OP_OUT, KIND_ACC, KIND_NONE, F_S | F_B },
	[0xef] = { OP_OUT, KIND_ACC, KIND_NONE, F_S },
	[0xf6] = { OP_GROUP3, KIND_RM, KIND_NONE, F_M | F_B },
	[0xf7] = { OP_GROUP3, KIND_RM, KIND_NONE, F_M },
	[0xfa] = { OP_CLI, KIND_NONE, KIND_NONE, F_S },
	[0xfe] = { OP_GROUP4, KIND_RM, KIND_NONE, F_M | F_B },
	[0xff] = { OP_GROUP5, KIND_RM, KIND_NONE, F_M },
};

static const struct emu_opcode two_byte[256] = {
	[0x01] = { OP_GROUP7, KIND_RM, KIND_NONE, F_S | F_M | EMU_F_MEMONLY },
	[0x1e ... 0x1f] = { OP_NOP, KIND_RM, KIND_NONE, F_S | F_M },
	[0x20] = { OP_FROM_CR, KIND_RM, KIND_NONE, F_S | F_M },
	[0x22] = { OP_TO_CR, KIND_NONE, KIND_RM, F_S | F_M },
	[0x30] = { OP_WRMSR, KIND_NONE, KIND_NONE, F_S },
	[0x32] = { OP_RDMSR, KIND_NONE, KIND_NONE, F_S },
	[0x80 ... 0x8f] = { OP_JCC, KIND_NONE, KIND_IMM, F_S },
	[0xa2] = { OP_CPUID, KIND_NONE, KIND_NONE, F_S },
	[0xa3] = { OP_BT, KIND_RM, KIND_REG, F_M | F_R | EMU_F_BITS },
	[0xa4] = { OP_SHLD, KIND_RM, KIND_REG, F_M | F_RMW | EMU_F_IMM8 },
	[0xa5] = { OP_SHLD, KIND_RM, KIND_REG, F_M | F_RMW },
	[0xab] = { OP_BTS, KIND_RM, KIND_REG, F_M | F_RMW | F_L | EMU_F_BITS },
	[0xac] = { OP_SHRD, KIND_RM, KIND_REG, F_M | F_RMW | EMU_F_IMM8 },
	[0xad] = { OP_SHRD, KIND_RM, KIND_REG, F_M | F_RMW },
	[0xae] = { OP_GROUP15, KIND_RM, KIND_NONE, F_S | F_M },
	[0xaf] = { OP_IMUL2, KIND_REG, KIND_RM, F_M | F_RMW },
	[0xb0] = { OP_CMPXCHG, KIND_RM, KIND_REG, F_M | F_RMW | F_L | F_B },
	[0xb1] = { OP_CMPXCHG, KIND_RM, KIND_REG, F_M | F_RMW | F_L },
	[0xb3] = { OP_BTR, KIND_RM, KIND_REG, F_M | F_RMW | F_L | EMU_F_BITS },
	[0xb6] = { OP_MOV, KIND_REG, KIND_RM8, F_M | F_W },
	[0xb7] = { OP_MOV, KIND_REG, KIND_RM16, F_M | F_W },
	[0xba] = { OP_GROUP8, KIND_RM, KIND_IMM8, F_M },
	[0xbb] = { OP_BTC, KIND_RM, KIND_REG, F_M | F_RMW | F_L | EMU_F_BITS },
	[0xbe] = { OP_MOVSX, KIND_REG, KIND_RM8, F_M | F_W },
	[0xbf] = { OP_MOVSX, KIND_REG, KIND_RM16, F_M | F_W },
	[0xc0] = { OP_XADD, KIND_RM, KIND_REG, F_M | F_RMW | F_L | F_B },
	[0xc1] = { OP_XADD, KIND_RM, KIND_REG, F_M | F_RMW | F_L },
	[0xc7] = { OP_GROUP9, KIND_RM, KIND_NONE, F_M },
	[0xc8 ... 0xcf] = { OP_BSWAP, KIND_RM, KIND_NONE, F_S | F_O | F_RMW },
};

/* Rows by ModRM.reg; flags are added to those of the row that led here. */
static const struct emu_opcode groups[][8] = {
	[OP_GROUP1 - OP_GROUP1] = {
		{ OP_ADD, .flags = F_RMW | F_L }, { OP_OR, .flags = F_RMW | F_L },
		{ OP_ADC, .flags = F_RMW | F_L }, { OP_SBB, .flags = F_RMW | F_L },
		{ OP_AND, .flags = F_RMW | F_L }, { OP_SUB, .flags = F_RMW | F_L },
		{ OP_XOR, .flags = F_RMW | F_L }, { OP_CMP, .flags = F_R },
	},
	[OP_GROUP1A - OP_GROUP1] = {
		{ OP_POP, .flags = F_W },
	},
	[OP_GROUP2 - OP_GROUP1] = {
		{ OP_ROL, .flags = F_RMW }, { OP_ROR, .flags = F_RMW },
		{ OP_RCL, .flags = F_RMW }, { OP_RCR, .flags = F_RMW },
		{ OP_SHL, .flags = F_RMW }, { OP_SHR, .flags = F_RMW },
		{ OP_SAL, .flags = F_RMW }, { OP_SAR, .flags = F_RMW },
	},
	[OP_GROUP3 - OP_GROUP1] = {
		{ OP_TEST, .src = KIND_IMM, .flags = F_R },
		{ OP_TEST, .src = KIND_IMM, .flags = F_R },
		{ OP_NOT, .flags = F_RMW | F_L }, { OP_NEG, .flags = F_RMW | F_L },
		{ OP_MUL, .flags = F_R }, { OP_IMUL, .flags = F_R },
		{ OP_DIV, .flags = F_R }, { OP_IDIV, .flags = F_R },
	},
	[OP_GROUP4 - OP_GROUP1] = {
		{ OP_INC, .flags = F_RMW | F_L }, { OP_DEC, .flags = F_RMW | F_L },
	},
	[OP_GROUP5 - OP_GROUP1] = {
		{ OP_INC, .flags = F_RMW | F_L }, { OP_DEC, .flags = F_RMW | F_L },
		[2] = { OP_CALL, .flags = F_R | EMU_F_NEAR },
		[4] = { OP_JMP, .flags = F_R | EMU_F_NEAR },
		[6] = { OP_PUSH, .flags = F_R | EMU_F_STACK },
	},
	[OP_GROUP7 - OP_GROUP1] = {
		[7] = { OP_INVLPG },
	},
	[OP_GROUP8 - OP_GROUP1] = {
		[4] = { OP_BT, .flags = F_R },
		[5] = { OP_BTS, .flags = F_RMW | F_L },
		[6] = { OP_BTR, .flags = F_RMW | F_L },
		[7] = { OP_BTC, .flags = F_RMW | F_L },
	},
	[OP_GROUP9 - OP_GROUP1] = {
		[1] = { OP_CMPXCHG8B, .flags = F_RMW | F_L | EMU_F_MEMONLY },
	},
	[OP_GROUP11 - OP_GROUP1] = {
		{ OP_MOV, .flags = F_W },
	},
	[OP_GROUP15 - OP_GROUP1] = {
		[5 ... 7] = { OP_FENCE },
	},
};

/* How wide a row is, and whether there is a form of it with VEX. */
enum width {
	W_OPSIZE,	/* the operand size */
	W_REX,		/* 4, or 8 with REX.W */
	W_REX_VEX,	/* likewise; VEX.L has to be 0 */
	W_4, W_8,	/* VEX.L does not matter */
	W_8_NARROW,	/* VEX.L has to be 0 */
	W_8_MERGE,	/* likewise, and VEX.vvvv is an operand */
	W_VECTOR,	/* 16, or 32 with VEX.L */
};

/* Rows told apart by their mandatory prefix, too few for a table. */
static const struct prefixed {
	u8 map;
	u8 opcode;
	u8 prefix;
	u8 width;
	struct emu_opcode row;
} prefixed[] = {
#define P66	EMU_PFX_OPSIZE
#define PF3	EMU_PFX_REP
#define PF2	EMU_PFX_REPNE
#define LOAD(flags)	{ OP_SSE_LOAD, KIND_REG, KIND_RM, F_M | F_W | (flags) }
#define STORE(flags)	{ OP_SSE_STORE, KIND_RM, KIND_REG, F_M | F_W | (flags) }
	{ 1, 0x10, 0, W_VECTOR, LOAD(0) },			/* movups */
	{ 1, 0x10, P66, W_VECTOR, LOAD(0) },			/* movupd */
	{ 1, 0x10, PF3, W_4, LOAD(0) },				/* movss */
	{ 1, 0x10, PF2, W_8, LOAD(0) },				/* movsd */
	{ 1, 0x11, 0, W_VECTOR, STORE(0) },
	{ 1, 0x11, P66, W_VECTOR, STORE(0) },
	{ 1, 0x11, PF3, W_4, STORE(0) },
	{ 1, 0x11, PF2, W_8, STORE(0) },
	{ 1, 0x12, 0, W_8_MERGE, { OP_SSE_LOAD_LOW, KIND_REG, KIND_RM, F_M | F_W } }, /* movlps */
	{ 1, 0x12, P66, W_8_MERGE, { OP_SSE_LOAD_LOW, KIND_REG, KIND_RM, F_M | F_W } },
	{ 1, 0x13, 0, W_8_NARROW, STORE(EMU_F_MEMONLY) },
	{ 1, 0x13, P66, W_8_NARROW, STORE(EMU_F_MEMONLY) },
	{ 1, 0x16, 0, W_8_MERGE, { OP_SSE_LOAD_HIGH, KIND_REG, KIND_RM, F_M | F_W } }, /* movhps */
	{ 1, 0x16, P66, W_8_MERGE, { OP_SSE_LOAD_HIGH, KIND_REG, KIND_RM, F_M | F_W } },
	{ 1, 0x17, 0, W_8_NARROW,
	  { OP_SSE_STORE_HIGH, KIND_RM, KIND_REG, F_M | F_W | EMU_F_MEMONLY } },
	{ 1, 0x17, P66, W_8_NARROW,
	  { OP_SSE_STORE_HIGH, KIND_RM, KIND_REG, F_M | F_W | EMU_F_MEMONLY } },
	{ 1, 0x28, 0, W_VECTOR, LOAD(EMU_F_ALIGN) },		/* movaps */
	{ 1, 0x28, P66, W_VECTOR, LOAD(EMU_F_ALIGN) },		/* movapd */
	{ 1, 0x29, 0, W_VECTOR, STORE(EMU_F_ALIGN) },
	{ 1, 0x29, P66, W_VECTOR, STORE(EMU_F_ALIGN) },
	{ 1, 0x2b, 0, W_VECTOR, STORE(EMU_F_ALIGN | EMU_F_MEMONLY) },	/* movntps */
	{ 1, 0x2b, P66, W_VECTOR, STORE(EMU_F_ALIGN | EMU_F_MEMONLY) },	/* movntpd */
	{ 1, 0x6e, P66, W_REX_VEX, LOAD(0) },			/* movd, movq */
	{ 1, 0x6f, P66, W_VECTOR, LOAD(EMU_F_ALIGN) },		/* movdqa */
	{ 1, 0x6f, PF3, W_VECTOR, LOAD(0) },			/* movdqu */
	{ 1, 0x7e, P66, W_REX_VEX, STORE(0) },			/* movd, movq */
	{ 1, 0x7e, PF3, W_8_NARROW, LOAD(0) },			/* movq */
	{ 1, 0x7f, P66, W_VECTOR, STORE(EMU_F_ALIGN) },
	{ 1, 0x7f, PF3, W_VECTOR, STORE(0) },
	{ 1, 0xd6, P66, W_8_NARROW, STORE(0) },			/* movq */
	{ 1, 0xe7, P66, W_VECTOR, STORE(EMU_F_ALIGN | EMU_F_MEMONLY) },	/* movntdq */
	{ 1, 0xf0, PF2, W_VECTOR, LOAD(EMU_F_MEMONLY) },	/* lddqu */
	{ 2, 0x2a, P66, W_VECTOR, LOAD(EMU_F_ALIGN | EMU_F_MEMONLY) },	/* movntdqa */
#undef LOAD
#undef STORE
	{ 1, 0xc3, 0, W_REX,
	  { OP_MOV, KIND_RM, KIND_REG, F_M | F_W | EMU_F_MEMONLY } },	/* movnti */
	{ 2, 0xf0, 0, W_OPSIZE,
	  { OP_MOVBE, KIND_REG, KIND_RM, F_M | F_W | EMU_F_MEMONLY } },
	{ 2, 0xf0, P66, W_OPSIZE,
	  { OP_MOVBE, KIND_REG, KIND_RM, F_M | F_W | EMU_F_MEMONLY } },
	{ 2, 0xf1, 0, W_OPSIZE,
	  { OP_MOVBE, KIND_RM, KIND_REG, F_M | F_W | EMU_F_MEMONLY } },
	{ 2, 0xf1, P66, W_OPSIZE,
	  { OP_MOVBE, KIND_RM, KIND_REG, F_M | F_W | EMU_F_MEMONLY } },
#undef P66
#undef PF3
#undef PF2
};

static void apply(struct umbra_emu_insn *insn, const struct emu_opcode *row)
{
	insn->op = row->op;
	insn->dst = row->dst;
	insn->src = row->src;
	insn->flags = row->flags;
}

static bool lookup_arith(struct umbra_emu_insn *insn)
{
	apply(insn, &arith[insn->opcode & 7]);
	insn->op = OP_ADD + (insn->opcode >> 3);
	if (insn->op == OP_CMP)
		insn->flags &= ~(EMU_F_WRITE | EMU_F_LOCK);
	return true;
}

static u8 width_bytes(const struct umbra_emu_insn *insn, enum width width)
{
	switch (width) {
	case W_OPSIZE:
		return insn->opsize;
	case W_REX:
	case W_REX_VEX:
		return insn->rex & EMU_REX_W ? 8 : 4;
	case W_4:
		return 4;
	case W_VECTOR:
		return insn->wide ? 32 : 16;
	default:
		return 8;
	}
}

static const struct prefixed *find_prefixed(const struct umbra_emu_insn *insn)
{
	u8 prefix = insn->prefixes & EMU_PFX_ANY_REP;
	unsigned int i;

	/* F2 and F3 take precedence over 66. */
	if (!prefix)
		prefix = insn->prefixes & EMU_PFX_OPSIZE;
	for (i = 0; i < ARRAY_SIZE(prefixed); i++) {
		const struct prefixed *p = &prefixed[i];

		if (p->map == insn->map && p->opcode == insn->opcode && p->prefix == prefix)
			return p;
	}
	return NULL;
}

static bool lookup_prefixed(struct umbra_emu_insn *insn)
{
	const struct prefixed *p = find_prefixed(insn);

	if (!p || (insn->vex && p->width <= W_REX))
		return false;
	apply(insn, &p->row);
	insn->opsize = width_bytes(insn, p->width);
	if (p->width == W_8_MERGE)
		insn->flags |= EMU_F_VVVV;
	if (p->width == W_8_MERGE || p->width == W_8_NARROW || p->width == W_REX_VEX)
		insn->flags |= EMU_F_NARROW;
	return true;
}

/* Rows of CMOVcc and SETcc, whose opcodes end in the condition. */
static bool lookup_condition(struct umbra_emu_insn *insn)
{
	static const struct emu_opcode cmov = { OP_CMOVCC, KIND_REG, KIND_RM, F_M | F_RMW };
	static const struct emu_opcode set = { OP_SETCC, KIND_RM, KIND_NONE, F_M | F_W | F_B };

	if (insn->map != 1)
		return false;
	if ((insn->opcode & 0xf0) == 0x40)
		apply(insn, &cmov);
	else if ((insn->opcode & 0xf0) == 0x90)
		apply(insn, &set);
	else
		return false;
	return true;
}

static bool lookup_plain(struct umbra_emu_insn *insn)
{
	const struct emu_opcode *row;

	if (insn->map == 2)
		return false;
	if (!insn->map && insn->opcode < 0x40 && (insn->opcode & 7) < ARRAY_SIZE(arith))
		return lookup_arith(insn);
	row = insn->map ? &two_byte[insn->opcode] : &one_byte[insn->opcode];
	if (row->op == OP_NONE)
		return lookup_condition(insn);
	apply(insn, row);
	return true;
}

/**
 * emu_opcode_lookup() - find the row of a decoded opcode
 * @insn: prefixes, map, opcode and operand size are known; op, operand kinds
 *	and flags are set, the operand size is corrected
 *
 * Return: false if the opcode is unknown.
 */
bool emu_opcode_lookup(struct umbra_emu_insn *insn)
{
	if (!(!insn->vex && lookup_plain(insn)) && !lookup_prefixed(insn))
		return false;
	if (insn->flags & EMU_F_BYTE)
		insn->opsize = 1;
	/* Ports are at most 4 bytes wide. */
	if (insn->op == OP_INS || insn->op == OP_OUTS)
		insn->opsize = min_t(u8, insn->opsize, 4);
	return true;
}

/**
 * emu_opcode_group() - refine a group by ModRM.reg
 * @insn: op may be one of OP_GROUP*
 *
 * Return: false if the encoding is unknown.
 */
bool emu_opcode_group(struct umbra_emu_insn *insn)
{
	const struct emu_opcode *row;

	if (insn->op < OP_GROUP1)
		return true;
	row = &groups[insn->op - OP_GROUP1][(insn->modrm >> 3) & 7];
	if (row->op == OP_NONE)
		return false;
	insn->op = row->op;
	insn->flags |= row->flags;
	if (row->src != KIND_NONE)
		insn->src = row->src;
	/* CMPXCHG8B, or CMPXCHG16B with REX.W, whatever 66 says */
	if (insn->op == OP_CMPXCHG8B) {
		insn->opsize = insn->rex & EMU_REX_W ? 16 : 8;
		if (insn->opsize == 16)
			insn->flags |= EMU_F_ALIGN;
	}
	return true;
}
