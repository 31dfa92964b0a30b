/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A toy machine around the emulator: a little RAM, one ROM page, a flat list of
 * page mappings, and everything else is MMIO.
 */
#ifndef UNIT_MACHINE_H
#define UNIT_MACHINE_H

#include <linux/types.h>
#include <umbra/emulate.h>

#define PAGE		4096u
#define RAM_PAGES	32u
#define RAM_SIZE	(RAM_PAGES * PAGE)
#define ROM_BASE	(RAM_SIZE - PAGE)	/* the last page of RAM: writes are MMIO */
#define MMIO_BASE	0xfe000000ull

#define CODE		0x10000000ull		/* two pages, read-only */
#define DATA		0x10010000ull		/* DATA_PAGES, writable */
#define DATA_PAGES	8u
#define READONLY	0x10020000ull		/* one page of RAM */
#define ROM		0x10030000ull		/* the ROM */
#define DEVICE		0x10040000ull		/* two pages of MMIO_BASE */
/* RAM followed by MMIO, and MMIO followed by RAM */
#define RAM_DEVICE	0x10050000ull
#define DEVICE_RAM	0x10060000ull

#define CF		0x001u
#define PF		0x004u
#define AF		0x010u
#define ZF		0x040u
#define SF		0x080u
#define TF		0x100u
#define DF		0x400u
#define OF		0x800u
#define RF		0x10000u
#define ARITH		(CF | PF | AF | ZF | SF | OF)

enum { UD = 6, NM = 7, SS_FAULT = 12, GP = 13, PAGE_FAULT = 14, AC = 17 };

struct mapping {
	u64 gva;
	u64 gpa;
	bool write;
};

struct machine {
	struct umbra_emu emu;
	u64 regs[UMBRA_EMU_NR_REGS];
	u8 ram[RAM_SIZE];
	struct mapping maps[32];
	unsigned int nr_maps;
	struct umbra_emu_segment segs[6];
	u8 xmm[16][32];		/* YMM registers, that is */
	u8 pio[PAGE];
	bool no_sse;
	bool rom_writable;
	/* The next so many compare-exchanges find memory changed by... */
	unsigned int races;
	/* ... this, added to its first byte. */
	u8 race_add;
	/* Answer RETRY to the next so many reads. */
	unsigned int retry_reads;
	unsigned int reads;
	unsigned int writes;
	unsigned int exchanges;
};

/* Reset everything: 64-bit mode, standard mappings, flat segments. */
void machine_init(struct machine *m);
/* Change the mode, with segments that suit it. */
void machine_mode(struct machine *m, enum umbra_emu_mode mode);
void machine_map(struct machine *m, u64 gva, u64 gpa, unsigned int pages, bool write);
void machine_unmap(struct machine *m, u64 gva);
/* Where a mapped linear address is in RAM; the page's end is not checked. */
u8 *machine_at(struct machine *m, u64 gva);
/* Likewise if the access is in one page of RAM that allows it; NULL otherwise. */
u8 *machine_plain(struct machine *m, u64 gva, unsigned int size, bool write);
u64 machine_get(struct machine *m, u64 gva, unsigned int size);
void machine_set(struct machine *m, u64 gva, unsigned int size, u64 value);
/* Put instruction bytes at rip (through CS in 16- and 32-bit modes). */
void machine_code(struct machine *m, const void *bytes, unsigned int len);
/* Put instruction bytes at rip and emulate. */
enum umbra_emu_result machine_run(struct machine *m, const void *bytes, unsigned int len);

#define CODE_BYTES(...)		((const u8[]){ __VA_ARGS__ })
#define RUN(m, ...) \
	machine_run(m, CODE_BYTES(__VA_ARGS__), sizeof(CODE_BYTES(__VA_ARGS__)))

#endif
