// SPDX-License-Identifier: GPL-2.0
#include <linux/kernel.h>
#include <string.h>
#include "machine.h"

static struct machine *machine_of(struct umbra_emu *emu)
{
	return container_of(emu, struct machine, emu);
}

static const struct mapping *find(const struct machine *m, u64 gva)
{
	unsigned int i;

	for (i = 0; i < m->nr_maps; i++)
		if (m->maps[i].gva == (gva & ~(u64)(PAGE - 1)))
			return &m->maps[i];
	return NULL;
}

static enum umbra_emu_access page_fault(struct umbra_emu *emu, u64 gva, bool write, bool present)
{
	emu->exception = (struct umbra_emu_exception) {
		.vector = PAGE_FAULT,
		.has_error_code = true,
		.error_code = present | write << 1 | (emu->cpl == 3) << 2,
		.cr2 = gva,
	};
	return UMBRA_EMU_ACC_FAULT;
}

static enum umbra_emu_access op_translate(struct umbra_emu *emu, u64 gva, bool write, u64 *gpa)
{
	const struct mapping *map = find(machine_of(emu), gva);

	if (!map || (write && !map->write))
		return page_fault(emu, gva, write, map);
	*gpa = map->gpa + gva % PAGE;
	return UMBRA_EMU_ACC_OK;
}

static bool crosses_page(u64 address, unsigned int len)
{
	return address % PAGE + len > PAGE;
}

static enum umbra_emu_access op_fetch(struct umbra_emu *emu, u64 gva, void *buf, unsigned int len)
{
	struct machine *m = machine_of(emu);
	const struct mapping *map = find(m, gva);

	if (crosses_page(gva, len))
		__builtin_trap();
	if (!map)
		return page_fault(emu, gva, false, false);
	if (map->gpa >= RAM_SIZE)
		return UMBRA_EMU_ACC_MMIO;
	memcpy(buf, m->ram + map->gpa + gva % PAGE, len);
	return UMBRA_EMU_ACC_OK;
}

static enum umbra_emu_access op_read(struct umbra_emu *emu, u64 gpa, void *buf, unsigned int len)
{
	struct machine *m = machine_of(emu);

	if (!len || len > 8 || crosses_page(gpa, len))
		__builtin_trap();
	if (m->retry_reads) {
		m->retry_reads--;
		return UMBRA_EMU_ACC_RETRY;
	}
	if (gpa >= RAM_SIZE)
		return UMBRA_EMU_ACC_MMIO;
	memcpy(buf, m->ram + gpa, len);
	m->reads++;
	return UMBRA_EMU_ACC_OK;
}

static bool is_writable(const struct machine *m, u64 gpa)
{
	return gpa < (m->rom_writable ? RAM_SIZE : ROM_BASE);
}

static enum umbra_emu_access op_write(struct umbra_emu *emu, u64 gpa, const void *buf,
				      unsigned int len)
{
	struct machine *m = machine_of(emu);

	if (!len || len > 8 || crosses_page(gpa, len))
		__builtin_trap();
	if (!is_writable(m, gpa))
		return UMBRA_EMU_ACC_MMIO;
	memcpy(m->ram + gpa, buf, len);
	m->writes++;
	return UMBRA_EMU_ACC_OK;
}

static enum umbra_emu_access op_cmpxchg(struct umbra_emu *emu, u64 gpa, const void *old,
					const void *new, unsigned int len)
{
	struct machine *m = machine_of(emu);

	if (!len || len > 16 || len & (len - 1) || gpa & (len - 1))
		__builtin_trap();
	if (!is_writable(m, gpa))
		return UMBRA_EMU_ACC_MMIO;
	m->exchanges++;
	if (m->races) {
		m->races--;
		m->ram[gpa] += m->race_add;
		return UMBRA_EMU_ACC_MISMATCH;
	}
	if (memcmp(m->ram + gpa, old, len))
		return UMBRA_EMU_ACC_MISMATCH;
	memcpy(m->ram + gpa, new, len);
	return UMBRA_EMU_ACC_OK;
}

static void op_segment(struct umbra_emu *emu, enum umbra_emu_seg seg,
		       struct umbra_emu_segment *out)
{
	*out = machine_of(emu)->segs[seg];
}

static enum umbra_emu_access sse_allowed(struct umbra_emu *emu)
{
	if (!machine_of(emu)->no_sse)
		return UMBRA_EMU_ACC_OK;
	emu->exception = (struct umbra_emu_exception) { .vector = NM };
	return UMBRA_EMU_ACC_FAULT;
}

static enum umbra_emu_access op_xmm_read(struct umbra_emu *emu, unsigned int reg, void *buf,
					 bool vex)
{
	memcpy(buf, machine_of(emu)->xmm[reg], vex ? 32 : 16);
	return sse_allowed(emu);
}

static enum umbra_emu_access op_xmm_write(struct umbra_emu *emu, unsigned int reg, const void *buf,
					  bool vex)
{
	enum umbra_emu_access access = sse_allowed(emu);

	if (buf && access == UMBRA_EMU_ACC_OK)
		memcpy(machine_of(emu)->xmm[reg], buf, vex ? 32 : 16);
	return access;
}

static const struct umbra_emu_ops ops = {
	.fetch = op_fetch,
	.translate = op_translate,
	.read = op_read,
	.write = op_write,
	.cmpxchg = op_cmpxchg,
	.segment = op_segment,
	.xmm_read = op_xmm_read,
	.xmm_write = op_xmm_write,
};

void machine_map(struct machine *m, u64 gva, u64 gpa, unsigned int pages, bool write)
{
	while (pages--) {
		if (m->nr_maps == ARRAY_SIZE(m->maps))
			__builtin_trap();
		m->maps[m->nr_maps++] = (struct mapping) { gva, gpa, write };
		gva += PAGE;
		gpa += PAGE;
	}
}

void machine_unmap(struct machine *m, u64 gva)
{
	unsigned int i;

	for (i = 0; i < m->nr_maps; i++)
		if (m->maps[i].gva == gva)
			m->maps[i].gva = ~0ull;
}

void machine_mode(struct machine *m, enum umbra_emu_mode mode)
{
	u64 base = mode == UMBRA_EMU_PROT32 || mode == UMBRA_EMU_LONG64 ? 0 : DATA;
	unsigned int i;

	m->emu.mode = mode;
	for (i = 0; i < 6; i++) {
		m->segs[i] = (struct umbra_emu_segment) {
			.base = base,
			.limit = base ? 0xffff : 0xffffffff,
			.ar = UMBRA_EMU_AR_PRESENT | 0x13 | (base ? 0 : UMBRA_EMU_AR_DB),
		};
	}
	m->segs[UMBRA_EMU_CS].ar |= UMBRA_EMU_AR_CODE;
	if (base)
		m->segs[UMBRA_EMU_CS].base = CODE;
	m->emu.rip = base ? 0 : CODE;
	m->emu.cpl = mode == UMBRA_EMU_VM86 ? 3 : 0;
}

void machine_init(struct machine *m)
{
	memset(m, 0, sizeof(*m));
	m->emu.ops = &ops;
	m->emu.regs = m->regs;
	m->emu.rflags = 2;
	m->emu.va_bits = 48;
	m->emu.pio.data = m->pio;
	m->emu.pio.capacity = sizeof(m->pio);
	machine_map(m, CODE, 0, 2, false);
	machine_map(m, DATA, 2 * PAGE, DATA_PAGES, true);
	machine_map(m, READONLY, 10 * PAGE, 1, false);
	machine_map(m, ROM, ROM_BASE, 1, true);
	machine_map(m, DEVICE, MMIO_BASE, 2, true);
	machine_map(m, RAM_DEVICE, 11 * PAGE, 1, true);
	machine_map(m, RAM_DEVICE + PAGE, MMIO_BASE, 1, true);
	machine_map(m, DEVICE_RAM, MMIO_BASE, 1, true);
	machine_map(m, DEVICE_RAM + PAGE, 12 * PAGE, 1, true);
	machine_mode(m, UMBRA_EMU_LONG64);
}

u8 *machine_at(struct machine *m, u64 gva)
{
	const struct mapping *map = find(m, gva);

	if (!map || map->gpa >= RAM_SIZE)
		__builtin_trap();
	return m->ram + map->gpa + gva % PAGE;
}

u8 *machine_plain(struct machine *m, u64 gva, unsigned int size, bool write)
{
	const struct mapping *map = find(m, gva);

	if (!map || crosses_page(gva, size) || map->gpa >= RAM_SIZE)
		return NULL;
	if (write && (!map->write || !is_writable(m, map->gpa)))
		return NULL;
	return machine_at(m, gva);
}

u64 machine_get(struct machine *m, u64 gva, unsigned int size)
{
	u64 value = 0;

	memcpy(&value, machine_at(m, gva), size);
	return value;
}

void machine_set(struct machine *m, u64 gva, unsigned int size, u64 value)
{
	memcpy(machine_at(m, gva), &value, size);
}

void machine_code(struct machine *m, const void *bytes, unsigned int len)
{
	u64 gva = m->emu.rip;

	if (m->emu.mode != UMBRA_EMU_LONG64)
		gva = (u32)(gva + m->segs[UMBRA_EMU_CS].base);
	memcpy(machine_at(m, gva), bytes, len);
}

enum umbra_emu_result machine_run(struct machine *m, const void *bytes, unsigned int len)
{
	machine_code(m, bytes, len);
	return umbra_emulate(&m->emu);
}
