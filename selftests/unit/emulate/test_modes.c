// SPDX-License-Identifier: GPL-2.0
/* What only 16- and 32-bit modes have; real and virtual-8086 mode included. */
#include <linux/kernel.h>
#include "machine.h"
#include "tap.h"

static struct machine m;

static void fresh(enum umbra_emu_mode mode)
{
	machine_init(&m);
	machine_mode(&m, mode);
}

static void real_mode(enum umbra_emu_mode mode, const char *name)
{
	struct umbra_emu *emu = &m.emu;

	fresh(mode);
	emu->regs[UMBRA_EMU_RAX] = 0x1234;
	emu->regs[UMBRA_EMU_RBX] = 0xfff0;
	emu->regs[UMBRA_EMU_RSI] = 0x20;
	ok(RUN(&m, 0x89, 0x00) == UMBRA_EMU_DONE && machine_get(&m, DATA + 0x10, 4) == 0x1234,
	   "%s: [bx + si] wraps at 64 KiB, 2 bytes", name);
	ok(emu->rip == 2, "%s: IP moves on", name);
	emu->regs[UMBRA_EMU_RBX] = 0x5555aaaa0100ull;
	ok(RUN(&m, 0x67, 0x66, 0x89, 0x43, 0x04) == UMBRA_EMU_FAULT && emu->exception.vector == GP,
	   "%s: a 32-bit address over the limit is #GP", name);
	ok(emu->exception.has_error_code == (mode != UMBRA_EMU_REAL),
	   "%s: error code %s", name, mode == UMBRA_EMU_REAL ? "none" : "pushed");
	emu->regs[UMBRA_EMU_RBP] = 0xffff;
	ok(RUN(&m, 0x8b, 0x46, 0x00) == UMBRA_EMU_FAULT && emu->exception.vector == SS_FAULT,
	   "%s: a word at SS:FFFF is #SS", name);
	m.segs[UMBRA_EMU_DS].limit = 0xffffffff;
	m.segs[UMBRA_EMU_DS].base = 0;
	m.segs[UMBRA_EMU_DS].ar = 0;
	emu->regs[UMBRA_EMU_RBX] = DATA;
	ok(RUN(&m, 0x67, 0x66, 0x89, 0x03) == UMBRA_EMU_DONE &&
	   machine_get(&m, DATA, 4) == 0x1234, "%s: big segments, whatever their rights", name);
}

static void operand_sizes(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(UMBRA_EMU_PROT32);
	emu->regs[UMBRA_EMU_RAX] = 0xdeadbeef;
	emu->regs[UMBRA_EMU_RBX] = DATA;
	ok(RUN(&m, 0x89, 0x03) == UMBRA_EMU_DONE && machine_get(&m, DATA, 8) == 0xdeadbeef,
	   "32-bit: 4 bytes");
	ok(RUN(&m, 0x66, 0x89, 0x43, 0x08) == UMBRA_EMU_DONE &&
	   machine_get(&m, DATA + 8, 8) == 0xbeef, "32-bit: 2 bytes with 66");
	ok(RUN(&m, 0x41) == UMBRA_EMU_UNKNOWN, "32-bit: 41 is not REX");
	ok(RUN(&m, 0x63, 0x03) == UMBRA_EMU_UNKNOWN, "32-bit: 63 is not MOVSXD");
	ok(RUN(&m, 0x82, 0x03, 1) == UMBRA_EMU_DONE && machine_get(&m, DATA, 1) == 0xf0,
	   "32-bit: 82 is 80");
	ok(RUN(&m, 0x8b, 0x0d, 0, 0, 1, 0x10) == UMBRA_EMU_DONE &&
	   emu->regs[UMBRA_EMU_RCX] == 0xdeadbef0, "32-bit: disp32 is absolute");
	fresh(UMBRA_EMU_LONG64);
	ok(RUN(&m, 0x82, 0x03, 1) == UMBRA_EMU_UNKNOWN, "64-bit: 82 is unknown");
	machine_set(&m, CODE + 0x100, 4, 0x600df00d);
	ok(RUN(&m, 0x8b, 0x0d, 0xfa, 0, 0, 0) == UMBRA_EMU_DONE &&
	   emu->regs[UMBRA_EMU_RCX] == 0x600df00d, "64-bit: disp32 is relative to the next RIP");
}

static void wrapping(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(UMBRA_EMU_PROT32);
	emu->rip = 0xfffffffe;
	machine_map(&m, 0xfffff000, 3 * PAGE, 1, true);
	emu->regs[UMBRA_EMU_RBX] = DATA;
	ok(RUN(&m, 0x89, 0x03) == UMBRA_EMU_DONE && emu->rip == 0, "EIP wraps at 4 GiB");
	fresh(UMBRA_EMU_PROT32);
	machine_map(&m, 0xfffff000, 3 * PAGE, 1, true);
	machine_map(&m, 0, 4 * PAGE, 1, true);
	m.segs[UMBRA_EMU_DS].base = 0xfffff000;
	emu->regs[UMBRA_EMU_RBX] = 0xffe;
	emu->regs[UMBRA_EMU_RAX] = 0x11223344;
	ok(RUN(&m, 0x89, 0x03) == UMBRA_EMU_DONE && machine_get(&m, 0xfffffffe, 2) == 0x3344 &&
	   machine_get(&m, 0, 2) == 0x1122,
	   "linear addresses wrap at 4 GiB");
	fresh(UMBRA_EMU_PROT16);
	emu->regs[UMBRA_EMU_RDI] = 0xffff0000fffeull;
	emu->regs[UMBRA_EMU_RCX] = 0x12340003;
	emu->regs[UMBRA_EMU_RAX] = 0x4142;
	machine_map(&m, DATA + 0xf000, 3 * PAGE, 1, true);
	ok(RUN(&m, 0xf3, 0xab) == UMBRA_EMU_DONE && emu->regs[UMBRA_EMU_RDI] == 0xffff00000004ull &&
	   emu->regs[UMBRA_EMU_RCX] == 0x12340000 && machine_get(&m, DATA, 4) == 0x41424142 &&
	   machine_get(&m, DATA + 0xfffe, 2) == 0x4142, "rep stosw wraps DI, uses CX");
}

static void flags_of_the_caller(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(UMBRA_EMU_LONG64);
	emu->regs[UMBRA_EMU_RBX] = DATA;
	emu->rflags = 2 | RF | TF;
	ok(RUN(&m, 0x89, 0x03) == UMBRA_EMU_DONE && emu->retired && emu->tf_trap &&
	   emu->rflags == (2 | TF), "RF is cleared, TF gives a trap");
	emu->rflags = 2;
	ok(RUN(&m, 0x89, 0x03) == UMBRA_EMU_DONE && emu->retired && !emu->tf_trap,
	   "no TF, no trap");
	ok(RUN(&m, 0x0f, 0x0b) == UMBRA_EMU_UNKNOWN && !emu->retired, "unknown retires nothing");
	ok(emu->insn.fetched >= 2 && emu->insn.bytes[0] == 0x0f && emu->insn.bytes[1] == 0x0b,
	   "unknown leaves the instruction bytes");
	emu->rip = DEVICE;
	ok(umbra_emulate(emu) == UMBRA_EMU_UNKNOWN, "code in MMIO is unknown");
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_RETRY, "nothing to resume");
}

int main(void)
{
	real_mode(UMBRA_EMU_REAL, "real mode");
	real_mode(UMBRA_EMU_VM86, "virtual-8086 mode");
	operand_sizes();
	wrapping();
	flags_of_the_caller();
	return tap_done();
}
