// SPDX-License-Identifier: GPL-2.0
/* Repeated string instructions: progress, bounds, faults, single step. */
#include <linux/kernel.h>
#include <string.h>
#include "machine.h"
#include "tap.h"

static struct machine m;

static void fresh(u64 rsi, u64 rdi, u64 rcx)
{
	machine_init(&m);
	m.emu.regs[UMBRA_EMU_RSI] = rsi;
	m.emu.regs[UMBRA_EMU_RDI] = rdi;
	m.emu.regs[UMBRA_EMU_RCX] = rcx;
}

static void bounded(void)
{
	struct umbra_emu *emu = &m.emu;
	unsigned int calls = 1;

	fresh(0, DATA, 5000);
	emu->regs[UMBRA_EMU_RAX] = 0x5a;
	ok(RUN(&m, 0xf3, 0xaa) == UMBRA_EMU_RETRY && emu->regs[UMBRA_EMU_RCX] == 5000 - 1024 &&
	   emu->regs[UMBRA_EMU_RDI] == DATA + 1024 && emu->rip == CODE && emu->retired,
	   "1024 iterations, then back to the guest");
	while (umbra_emulate(emu) == UMBRA_EMU_RETRY)
		calls++;
	ok(calls == 4 && emu->regs[UMBRA_EMU_RCX] == 0 && emu->rip == CODE + 2 &&
	   machine_get(&m, DATA + 4999, 1) == 0x5a && machine_get(&m, DATA + 5000, 1) == 0,
	   "and all of it in five calls");
	fresh(DATA, DATA, ~0ull);
	emu->rflags |= DF;
	emu->regs[UMBRA_EMU_RSI] = DATA + 8 * 4096 - 8;
	ok(RUN(&m, 0xf3, 0x48, 0xad) == UMBRA_EMU_RETRY && emu->regs[UMBRA_EMU_RCX] == ~0ull - 1024,
	   "a huge counter");
}

static void faults(void)
{
	struct umbra_emu *emu = &m.emu;
	u64 end = DATA + DATA_PAGES * PAGE;

	fresh(DATA, end - 10, 8);
	machine_set(&m, DATA, 8, 0x0807060504030201ull);
	ok(RUN(&m, 0xf3, 0xa5) == UMBRA_EMU_FAULT && emu->exception.cr2 == end &&
	   emu->regs[UMBRA_EMU_RCX] == 6 && emu->regs[UMBRA_EMU_RSI] == DATA + 8 &&
	   emu->regs[UMBRA_EMU_RDI] == end - 2 && emu->rip == CODE &&
	   machine_get(&m, end - 10, 8) == 0x0807060504030201ull &&
	   machine_get(&m, end - 2, 2) == 0,
	   "a fault keeps whole iterations, and only those");
	ok(emu->retired, "iterations have retired");
}

static void zero_count(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(1ull << 62, 1ull << 62, 0);
	ok(RUN(&m, 0xf3, 0xa5) == UMBRA_EMU_DONE && emu->rip == CODE + 2 && !m.reads,
	   "no iteration: no access, no fault");
	fresh(0, DATA, 0x100000000ull);
	ok(RUN(&m, 0x67, 0xf3, 0xaa) == UMBRA_EMU_DONE && !m.writes, "67: ECX counts");
}

static void conditions(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(DATA, DATA + 0x100, 8);
	memcpy(machine_at(&m, DATA), "abcdXfgh", 8);
	memcpy(machine_at(&m, DATA + 0x100), "abcdefgh", 8);
	ok(RUN(&m, 0xf3, 0xa6) == UMBRA_EMU_DONE && emu->regs[UMBRA_EMU_RCX] == 3 &&
	   !(emu->rflags & ZF) && emu->rflags & CF, "repe cmpsb stops at the difference");
	fresh(0, DATA, 100);
	memcpy(machine_at(&m, DATA), "hello", 6);
	ok(RUN(&m, 0xf2, 0xae) == UMBRA_EMU_DONE && emu->regs[UMBRA_EMU_RCX] == 94 &&
	   emu->rflags & ZF && emu->regs[UMBRA_EMU_RDI] == DATA + 6, "repne scasb is strlen");
	fresh(DATA + 16, DATA + 0x110, 3);
	machine_set(&m, DATA + 16, 4, 3);
	machine_set(&m, DATA + 12, 4, 2);
	machine_set(&m, DATA + 8, 4, 1);
	emu->rflags |= DF;
	ok(RUN(&m, 0xf3, 0xa5) == UMBRA_EMU_DONE && emu->regs[UMBRA_EMU_RSI] == DATA + 4 &&
	   machine_get(&m, DATA + 0x110, 4) == 3 && machine_get(&m, DATA + 0x108, 4) == 1,
	   "backwards");
}

static void single_step(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(0, DATA, 3);
	emu->rflags |= TF | RF;
	ok(RUN(&m, 0xf3, 0xab) == UMBRA_EMU_DONE && emu->tf_trap && emu->rip == CODE &&
	   emu->regs[UMBRA_EMU_RCX] == 2 && emu->rflags & RF, "TF: a trap after each iteration");
	ok(umbra_emulate(emu) == UMBRA_EMU_DONE && emu->tf_trap && emu->rip == CODE, "again");
	ok(umbra_emulate(emu) == UMBRA_EMU_DONE && emu->tf_trap && emu->rip == CODE + 2 &&
	   !(emu->rflags & RF), "and after the last, past the instruction");
}

static void overrides(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(DATA, DATA, 1);
	m.segs[UMBRA_EMU_FS].base = 0x100;
	machine_set(&m, DATA + 0x100, 4, 0x77);
	ok(RUN(&m, 0x64, 0xa5) == UMBRA_EMU_DONE && machine_get(&m, DATA, 4) == 0x77,
	   "an override moves the source, never the destination");
	ok(emu->regs[UMBRA_EMU_RCX] == 1, "without rep RCX is left alone");
	m.nr_maps = 0;
	machine_map(&m, CODE, 0, 1, false);
	machine_map(&m, DATA, 2 * PAGE, 1, true);
	emu->regs[UMBRA_EMU_RDI] = DATA + PAGE - 2;
	ok(RUN(&m, 0xab) == UMBRA_EMU_FAULT && emu->exception.cr2 == DATA + PAGE,
	   "an element across pages faults whole");
}

int main(void)
{
	bounded();
	faults();
	zero_count();
	conditions();
	single_step();
	overrides();
	return tap_done();
}
