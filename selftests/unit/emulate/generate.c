// SPDX-License-Identifier: GPL-2.0
/*
 * Random instances of a form: prefixes, REX, ModRM and SIB are drawn freely,
 * then registers and displacement are solved for the wanted operand address.
 */
#include <linux/kernel.h>
#include <string.h>
#include "forms.h"
#include "machine.h"

static u64 rnd_state = 1;

void rnd_seed(u64 seed)
{
	rnd_state = seed * 2 + 1;
}

u64 rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state * 0x2545f4914f6cdd1dull;
}

u64 rnd_below(u64 limit)
{
	return (rnd() >> 11) % limit;
}

static bool one_in(unsigned int n)
{
	return rnd_below(n) == 0;
}

static u64 mask(unsigned int size)
{
	return ~0ull >> (64 - 8 * size);
}

static s64 sign_extend(u64 value, unsigned int size)
{
	return (s64)(value << (64 - 8 * size)) >> (64 - 8 * size);
}

static void put(struct trial *t, u64 value, unsigned int len)
{
	memcpy(t->code + t->len, &value, len);
	t->len += len;
}

/* Values at which carries and signs change are worth more than random ones. */
static u64 interesting(void)
{
	static const u64 edges[] = { 0, 1, ~0ull, 0x7f, 0x80, 0x7fff, 0x8000, 0x7fffffff,
		0x80000000, 0x7fffffffffffffffull, 0x8000000000000000ull };

	return one_in(4) ? edges[rnd_below(ARRAY_SIZE(edges))] : rnd();
}

static void set_sizes(struct trial *t, bool p66, bool p67)
{
	bool is16 = t->mode == UMBRA_EMU_PROT16;

	t->opsize = p66 != is16 ? 2 : 4;
	t->adsize = p67 != is16 ? 2 : 4;
	if (t->mode == UMBRA_EMU_LONG64) {
		t->adsize = p67 ? 4 : 8;
		if (t->rex & 8)
			t->opsize = 8;
	}
	if (t->form->size)
		t->opsize = t->form->size;
	else if (t->form->flags & FORM_PREFIXED && t->form->opcode[1] != 0x38)
		t->opsize = t->rex & 8 ? 8 : 4;
	else if (t->form->opcode[1] == 0xc7)
		t->opsize = t->rex & 8 ? 16 : 8;
	else if (t->form->flags & FORM_STACK && t->mode == UMBRA_EMU_LONG64 && t->opsize == 4)
		t->opsize = 8;
}

static void add_override(struct trial *t, u8 *prefixes, unsigned int *nr)
{
	static const u8 bytes[6] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	unsigned int seg = rnd_below(6);
	bool is64 = t->mode == UMBRA_EMU_LONG64;

	/* FS of 16- and 32-bit code is not ours to load. */
	if (seg == UMBRA_EMU_FS && !is64)
		return;
	prefixes[(*nr)++] = bytes[seg];
	if (!is64 || seg >= UMBRA_EMU_FS)
		t->seg = seg;
}

static void draw_prefixes(struct trial *t)
{
	const struct form *f = t->form;
	bool prefixed = f->flags & FORM_PREFIXED, vex = f->flags & FORM_VEX;
	bool p66 = prefixed ? f->prefix == 0x66 : one_in(4);
	bool p67 = one_in(5);
	unsigned int nr = 0;
	u8 prefixes[8];

	t->seg = -1;
	if (f->prefix && !vex)
		prefixes[nr++] = f->prefix;
	else if (p66 && !vex)
		prefixes[nr++] = 0x66;
	if (p67)
		prefixes[nr++] = 0x67;
	if (one_in(5))
		add_override(t, prefixes, &nr);
	if (one_in(f->flags & FORM_LOCK ? 3 : 50)) {
		prefixes[nr++] = 0xf0;
		t->bad_vex = vex;
	}
	t->rep = !prefixed && one_in(f->flags & FORM_STRING ? 2 : 30);
	if (t->rep)
		prefixes[nr++] = 0xf2 | (rnd() & 1);
	while (nr) {
		unsigned int pick = rnd_below(nr);

		put(t, prefixes[pick], 1);
		prefixes[pick] = prefixes[--nr];
	}
	t->rex = t->mode == UMBRA_EMU_LONG64 && !one_in(3) ? 0x40 | (rnd() & 0xf) : 0;
	if (t->rex && !vex)
		put(t, t->rex, 1);
	set_sizes(t, p66, p67);
}

/* Three bytes, or two where they can say it; rarely a register too many. */
static void put_vex(struct trial *t)
{
	const struct form *f = t->form;
	u8 pp = f->prefix == 0x66 ? 1 : f->prefix == 0xf3 ? 2 : f->prefix == 0xf2 ? 3 : 0;
	u8 vvvv = f->flags & FORM_MERGE || one_in(30) ? rnd() & 15 : 0;
	u8 last;

	if (t->mode != UMBRA_EMU_LONG64)
		vvvv &= 7;
	t->bad_vex |= vvvv && !(f->flags & FORM_MERGE);
	last = (~vvvv & 15) << 3 | (f->size == 32) << 2 | pp;
	if (f->opcode_len == 2 && !(t->rex & 11) && rnd() & 1) {
		put(t, 0xc5, 1);
		put(t, last | !(t->rex & 4) << 7, 1);
	} else {
		put(t, 0xc4, 1);
		put(t, (~t->rex & 7) << 5 | (f->opcode_len - 1), 1);
		put(t, last | (t->rex & 8) << 4, 1);
	}
	put(t, f->opcode[f->opcode_len - 1], 1);
}

static void put_opcode(struct trial *t)
{
	unsigned int i;

	if (t->form->flags & FORM_VEX) {
		put_vex(t);
		return;
	}
	for (i = 0; i < t->form->opcode_len; i++)
		put(t, t->form->opcode[i], 1);
}

/* Counts, dividends and stacks with which more than a fault happens. */
static void draw_registers(struct trial *t)
{
	const struct form *f = t->form;
	u64 ss = t->mode == UMBRA_EMU_LONG64 ? 0 : t->segs[UMBRA_EMU_SS].base;

	if (f->flags & FORM_STACK) {
		t->regs[UMBRA_EMU_RSP] = t->source - ss;
		/* LEAVE pops from here. */
		if (f->flags & FORM_NO_MODRM)
			t->regs[UMBRA_EMU_RBP] = t->source - ss;
		if (t->mode != UMBRA_EMU_LONG64)
			t->regs[UMBRA_EMU_RSP] = (u32)t->regs[UMBRA_EMU_RSP];
	}
	if (f->flags & FORM_DOUBLE && t->opsize == 2)
		t->regs[UMBRA_EMU_RCX] = (t->regs[UMBRA_EMU_RCX] & ~0xffull) | rnd_below(17);
	if (!(f->flags & FORM_DIVIDE) || one_in(4))
		return;
	t->regs[UMBRA_EMU_RDX] = rnd_below(4) - 2;
	if (t->opsize == 1)
		t->regs[UMBRA_EMU_RAX] = (s8)rnd();
	if (t->mode != UMBRA_EMU_LONG64) {
		t->regs[UMBRA_EMU_RDX] = (u32)t->regs[UMBRA_EMU_RDX];
		t->regs[UMBRA_EMU_RAX] = (u32)t->regs[UMBRA_EMU_RAX];
	}
}

static u64 draw_immediate(const struct trial *t)
{
	if (t->form->flags & FORM_DOUBLE && t->opsize == 2)
		return rnd_below(17);
	return interesting();
}

static void draw_disp(struct trial *t, unsigned int len)
{
	t->disp_len = len;
	t->disp_pos = t->len;
	put(t, rnd(), len);
}

static void draw_address16(struct trial *t, u8 rm)
{
	static const s8 base[8] = { 3, 3, 5, 5, 6, 7, 5, 3 };
	static const s8 index[8] = { 6, 7, 6, 7, -1, -1, -1, -1 };

	if (t->mod == 0 && rm == 6) {
		draw_disp(t, 2);
		return;
	}
	t->base = base[rm];
	t->index = index[rm];
	draw_disp(t, t->mod);
}

static void draw_sib(struct trial *t, u8 *rm)
{
	u8 sib = rnd();

	put(t, sib, 1);
	*rm = sib & 7;
	t->scale = sib >> 6;
	t->index = (sib >> 3 & 7) | (t->rex & 2) << 2;
	if (t->index == 4)
		t->index = -1;
}

static void draw_modrm(struct trial *t)
{
	u8 digit = t->form->digit >= 0 ? (u8)t->form->digit : rnd_below(8);
	u8 rm = rnd_below(8);
	bool sib;

	t->mod = t->form->flags & FORM_MEMORY || !one_in(6) ? rnd_below(3) : 3;
	t->reg = digit | (t->rex & 4) << 1;
	put(t, t->mod << 6 | digit << 3 | rm, 1);
	if (t->mod == 3)
		return;
	if (t->adsize == 2) {
		draw_address16(t, rm);
		return;
	}
	sib = rm == 4;
	if (sib)
		draw_sib(t, &rm);
	if (t->mod == 0 && rm == 5) {
		t->riprel = !sib && t->mode == UMBRA_EMU_LONG64;
		draw_disp(t, 4);
		return;
	}
	t->base = rm | (t->rex & 1) << 3;
	draw_disp(t, t->mod == 2 ? 4 : t->mod);
}

static u64 segment_base(const struct trial *t, unsigned int fallback)
{
	unsigned int seg = t->seg >= 0 ? (unsigned int)t->seg : fallback;

	if (t->mode == UMBRA_EMU_LONG64 && seg < UMBRA_EMU_FS)
		return 0;
	return t->segs[seg].base;
}

/* Set what an address of @t->adsize bytes depends on, and leave the rest as it is. */
static void set_low(struct trial *t, unsigned int reg, u64 value)
{
	u64 low = mask(t->adsize);

	t->regs[reg] = (t->regs[reg] & ~low) | (value & low);
}

static u64 bit_displacement(struct trial *t)
{
	s64 bit = (s64)rnd_below(16384) - 8192;

	if (!(t->form->flags & FORM_BITS))
		return 0;
	/* 16 bits cannot hold more, and hardware sees just these. */
	t->regs[t->reg] = (t->regs[t->reg] & ~mask(t->opsize)) | ((u64)bit & mask(t->opsize));
	return (bit >> 3) & -(s64)t->opsize;
}

static bool solve_disp(struct trial *t, u64 want)
{
	s64 disp;

	if (t->index >= 0)
		want -= t->regs[t->index] << t->scale;
	if (t->riprel)
		want -= t->rip + t->len;
	disp = sign_extend(want, t->disp_len);
	if (((u64)disp ^ want) & mask(t->adsize))
		return false;
	memcpy(t->code + t->disp_pos, &disp, t->disp_len);
	return true;
}

static bool solve_modrm(struct trial *t)
{
	unsigned int fallback = t->base == 4 || t->base == 5 ? UMBRA_EMU_SS : UMBRA_EMU_DS;
	bool bits = t->form->flags & FORM_BITS;
	u64 disp = 0;
	u64 want;

	if (t->base >= 0 && t->base == t->index)
		return false;
	if (bits && (t->base == t->reg || t->index == t->reg))
		return false;
	if (t->base < 0 && t->index >= 0)
		t->regs[t->index] &= 0xffff;
	want = t->target - segment_base(t, fallback) - bit_displacement(t);
	if (t->base < 0)
		return solve_disp(t, want);
	/* POP finds its operand with the stack pointer that it leaves. */
	if (t->form->opcode[0] == 0x8f && t->base == UMBRA_EMU_RSP)
		want -= t->opsize;
	memcpy(&disp, t->code + t->disp_pos, t->disp_len);
	if (t->disp_len)
		want -= sign_extend(disp, t->disp_len);
	if (t->index >= 0)
		want -= t->regs[t->index] << t->scale;
	set_low(t, t->base, want);
	return true;
}

static void solve_string(struct trial *t)
{
	u64 es = t->mode == UMBRA_EMU_LONG64 ? 0 : t->segs[UMBRA_EMU_ES].base;

	set_low(t, UMBRA_EMU_RSI, t->source - segment_base(t, UMBRA_EMU_DS));
	set_low(t, UMBRA_EMU_RDI, t->target - es);
	if (t->rep)
		set_low(t, UMBRA_EMU_RCX, rnd_below(20));
}

/* The operand's address, found in the end, may have taken CL or the stack pointer. */
static bool is_defined(const struct trial *t)
{
	u64 ss = t->mode == UMBRA_EMU_LONG64 ? 0 : t->segs[UMBRA_EMU_SS].base;

	/* Natively there are stacks in the C library and in the kernel. */
	if (t->form->flags & FORM_STACK && t->base == UMBRA_EMU_RSP &&
	    t->regs[UMBRA_EMU_RSP] + ss - DATA >= DATA_PAGES * PAGE)
		return false;
	return !(t->form->flags & FORM_DOUBLE) || t->form->imm || t->opsize != 2 ||
	       (t->regs[UMBRA_EMU_RCX] & 31) <= 16;
}

bool generate(struct trial *t)
{
	const struct form *f = t->form;
	unsigned int i;

	for (i = 0; i < 16; i++)
		t->regs[i] = t->mode == UMBRA_EMU_LONG64 ? interesting() : (u32)interesting();
	t->len = 0;
	t->bad_vex = false;
	t->mod = 3;
	t->base = -1;
	t->index = -1;
	t->scale = 0;
	t->riprel = false;
	t->rflags = 2 | (rnd() & (ARITH | (f->flags & FORM_STRING ? DF : 0)));
	draw_prefixes(t);
	/* MOVSXD to 16 bits reads 2 bytes on some CPUs, 4 on others. */
	if (f->flags & FORM_ONLY64 && t->opsize == 2)
		return false;
	/* What lies within 4 GiB of the C library's FS is not ours to touch. */
	if (t->seg == UMBRA_EMU_FS && t->adsize != 8)
		return false;
	draw_registers(t);
	put_opcode(t);
	if (f->flags & FORM_OPREG)
		t->code[t->len - 1] |= rnd_below(8);
	if (f->flags & FORM_MOFFS)
		put(t, t->target - segment_base(t, UMBRA_EMU_DS), t->adsize);
	else if (!(f->flags & (FORM_STRING | FORM_NO_MODRM | FORM_OPREG)))
		draw_modrm(t);
	if (f->imm)
		put(t, draw_immediate(t), f->imm == 1 ? 1 : min_t(u8, t->opsize, f->imm));
	if (t->mod != 3)
		return solve_modrm(t) && is_defined(t);
	if (f->flags & FORM_STRING)
		solve_string(t);
	return true;
}
