/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Run one instruction on the real CPU, with all registers loaded from a struct.
 * The code and data windows of machine.h exist as real mappings at the same
 * linear addresses, so that an instruction means the same in both worlds.
 */
#ifndef UNIT_NATIVE_H
#define UNIT_NATIVE_H

#include <linux/types.h>
#include <umbra/emulate.h>

struct native_state {
	u64 regs[16];
	u64 rflags;
	u8 xmm[16][32];		/* YMM registers, if the CPU has them */
	u16 selectors[6];	/* not in 64-bit mode; FS belongs to the C library */
	/* out */
	int vector;		/* -1: none */
	u32 error_code;
	u64 cr2;
	u64 rip;		/* of the fault */
};

/* A segment that exists natively. */
struct native_segment {
	u16 selector;
	bool code;
	bool stack;		/* may be loaded into SS */
	struct umbra_emu_segment hidden;
};

extern const struct native_segment native_segments[];
extern const unsigned int nr_native_segments;

/* Does the CPU have AVX? */
bool native_has_avx(void);
/* Map the windows and build the stubs; false: not possible here. */
bool native_init(void);
/* Create native_segments[]; false: 16- and 32-bit modes cannot be run. */
bool native_init_segments(void);
/* Base address of GS in 64-bit mode. */
bool native_set_gs(u64 base);
u64 native_fs(void);
/* Put an instruction at a linear address of the code window, with a way back behind it. */
void native_place(enum umbra_emu_mode mode, u64 gva, const u8 *code, unsigned int len);
/* Run the instruction that was placed at @rip, an offset in CS. */
void native_run(struct native_state *state, enum umbra_emu_mode mode, u64 rip);

#endif
