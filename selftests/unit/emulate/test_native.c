// SPDX-License-Identifier: GPL-2.0
/*
 * The emulator against the real CPU: random instances of every form run on
 * both; registers, defined flags, XMM registers, memory and faults must agree.
 *
 *	test_native [TRIALS-PER-MODE [SEED]]
 */
#include <linux/kernel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "forms.h"
#include "machine.h"
#include "native.h"
#include "steps.h"
#include "tap.h"

#define DATA_SIZE	(DATA_PAGES * PAGE)

static struct machine machine;
static struct steps steps;
static unsigned int faults[32];

static u8 *ram_data(void)
{
	return machine_at(&machine, DATA);
}

/*
 * Where nothing is mapped; not canonical in 64-bit mode. The low half is above
 * every segment base, so that truncating the address leads to nothing either:
 * the rest of the address space belongs to the C library and the sanitizer.
 */
static u64 draw_wild(enum umbra_emu_mode mode)
{
	u64 low = 0x20000000 + rnd_below(0x5f000000);

	if (mode != UMBRA_EMU_LONG64)
		return low;
	return low | 1ull << 62 | (rnd() >> 2 & ~0xffffffffull);
}

/* The operand: mostly inside the data, sometimes where it faults. */
static u64 draw_target(enum umbra_emu_mode mode)
{
	switch (rnd_below(40)) {
	case 0: case 1:
		return DATA + DATA_SIZE - 1 - rnd_below(40);
	case 2:
		return READONLY + rnd_below(PAGE);
	case 3:
		return DATA - rnd_below(40);
	case 4:
		return draw_wild(mode);
	case 5: case 6: case 7: case 8: case 9:
		return DATA + PAGE * (1 + rnd_below(DATA_PAGES - 2)) - rnd_below(20);
	default:
		return (DATA + PAGE + rnd_below(DATA_SIZE - 2 * PAGE)) & -(1ull << rnd_below(5));
	}
}

/* May the segment register be loaded with it? */
static bool loadable(enum umbra_emu_seg reg, const struct native_segment *seg)
{
	if (reg == UMBRA_EMU_CS)
		return seg->code;
	if (reg == UMBRA_EMU_SS)
		return seg->stack;
	return !seg->code || seg->hidden.ar & UMBRA_EMU_AR_RW;
}

static void draw_segments(struct trial *t, struct native_state *state)
{
	const struct native_segment *seg;
	unsigned int i;

	for (i = 0; i < 6; i++) {
		do
			seg = &native_segments[rnd_below(nr_native_segments)];
		while (!loadable(i, seg));
		t->segs[i] = seg->hidden;
		state->selectors[i] = seg->selector;
	}
	t->mode = t->segs[UMBRA_EMU_CS].ar & UMBRA_EMU_AR_DB ? UMBRA_EMU_PROT32 : UMBRA_EMU_PROT16;
}

/* Same random bytes around the operands, in both memories. */
static void fill_data(const struct trial *t)
{
	bool constant = t->form->flags & FORM_STRING && rnd() & 1;
	u64 start = (t->target - DATA) % DATA_SIZE & ~63ull;
	u64 value = rnd();
	unsigned int i;

	for (i = 0; i < 512 && start + i < DATA_SIZE; i += 8) {
		if (!constant)
			value = rnd();
		memcpy(ram_data() + start + i, &value, 8);
	}
	/* Bit offsets and string sources lie elsewhere: the data persists there. */
	memcpy((u8 *)DATA + start, ram_data() + start, i);
	memcpy(machine_at(&steps.m, DATA) + start, ram_data() + start, i);
}

/* Make what the instruction compares equal in half of all cases. */
static void make_equal(const struct trial *t)
{
	u64 low[2] = { t->regs[UMBRA_EMU_RAX], t->regs[UMBRA_EMU_RDX] };
	u64 offset = t->target - DATA;
	unsigned int size = t->opsize;

	if (!(t->form->flags & FORM_COMPARE) || rnd() & 1 || offset > DATA_SIZE - size)
		return;
	if (t->form->opcode[1] == 0xc7 && size == 8)
		low[0] = (u32)low[0] | low[1] << 32;
	memcpy(ram_data() + offset, low, size);
	memcpy((u8 *)DATA + offset, low, size);
	memcpy(machine_at(&steps.m, DATA) + offset, low, size);
}

static void draw_xmm(struct native_state *state)
{
	unsigned int i;
	u64 value;

	for (i = 0; i < sizeof(state->xmm); i += 8) {
		value = rnd();
		memcpy((u8 *)state->xmm + i, &value, 8);
	}
}

static enum umbra_emu_result run_emulator(const struct trial *t, const struct native_state *state)
{
	struct umbra_emu *emu = &machine.emu;

	memcpy(emu->regs, t->regs, sizeof(t->regs));
	memcpy(machine.xmm, state->xmm, sizeof(machine.xmm));
	memcpy(machine.segs, t->segs, sizeof(machine.segs));
	emu->rflags = t->rflags;
	emu->rip = t->rip;
	emu->mode = t->mode;
	emu->cpl = 3;
	return umbra_emulate(emu);
}

static const char *compare_fault(const struct native_state *n)
{
	const struct umbra_emu_exception *e = &machine.emu.exception;

	if (e->vector != n->vector)
		return "vector";
	if (e->vector == PAGE_FAULT && e->cr2 != n->cr2)
		return "CR2";
	if (e->has_error_code && e->error_code != n->error_code)
		return "error code";
	if (machine.emu.rip != n->rip)
		return "RIP of the fault";
	return NULL;
}

/* What differs, or NULL. */
static const char *compare(const struct trial *t, const struct native_state *n,
			   enum umbra_emu_result result)
{
	const struct umbra_emu *emu = &machine.emu;
	const char *what = NULL;

	if (result != (n->vector < 0 ? UMBRA_EMU_DONE : UMBRA_EMU_FAULT))
		return "result";
	if (n->vector >= 0)
		what = compare_fault(n);
	else if (emu->rip != t->rip + t->len)
		what = "RIP";
	if (what)
		return what;
	if (memcmp(emu->regs, n->regs, sizeof(n->regs)))
		return "registers";
	if ((emu->rflags ^ n->rflags) & (ARITH | DF) & ~t->form->undefined)
		return "flags";
	if (memcmp(machine.xmm, n->xmm, sizeof(n->xmm)))
		return "XMM registers";
	return memcmp(ram_data(), (u8 *)DATA, DATA_SIZE) ? "memory" : NULL;
}

static void explain(const struct trial *t, const struct native_state *n, const char *what,
		    enum umbra_emu_result result)
{
	const struct umbra_emu *emu = &machine.emu;
	unsigned int i;

	printf("# %s: %s differ(s), mode %d, code", t->form->name, what, t->mode);
	for (i = 0; i < t->len; i++)
		printf(" %02x", t->code[i]);
	printf("\n# rip %llx target %llx opsize %u adsize %u seg %d\n", t->rip, t->target,
	       t->opsize, t->adsize, t->seg);
	printf("# emulator: result %d vector %u error %x cr2 %llx rip %llx flags %llx\n", result,
	       emu->exception.vector, emu->exception.error_code, emu->exception.cr2, emu->rip,
	       emu->rflags);
	printf("# CPU: vector %d error %x cr2 %llx rip %llx flags %llx (before %llx)\n", n->vector,
	       n->error_code, n->cr2, n->rip, n->rflags, t->rflags);
	for (i = 0; i < 16; i++)
		if (t->regs[i] != emu->regs[i] || t->regs[i] != n->regs[i])
			printf("# r%u: before %llx emulator %llx CPU %llx\n", i, t->regs[i],
			       emu->regs[i], n->regs[i]);
}

/* Undo what a difference left behind, so that it is reported once. */
static void resync(void)
{
	memcpy(ram_data(), (u8 *)DATA, DATA_SIZE);
}

/* Code can be read as data: have the same bytes in both worlds. */
static void place(const struct trial *t)
{
	u64 base = t->mode == UMBRA_EMU_LONG64 ? 0 : t->segs[UMBRA_EMU_CS].base;

	native_place(t->mode, base + t->rip, t->code, t->len);
	memcpy(machine_at(&machine, CODE), (u8 *)CODE, 2 * PAGE);
	memcpy(machine_at(&steps.m, CODE), (u8 *)CODE, 2 * PAGE);
}

/* The same as steps; what differs, or NULL. */
static const char *step(const struct trial *t, const struct native_state *n, unsigned int *taken)
{
	const char *what;
	bool done;

	if (t->mode != UMBRA_EMU_LONG64)
		return NULL;
	what = steps_compare(&steps, t, n, &done);
	*taken += done;
	return what;
}

static bool run_trial(struct trial *t, struct native_state *state, bool emulated,
		      unsigned int *taken)
{
	enum umbra_emu_result result;
	const char *what;

	do {
		t->target = draw_target(t->mode);
		t->source = draw_target(t->mode);
	} while (!generate(t));
	fill_data(t);
	make_equal(t);
	draw_xmm(state);
	place(t);
	result = run_emulator(t, state);
	memcpy(state->regs, t->regs, sizeof(t->regs));
	state->rflags = t->rflags;
	native_run(state, t->mode, t->rip);
	if (state->vector >= 0)
		faults[state->vector & 31]++;
	if (emulated)
		what = compare(t, state, result);
	else
		what = result == UMBRA_EMU_DONE ? "the emulator's result" : NULL;
	if (!what)
		what = step(t, state, taken);
	if (!emulated)
		resync();
	if (what) {
		explain(t, state, what, result);
		resync();
	}
	return !what;
}

/* Anywhere in the first code page, or across its end. */
static u64 draw_rip(const struct trial *t)
{
	u64 base = t->mode == UMBRA_EMU_LONG64 ? 0 : t->segs[UMBRA_EMU_CS].base;

	return CODE - base + (rnd() & 1 ? PAGE - rnd_below(15) : rnd_below(PAGE));
}

static unsigned int run_form(const struct form *form, bool is64, bool emulated,
			     unsigned int count, unsigned int *taken)
{
	struct native_state state = {};
	struct trial t = { .form = form };
	unsigned int bad = 0;

	while (count-- && bad < 3) {
		t.mode = UMBRA_EMU_LONG64;
		if (is64) {
			t.segs[UMBRA_EMU_FS].base = native_fs();
			t.segs[UMBRA_EMU_GS].base = rnd_below(0x10000000);
			native_set_gs(t.segs[UMBRA_EMU_GS].base);
		} else {
			draw_segments(&t, &state);
		}
		t.rip = draw_rip(&t);
		bad += !run_trial(&t, &state, emulated, taken);
	}
	return bad;
}

static void run_all(bool is64, unsigned int trials)
{
	unsigned int count = trials / nr_forms + 1;
	unsigned int i, bad, taken = 0;

	for (i = 0; i < nr_forms; i++) {
		if ((forms[i].flags & FORM_ONLY64 && !is64) ||
		    (forms[i].flags & FORM_VEX && !native_has_avx()))
			continue;
		bad = run_form(&forms[i], is64, true, count, &taken);
		ok(!bad, "%s: %s, %u times as the CPU does it",
		   is64 ? "64-bit" : "16/32-bit", forms[i].name, count);
	}
	if (is64)
		ok(taken > count * nr_forms / 3, "%u of %u taken as steps", taken,
		   count * nr_forms);
}

/* What the emulator does not know and steps do. */
static void run_steps(unsigned int trials)
{
	unsigned int count = trials / 2 / nr_step_forms + 1;
	unsigned int i, bad, taken;

	for (i = 0; i < nr_step_forms; i++) {
		taken = 0;
		bad = run_form(&step_forms[i], true, false, count, &taken);
		ok(!bad && taken > count / 5, "step: %s, %u of %u times as the CPU does it",
		   step_forms[i].name, taken, count);
	}
}

int main(int argc, char **argv)
{
	unsigned int trials = argc > 1 ? strtoul(argv[1], NULL, 0) : 150000;
	u64 seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;

	if (!native_init()) {
		printf("1..0 # SKIP cannot map the windows\n");
		return 4;
	}
	rnd_seed(seed);
	machine_init(&machine);
	steps_init(&steps);
	run_all(true, trials);
	run_steps(trials);
	if (native_init_segments())
		run_all(false, trials);
	else
		printf("# 16- and 32-bit modes not run: no modify_ldt\n");
	printf("# faults: #UD %u #SS %u #GP %u #PF %u\n", faults[UD], faults[SS_FAULT], faults[GP],
	       faults[PAGE_FAULT]);
	return tap_done();
}
