// SPDX-License-Identifier: GPL-2.0
/* Exceptions: the right one, and nothing else has changed. */
#include <linux/kernel.h>
#include <string.h>
#include "machine.h"
#include "tap.h"

static struct machine m;
static u8 ram_before[RAM_SIZE];
static u64 regs_before[16];
static u64 rip_before, rflags_before;

static void fresh(void)
{
	unsigned int i;

	machine_init(&m);
	for (i = 0; i < 16; i++)
		m.emu.regs[i] = 0x1111111111111111ull * i;
	m.emu.rflags = 0x2 | RF;
}

static void expect(const char *name, const u8 *code, unsigned int len, int vector, u32 error_code,
		   u64 cr2)
{
	const struct umbra_emu_exception *e = &m.emu.exception;
	enum umbra_emu_result result;

	machine_code(&m, code, len);
	memcpy(ram_before, m.ram, RAM_SIZE);
	memcpy(regs_before, m.emu.regs, sizeof(regs_before));
	rip_before = m.emu.rip;
	rflags_before = m.emu.rflags;
	result = umbra_emulate(&m.emu);
	ok(result == UMBRA_EMU_FAULT && e->vector == vector && e->error_code == error_code &&
	   e->cr2 == cr2, "%s: vector %d, error code %x, CR2 %llx (got %d: %d, %x, %llx)", name,
	   vector, error_code, cr2, result, e->vector, e->error_code, e->cr2);
	ok(!memcmp(ram_before, m.ram, RAM_SIZE) &&
	   !memcmp(regs_before, m.emu.regs, sizeof(regs_before)) &&
	   rip_before == m.emu.rip && rflags_before == m.emu.rflags && !m.emu.retired &&
	   !m.emu.tf_trap && !umbra_emulate_pending(&m.emu), "%s: nothing has changed", name);
}

#define EXPECT(name, vector, error_code, cr2, ...) \
	expect(name, CODE_BYTES(__VA_ARGS__), sizeof(CODE_BYTES(__VA_ARGS__)), vector, \
	       error_code, cr2)

static void page_faults(void)
{
	u64 end = DATA + DATA_PAGES * PAGE;

	fresh();
	m.emu.regs[UMBRA_EMU_RBX] = end;
	EXPECT("load from an unmapped page", PAGE_FAULT, 0, end, 0x8b, 0x03);
	EXPECT("read-modify-write asks for write access", PAGE_FAULT, 2, end, 0x01, 0x03);
	m.emu.cpl = 3;
	EXPECT("user access", PAGE_FAULT, 4, end, 0x8b, 0x03);
	fresh();
	m.emu.regs[UMBRA_EMU_RBX] = READONLY;
	EXPECT("store to a read-only page", PAGE_FAULT, 3, READONLY, 0x89, 0x03);
	EXPECT("shl by nothing on a read-only page", PAGE_FAULT, 3, READONLY, 0xc1, 0x23, 0);
	EXPECT("xadd on a read-only page", PAGE_FAULT, 3, READONLY, 0x0f, 0xc1, 0x03);
	EXPECT("cmpxchg that would fail, on a read-only page", PAGE_FAULT, 3, READONLY,
	       0x0f, 0xb1, 0x03);
	fresh();
	m.emu.regs[UMBRA_EMU_RBX] = end - 3;
	EXPECT("store across the end", PAGE_FAULT, 2, end, 0x48, 0x89, 0x03);
	EXPECT("16-byte store across the end", PAGE_FAULT, 2, end, 0x0f, 0x11, 0x03);
	EXPECT("push the fault before the exchange", PAGE_FAULT, 2, end, 0x48, 0x87, 0x03);
	fresh();
	m.emu.regs[UMBRA_EMU_RSI] = DATA;
	m.emu.regs[UMBRA_EMU_RDI] = READONLY;
	EXPECT("movs to a read-only page", PAGE_FAULT, 3, READONLY, 0xa5);
	m.emu.regs[UMBRA_EMU_RSI] = end;
	EXPECT("movs faults on its source first", PAGE_FAULT, 0, end, 0xa5);
	m.emu.regs[UMBRA_EMU_RSI] = DEVICE;
	EXPECT("movs from a device does not read it before the fault", PAGE_FAULT, 3, READONLY,
	       0xa5);
}

static void no_stale_translation(void)
{
	fresh();
	m.emu.regs[UMBRA_EMU_RBX] = DATA;
	ok(RUN(&m, 0x8b, 0x0b) == UMBRA_EMU_DONE, "a page that is there");
	ok(RUN(&m, 0x89, 0x0b) == UMBRA_EMU_DONE, "and writable");
	machine_unmap(&m, DATA);
	EXPECT("load after it was unmapped", PAGE_FAULT, 0, DATA, 0x8b, 0x0b);
	EXPECT("store after it was unmapped", PAGE_FAULT, 2, DATA, 0x89, 0x0b);
}

static void fetch_faults(void)
{
	fresh();
	m.emu.rip = CODE + 2 * PAGE - 2;
	EXPECT("instruction runs into an unmapped page", PAGE_FAULT, 0, CODE + 2 * PAGE,
	       0x8b, 0x80);
	fresh();
	m.emu.rip = 0x00007ffffffff000ull;
	machine_map(&m, m.emu.rip, 0, 1, false);
	m.emu.rip += PAGE - 2;
	EXPECT("instruction runs out of canonical space", GP, 0, 0, 0x8b, 0x80);
	fresh();
	machine_mode(&m, UMBRA_EMU_PROT16);
	m.segs[UMBRA_EMU_CS].limit = 2;
	EXPECT("instruction runs over the limit of CS", GP, 0, 0, 0xc7, 0x06, 0x00, 0x00, 1, 2);
}

static void general_protection(void)
{
	fresh();
	m.emu.regs[UMBRA_EMU_RBX] = 0x0000800000000000ull;
	m.emu.regs[UMBRA_EMU_RBP] = 0x0000800000000000ull;
	EXPECT("non-canonical", GP, 0, 0, 0x8b, 0x03);
	EXPECT("non-canonical, stack", SS_FAULT, 0, 0, 0x8b, 0x45, 0x00);
	EXPECT("non-canonical, stack overridden", GP, 0, 0, 0x64, 0x8b, 0x45, 0x00);
	m.emu.regs[UMBRA_EMU_RBX] = 0x00007ffffffffffeull;
	EXPECT("end is non-canonical", GP, 0, 0, 0x8b, 0x03);
	m.emu.va_bits = 57;
	EXPECT("canonical in 57 bits", PAGE_FAULT, 0, 0x00007ffffffffffeull, 0x8b, 0x03);
	fresh();
	m.emu.regs[UMBRA_EMU_RBX] = DATA + 8;
	EXPECT("movaps misaligned", GP, 0, 0, 0x0f, 0x28, 0x03);
	EXPECT("cmpxchg16b misaligned", GP, 0, 0, 0x48, 0x0f, 0xc7, 0x0b);
	EXPECT("vmovdqa misaligned", GP, 0, 0, 0xc5, 0xfd, 0x7f, 0x03);
	m.emu.regs[UMBRA_EMU_RBX] = DATA + 3;
	m.emu.align_check = true;
	EXPECT("alignment check", AC, 0, 0, 0x8b, 0x03);
	fresh();
	EXPECT("16 bytes", GP, 0, 0, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
	       0x66, 0x66, 0x66, 0x66, 0x8b, 0x03);
	EXPECT("endless prefixes", GP, 0, 0, 0x26, 0x2e, 0x36, 0x3e, 0x26, 0x2e, 0x36, 0x3e, 0x26,
	       0x2e, 0x36, 0x3e, 0x26, 0x2e, 0x36, 0x3e);
}

static void segments(void)
{
	fresh();
	machine_mode(&m, UMBRA_EMU_PROT32);
	m.emu.regs[UMBRA_EMU_RBX] = DATA;
	m.segs[UMBRA_EMU_DS].ar &= ~UMBRA_EMU_AR_RW;
	EXPECT("store to a read-only segment", GP, 0, 0, 0x89, 0x03);
	m.segs[UMBRA_EMU_DS].ar = UMBRA_EMU_AR_UNUSABLE;
	EXPECT("null segment", GP, 0, 0, 0x8b, 0x03);
	EXPECT("store through CS", GP, 0, 0, 0x2e, 0x89, 0x03);
	m.segs[UMBRA_EMU_CS].ar &= ~UMBRA_EMU_AR_RW;
	EXPECT("load through execute-only CS", GP, 0, 0, 0x2e, 0x8b, 0x03);
	m.segs[UMBRA_EMU_DS] = (struct umbra_emu_segment) {
		.limit = DATA + 2, .ar = UMBRA_EMU_AR_PRESENT | UMBRA_EMU_AR_RW,
	};
	EXPECT("over the limit", GP, 0, 0, 0x8b, 0x03);
	m.segs[UMBRA_EMU_SS].limit = DATA + 2;
	EXPECT("over the limit of SS", SS_FAULT, 0, 0, 0x36, 0x8b, 0x03);
	m.segs[UMBRA_EMU_DS].ar |= UMBRA_EMU_AR_DOWN;
	m.segs[UMBRA_EMU_DS].limit = DATA;
	EXPECT("below an expand-down segment", GP, 0, 0, 0x8b, 0x03);
	m.emu.regs[UMBRA_EMU_RBX] = DATA + 1;
	EXPECT("above a 16-bit expand-down segment", GP, 0, 0, 0x8b, 0x03);
}

static void undefined(void)
{
	fresh();
	m.emu.regs[UMBRA_EMU_RBX] = DATA;
	EXPECT("lock mov", UD, 0, 0, 0xf0, 0x89, 0x03);
	EXPECT("lock cmp", UD, 0, 0, 0xf0, 0x39, 0x03);
	EXPECT("lock cmp imm", UD, 0, 0, 0xf0, 0x83, 0x3b, 1);
	EXPECT("lock bt", UD, 0, 0, 0xf0, 0x0f, 0xa3, 0x03);
	EXPECT("lock add to a register", UD, 0, 0, 0xf0, 0x03, 0x03);
	EXPECT("lock add, register form", UD, 0, 0, 0xf0, 0x01, 0xc3);
	EXPECT("lock stos", UD, 0, 0, 0xf0, 0xab);
	EXPECT("lock movups", UD, 0, 0, 0xf0, 0x0f, 0x11, 0x03);
	EXPECT("cmpxchg8b of a register", UD, 0, 0, 0x0f, 0xc7, 0xcb);
	EXPECT("movnti to a register", UD, 0, 0, 0x0f, 0xc3, 0xc3);
	EXPECT("movntps to a register", UD, 0, 0, 0x0f, 0x2b, 0xc3);
	EXPECT("lock shl", UD, 0, 0, 0xf0, 0xd1, 0x23);
	EXPECT("lock setz", UD, 0, 0, 0xf0, 0x0f, 0x94, 0x03);
	EXPECT("lock push", UD, 0, 0, 0xf0, 0xff, 0x33);
	EXPECT("lock before VEX", UD, 0, 0, 0xf0, 0xc5, 0xfe, 0x7f, 0x03);
	EXPECT("66 before VEX", UD, 0, 0, 0x66, 0xc5, 0xfe, 0x7f, 0x03);
	EXPECT("REX before VEX", UD, 0, 0, 0x48, 0xc5, 0xfe, 0x7f, 0x03);
	EXPECT("VEX.vvvv in use", UD, 0, 0, 0xc5, 0xf6, 0x7f, 0x03);
	EXPECT("VEX.L of vmovq", UD, 0, 0, 0xc5, 0xfd, 0xd6, 0x03);
	m.no_sse = true;
	m.emu.regs[UMBRA_EMU_RBX] = DEVICE;
	EXPECT("SSE not available, load", NM, 0, 0, 0x0f, 0x10, 0x03);
	EXPECT("SSE not available, store", NM, 0, 0, 0x0f, 0x11, 0x03);
	m.emu.regs[UMBRA_EMU_RBX] = DATA + 1;
	EXPECT("SSE not available and misaligned", NM, 0, 0, 0x0f, 0x29, 0x03);
}

int main(void)
{
	page_faults();
	no_stale_translation();
	fetch_faults();
	general_protection();
	segments();
	undefined();
	return tap_done();
}
