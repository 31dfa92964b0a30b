/* SPDX-License-Identifier: GPL-2.0 */
/* Steps in the machine of machine.h: memory that is plain, and nothing else. */
#ifndef UNIT_STEPS_H
#define UNIT_STEPS_H

#include <umbra/step.h>
#include "forms.h"
#include "machine.h"
#include "native.h"

struct steps {
	struct umbra_stepper s;
	struct machine m;
	struct umbra_piece piece;
	struct umbra_emu emu;
	unsigned int stores;
	/* Fail the next so many accesses. */
	unsigned int fail;
};

void steps_init(struct steps *st);
/* Decode what is at rip into st->piece; its number of steps. */
unsigned int steps_decode(struct steps *st);
/* Execute steps of the piece until one does not go on to the next. */
enum umbra_step_result steps_run(struct steps *st);

/*
 * Run a trial, of which the CPU has made @n and the contents of its data window. What
 * differs, or NULL; @done: the step was not left to the guest.
 */
const char *steps_compare(struct steps *st, const struct trial *t, const struct native_state *n,
			  bool *done);

#endif
