// SPDX-License-Identifier: GPL-2.0
/*
 * Using a walk again.
 *
 * What a walk gives depends on the registers in struct umbra_paging_state and on
 * the entries that it reads. When they are all the same, so is the translation:
 * reading the entries again, where the last walk has found them, is a walk.
 *
 * Only for 8-byte entries that are all in memory: those of long mode.
 */
#include <linux/errno.h>
#include <linux/string.h>
#include <umbra/hostmem.h>
#include "walk.h"

static bool same_state(const struct umbra_paging_state *a, const struct umbra_paging_state *b)
{
	return a->cr3 == b->cr3 && a->cr0 == b->cr0 && a->cr4 == b->cr4 && a->efer == b->efer &&
	       a->cpl == b->cpl && a->rflags_ac == b->rflags_ac &&
	       a->maxphyaddr == b->maxphyaddr && a->has_gbpages == b->has_gbpages;
}

static bool holds(const struct umbra_mmu_vcpu *vcpu, const struct umbra_recall *r)
{
	unsigned int i;
	u64 gpte;

	if (r->generation != umbra_memslots_current(vcpu->mmu)->generation ||
	    !same_state(&r->state, &vcpu->state))
		return false;
	for (i = 0; i < r->nr; i++)
		if (umbra_hva_read64(r->hva[i], &gpte) || gpte != r->gpte[i])
			return false;
	return true;
}

static void remember(struct umbra_mmu_vcpu *vcpu, const struct umbra_walk *walk, u32 access)
{
	struct umbra_recall *r = &vcpu->recall;
	unsigned int level;

	r->nr = 0;
	if (walk->top_level < 4)
		return;
	r->access = access;
	r->gva = walk->gva & ~0xfffull;
	r->gpa = walk->gpa & ~0xfffull;
	r->generation = umbra_memslots_current(vcpu->mmu)->generation;
	r->state = vcpu->state;
	for (level = walk->top_level; level >= walk->level; level--) {
		hva_t hva = umbra_guest_hva(vcpu->mmu, walk->gpte_gpa[level - 1]);

		/* The slot has gone since. */
		if (!hva) {
			r->nr = 0;
			return;
		}
		r->gpte[r->nr] = walk->gpte[level - 1];
		r->hva[r->nr++] = hva;
	}
}

int umbra_mmu_translate_fetch(struct umbra_mmu_vcpu *vcpu, u64 gva, u32 access, gpa_t *gpa,
			      struct umbra_exception *exc)
{
	struct umbra_recall *r = &vcpu->recall;
	struct umbra_walk walk;

	if (r->nr && r->gva == (gva & ~0xfffull) && r->access == access && holds(vcpu, r)) {
		*gpa = r->gpa | (gva & 0xfff);
		return 0;
	}
	if (umbra_walk(vcpu, gva, access, true, &walk)) {
		if (exc)
			*exc = walk.exc;
		return -EFAULT;
	}
	remember(vcpu, &walk, access);
	*gpa = walk.gpa;
	return 0;
}
