// SPDX-License-Identifier: GPL-2.0
/* Read-modify-write: one read, one compare-exchange, no update is lost. */
#include <linux/kernel.h>
#include "machine.h"
#include "tap.h"

static struct machine m;

static void fresh(u64 value)
{
	machine_init(&m);
	m.emu.regs[UMBRA_EMU_RBX] = DATA;
	machine_set(&m, DATA, 8, value);
}

static void atomic_forms(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(0x10);
	emu->regs[UMBRA_EMU_RAX] = 1;
	ok(RUN(&m, 0x48, 0x01, 0x03) == UMBRA_EMU_DONE && m.reads == 1 && m.writes == 0 &&
	   m.exchanges == 1, "add without LOCK: one read, one compare-exchange");
	ok(machine_get(&m, DATA, 8) == 0x11, "and the right sum");
	fresh(0x10);
	emu->regs[UMBRA_EMU_RAX] = 1;
	m.races = 3;
	m.race_add = 0x20;
	ok(RUN(&m, 0xf0, 0x48, 0x0f, 0xc1, 0x03) == UMBRA_EMU_DONE &&
	   machine_get(&m, DATA, 8) == 0x71 && emu->regs[UMBRA_EMU_RAX] == 0x70,
	   "xadd that loses three races adds to what it finds");
	fresh(0xff);
	emu->regs[UMBRA_EMU_RAX] = 0xff;
	emu->regs[UMBRA_EMU_RCX] = 0x55;
	m.races = 1;
	m.race_add = 1;
	ok(RUN(&m, 0x0f, 0xb0, 0x0b) == UMBRA_EMU_DONE && !(emu->rflags & ZF) &&
	   machine_get(&m, DATA, 1) == 0 && (u8)emu->regs[UMBRA_EMU_RAX] == 0,
	   "cmpxchg that loses a race compares again");
	fresh(0);
	m.races = ~0u;
	ok(RUN(&m, 0x48, 0xff, 0x03) == UMBRA_EMU_RETRY && !emu->retired && emu->rip == CODE &&
	   m.exchanges <= 64, "endless races: back to the guest");
	fresh(0);
	m.retry_reads = 1;
	ok(RUN(&m, 0x48, 0xff, 0x03) == UMBRA_EMU_RETRY && emu->rip == CODE,
	   "read that cannot be done now: back to the guest");
}

static void pairs(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(0x2222222211111111ull);
	emu->regs[UMBRA_EMU_RAX] = 0xffffffff11111111ull;
	emu->regs[UMBRA_EMU_RDX] = 0xffffffff22222222ull;
	emu->regs[UMBRA_EMU_RCX] = 0x44444444;
	m.emu.regs[UMBRA_EMU_RSI] = DATA;
	emu->regs[UMBRA_EMU_RBX] = 0x33333333;
	ok(RUN(&m, 0xf0, 0x0f, 0xc7, 0x0e) == UMBRA_EMU_DONE && emu->rflags & ZF &&
	   machine_get(&m, DATA, 8) == 0x4444444433333333ull &&
	   emu->regs[UMBRA_EMU_RAX] == 0xffffffff11111111ull, "cmpxchg8b that succeeds");
	m.exchanges = 0;
	ok(RUN(&m, 0x0f, 0xc7, 0x0e) == UMBRA_EMU_DONE && !(emu->rflags & ZF) &&
	   emu->regs[UMBRA_EMU_RAX] == 0x33333333 && emu->regs[UMBRA_EMU_RDX] == 0x44444444,
	   "cmpxchg8b that fails");
	machine_set(&m, DATA + 8, 8, 0x99);
	m.races = 1;
	m.race_add = 1;
	ok(RUN(&m, 0x48, 0x0f, 0xc7, 0x0e) == UMBRA_EMU_DONE && !(emu->rflags & ZF) &&
	   emu->regs[UMBRA_EMU_RAX] == 0x4444444433333334ull && emu->regs[UMBRA_EMU_RDX] == 0x99,
	   "cmpxchg16b that fails reads 16 bytes that belong together");
	emu->regs[UMBRA_EMU_RBX] = 7;
	emu->regs[UMBRA_EMU_RCX] = 8;
	ok(RUN(&m, 0x48, 0x0f, 0xc7, 0x0e) == UMBRA_EMU_DONE && emu->rflags & ZF &&
	   machine_get(&m, DATA, 8) == 7 && machine_get(&m, DATA + 8, 8) == 8,
	   "cmpxchg16b that succeeds");
}

static void not_atomic(void)
{
	struct umbra_emu *emu = &m.emu;
	u64 cross = DATA + PAGE - 3;

	fresh(0);
	emu->regs[UMBRA_EMU_RBX] = cross;
	machine_set(&m, cross, 3, 0xffffff);
	ok(RUN(&m, 0xf0, 0x48, 0xff, 0x03) == UMBRA_EMU_DONE && m.exchanges == 0 &&
	   machine_get(&m, cross, 3) == 0 && machine_get(&m, DATA + PAGE, 5) == 1,
	   "across pages: written plainly, carry included");
	fresh(0);
	ok(RUN(&m, 0x83, 0x3b, 1) == UMBRA_EMU_DONE && m.exchanges == 0 && m.writes == 0 &&
	   emu->rflags & CF, "cmp does not write");
	emu->regs[UMBRA_EMU_RBX] = READONLY;
	ok(RUN(&m, 0xf6, 0x03, 1) == UMBRA_EMU_DONE && emu->rflags & ZF,
	   "test needs no write access");
	emu->regs[UMBRA_EMU_RBX] = DATA + 0x100;
	emu->regs[UMBRA_EMU_RCX] = -65;
	ok(RUN(&m, 0x48, 0x0f, 0xab, 0x0b) == UMBRA_EMU_DONE &&
	   machine_get(&m, DATA + 0xf0, 8) == 1ull << 63, "bts reaches below its operand");
}

int main(void)
{
	atomic_forms();
	pairs();
	not_atomic();
	return tap_done();
}
