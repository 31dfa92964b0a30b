// SPDX-License-Identifier: GPL-2.0
/*
 * Neighbours of a page that faults, see around.h.
 */
#include <linux/kvm.h>
#include <linux/minmax.h>
#include "around.h"

void umbra_around_grow(struct umbra_around *around, const struct umbra_memslot *slot, gfn_t gfn,
		       const u64 *sptep, const struct umbra_format *fmt)
{
	gfn_t window = gfn & ~(gfn_t)(AROUND_FRAMES - 1);
	gfn_t first = max(window, slot->base_gfn);
	gfn_t end = min(window + AROUND_FRAMES, slot->base_gfn + slot->npages);

	if (!sptep) {
		around->first = first;
		around->end = end;
		return;
	}
	while (around->first > first &&
	       !umbra_spte_present(fmt, READ_ONCE(sptep[(long)(around->first - 1 - gfn)])))
		around->first--;
	while (around->end < end &&
	       !umbra_spte_present(fmt, READ_ONCE(sptep[around->end - gfn])))
		around->end++;
}

/*
 * The page itself comes first in its call: one that the host lacks costs no
 * more than finding that out.
 */
static bool get(struct umbra_around *around, struct umbra_target *t, bool write)
{
	struct umbra_hostpage *hp = umbra_around_page(around, t->gfn);
	unsigned int nr;

	nr = umbra_hostpages_get_present(t->slot, t->gfn, around->end - t->gfn, write, hp);
	if (!nr)
		return false;
	t->hp = *hp;
	around->after = nr - 1;
	if (around->first < t->gfn)
		around->before = umbra_hostpages_get_present(t->slot, around->first,
							     t->gfn - around->first, write,
							     umbra_around_page(around,
									       around->first));
	return true;
}

bool umbra_around_get(struct umbra_around *around, struct umbra_target *t)
{
	bool readonly = t->slot->flags & KVM_MEM_READONLY;

	if (!readonly && get(around, t, true))
		return true;
	return !t->write && get(around, t, false);
}

void umbra_around_put(struct umbra_around *around, const struct umbra_target *t)
{
	if (around->before)
		umbra_hostpages_put(umbra_around_page(around, around->first), around->before,
				    around->dirty_before);
	if (around->after)
		umbra_hostpages_put(umbra_around_page(around, t->gfn + 1), around->after,
				    around->dirty_after);
}
