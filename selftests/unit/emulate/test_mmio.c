// SPDX-License-Identifier: GPL-2.0
/* MMIO: the right accesses, each of them once, then the instruction completes. */
#include <linux/kernel.h>
#include <string.h>
#include "machine.h"
#include "tap.h"

static struct machine m;

/* What the device has seen. */
static struct umbra_emu_mmio seen[64];
static unsigned int nr_seen;
static u8 device_byte;

static void fresh(u64 rbx)
{
	machine_init(&m);
	m.emu.regs[UMBRA_EMU_RBX] = rbx;
	nr_seen = 0;
	device_byte = 0;
}

/* Each byte that is read from the device has the next value. */
static enum umbra_emu_result serve(enum umbra_emu_result result)
{
	struct umbra_emu_mmio *mmio = &m.emu.mmio;
	unsigned int i;

	while (result == UMBRA_EMU_MMIO && nr_seen < ARRAY_SIZE(seen)) {
		for (i = 0; !mmio->is_write && i < mmio->len; i++)
			mmio->data[i] = ++device_byte;
		seen[nr_seen++] = *mmio;
		result = umbra_emulate_resume(&m.emu);
	}
	return result;
}

static bool saw(unsigned int i, u64 offset, unsigned int len, bool is_write)
{
	return i < nr_seen && seen[i].gpa == MMIO_BASE + offset && seen[i].len == len &&
	       seen[i].is_write == is_write;
}

static u64 data(unsigned int i)
{
	u64 value = 0;

	memcpy(&value, seen[i].data, seen[i].len);
	return value;
}

static void simple(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(DEVICE + 0x10);
	emu->regs[UMBRA_EMU_RAX] = 0x11223344;
	ok(RUN(&m, 0x89, 0x03) == UMBRA_EMU_MMIO && umbra_emulate_pending(emu) &&
	   emu->rip == CODE && !emu->retired, "a store exits, and has not retired");
	ok(serve(UMBRA_EMU_MMIO) == UMBRA_EMU_DONE && nr_seen == 1 && saw(0, 0x10, 4, true) &&
	   data(0) == 0x11223344 && emu->rip == CODE + 2 && emu->retired &&
	   !umbra_emulate_pending(emu), "then completes");
	fresh(DEVICE + 0x10);
	emu->regs[UMBRA_EMU_RAX] = ~0ull;
	ok(serve(RUN(&m, 0x0f, 0xb7, 0x03)) == UMBRA_EMU_DONE && nr_seen == 1 &&
	   saw(0, 0x10, 2, false) && emu->regs[UMBRA_EMU_RAX] == 0x0201, "movzx reads 2 bytes");
	fresh(DEVICE + 0x10);
	ok(RUN(&m, 0x8b, 0x03) == UMBRA_EMU_MMIO, "a load exits");
	umbra_emulate_cancel(emu);
	ok(!umbra_emulate_pending(emu) && umbra_emulate_resume(emu) == UMBRA_EMU_RETRY,
	   "cancel forgets it");
	fresh(DEVICE);
	ok(RUN(&m, 0x8b, 0x03) == UMBRA_EMU_MMIO, "a load exits");
	machine_set(&m, CODE, 8, ~0ull);
	ok(serve(UMBRA_EMU_MMIO) == UMBRA_EMU_DONE && emu->regs[UMBRA_EMU_RAX] == 0x04030201,
	   "what was decoded completes, whatever the code bytes are now");
}

static void wide_and_crossing(void)
{
	struct umbra_emu *emu = &m.emu;
	unsigned int i;

	fresh(DEVICE + PAGE - 3);
	ok(serve(RUN(&m, 0x48, 0x8b, 0x03)) == UMBRA_EMU_DONE && nr_seen == 2 &&
	   saw(0, PAGE - 3, 3, false) && saw(1, PAGE, 5, false) &&
	   emu->regs[UMBRA_EMU_RAX] == 0x0807060504030201ull, "a load across pages is two reads");
	fresh(DEVICE + PAGE - 4);
	for (i = 0; i < 16; i++)
		m.xmm[3][i] = 0xa0 + i;
	ok(serve(RUN(&m, 0x0f, 0x11, 0x1b)) == UMBRA_EMU_DONE && nr_seen == 3 &&
	   saw(0, PAGE - 4, 4, true) && saw(1, PAGE, 8, true) && saw(2, PAGE + 8, 4, true) &&
	   data(1) == 0xabaaa9a8a7a6a5a4ull, "a 16-byte store across pages is three writes");
	fresh(DEVICE + 0x20);
	ok(serve(RUN(&m, 0x0f, 0x28, 0x1b)) == UMBRA_EMU_DONE && nr_seen == 2 &&
	   m.xmm[3][0] == 1 && m.xmm[3][15] == 16, "movaps from a device is two reads");
	fresh(DEVICE + PAGE - 3);
	for (i = 0; i < 32; i++)
		m.xmm[3][i] = 0xa0 + i;
	ok(serve(RUN(&m, 0xc5, 0xfe, 0x7f, 0x1b)) == UMBRA_EMU_DONE && nr_seen == 5 &&
	   saw(0, PAGE - 3, 3, true) && saw(1, PAGE, 8, true) && saw(4, PAGE + 24, 5, true) &&
	   data(4) == 0xbfbebdbcbbull, "a 32-byte store across pages is five writes");
	fresh(DEVICE);
	m.xmm[3][31] = 1;
	ok(serve(RUN(&m, 0xc5, 0xf8, 0x10, 0x1b)) == UMBRA_EMU_DONE && nr_seen == 2 &&
	   m.xmm[3][15] == 16 && !m.xmm[3][31], "a load by VEX clears the upper half");
}

static void half_memory(void)
{
	struct umbra_emu *emu = &m.emu;
	u64 edge = RAM_DEVICE + PAGE - 4;

	fresh(edge);
	emu->regs[UMBRA_EMU_RAX] = 0x8877665544332211ull;
	ok(serve(RUN(&m, 0x48, 0x89, 0x03)) == UMBRA_EMU_DONE && nr_seen == 1 && m.writes == 1 &&
	   machine_get(&m, edge, 4) == 0x44332211 && data(0) == 0x88776655,
	   "half memory, half device: each half written once");
	fresh(edge);
	machine_set(&m, edge, 4, 0xffffffff);
	emu->regs[UMBRA_EMU_RAX] = 1;
	ok(serve(RUN(&m, 0x48, 0x0f, 0xc1, 0x03)) == UMBRA_EMU_DONE && nr_seen == 2 &&
	   m.writes == 1 && machine_get(&m, edge, 4) == 0 && data(1) == 0x04030202 &&
	   emu->regs[UMBRA_EMU_RAX] == 0x04030201ffffffffull,
	   "xadd there: the carry crosses, the old value is the old one");
	fresh(DEVICE_RAM + PAGE - 2);
	machine_set(&m, DEVICE_RAM + PAGE, 2, 0xbbaa);
	ok(serve(RUN(&m, 0x8b, 0x03)) == UMBRA_EMU_DONE && nr_seen == 1 &&
	   emu->regs[UMBRA_EMU_RAX] == 0xbbaa0201, "half device, half memory");
}

static void read_modify_write(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(DEVICE);
	ok(serve(RUN(&m, 0x81, 0x0b, 0, 0, 0, 0x80)) == UMBRA_EMU_DONE && nr_seen == 2 &&
	   saw(0, 0, 4, false) && saw(1, 0, 4, true) && data(1) == 0x84030201 &&
	   emu->rflags & SF, "or on a device: one read, one write");
	fresh(DEVICE);
	emu->regs[UMBRA_EMU_RCX] = 0x77;
	ok(serve(RUN(&m, 0x87, 0x0b)) == UMBRA_EMU_DONE && nr_seen == 2 && data(1) == 0x77 &&
	   emu->regs[UMBRA_EMU_RCX] == 0x04030201, "xchg with a device");
	fresh(DEVICE);
	ok(serve(RUN(&m, 0x83, 0x3b, 5)) == UMBRA_EMU_DONE && nr_seen == 1, "cmp only reads");
	fresh(DEVICE + PAGE - 4);
	emu->regs[UMBRA_EMU_RAX] = 0x04030201;
	emu->regs[UMBRA_EMU_RDX] = 0x08070605;
	emu->regs[UMBRA_EMU_RSI] = DEVICE + PAGE - 4;
	ok(serve(RUN(&m, 0x0f, 0xc7, 0x0e)) == UMBRA_EMU_DONE && nr_seen == 4 &&
	   emu->rflags & ZF, "cmpxchg8b across two device pages: two reads, two writes");
	fresh(ROM + 8);
	machine_set(&m, ROM + 8, 4, 7);
	ok(RUN(&m, 0xff, 0x03) == UMBRA_EMU_MMIO && emu->mmio.is_write &&
	   emu->mmio.gpa == ROM_BASE + 8 && emu->mmio.data[0] == 8, "inc of ROM: a write exits");
	machine_set(&m, ROM + 8, 4, 100);
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_DONE && emu->rip == CODE + 2,
	   "inc of ROM completes though the ROM's content has changed");
}

static void strings(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(0);
	emu->regs[UMBRA_EMU_RSI] = DEVICE;
	emu->regs[UMBRA_EMU_RDI] = DEVICE + PAGE - 2;
	emu->regs[UMBRA_EMU_RCX] = 2;
	ok(RUN(&m, 0xf3, 0xa5) == UMBRA_EMU_MMIO && !emu->mmio.is_write, "movs from a device");
	ok(serve(UMBRA_EMU_MMIO) == UMBRA_EMU_DONE && nr_seen == 5 && saw(0, 0, 4, false) &&
	   saw(1, PAGE - 2, 2, true) && saw(2, PAGE, 2, true) && saw(3, 4, 4, false) &&
	   saw(4, PAGE + 2, 4, true) && emu->regs[UMBRA_EMU_RCX] == 0,
	   "rep movs, device to device, across pages");
	fresh(0);
	emu->regs[UMBRA_EMU_RDI] = DEVICE;
	emu->regs[UMBRA_EMU_RCX] = 3;
	ok(RUN(&m, 0xf3, 0xab) == UMBRA_EMU_MMIO && emu->regs[UMBRA_EMU_RCX] == 3, "rep stos");
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_MMIO && emu->regs[UMBRA_EMU_RCX] == 2 &&
	   emu->regs[UMBRA_EMU_RDI] == DEVICE + 4 && emu->rip == CODE && emu->retired,
	   "an iteration that is done is committed");
	umbra_emulate_cancel(emu);
	ok(serve(umbra_emulate(emu)) == UMBRA_EMU_DONE && nr_seen == 2 && saw(0, 4, 4, true),
	   "and not repeated by a fresh start");
	fresh(0);
	emu->regs[UMBRA_EMU_RSI] = DEVICE;
	emu->regs[UMBRA_EMU_RDI] = DATA;
	emu->regs[UMBRA_EMU_RCX] = 10;
	machine_set(&m, DATA, 8, 0xff030201);
	ok(serve(RUN(&m, 0xf3, 0xa6)) == UMBRA_EMU_DONE && nr_seen == 4 && !(emu->rflags & ZF) &&
	   emu->regs[UMBRA_EMU_RCX] == 6, "repe cmpsb with a device stops at the difference");
}

/* A device in the kernel answers at once: the guest has to be left a chance all the same. */
static void long_string(void)
{
	struct umbra_emu *emu = &m.emu;
	enum umbra_emu_result result;
	unsigned int n;

	fresh(0);
	emu->regs[UMBRA_EMU_RDI] = DEVICE;
	emu->regs[UMBRA_EMU_RCX] = 5000;
	result = RUN(&m, 0xf3, 0xaa);
	for (n = 0; result == UMBRA_EMU_MMIO; n++)
		result = umbra_emulate_resume(emu);
	ok(result == UMBRA_EMU_RETRY && n == 1024 && emu->regs[UMBRA_EMU_RCX] == 5000 - 1024 &&
	   emu->rip == CODE, "a long string to a device has an end (%u accesses)", n);
	ok(umbra_emulate(emu) == UMBRA_EMU_MMIO && emu->mmio.gpa == MMIO_BASE + 1024,
	   "and goes on");
}

static void rom_becomes_memory(void)
{
	fresh(ROM + 8);
	machine_set(&m, ROM + 8, 4, 7);
	ok(RUN(&m, 0xff, 0x03) == UMBRA_EMU_MMIO && m.emu.mmio.is_write, "inc of ROM");
	m.rom_writable = true;
	ok(umbra_emulate_resume(&m.emu) == UMBRA_EMU_DONE && machine_get(&m, ROM + 8, 4) == 7,
	   "a write that was performed is not repeated on what is memory now");
}

/* The guest's page tables change while user space works: the instruction has begun. */
static void remapped(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(DEVICE + PAGE - 4);
	ok(RUN(&m, 0x48, 0x8b, 0x03) == UMBRA_EMU_MMIO && emu->mmio.gpa == MMIO_BASE + PAGE - 4,
	   "first half");
	machine_unmap(&m, DEVICE);
	machine_unmap(&m, DEVICE + PAGE);
	machine_map(&m, DEVICE, 5 * PAGE, 1, true);
	memset(emu->mmio.data, 0xee, 8);
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_MMIO && emu->mmio.gpa == MMIO_BASE + PAGE,
	   "the second half is where it was");
	memset(emu->mmio.data, 0x11, 8);
	ok(umbra_emulate_resume(emu) == UMBRA_EMU_DONE &&
	   emu->regs[UMBRA_EMU_RAX] == 0x11111111eeeeeeeeull, "both are used");
	emu->rip = CODE;
	ok(RUN(&m, 0x48, 0x8b, 0x03) == UMBRA_EMU_FAULT && emu->exception.cr2 == DEVICE + PAGE,
	   "the next instruction has to look again");
}

/* What made the CPU exit has been translated by the CPU. */
static void known_address(void)
{
	struct umbra_emu *emu = &m.emu;

	fresh(DEVICE + 0x100);
	machine_unmap(&m, DEVICE);
	emu->known = (struct umbra_emu_known) { .valid = true, .gpa = MMIO_BASE + 0x100 };
	ok(RUN(&m, 0x8b, 0x03) == UMBRA_EMU_MMIO && emu->mmio.gpa == MMIO_BASE + 0x100,
	   "an operand at a known offset is not translated");
	emu->known = (struct umbra_emu_known) { .valid = true, .gpa = MMIO_BASE + 0x104 };
	ok(RUN(&m, 0x8b, 0x03) == UMBRA_EMU_FAULT, "one at another offset is");
	emu->known = (struct umbra_emu_known) { .valid = true, .gpa = MMIO_BASE + 0x100 };
	ok(RUN(&m, 0x89, 0x03) == UMBRA_EMU_FAULT, "and one that is written, if that was not");
	emu->known = (struct umbra_emu_known) {
		.valid = true, .exact = true, .write = true,
		.gva = DEVICE + 4, .gpa = MMIO_BASE + 4,
	};
	ok(RUN(&m, 0x89, 0x03) == UMBRA_EMU_MMIO && emu->mmio.gpa == MMIO_BASE + 0x100,
	   "a known page serves all of it");
	emu->known = (struct umbra_emu_known) { .valid = true, .write = true, .gpa = MMIO_BASE };
	emu->regs[UMBRA_EMU_RSI] = DATA + PAGE;
	emu->regs[UMBRA_EMU_RDI] = DATA;
	machine_set(&m, DATA + PAGE, 1, 0x77);
	ok(RUN(&m, 0xa4) == UMBRA_EMU_DONE && machine_get(&m, DATA, 1) == 0x77,
	   "of two operands neither is taken for it");
	fresh(0);
	emu->known = (struct umbra_emu_known) {
		.valid = true, .write = true, .gpa = MMIO_BASE + PAGE - 16,
	};
	emu->regs[UMBRA_EMU_RDI] = DATA + PAGE - 16;
	emu->regs[UMBRA_EMU_RCX] = 3;
	ok(serve(RUN(&m, 0xf3, 0x48, 0xab)) == UMBRA_EMU_DONE && nr_seen == 2 && m.writes == 1,
	   "a string leaves a known page by itself");
	memset(&emu->known, 0, sizeof(emu->known));
}

int main(void)
{
	simple();
	wide_and_crossing();
	half_memory();
	read_modify_write();
	strings();
	long_string();
	rom_becomes_memory();
	remapped();
	known_address();
	return tap_done();
}
