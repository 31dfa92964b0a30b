// SPDX-License-Identifier: GPL-2.0
/* Bytes to steps, by way of the emulator's decoder. */
#include <linux/minmax.h>
#include "step.h"

/* The bytes are given; there are no others. */
static enum umbra_emu_access no_fetch(struct umbra_emu *emu, u64 gva, void *buf, unsigned int len)
{
	return UMBRA_EMU_ACC_RETRY;
}

static const struct umbra_emu_ops no_ops = { .fetch = no_fetch };

static u8 place(const struct umbra_emu_insn *insn, u8 kind)
{
	bool high = emu_kind_size(insn, kind) == 1 && !insn->rex;

	switch (kind) {
	case KIND_RM:
	case KIND_RM8:
	case KIND_RM16:
	case KIND_RM32:
		if (emu_kind_is_memory(insn, kind))
			return STEP_MEM;
		return high && insn->rm >= 4 ? STEP_HIGH + (insn->rm & 3) : insn->rm;
	case KIND_REG:
		return high && insn->reg >= 4 ? STEP_HIGH + (insn->reg & 3) : insn->reg;
	case KIND_ACC:
		return UMBRA_EMU_RAX;
	case KIND_CL:
		return UMBRA_EMU_RCX;
	case KIND_IMM:
	case KIND_IMM8:
	case KIND_IMM64:
	case KIND_ONE:
		return STEP_IMM;
	default:
		return STEP_NONE;
	}
}

static bool classify_move(const struct umbra_emu_insn *insn, struct umbra_step *st)
{
	st->class = insn->op == OP_MOVSX ? STEP_MOVE_SIGNED : STEP_MOVE;
	if (st->dst == STEP_MEM)
		st->class = STEP_TO_MEMORY;
	return st->dst != STEP_NONE && st->src != STEP_NONE;
}

static bool classify_alu(const struct umbra_emu_insn *insn, struct umbra_step *st)
{
	st->class = STEP_ALU;
	/* With one operand it is not looked at. */
	if (st->src == STEP_NONE)
		st->src = STEP_IMM;
	if (insn->src == KIND_ONE)
		st->imm = 1;
	/* A register's bit offset reaches beyond the operand. */
	return !(insn->flags & EMU_F_BITS) || st->dst != STEP_MEM;
}

/* Near jumps and the stack have 8 bytes always. */
static bool classify_near(const struct umbra_emu_insn *insn, struct umbra_step *st)
{
	st->class = insn->op == OP_JCC ? STEP_BRANCH : STEP_RARE;
	st->number = insn->opcode & 15;
	st->size = 8;
	if (st->src == STEP_NONE && (insn->op == OP_JMP || insn->op == OP_CALL ||
				     insn->op == OP_PUSH))
		st->src = st->dst;
	if (insn->op == OP_LEAVE)
		st->dst = UMBRA_EMU_RBP;
	/* POP to memory computes its address with the new stack pointer. */
	return !(insn->prefixes & EMU_PFX_OPSIZE) && !(insn->op == OP_POP && st->dst == STEP_MEM);
}

static bool classify_exit(const struct umbra_emu_insn *insn, struct umbra_step *st)
{
	static const u8 exits[] = {
		[OP_INVLPG - OP_INVLPG] = UMBRA_STEP_INVLPG,
		[OP_FROM_CR - OP_INVLPG] = UMBRA_STEP_FROM_CR,
		[OP_TO_CR - OP_INVLPG] = UMBRA_STEP_TO_CR,
		[OP_IN - OP_INVLPG] = UMBRA_STEP_IN,
		[OP_OUT - OP_INVLPG] = UMBRA_STEP_OUT,
		[OP_CPUID - OP_INVLPG] = UMBRA_STEP_CPUID,
		[OP_RDMSR - OP_INVLPG] = UMBRA_STEP_RDMSR,
		[OP_WRMSR - OP_INVLPG] = UMBRA_STEP_WRMSR,
	};

	st->class = STEP_EXITS;
	st->exit = exits[insn->op - OP_INVLPG];
	st->size = min_t(u8, insn->opsize, 4);
	st->number = insn->reg;
	/* Of MOV CR, ModRM.mod is ignored: the length would be another. */
	if (insn->op == OP_FROM_CR || insn->op == OP_TO_CR)
		return insn->modrm >> 6 == 3;
	return true;
}

static bool classify(const struct umbra_emu_insn *insn, struct umbra_step *st)
{
	switch (insn->op) {
	case OP_MOV:
	case OP_MOVSX:
		return classify_move(insn, st);
	case OP_ADD ... OP_NEG:
	case OP_BT ... OP_BTC:
	case OP_ROL ... OP_SAR:
	case OP_IMUL2:
		return classify_alu(insn, st);
	case OP_PUSH ... OP_POPF:
		return classify_near(insn, st);
	case OP_INVLPG ... OP_WRMSR:
		return classify_exit(insn, st);
	case OP_FENCE:
		st->class = STEP_RARE;
		return insn->modrm >> 6 == 3 && !(insn->prefixes & EMU_PFX_OPSIZE);
	case OP_BSWAP:
		st->class = STEP_RARE;
		return insn->opsize >= 4;
	case OP_NOP:
		st->class = STEP_RARE;
		/* With REX.B 90 is an exchange. */
		return insn->map || !(insn->rex & EMU_REX_B);
	case OP_XCHG ... OP_CMPXCHG:
	case OP_LEA:
	case OP_SETCC ... OP_CMOVCC:
	case OP_CWDE ... OP_CDQ:
	case OP_CLI:
		st->class = STEP_RARE;
		st->number = insn->opcode & 15;
		return true;
	default:
		return false;
	}
}

/* REP means something else before most opcodes; ENDBR64 and "rep ret" are common. */
static bool prefixes_allow(const struct umbra_emu_insn *insn)
{
	if (!(insn->prefixes & EMU_PFX_ANY_REP))
		return true;
	return insn->op == OP_RET || (insn->op == OP_NOP && insn->map);
}

static bool translate(const struct umbra_emu_insn *insn, struct umbra_step *st)
{
	*st = (struct umbra_step) {
		.imm = insn->imm,
		.disp = insn->disp,
		.op = insn->op,
		.size = insn->opsize,
		.src_size = emu_kind_size(insn, insn->src),
		.dst = place(insn, insn->dst),
		.src = place(insn, insn->src),
		.base = insn->base >= 0 ? insn->base : STEP_NO_REG,
		.index = insn->index >= 0 ? insn->index : STEP_NO_REG,
		.scale = insn->scale,
		.seg = insn->seg >= UMBRA_EMU_FS ? insn->seg : 0,
		.relative = insn->riprel,
		.lock = insn->prefixes & EMU_PFX_LOCK,
		.len = insn->len,
	};
	if (insn->adsize != 8 || insn->src == KIND_MOFFS || insn->dst == KIND_MOFFS ||
	    insn->opsize > 8 || insn->vex || !prefixes_allow(insn) || !classify(insn, st))
		return false;
	/* LEA takes the offset alone. */
	if (insn->op == OP_LEA)
		st->seg = 0;
	return true;
}

static bool ends_piece(const struct umbra_step *st)
{
	return st->class == STEP_EXITS || st->op == OP_JMP || st->op == OP_CALL ||
	       st->op == OP_RET;
}

/* Decode the instruction at @at; the bytes are at hand, those that are not do not come. */
static bool decode(struct umbra_emu *emu, const u8 *bytes, unsigned int left, u64 rip)
{
	emu->ops = &no_ops;
	emu->mode = UMBRA_EMU_LONG64;
	emu->va_bits = 48;
	emu->steps = true;
	emu->rip = rip;
	return !emu_decode_bytes(emu, bytes, min_t(unsigned int, left, UMBRA_EMU_MAX_INSN));
}

void umbra_piece_decode(struct umbra_piece *piece, struct umbra_emu *emu, const u8 *bytes,
			unsigned int nr)
{
	unsigned int at = 0;

	piece->nr = 0;
	piece->len = 0;
	while (piece->nr < UMBRA_PIECE_STEPS && at < nr) {
		struct umbra_step *st = &piece->step[piece->nr];

		if (!decode(emu, bytes + at, nr - at, piece->rip + at) ||
		    !translate(&emu->insn, st))
			break;
		at += st->len;
		piece->len = at;
		piece->nr++;
		if (ends_piece(st))
			break;
	}
	memcpy(piece->bytes, bytes, nr);
}
