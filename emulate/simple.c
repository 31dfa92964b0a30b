// SPDX-License-Identifier: GPL-2.0
/*
 * MOV to memory in 64-bit mode, which is how guests mostly write to their page
 * tables, without the context that the emulator proper needs.
 *
 *	[REX] 89 /r		mov %reg, mem	4 or 8 bytes
 *	[REX] C7 /0 imm32	mov $imm, mem
 */
#include <linux/string.h>
#include <umbra/emulate.h>

#define REX_B	1
#define REX_X	2
#define REX_R	4
#define REX_W	8

/**
 * struct decoder - how far the bytes have been read
 * @p: next byte; there are enough of them
 * @rex: the prefix, or 0
 * @mod: fields of the ModR/M byte, with what the prefix adds
 * @reg: see @mod
 * @rm: without the prefix
 * @gva: address of the operand, without what is relative to RIP
 * @relative: and it is relative to the next instruction
 */
struct decoder {
	const u8 *p;
	u8 rex;
	u8 mod;
	u8 reg;
	u8 rm;
	u64 gva;
	bool relative;
};

static s64 take_signed(struct decoder *d, unsigned int size)
{
	s32 value;

	if (size == 1)
		return (s8)*d->p++;
	memcpy(&value, d->p, sizeof(value));
	d->p += sizeof(value);
	return value;
}

static void take_sib(struct decoder *d, const u64 *regs)
{
	u8 sib = *d->p++;
	u8 index = (sib >> 3 & 7) | (d->rex & REX_X ? 8 : 0);
	u8 base = (sib & 7) | (d->rex & REX_B ? 8 : 0);

	if (index != UMBRA_EMU_RSP)
		d->gva = regs[index] << (sib >> 6);
	if ((sib & 7) == UMBRA_EMU_RBP && d->mod == 0)
		d->gva += take_signed(d, 4);
	else
		d->gva += regs[base];
}

static void take_operand(struct decoder *d, const u64 *regs)
{
	u8 modrm = *d->p++;

	d->mod = modrm >> 6;
	d->reg = (modrm >> 3 & 7) | (d->rex & REX_R ? 8 : 0);
	d->rm = modrm & 7;
	if (d->rm == UMBRA_EMU_RSP) {
		take_sib(d, regs);
	} else if (d->rm == UMBRA_EMU_RBP && d->mod == 0) {
		d->gva = take_signed(d, 4);
		d->relative = true;
	} else {
		d->gva = regs[d->rm | (d->rex & REX_B ? 8 : 0)];
	}
	if (d->mod == 1)
		d->gva += take_signed(d, 1);
	else if (d->mod == 2)
		d->gva += take_signed(d, 4);
}

unsigned int umbra_emulate_simple_store(const u8 *bytes, const u64 *regs, u64 rip,
					struct umbra_emu_store *store)
{
	struct decoder d = { .p = bytes };
	u8 opcode = *d.p++;
	unsigned int len;

	if ((opcode & 0xf0) == 0x40) {
		d.rex = opcode;
		opcode = *d.p++;
	}
	if (opcode != 0x89 && opcode != 0xc7)
		return 0;
	take_operand(&d, regs);
	if (d.mod == 3)
		return 0;
	store->size = d.rex & REX_W ? 8 : 4;
	if (opcode == 0xc7 && (d.reg & 7))
		return 0;
	store->value = opcode == 0x89 ? regs[d.reg] : (u64)take_signed(&d, 4);
	len = d.p - bytes;
	store->gva = d.relative ? d.gva + rip + len : d.gva;
	return len;
}
