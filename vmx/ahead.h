/* SPDX-License-Identifier: GPL-2.0 */
/* Private to vmx/ahead*.c. */
#ifndef _UMBRA_VMX_AHEAD_H
#define _UMBRA_VMX_AHEAD_H

#include <umbra/step.h>

#include "vmx.h"

/* Powers of two. */
#define AHEAD_PAGES	8
#define AHEAD_PIECES	32

/* ahead_page.tag, below the page's address; 0 for none */
#define AHEAD_VALID	BIT_ULL(0)
#define AHEAD_WRITE	BIT_ULL(1)

/**
 * struct ahead_page - a translation, as a CPU's TLB would have it
 * @tag: linear address and AHEAD_*
 * @gpa: guest-physical address of the page
 * @hva: where the host has it; good while mmu->srcu is held
 */
struct ahead_page {
	u64 tag;
	gpa_t gpa;
	hva_t hva;
};

/**
 * struct vmx_ahead - what going ahead needs
 * @s: the vCPU for steps
 * @vmx: the vCPU
 * @page: translations of data, by linear address
 * @code: the translation of code
 * @code_written: steps have written to that page
 * @limit: parameter ahead=
 * @left: steps that may be taken before the next is to have spared an exit
 * @turns: how often it did or was handled as if it had
 * @spared: exits that the guest would have made
 * @from: where it began, behind the instruction that exited
 * @loops: it led back to there
 * @emu: scratch memory of the decoder
 * @piece: decoded code, by linear address
 */
struct vmx_ahead {
	struct umbra_stepper s;
	struct vmx_vcpu *vmx;
	struct ahead_page page[AHEAD_PAGES];
	struct ahead_page code;
	bool code_written;
	unsigned int limit;
	unsigned int left;
	unsigned int turns;
	unsigned int spared;
	u64 from;
	bool loops;
	struct umbra_emu emu;
	struct umbra_piece piece[AHEAD_PIECES];
};

/* Instructions that exit, handled without the guest in between. */
#define AHEAD_TURNS	16

/* The guest would have exited here. */
static inline void vmx_ahead_spared(struct vmx_ahead *a)
{
	a->spared++;
	a->turns++;
	a->left = a->limit;
}

/* ahead_memory.c; all with mmu->srcu held */
extern const struct umbra_step_ops vmx_ahead_ops;

/**
 * vmx_ahead_piece() - the code at @a->s.rip
 *
 * May sleep. Return: decoded, with at least one step; NULL when there is none.
 */
const struct umbra_piece *vmx_ahead_piece(struct vmx_ahead *a);

/**
 * vmx_ahead_forget() - translations of the page of @gva are no longer good
 */
void vmx_ahead_forget(struct vmx_ahead *a, u64 gva);

/**
 * vmx_ahead_forget_all() - no translation is good
 */
void vmx_ahead_forget_all(struct vmx_ahead *a);

#endif
