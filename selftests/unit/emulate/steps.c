// SPDX-License-Identifier: GPL-2.0
#include <linux/kernel.h>
#include <string.h>
#include "steps.h"

#define DATA_SIZE	(DATA_PAGES * PAGE)

static struct steps *to_steps(struct umbra_stepper *s)
{
	return container_of(s, struct steps, s);
}

static u8 *plain(struct umbra_stepper *s, u64 gva, unsigned int size, bool write)
{
	struct steps *st = to_steps(s);

	if (size != 1 && size != 2 && size != 4 && size != 8)
		__builtin_trap();
	if (st->fail) {
		st->fail--;
		return NULL;
	}
	return machine_plain(&st->m, gva, size, write);
}

static bool load(struct umbra_stepper *s, u64 gva, unsigned int size, u64 *value)
{
	u8 *at = plain(s, gva, size, false);

	*value = 0;
	if (at)
		memcpy(value, at, size);
	return at;
}

static bool store(struct umbra_stepper *s, u64 gva, unsigned int size, u64 value)
{
	u8 *at = plain(s, gva, size, true);

	if (at) {
		memcpy(at, &value, size);
		to_steps(s)->stores++;
	}
	return at;
}

static bool replace(struct umbra_stepper *s, u64 gva, unsigned int size, u64 old, u64 new)
{
	u8 *at = plain(s, gva, size, true);

	if (gva & (size - 1))
		__builtin_trap();
	return at && !memcmp(at, &old, size) && store(s, gva, size, new);
}

static u64 base(struct umbra_stepper *s, enum umbra_emu_seg seg)
{
	return to_steps(s)->m.segs[seg].base;
}

static const struct umbra_step_ops ops = {
	.load = load,
	.store = store,
	.replace = replace,
	.base = base,
};

void steps_init(struct steps *st)
{
	memset(st, 0, sizeof(*st));
	machine_init(&st->m);
	st->s.ops = &ops;
	st->s.regs = st->m.regs;
	st->s.rip = CODE;
	st->s.rflags = 2;
}

unsigned int steps_decode(struct steps *st)
{
	unsigned int room = PAGE - st->s.rip % PAGE;

	if (room > UMBRA_PIECE_BYTES)
		room = UMBRA_PIECE_BYTES;
	st->piece.rip = st->s.rip;
	umbra_piece_decode(&st->piece, &st->emu, machine_at(&st->m, st->s.rip), room);
	return st->piece.nr;
}

enum umbra_step_result steps_run(struct steps *st)
{
	enum umbra_step_result r = UMBRA_STEP_STOP;
	unsigned int i;

	for (i = 0; i < st->piece.nr; i++) {
		r = umbra_step_execute(&st->s, &st->piece.step[i]);
		if (r != UMBRA_STEP_NEXT)
			break;
	}
	return r;
}

static const char *compare(struct steps *st, const struct trial *t, const struct native_state *n)
{
	if (n->vector >= 0)
		return "step and CPU: fault";
	if (st->s.rip != t->rip + t->len)
		return "step and CPU: RIP";
	if (memcmp(st->s.regs, n->regs, sizeof(n->regs)))
		return "step and CPU: registers";
	if ((st->s.rflags ^ n->rflags) & (ARITH | DF) & ~t->form->undefined)
		return "step and CPU: flags";
	if (memcmp(machine_at(&st->m, DATA), (u8 *)DATA, DATA_SIZE))
		return "step and CPU: memory";
	return NULL;
}

const char *steps_compare(struct steps *st, const struct trial *t, const struct native_state *n,
			  bool *done)
{
	enum umbra_step_result r = UMBRA_STEP_STOP;
	const char *what = NULL;

	memcpy(st->s.regs, t->regs, sizeof(t->regs));
	memcpy(st->m.segs, t->segs, sizeof(t->segs));
	st->s.rflags = t->rflags;
	st->s.rip = t->rip;
	st->stores = 0;
	if (steps_decode(st))
		r = umbra_step_execute(&st->s, &st->piece.step[0]);
	*done = r == UMBRA_STEP_NEXT;
	if (*done)
		what = compare(st, t, n);
	else if (r != UMBRA_STEP_STOP)
		what = "result of the step";
	else if (memcmp(st->s.regs, t->regs, sizeof(t->regs)) || st->stores ||
		 st->s.rflags != t->rflags || st->s.rip != t->rip)
		what = "state after a step that was not taken";
	if (!*done || what)
		memcpy(machine_at(&st->m, DATA), (u8 *)DATA, DATA_SIZE);
	return what;
}
