// SPDX-License-Identifier: GPL-2.0
/*
 * The short way for MOV to memory against the emulator proper: where both know an
 * instruction they agree about its length and operand, and what it writes.
 *
 *	test_simple [INSTRUCTIONS [SEED]]
 */
#include <linux/kernel.h>
#include <stdlib.h>
#include <string.h>
#include "forms.h"
#include "machine.h"
#include "tap.h"

static struct machine m;
static u8 before[RAM_SIZE];
static unsigned long simple, executed;

/* Often one of its instructions, with whatever operand; sometimes anything. */
static void draw_code(u8 *bytes)
{
	unsigned int i = 0;

	for (unsigned int k = 0; k < UMBRA_EMU_SIMPLE_BYTES; k++)
		bytes[k] = rnd();
	if (rnd_below(16) == 0)
		return;
	if (rnd_below(4))
		bytes[i++] = 0x40 | rnd_below(16);
	bytes[i] = rnd() & 1 ? 0x89 : 0xc7;
	if (bytes[i] == 0xc7 && rnd_below(16))
		bytes[i + 1] &= 0xc7;
}

static void draw_registers(void)
{
	machine_init(&m);
	for (unsigned int i = 0; i < UMBRA_EMU_NR_REGS; i++)
		m.emu.regs[i] = rnd() >> (rnd_below(8) ? 24 : 0);
	m.emu.rip = CODE + rnd_below(PAGE);
}

/* Does the emulator proper take it for one of those that the short way knows? */
static bool is_simple(const u8 *bytes)
{
	const struct umbra_emu_insn *insn = &m.emu.insn;
	unsigned int opcode = (bytes[0] & 0xf0) == 0x40;

	return (bytes[opcode] == 0x89 || bytes[opcode] == 0xc7) && m.emu.mem.size &&
	       insn->map == 0 && !insn->prefixes;
}

/* Execute it, with memory where it writes. */
static bool writes(const struct umbra_emu_store *store)
{
	u64 page = store->gva & ~(u64)(PAGE - 1);
	unsigned int at = store->gva % PAGE;

	/* Not canonical, or it would need two pages. */
	if (store->gva >> 47 || at + store->size > PAGE || page == CODE || page == CODE + PAGE)
		return true;
	machine_unmap(&m, page);
	machine_map(&m, page, DATA_PAGES / 2 * PAGE, 1, true);
	memcpy(before, m.ram, RAM_SIZE);
	if (umbra_emulate(&m.emu) != UMBRA_EMU_DONE)
		return false;
	memcpy(before + DATA_PAGES / 2 * PAGE + at, &store->value, store->size);
	executed++;
	return !memcmp(before, m.ram, RAM_SIZE);
}

static bool agrees(void)
{
	u8 bytes[UMBRA_EMU_SIMPLE_BYTES];
	struct umbra_emu_store store;
	enum umbra_emu_result result;
	u64 rip;
	unsigned int len;

	draw_registers();
	draw_code(bytes);
	rip = m.emu.rip;
	machine_code(&m, bytes, UMBRA_EMU_MAX_INSN);
	len = umbra_emulate_simple_store(bytes, m.emu.regs, rip, &store);
	result = umbra_emulate_decode_only(&m.emu);
	if (!len)
		return result != UMBRA_EMU_DONE || !is_simple(bytes);
	simple++;
	if (result != UMBRA_EMU_DONE || !is_simple(bytes) || m.emu.insn.len != len ||
	    m.emu.mem.gva != store.gva || m.emu.mem.size != store.size || !m.emu.mem.write)
		return false;
	if (!writes(&store))
		return false;
	return m.emu.rip == rip || m.emu.rip == rip + len;
}

static void by_hand(void)
{
	u64 regs[UMBRA_EMU_NR_REGS] = { [UMBRA_EMU_RAX] = 0x1234, [UMBRA_EMU_R12] = 0x5000 };
	static const u8 mov[16] = { 0x49, 0x89, 0x04, 0x24 };	/* mov %rax, (%r12) */
	static const u8 lock[16] = { 0xf0, 0x48, 0x89, 0x07 };
	static const u8 load[16] = { 0x48, 0x8b, 0x07 };
	static const u8 reg[16] = { 0x48, 0x89, 0xc7 };
	struct umbra_emu_store store;

	ok(umbra_emulate_simple_store(mov, regs, CODE, &store) == 4 && store.gva == 0x5000 &&
	   store.size == 8 && store.value == 0x1234, "MOV to memory");
	ok(!umbra_emulate_simple_store(lock, regs, CODE, &store), "not with a prefix");
	ok(!umbra_emulate_simple_store(load, regs, CODE, &store), "not from memory");
	ok(!umbra_emulate_simple_store(reg, regs, CODE, &store), "not to a register");
}

int main(int argc, char **argv)
{
	unsigned long nr = argc > 1 ? strtoul(argv[1], NULL, 0) : 100000, i;

	if (argc > 2)
		rnd_seed(strtoull(argv[2], NULL, 0));
	by_hand();
	for (i = 0; i < nr; i++)
		if (!agrees())
			break;
	if (i < nr) {
		printf("# instruction %lu:", i);
		for (unsigned int k = 0; k < UMBRA_EMU_MAX_INSN; k++)
			printf(" %02x", machine_at(&m, m.emu.rip)[k]);
		printf("\n");
	}
	ok(i == nr, "the emulator proper agrees");
	ok(simple > nr / 2 && executed > nr / 4, "%lu were simple, %lu executed", simple,
	   executed);
	return tap_done();
}
