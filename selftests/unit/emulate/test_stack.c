// SPDX-License-Identifier: GPL-2.0
/* PUSH, POP, CALL and JMP whose operand is in memory or a device. */
#include <linux/kernel.h>
#include "machine.h"
#include "tap.h"

#define STACK	(DATA + 3 * PAGE)

static struct machine m;

static void fresh(enum umbra_emu_mode mode, u64 operand, u64 value)
{
	machine_init(&m);
	machine_mode(&m, mode);
	m.emu.regs[UMBRA_EMU_RBX] = operand;
	m.emu.regs[UMBRA_EMU_RSP] = STACK;
	if (mode == UMBRA_EMU_PROT16) {
		m.emu.regs[UMBRA_EMU_RBX] -= DATA;
		m.emu.regs[UMBRA_EMU_RSP] -= DATA;
	}
	machine_set(&m, operand, 8, value);
}

static bool is_fault(enum umbra_emu_result result, int vector, u64 rsp)
{
	return result == UMBRA_EMU_FAULT && m.emu.exception.vector == vector &&
	       m.emu.rip == CODE && m.emu.regs[UMBRA_EMU_RSP] == rsp;
}

static void branches(void)
{
	fresh(UMBRA_EMU_LONG64, DATA, CODE + 0x123456);
	ok(RUN(&m, 0xff, 0x23) == UMBRA_EMU_DONE && m.emu.rip == CODE + 0x123456 && m.emu.retired &&
	   m.writes == 0, "jmp *mem");
	fresh(UMBRA_EMU_LONG64, DATA, CODE + 0x123456);
	m.emu.rflags |= TF | RF;
	ok(RUN(&m, 0x66, 0xff, 0x13) == UMBRA_EMU_DONE && m.emu.rip == CODE + 0x123456 &&
	   m.emu.regs[UMBRA_EMU_RSP] == STACK - 8 && machine_get(&m, STACK - 8, 8) == CODE + 3 &&
	   m.emu.tf_trap && !(m.emu.rflags & RF), "call *mem, single-stepped");
	fresh(UMBRA_EMU_LONG64, DATA, 1ull << 60);
	ok(is_fault(RUN(&m, 0xff, 0x13), GP, STACK) && m.writes == 0,
	   "call to what is not canonical");
	fresh(UMBRA_EMU_LONG64, DATA, CODE);
	m.emu.regs[UMBRA_EMU_RSP] = READONLY + 16;
	ok(is_fault(RUN(&m, 0xff, 0x13), PAGE_FAULT, READONLY + 16) &&
	   m.emu.exception.cr2 == READONLY + 8 && m.emu.exception.error_code == 3,
	   "call without a stack");
	fresh(UMBRA_EMU_PROT16, DATA, 0x77778888);
	ok(RUN(&m, 0xff, 0x17) == UMBRA_EMU_DONE && m.emu.rip == 0x8888 &&
	   m.emu.regs[UMBRA_EMU_RSP] == STACK - DATA - 2 && machine_get(&m, STACK - 2, 2) == 2,
	   "16-bit call");
	fresh(UMBRA_EMU_PROT16, DATA, 0x77778888);
	m.segs[UMBRA_EMU_CS].limit = 0x8887;
	ok(RUN(&m, 0xff, 0x17) == UMBRA_EMU_FAULT && m.emu.exception.vector == GP,
	   "call beyond the limit of CS");
	fresh(UMBRA_EMU_LONG64, DATA, 0);
	ok(RUN(&m, 0xff, 0x1b) == UMBRA_EMU_UNKNOWN && RUN(&m, 0xff, 0xd3) == UMBRA_EMU_UNKNOWN,
	   "far calls and register forms are unknown");
}

static void devices(void)
{
	fresh(UMBRA_EMU_LONG64, DATA, 0);
	m.emu.regs[UMBRA_EMU_RBX] = DEVICE;
	ok(RUN(&m, 0xff, 0x33) == UMBRA_EMU_MMIO && !m.emu.mmio.is_write && m.emu.mmio.len == 8 &&
	   m.emu.regs[UMBRA_EMU_RSP] == STACK, "push from a device reads it");
	m.emu.mmio.data[0] = 0x5a;
	ok(umbra_emulate_resume(&m.emu) == UMBRA_EMU_DONE &&
	   m.emu.regs[UMBRA_EMU_RSP] == STACK - 8 && machine_get(&m, STACK - 8, 1) == 0x5a &&
	   m.writes == 1, "and writes to the stack once");
	fresh(UMBRA_EMU_LONG64, STACK, 0x1234);
	m.emu.regs[UMBRA_EMU_RBX] = DEVICE;
	ok(RUN(&m, 0x66, 0x8f, 0x03) == UMBRA_EMU_MMIO && m.emu.mmio.is_write &&
	   m.emu.mmio.len == 2 && m.emu.mmio.data[1] == 0x12 &&
	   umbra_emulate_resume(&m.emu) == UMBRA_EMU_DONE &&
	   m.emu.regs[UMBRA_EMU_RSP] == STACK + 2, "pop to a device");
	fresh(UMBRA_EMU_LONG64, STACK, 0x1234);
	ok(RUN(&m, 0x8f, 0x44, 0x24, 0x08) == UMBRA_EMU_DONE &&
	   machine_get(&m, STACK + 16, 8) == 0x1234, "pop 8(%%rsp) means the new one");
	/* The operand and the stack could both be what the CPU has translated. */
	fresh(UMBRA_EMU_LONG64, DATA + 8, 0x99);
	m.emu.regs[UMBRA_EMU_RSP] = STACK + 16;
	m.emu.known = (struct umbra_emu_known) { .valid = true, .write = true,
		.gpa = MMIO_BASE + 8 };
	ok(RUN(&m, 0xff, 0x33) == UMBRA_EMU_DONE && machine_get(&m, STACK + 8, 8) == 0x99,
	   "push does not guess which of its two operands is known");
}

static void sizes(void)
{
	fresh(UMBRA_EMU_PROT32, DATA, 0x55556666);
	m.segs[UMBRA_EMU_SS].ar &= ~UMBRA_EMU_AR_DB;
	m.emu.regs[UMBRA_EMU_RSP] = 0x12340000 | (STACK & 0xffff);
	m.segs[UMBRA_EMU_SS].base = STACK & ~0xffffull;
	ok(RUN(&m, 0xff, 0x33) == UMBRA_EMU_DONE && machine_get(&m, STACK - 4, 4) == 0x55556666 &&
	   m.emu.regs[UMBRA_EMU_RSP] == (0x12340000 | ((STACK - 4) & 0xffff)),
	   "a 16-bit stack in 32-bit code");
	fresh(UMBRA_EMU_LONG64, DATA, 0x7777);
	ok(RUN(&m, 0x48, 0xff, 0x33) == UMBRA_EMU_DONE && m.emu.regs[UMBRA_EMU_RSP] == STACK - 8,
	   "REX.W changes nothing");
}

int main(void)
{
	branches();
	devices();
	sizes();
	return tap_done();
}
