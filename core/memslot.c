// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of memory slots: lookup and rebuilding. No kernel services are used, so
 * that the unit tests compile this file in user space.
 */
#include <linux/compiler.h>
#include <umbra/memslot.h>

/* Index of the first slot that begins above @gfn. */
static unsigned int first_above(const struct umbra_memslots *slots, gfn_t gfn)
{
	unsigned int low = 0, high = slots->nr;

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (slots->slot[mid]->base_gfn > gfn)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

struct umbra_memslot *umbra_memslot_find(struct umbra_memslots *slots, gfn_t gfn)
{
	/* A hint: it may be stale or race, any value below nr is safe. */
	unsigned int i = READ_ONCE(slots->last);

	if (i < slots->nr && umbra_memslot_has(slots->slot[i], gfn))
		return slots->slot[i];

	i = first_above(slots, gfn);
	if (!i || !umbra_memslot_has(slots->slot[i - 1], gfn))
		return NULL;
	WRITE_ONCE(slots->last, i - 1);
	return slots->slot[i - 1];
}

bool umbra_memslots_overlap(const struct umbra_memslots *slots, gfn_t base,
			    unsigned long npages, const struct umbra_memslot *skip)
{
	/* Slots do not overlap: going down from the end, the first miss ends it. */
	unsigned int i = first_above(slots, base + npages - 1);

	while (i--) {
		const struct umbra_memslot *slot = slots->slot[i];

		if (slot == skip)
			continue;
		return slot->base_gfn + slot->npages > base;
	}
	return false;
}

void umbra_memslots_rebuild(struct umbra_memslots *to, const struct umbra_memslots *from,
			    const struct umbra_memslot *drop, struct umbra_memslot *add)
{
	unsigned int i;

	to->generation = from->generation + 1;
	to->last = 0;
	to->nr = 0;
	for (i = 0; i < from->nr; i++) {
		if (from->slot[i] == drop)
			continue;
		if (add && add->base_gfn < from->slot[i]->base_gfn) {
			to->slot[to->nr++] = add;
			add = NULL;
		}
		to->slot[to->nr++] = from->slot[i];
	}
	if (add)
		to->slot[to->nr++] = add;
}
