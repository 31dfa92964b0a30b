// SPDX-License-Identifier: GPL-2.0
/* Lengths, operands of decode_only, truncation at every byte. */
#include <linux/kernel.h>
#include <string.h>
#include "forms.h"
#include "machine.h"
#include "tap.h"

#define INSTANCES	200

static struct machine m;

static void set_up(const struct trial *t)
{
	machine_init(&m);
	machine_mode(&m, t->mode);
	memcpy(m.emu.regs, t->regs, sizeof(t->regs));
	memcpy(m.segs, t->segs, sizeof(m.segs));
	m.emu.rflags = t->rflags;
	m.emu.rip = t->rip;
	if (t->len)
		machine_code(&m, t->code, t->len);
}

static void draw(struct trial *t, const struct form *form, enum umbra_emu_mode mode)
{
	machine_init(&m);
	machine_mode(&m, mode);
	*t = (struct trial) { .form = form, .mode = mode, .rip = m.emu.rip };
	memcpy(t->segs, m.segs, sizeof(t->segs));
	do {
		t->target = DATA + PAGE + rnd_below(PAGE);
		t->source = DATA + 3 * PAGE + rnd_below(PAGE);
	} while (!generate(t));
}

/* Length, and where the operand is, without executing anything. */
static bool decodes(const struct trial *t)
{
	enum umbra_emu_result result;
	bool memory = t->mod != 3 || t->form->flags & (FORM_STRING | FORM_MOFFS);
	static u8 ram[RAM_SIZE];
	u64 wanted = t->target;

	set_up(t);
	memcpy(ram, m.ram, RAM_SIZE);
	result = umbra_emulate_decode_only(&m.emu);
	if (t->bad_vex)
		return result == UMBRA_EMU_FAULT && m.emu.exception.vector == UD;
	if (memcmp(ram, m.ram, RAM_SIZE) || m.reads || m.writes || m.exchanges)
		return false;
	if (m.emu.insn.len != t->len)
		return false;
	if (result == UMBRA_EMU_FAULT)
		return m.emu.exception.vector == UD && memchr(t->code, 0xf0, t->len);
	if (result != UMBRA_EMU_DONE)
		return false;
	if (!memory)
		return m.emu.mem.size == 0;
	/* LODS has no destination. */
	if ((t->form->opcode[0] | 1) == 0xad)
		wanted = t->source;
	/* 16-bit addresses reach the target's image in their 64 KiB. */
	if (t->adsize == 2)
		return (u16)m.emu.mem.gva == (u16)wanted && m.emu.mem.size != 0;
	return m.emu.mem.gva == wanted && m.emu.mem.size != 0;
}

/* With the rest of the instruction in a page that is not there. */
static bool faults_when_truncated(const struct trial *t)
{
	struct trial cut = *t;
	enum umbra_emu_result result;
	unsigned int keep;

	for (keep = 0; keep < t->len; keep++) {
		set_up(t);
		cut.rip = CODE + 2 * PAGE - keep - (m.segs[UMBRA_EMU_CS].base);
		cut.len = keep;
		set_up(&cut);
		result = umbra_emulate(&m.emu);
		if (result != UMBRA_EMU_FAULT || m.emu.exception.vector != PAGE_FAULT ||
		    m.emu.exception.cr2 != CODE + 2 * PAGE)
			return false;
	}
	return true;
}

static void all_forms(enum umbra_emu_mode mode, const char *name)
{
	bool decoded = true, truncated = true;
	struct trial t;
	unsigned int i, n;

	for (i = 0; i < nr_forms; i++) {
		if (forms[i].flags & FORM_ONLY64 && mode != UMBRA_EMU_LONG64)
			continue;
		for (n = 0; n < INSTANCES; n++) {
			draw(&t, &forms[i], mode);
			decoded &= decodes(&t);
			truncated &= t.bad_vex || faults_when_truncated(&t);
		}
		if (!decoded || !truncated) {
			printf("# %s\n", forms[i].name);
			break;
		}
	}
	ok(decoded, "%s: every form has its length and operand", name);
	ok(truncated, "%s: truncated anywhere, every form is #PF", name);
}

static void prefixes(void)
{
	struct umbra_emu *emu = &m.emu;

	machine_init(&m);
	emu->regs[UMBRA_EMU_RBX] = DATA;
	emu->regs[UMBRA_EMU_RAX] = ~0ull;
	ok(RUN(&m, 0x48, 0x66, 0x89, 0x03) == UMBRA_EMU_DONE && emu->insn.opsize == 2,
	   "REX not right before the opcode is void");
	emu->rip = CODE;
	ok(RUN(&m, 0x66, 0x48, 0x89, 0x03) == UMBRA_EMU_DONE && emu->insn.opsize == 8,
	   "REX.W beats 66");
	m.segs[UMBRA_EMU_FS].base = 0x40;
	emu->rip = CODE;
	ok(RUN(&m, 0x64, 0x3e, 0x89, 0x03) == UMBRA_EMU_DONE && emu->mem.gva == DATA + 0x40,
	   "64-bit mode: DS does not undo FS");
	emu->rip = CODE;
	ok(RUN(&m, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
	       0x89, 0x03) == UMBRA_EMU_DONE && emu->rip == CODE + 15, "15 bytes are allowed");
	emu->rip = CODE;
	ok(RUN(&m, 0xf3, 0xf2, 0x0f, 0x10, 0x03) == UMBRA_EMU_DONE && emu->insn.opsize == 8,
	   "of F2 and F3 the last counts");
	emu->rip = CODE;
	ok(RUN(&m, 0xf2, 0x0f, 0x38, 0xf0, 0x03) == UMBRA_EMU_UNKNOWN, "CRC32 is not MOVBE");
	ok(RUN(&m, 0x0f, 0x6f, 0x03) == UMBRA_EMU_UNKNOWN, "MMX is unknown");
	ok(RUN(&m, 0x0f, 0x10, 0xc3) == UMBRA_EMU_UNKNOWN, "XMM to XMM is unknown");
	ok(RUN(&m, 0xff, 0x3b) == UMBRA_EMU_UNKNOWN, "group member 7 of FF is unknown");
}

int main(void)
{
	prefixes();
	all_forms(UMBRA_EMU_LONG64, "64-bit");
	all_forms(UMBRA_EMU_PROT32, "32-bit");
	all_forms(UMBRA_EMU_PROT16, "16-bit");
	return tap_done();
}
