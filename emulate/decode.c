// SPDX-License-Identifier: GPL-2.0
/*
 * Instruction bytes to struct umbra_emu_insn.
 *
 *	prefixes  [REX]  [0F [38]]  opcode  [ModRM [SIB]]  [disp | moffs]  [imm]
 *	VEX  opcode  ModRM [SIB]  [disp]
 *
 * Bytes are fetched as they are needed: first up to the end of the page, the
 * next page only when the instruction really reaches into it.
 */
#include "emulate.h"

static u64 fetch_limit(struct umbra_emu *emu, struct umbra_emu_segment *cs)
{
	if (emu->mode == UMBRA_EMU_LONG64) {
		cs->base = 0;
		return ~0ull;
	}
	emu->ops->segment(emu, UMBRA_EMU_CS, cs);
	return cs->limit;
}

/* Fetch what the page at the end of the fetched bytes still holds. */
static enum umbra_emu_result fetch_more(struct umbra_emu *emu)
{
	struct umbra_emu_insn *insn = &emu->insn;
	struct umbra_emu_segment cs = {};
	u64 limit = fetch_limit(emu, &cs);
	u64 ip = emu->rip + insn->fetched;
	enum umbra_emu_access access;
	unsigned int len;
	u64 gva;

	if (emu->mode == UMBRA_EMU_LONG64) {
		gva = ip;
		if (!emu_canonical(emu, gva))
			return emu_fault(emu, EMU_VECTOR_GP, true);
	} else {
		ip = (u32)ip;
		gva = (u32)(cs.base + ip);
	}
	if (ip > limit)
		return emu_fault(emu, EMU_VECTOR_GP, true);
	len = min_t(u64, EMU_PAGE_SIZE - gva % EMU_PAGE_SIZE, UMBRA_EMU_MAX_INSN - insn->fetched);
	/* limit - ip + 1 bytes are left, written so that it cannot wrap */
	if (limit - ip < len)
		len = limit - ip + 1;
	access = emu->ops->fetch(emu, gva, insn->bytes + insn->fetched, len);
	if (access == UMBRA_EMU_ACC_OK)
		insn->fetched += len;
	return emu_access_result(access);
}

/* Fetch as far as @size bytes more. */
static enum umbra_emu_result reach(struct umbra_emu *emu, unsigned int size)
{
	struct umbra_emu_insn *insn = &emu->insn;
	unsigned int end = insn->len + size;
	enum umbra_emu_result ret;

	while (insn->fetched < min_t(unsigned int, end, UMBRA_EMU_MAX_INSN)) {
		ret = fetch_more(emu);
		if (ret)
			return ret;
	}
	return end > UMBRA_EMU_MAX_INSN ? emu_fault(emu, EMU_VECTOR_GP, true) : UMBRA_EMU_DONE;
}

/* Take @size little-endian bytes of the instruction stream. */
static enum umbra_emu_result take(struct umbra_emu *emu, unsigned int size, u64 *value)
{
	struct umbra_emu_insn *insn = &emu->insn;
	enum umbra_emu_result ret;
	unsigned int i;

	*value = 0;
	if (insn->len + size > insn->fetched) {
		ret = reach(emu, size);
		if (ret)
			return ret;
	}
	for (i = 0; i < size; i++)
		*value |= (u64)insn->bytes[insn->len++] << (8 * i);
	return UMBRA_EMU_DONE;
}

static enum umbra_emu_result take_signed(struct umbra_emu *emu, unsigned int size, u64 *value)
{
	enum umbra_emu_result ret = take(emu, size, value);

	*value = emu_sign_extend(*value, size);
	return ret;
}

static void override(struct umbra_emu *emu, enum umbra_emu_seg seg)
{
	/* 64-bit mode ignores all but FS and GS. */
	if (emu->mode != UMBRA_EMU_LONG64 || seg >= UMBRA_EMU_FS)
		emu->insn.seg = seg;
}

static bool legacy_prefix(struct umbra_emu *emu, u8 byte)
{
	u8 *prefixes = &emu->insn.prefixes;

	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case 0x3e:
		override(emu, UMBRA_EMU_ES + ((byte >> 3) & 3));
		return true;
	case 0x64: case 0x65:
		override(emu, UMBRA_EMU_FS + (byte & 1));
		return true;
	case 0x66:
		*prefixes |= EMU_PFX_OPSIZE;
		return true;
	case 0x67:
		*prefixes |= EMU_PFX_ADSIZE;
		return true;
	case 0xf0:
		*prefixes |= EMU_PFX_LOCK;
		return true;
	case 0xf2: case 0xf3:
		*prefixes &= ~EMU_PFX_ANY_REP;
		*prefixes |= byte & 1 ? EMU_PFX_REP : EMU_PFX_REPNE;
		return true;
	}
	return false;
}

/* C4 and C5 are LES and LDS in 32-bit code when what follows is an address. */
static bool is_vex(struct umbra_emu *emu, u8 byte, u8 next)
{
	if (byte != 0xc4 && byte != 0xc5)
		return false;
	if (emu->mode == UMBRA_EMU_LONG64)
		return true;
	return (emu->mode == UMBRA_EMU_PROT16 || emu->mode == UMBRA_EMU_PROT32) &&
	       next >> 6 == 3;
}

/*
 *	C5  R vvvv L pp
 *	C4  R X B mmmmm  W vvvv L pp	R, X, B and vvvv inverted
 */
static enum umbra_emu_result decode_vex(struct umbra_emu *emu, u8 byte, u8 first)
{
	static const u8 implied[4] = { 0, EMU_PFX_OPSIZE, EMU_PFX_REP, EMU_PFX_REPNE };
	const u8 forbidden = EMU_PFX_OPSIZE | EMU_PFX_LOCK | EMU_PFX_ANY_REP;
	struct umbra_emu_insn *insn = &emu->insn;
	enum umbra_emu_result ret = UMBRA_EMU_DONE;
	u64 last = first;
	u8 rex = ~first >> 5 & EMU_REX_R;

	if ((insn->prefixes & forbidden) || insn->rex)
		return emu_fault(emu, EMU_VECTOR_UD, false);
	insn->vex = true;
	insn->map = 1;
	if (byte == 0xc4) {
		insn->map = first & 31;
		rex = ~first >> 5 & (EMU_REX_R | EMU_REX_X | EMU_REX_B);
		ret = take(emu, 1, &last);
		rex |= last >> 4 & EMU_REX_W;
	}
	if (emu->mode == UMBRA_EMU_LONG64)
		insn->rex = rex;
	insn->vvvv = ~last >> 3 & (emu->mode == UMBRA_EMU_LONG64 ? 15 : 7);
	insn->wide = last & 4;
	insn->prefixes |= implied[last & 3];
	return ret;
}

static enum umbra_emu_result decode_map(struct umbra_emu *emu, u64 *byte)
{
	struct umbra_emu_insn *insn = &emu->insn;
	enum umbra_emu_result ret;
	u8 escape = *byte;

	if (escape != 0x0f && escape != 0xc4 && escape != 0xc5)
		return UMBRA_EMU_DONE;
	ret = take(emu, 1, byte);
	if (ret)
		return ret;
	if (escape == 0x0f) {
		insn->map = 1;
		if (*byte != 0x38)
			return UMBRA_EMU_DONE;
		insn->map = 2;
	} else if (is_vex(emu, escape, *byte)) {
		ret = decode_vex(emu, escape, *byte);
	} else {
		return UMBRA_EMU_UNKNOWN;
	}
	return ret ? ret : take(emu, 1, byte);
}

/* Prefixes and opcode; a REX prefix counts only right before the opcode. */
static enum umbra_emu_result decode_opcode(struct umbra_emu *emu)
{
	struct umbra_emu_insn *insn = &emu->insn;
	enum umbra_emu_result ret;
	u64 byte;

	for (;;) {
		ret = take(emu, 1, &byte);
		if (ret)
			return ret;
		if (legacy_prefix(emu, byte))
			insn->rex = 0;
		else if (emu->mode == UMBRA_EMU_LONG64 && (byte & 0xf0) == 0x40)
			insn->rex = byte;
		else
			break;
	}
	ret = decode_map(emu, &byte);
	insn->opcode = byte;
	return ret;
}

static void decode_sizes(struct umbra_emu *emu)
{
	struct umbra_emu_insn *insn = &emu->insn;
	bool opsize = insn->prefixes & EMU_PFX_OPSIZE;
	bool adsize = insn->prefixes & EMU_PFX_ADSIZE;

	switch (emu->mode) {
	case UMBRA_EMU_LONG64:
		insn->opsize = insn->rex & EMU_REX_W ? 8 : opsize ? 2 : 4;
		insn->adsize = adsize ? 4 : 8;
		break;
	case UMBRA_EMU_PROT32:
		insn->opsize = opsize ? 2 : 4;
		insn->adsize = adsize ? 2 : 4;
		break;
	default:
		insn->opsize = opsize ? 4 : 2;
		insn->adsize = adsize ? 4 : 2;
		break;
	}
}

static enum umbra_emu_result decode_address16(struct umbra_emu *emu, u8 mod)
{
	static const s8 base[8] = {
		UMBRA_EMU_RBX, UMBRA_EMU_RBX, UMBRA_EMU_RBP, UMBRA_EMU_RBP,
		UMBRA_EMU_RSI, UMBRA_EMU_RDI, UMBRA_EMU_RBP, UMBRA_EMU_RBX,
	};
	static const s8 index[8] = {
		UMBRA_EMU_RSI, UMBRA_EMU_RDI, UMBRA_EMU_RSI, UMBRA_EMU_RDI, -1, -1, -1, -1,
	};
	struct umbra_emu_insn *insn = &emu->insn;
	u8 rm = insn->modrm & 7;

	if (mod == 0 && rm == 6)
		return take_signed(emu, 2, &insn->disp);
	insn->base = base[rm];
	insn->index = index[rm];
	return take_signed(emu, mod, &insn->disp);
}

static enum umbra_emu_result decode_sib(struct umbra_emu *emu, u8 *base)
{
	struct umbra_emu_insn *insn = &emu->insn;
	enum umbra_emu_result ret;
	u64 sib;
	u8 index;

	ret = take(emu, 1, &sib);
	if (ret)
		return ret;
	*base = sib & 7;
	insn->scale = sib >> 6;
	index = ((sib >> 3) & 7) | (insn->rex & EMU_REX_X ? 8 : 0);
	if (index != UMBRA_EMU_RSP)
		insn->index = index;
	return UMBRA_EMU_DONE;
}

static enum umbra_emu_result decode_address(struct umbra_emu *emu, u8 mod)
{
	struct umbra_emu_insn *insn = &emu->insn;
	enum umbra_emu_result ret;
	u8 base = insn->modrm & 7;
	bool sib = base == UMBRA_EMU_RSP;

	if (sib) {
		ret = decode_sib(emu, &base);
		if (ret)
			return ret;
	}
	if (mod == 0 && base == UMBRA_EMU_RBP) {
		insn->riprel = !sib && emu->mode == UMBRA_EMU_LONG64;
		return take_signed(emu, 4, &insn->disp);
	}
	insn->base = base | (insn->rex & EMU_REX_B ? 8 : 0);
	return take_signed(emu, mod == 2 ? 4 : mod, &insn->disp);
}

static enum umbra_emu_result decode_modrm(struct umbra_emu *emu)
{
	struct umbra_emu_insn *insn = &emu->insn;
	enum umbra_emu_result ret;
	u64 modrm;

	ret = take(emu, 1, &modrm);
	if (ret)
		return ret;
	insn->modrm = modrm;
	insn->reg = ((modrm >> 3) & 7) | (insn->rex & EMU_REX_R ? 8 : 0);
	insn->rm = (modrm & 7) | (insn->rex & EMU_REX_B ? 8 : 0);
	if (modrm >> 6 == 3)
		return UMBRA_EMU_DONE;
	if (insn->adsize == 2)
		return decode_address16(emu, modrm >> 6);
	return decode_address(emu, modrm >> 6);
}

static enum umbra_emu_result decode_immediate(struct umbra_emu *emu)
{
	struct umbra_emu_insn *insn = &emu->insn;

	if (insn->src == KIND_IMM8 || (insn->flags & EMU_F_IMM8))
		return take_signed(emu, 1, &insn->imm);
	if (insn->src == KIND_IMM || (insn->flags & EMU_F_IMM))
		return take_signed(emu, min_t(u8, insn->opsize, 4), &insn->imm);
	if (insn->src == KIND_IMM64)
		return take_signed(emu, insn->opsize, &insn->imm);
	if (insn->src == KIND_MOFFS || insn->dst == KIND_MOFFS)
		return take(emu, insn->adsize, &insn->disp);
	return UMBRA_EMU_DONE;
}

/* The stack and near branches are 64 bits wide without a prefix. */
static void decode_stack_size(struct umbra_emu *emu)
{
	struct umbra_emu_insn *insn = &emu->insn;

	if (emu->mode != UMBRA_EMU_LONG64)
		return;
	if ((insn->flags & EMU_F_NEAR) || ((insn->flags & EMU_F_STACK) && insn->opsize == 4))
		insn->opsize = 8;
}

/* Encodings that are known to be invalid. */
static bool is_undefined(const struct umbra_emu_insn *insn)
{
	bool memory = emu_has_memory(insn);

	if ((insn->flags & EMU_F_MEMONLY) && !memory)
		return true;
	if (insn->vex && ((insn->vvvv && !(insn->flags & EMU_F_VVVV)) ||
			  (insn->wide && (insn->flags & EMU_F_NARROW))))
		return true;
	if (!(insn->prefixes & EMU_PFX_LOCK))
		return false;
	/* LOCK needs a memory destination: a row with LOCK has it in ModRM.rm. */
	return !(insn->flags & EMU_F_LOCK) || !memory;
}

/* Steps know more than the emulator. */
static bool is_open(const struct umbra_emu *emu)
{
	return emu->steps || !(emu->insn.flags & EMU_F_STEP);
}

static void begin(struct umbra_emu_insn *insn)
{
	memset(insn, 0, sizeof(*insn));
	insn->seg = -1;
	insn->base = -1;
	insn->index = -1;
}

static enum umbra_emu_result decode(struct umbra_emu *emu)
{
	struct umbra_emu_insn *insn = &emu->insn;
	enum umbra_emu_result ret;

	ret = decode_opcode(emu);
	if (ret)
		return ret;
	decode_sizes(emu);
	if (!emu_opcode_lookup(insn) || !is_open(emu))
		return UMBRA_EMU_UNKNOWN;
	if (insn->flags & (emu->mode == UMBRA_EMU_LONG64 ? EMU_F_NOT64 : EMU_F_ONLY64))
		return UMBRA_EMU_UNKNOWN;
	if (insn->flags & EMU_F_MODRM) {
		ret = decode_modrm(emu);
		if (ret)
			return ret;
		if (!emu_opcode_group(insn))
			return UMBRA_EMU_UNKNOWN;
		decode_stack_size(emu);
	} else if (insn->flags & EMU_F_OPREG) {
		insn->modrm = 0xc0;
		insn->rm = (insn->opcode & 7) | (insn->rex & EMU_REX_B ? 8 : 0);
	}
	ret = decode_immediate(emu);
	if (ret)
		return ret;
	if (is_undefined(insn))
		return emu_fault(emu, EMU_VECTOR_UD, false);
	return UMBRA_EMU_DONE;
}

/**
 * emu_decode() - fetch and decode the instruction at emu->rip into emu->insn
 * @emu: context
 */
enum umbra_emu_result emu_decode(struct umbra_emu *emu)
{
	begin(&emu->insn);
	return decode(emu);
}

/**
 * emu_decode_bytes() - the same, from the caller's bytes
 * @emu: context; its fetch op is asked for more
 * @bytes: the first bytes of the instruction
 * @nr: how many, at most UMBRA_EMU_MAX_INSN
 */
enum umbra_emu_result emu_decode_bytes(struct umbra_emu *emu, const u8 *bytes, unsigned int nr)
{
	begin(&emu->insn);
	memcpy(emu->insn.bytes, bytes, nr);
	emu->insn.fetched = nr;
	return decode(emu);
}
