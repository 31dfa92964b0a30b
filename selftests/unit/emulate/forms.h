/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The instruction forms that the emulator claims to know, written down apart
 * from its own tables, and a generator of random instances.
 */
#ifndef UNIT_FORMS_H
#define UNIT_FORMS_H

#include <linux/types.h>
#include <umbra/emulate.h>

enum {
	FORM_LOCK	= 1,	/* LOCK allowed with a memory destination */
	FORM_MEMORY	= 2,	/* no register form */
	FORM_BITS	= 4,	/* register bit offset */
	FORM_STRING	= 8,
	FORM_MOFFS	= 16,
	FORM_NO_MODRM	= 32,
	FORM_COMPARE	= 64,	/* equal operands are interesting */
	FORM_PREFIXED	= 128,	/* prefixes select the operation: add none */
	FORM_ONLY64	= 256,
	FORM_VEX	= 512,
	FORM_MERGE	= 1024,	/* VEX.vvvv is an operand */
	FORM_STACK	= 2048,	/* 8 bytes in 64-bit mode, and uses the stack */
	FORM_DOUBLE	= 4096,	/* undefined when 16 bits are shifted by more */
	FORM_DIVIDE	= 8192,	/* small dividends are interesting */
	FORM_OPREG	= 16384, /* a register in the low bits of the opcode */
};

struct form {
	const char *name;
	u8 opcode[3];
	u8 opcode_len;
	s8 digit;		/* ModRM.reg, or -1: a register */
	u8 prefix;		/* mandatory, or 0 */
	u8 size;		/* of the memory operand; 0: operand size */
	u8 imm;			/* immediate bytes; 4, 8: operand size, at most so many */
	u16 flags;
	u16 undefined;		/* flags left undefined */
};

extern const struct form forms[];
extern const unsigned int nr_forms;

/* Those that only steps know. */
extern const struct form step_forms[];
extern const unsigned int nr_step_forms;

/* What to run, and on what. */
struct trial {
	/* set before generate() */
	enum umbra_emu_mode mode;
	struct umbra_emu_segment segs[6];
	u64 rip;
	/* set by generate() */
	const struct form *form;
	u8 code[15];
	unsigned int len;
	u64 regs[16];
	u64 rflags;
	u64 target;		/* linear address of the memory operand */
	u64 source;		/* of the string source */
	u8 opsize;
	u8 adsize;
	s8 seg;
	u8 rex;
	bool rep;
	bool bad_vex;		/* #UD before it is decoded, or after */
	/* ModRM, taken apart */
	u8 mod;
	u8 reg;
	s8 base;
	s8 index;
	u8 scale;
	bool riprel;
	u8 disp_len;
	u8 disp_pos;		/* in code */
};

/* false: this instance cannot be given the wanted address, try again */
bool generate(struct trial *t);
u64 rnd(void);
u64 rnd_below(u64 limit);
void rnd_seed(u64 seed);

#endif
