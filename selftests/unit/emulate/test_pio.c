// SPDX-License-Identifier: GPL-2.0
/* INS and OUTS: batches, what commits when, MMIO at the other end. */
#include <linux/kernel.h>
#include <string.h>
#include "machine.h"
#include "tap.h"

static struct machine m;

static void fresh(u64 rsi, u64 rdi, u64 rcx)
{
	unsigned int i;

	machine_init(&m);
	m.emu.regs[UMBRA_EMU_RSI] = rsi;
	m.emu.regs[UMBRA_EMU_RDI] = rdi;
	m.emu.regs[UMBRA_EMU_RCX] = rcx;
	m.emu.regs[UMBRA_EMU_RDX] = 0xffff01f0;
	for (i = 0; i < DATA_PAGES * PAGE; i++)
		machine_at(&m, DATA)[i] = i * 7;
}

static bool is_pio(bool in, unsigned int size, unsigned int count)
{
	const struct umbra_emu_pio *pio = &m.emu.pio;

	return pio->port == 0x1f0 && pio->in == in && pio->size == size && pio->count == count;
}

static void outs(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(DATA + 4, 0, 3);
	ok(RUN(&m, 0x6e) == UMBRA_EMU_PIO && is_pio(false, 1, 1) && m.pio[0] == 28 &&
	   emu->regs[UMBRA_EMU_RSI] == DATA + 4 && emu->rip == CODE, "outsb exits, uncommitted");
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_DONE && emu->regs[UMBRA_EMU_RSI] == DATA + 5 &&
	   emu->regs[UMBRA_EMU_RCX] == 3 && emu->rip == CODE + 1, "and completes");
	fresh(DATA + 4, 0, 3);
	ok(RUN(&m, 0xf3, 0x66, 0x6f) == UMBRA_EMU_PIO && is_pio(false, 2, 3) &&
	   !memcmp(m.pio, machine_at(&m, DATA + 4), 6), "rep outsw: three elements in one exit");
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_DONE && emu->regs[UMBRA_EMU_RCX] == 0 &&
	   emu->regs[UMBRA_EMU_RSI] == DATA + 10, "and completes");
	fresh(DATA + PAGE - 8, 0, 5);
	ok(RUN(&m, 0xf3, 0x48, 0x6f) == UMBRA_EMU_PIO && is_pio(false, 4, 2),
	   "no further than the page, 4 bytes in spite of REX.W");
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_RETRY && emu->regs[UMBRA_EMU_RCX] == 3 &&
	   emu->rip == CODE && emu->retired, "then again from the guest");
	ok(umbra_emulate(emu) == UMBRA_EMU_PIO && is_pio(false, 4, 3) &&
	   umbra_emulate_resume(emu) == UMBRA_EMU_DONE, "the rest");
	fresh(DATA + 8, 0, 3);
	emu->rflags |= DF;
	ok(RUN(&m, 0xf3, 0x6f) == UMBRA_EMU_PIO && is_pio(false, 4, 3) &&
	   m.pio[0] == (u8)(8 * 7) && m.pio[4] == (u8)(4 * 7) &&
	   umbra_emulate_resume(emu) == UMBRA_EMU_DONE && emu->regs[UMBRA_EMU_RSI] == DATA - 4,
	   "backwards, in the order of the transfers");
	fresh(DEVICE, 0, 2);
	ok(RUN(&m, 0xf3, 0x6e) == UMBRA_EMU_MMIO && emu->mmio.len == 1, "OUTS from a device");
	emu->mmio.data[0] = 0x99;
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_PIO && is_pio(false, 1, 1) && m.pio[0] == 0x99,
	   "one element at a time");
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_RETRY && emu->regs[UMBRA_EMU_RCX] == 1, "again");
	ok(umbra_emulate(emu) == UMBRA_EMU_MMIO && emu->mmio.gpa == MMIO_BASE + 1,
	   "the next element is read anew");
}

static void ins(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(0, DATA, 0x300);
	ok(RUN(&m, 0xf3, 0x66, 0x6d) == UMBRA_EMU_PIO && is_pio(true, 2, 0x300) &&
	   emu->regs[UMBRA_EMU_RCX] == 0x300 && !m.writes, "rep insw: one exit");
	memset(m.pio, 0x42, sizeof(m.pio));
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_DONE && emu->regs[UMBRA_EMU_RCX] == 0 &&
	   emu->regs[UMBRA_EMU_RDI] == DATA + 0x600 && machine_get(&m, DATA + 0x5ff, 1) == 0x42 &&
	   machine_get(&m, DATA + 0x600, 1) != 0x42, "and the data lands");
	fresh(0, DATA + PAGE - 1, 4);
	ok(RUN(&m, 0xf3, 0x6d) == UMBRA_EMU_PIO && is_pio(true, 4, 1),
	   "an element across pages comes alone");
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_RETRY && emu->regs[UMBRA_EMU_RCX] == 3,
	   "then more");
	fresh(0, READONLY, 4);
	ok(RUN(&m, 0xf3, 0x6d) == UMBRA_EMU_FAULT && emu->exception.error_code == 3,
	   "a fault comes before the device is read");
	fresh(0, DATA + DATA_PAGES * PAGE - 4, 4);
	ok(RUN(&m, 0xf3, 0x6d) == UMBRA_EMU_PIO && is_pio(true, 4, 1), "only what has room");
	machine_unmap(&m, DATA + (DATA_PAGES - 1) * PAGE);
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_FAULT && emu->regs[UMBRA_EMU_RCX] == 4 &&
	   !umbra_emulate_pending(emu), "unmapped meanwhile: the fault is delivered");
	fresh(0, DEVICE, 2);
	ok(RUN(&m, 0xf3, 0x6c) == UMBRA_EMU_PIO && is_pio(true, 1, 2), "INS to a device");
	m.pio[0] = 1;
	m.pio[1] = 2;
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_MMIO && emu->mmio.data[0] == 1 &&
	   emu->regs[UMBRA_EMU_RCX] == 2, "first element");
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_MMIO && emu->mmio.data[0] == 2 &&
	   emu->mmio.gpa == MMIO_BASE + 1 && emu->regs[UMBRA_EMU_RCX] == 1, "second element");
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_DONE && emu->regs[UMBRA_EMU_RCX] == 0, "done");
}

static void odd(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(DATA, DATA, 0);
	ok(RUN(&m, 0xf3, 0x6d) == UMBRA_EMU_DONE && emu->rip == CODE + 2, "no element");
	fresh(DATA, DATA, 10);
	emu->rflags |= TF;
	ok(RUN(&m, 0xf3, 0x6d) == UMBRA_EMU_PIO && is_pio(true, 4, 1) &&
	   umbra_emulate_resume(emu) == UMBRA_EMU_DONE && emu->tf_trap && emu->rip == CODE,
	   "single step");
	fresh(DATA, DATA, 10);
	emu->pio.capacity = 7;
	ok(RUN(&m, 0xf3, 0x6d) == UMBRA_EMU_PIO && is_pio(true, 4, 1), "a small buffer");
	emu->pio.capacity = 3;
	ok(RUN(&m, 0xf3, 0x6d) == UMBRA_EMU_UNKNOWN, "too small a buffer");
	emu->pio.data = NULL;
	emu->pio.capacity = 100;
	ok(RUN(&m, 0x6c) == UMBRA_EMU_UNKNOWN, "no buffer");
	fresh(DATA, DATA, ~0ull);
	ok(RUN(&m, 0xf3, 0x6c) == UMBRA_EMU_PIO && is_pio(true, 1, PAGE), "a page at most");
}

/* User space changes RCX while it has the exit. */
static void count_changed(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(0, DATA, 3);
	ok(RUN(&m, 0xf3, 0x6c) == UMBRA_EMU_PIO && is_pio(true, 1, 3), "rep insb of three");
	emu->regs[UMBRA_EMU_RCX] = 1;
	memset(m.pio, 0xaa, 3);
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_DONE && emu->regs[UMBRA_EMU_RCX] == 0 &&
	   emu->regs[UMBRA_EMU_RDI] == DATA + 1 && emu->rip == CODE + 2 &&
	   machine_at(&m, DATA)[1] == 7, "ends after the one that is left");
	fresh(0, DATA, 3);
	RUN(&m, 0xf3, 0x6c);
	emu->regs[UMBRA_EMU_RCX] = 0;
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_DONE && emu->regs[UMBRA_EMU_RCX] == 0 &&
	   emu->regs[UMBRA_EMU_RDI] == DATA && emu->rip == CODE + 2, "or at once");
	fresh(DATA, 0, 3);
	RUN(&m, 0xf3, 0x6e);
	emu->regs[UMBRA_EMU_RCX] = 2;
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_DONE && emu->regs[UMBRA_EMU_RCX] == 0 &&
	   emu->regs[UMBRA_EMU_RSI] == DATA + 2, "rep outsb counts no further than to 0");
}

int main(void)
{
	outs();
	count_changed();
	ins();
	odd();
	return tap_done();
}
