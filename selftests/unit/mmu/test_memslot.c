// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of memory slots: lookup, overlap and rebuilding, against a plain array.
 *
 *	test_memslot [SEED]
 */
#include <linux/kernel.h>
#include <stdlib.h>
#include <string.h>
#include <tap.h>
#include <umbra/memslot.h>
#include "random.h"

#define NR_FRAMES	4096

/* The model: which slot owns a frame. */
static struct umbra_memslot *owner[NR_FRAMES];
static struct umbra_memslots *set;

static void replace(struct umbra_memslot *drop, struct umbra_memslot *add)
{
	struct umbra_memslots *next = malloc(sizeof(*next) + (set->nr + 1) * sizeof(add));

	umbra_memslots_rebuild(next, set, drop, add);
	free(set);
	set = next;
	for (unsigned int i = 0; i < NR_FRAMES; i++) {
		if (drop && owner[i] == drop)
			owner[i] = NULL;
		if (add && umbra_memslot_has(add, i))
			owner[i] = add;
	}
}

static struct umbra_memslot *new_slot(gfn_t base, unsigned long npages)
{
	struct umbra_memslot *slot = calloc(1, sizeof(*slot));

	slot->base_gfn = base;
	slot->npages = npages;
	slot->hva = 0x10000000 + rnd(1000) * 4096;
	return slot;
}

static bool model_overlaps(gfn_t base, unsigned long npages, const struct umbra_memslot *skip)
{
	for (gfn_t gfn = base; gfn < base + npages; gfn++)
		if (owner[gfn] && owner[gfn] != skip)
			return true;
	return false;
}

static bool sorted(void)
{
	for (unsigned int i = 1; i < set->nr; i++)
		if (set->slot[i]->base_gfn < set->slot[i - 1]->base_gfn + set->slot[i - 1]->npages)
			return false;
	return true;
}

static bool finds_everything(void)
{
	for (unsigned int i = 0; i < NR_FRAMES; i++)
		if (umbra_memslot_find(set, i) != owner[i])
			return false;
	/* And in an order that makes the hint wrong. */
	for (unsigned int i = 0; i < 2000; i++) {
		unsigned int gfn = rnd(NR_FRAMES);

		if (chance(10))
			set->last = rnd(2 * set->nr + 2);
		if (umbra_memslot_find(set, gfn) != owner[gfn])
			return false;
	}
	return !umbra_memslot_find(set, ~0ull) && !umbra_memslot_find(set, NR_FRAMES);
}

static bool random_change(void)
{
	struct umbra_memslot *victim = set->nr ? set->slot[rnd(set->nr)] : NULL;
	gfn_t base = rnd(NR_FRAMES - 64);
	unsigned long npages = 1 + rnd(64);
	u64 generation = set->generation;
	struct umbra_memslot *drop = victim && chance(60) ? victim : NULL;
	bool overlaps = umbra_memslots_overlap(set, base, npages, drop);

	if (overlaps != model_overlaps(base, npages, drop))
		return false;
	if (!overlaps && chance(80))
		replace(drop, new_slot(base, npages));
	else
		replace(drop, NULL);
	free(drop);
	return set->generation == generation + 1 && sorted();
}

static void random_sets(void)
{
	bool good = true;
	unsigned int i, most = 0;

	for (i = 0; good && i < 3000; i++) {
		good = random_change();
		most = max(most, set->nr);
		if (good && i % 50 == 0)
			good = finds_everything();
	}
	ok(good, "%u random changes, at most %u slots", i, most);
}

static void many_slots(void)
{
	struct umbra_memslots *many;
	struct umbra_memslot *slots;
	unsigned int n = UMBRA_MAX_SLOTS;
	bool good = true;

	many = calloc(1, sizeof(*many) + n * sizeof(many->slot[0]));
	slots = calloc(n, sizeof(*slots));
	for (unsigned int i = 0; i < n; i++) {
		slots[i].base_gfn = 3ull * i;
		slots[i].npages = 2;
		many->slot[many->nr++] = &slots[i];
	}
	for (unsigned int i = 0; good && i < 500000; i++) {
		gfn_t gfn = rnd(3 * n);
		struct umbra_memslot *found = umbra_memslot_find(many, gfn);

		good = found == (gfn % 3 == 2 ? NULL : &slots[gfn / 3]);
	}
	ok(good, "lookups among %u slots", n);
	free(slots);
	free(many);
}

static void by_hand(void)
{
	struct umbra_memslot *slot = new_slot(16, 4);

	ok(!umbra_memslot_find(set, 0) && !umbra_memslot_find(set, 16), "an empty set");
	ok(!umbra_memslots_overlap(set, 0, 1, NULL), "nothing overlaps an empty set");
	replace(NULL, slot);
	ok(!umbra_memslot_find(set, 15) && umbra_memslot_find(set, 16) == slot &&
	   umbra_memslot_find(set, 19) == slot && !umbra_memslot_find(set, 20), "ends of a slot");
	ok(umbra_memslot_hva(slot, 18) == slot->hva + 8192, "host address of a frame");
	ok(umbra_memslots_overlap(set, 0, 17, NULL) && !umbra_memslots_overlap(set, 0, 16, NULL) &&
	   umbra_memslots_overlap(set, 19, 1, NULL) && !umbra_memslots_overlap(set, 20, 9, NULL) &&
	   umbra_memslots_overlap(set, 0, 100, NULL) && !umbra_memslots_overlap(set, 0, 100, slot),
	   "overlaps");
	replace(slot, NULL);
	free(slot);
}

int main(int argc, char **argv)
{
	random_state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	set = calloc(1, sizeof(*set));
	by_hand();
	random_sets();
	many_slots();
	while (set->nr) {
		struct umbra_memslot *slot = set->slot[0];

		replace(slot, NULL);
		free(slot);
	}
	free(set);
	return tap_done();
}
