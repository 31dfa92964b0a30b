// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of memory slots: lookup by frame and by host address, overlap and change,
 * against plain arrays.
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
#define HVA		0x10000000ul
#define HVA_PAGES	1024
#define PAGE		4096ul

/* The model: which slot owns a frame, and all there are. */
static struct umbra_memslot *owner[NR_FRAMES];
static struct umbra_memslot *slots[NR_FRAMES];
static unsigned int nr;

/* As a VM has them: both always have the same slots. */
static struct umbra_memslots set[2];

static void replace(struct umbra_memslot *drop, struct umbra_memslot *add)
{
	umbra_memslots_replace(&set[0], drop, add);
	umbra_memslots_replace(&set[1], drop, add);
	for (unsigned int i = 0; i < NR_FRAMES; i++) {
		if (drop && owner[i] == drop)
			owner[i] = NULL;
		if (add && umbra_memslot_has(add, i))
			owner[i] = add;
	}
	for (unsigned int i = 0; i < nr; i++)
		if (slots[i] == drop)
			slots[i--] = slots[--nr];
	if (add)
		slots[nr++] = add;
}

static struct umbra_memslot *new_slot(gfn_t base, unsigned long npages)
{
	struct umbra_memslot *slot = calloc(1, sizeof(*slot));

	slot->base_gfn = base;
	slot->npages = npages;
	slot->hva = HVA + rnd(HVA_PAGES) * PAGE;
	return slot;
}

static bool model_overlaps(gfn_t base, unsigned long npages, const struct umbra_memslot *skip)
{
	for (gfn_t gfn = base; gfn < base + npages; gfn++)
		if (owner[gfn] && owner[gfn] != skip)
			return true;
	return false;
}

static bool complete(const struct umbra_memslots *s)
{
	struct umbra_memslot *slot;
	unsigned int seen = 0;
	u64 npages = 0;
	gfn_t end = 0;

	umbra_memslots_for_each(slot, s) {
		if (slot->base_gfn < end || owner[slot->base_gfn] != slot)
			return false;
		end = slot->base_gfn + slot->npages;
		npages += slot->npages;
		seen++;
	}
	return seen == nr && seen == s->nr && npages == s->npages;
}

/* Each slot that has memory there once, in order, and no other. */
static bool finds_hva(struct umbra_memslots *s, hva_t first, hva_t last)
{
	struct umbra_memslot *slot;
	unsigned int seen = 0, there = 0;
	hva_t before = 0;

	umbra_memslots_for_each_hva(slot, s, first, last) {
		if (slot->hva < before || slot->hva > last ||
		    slot->hva + slot->npages * PAGE <= first)
			return false;
		before = slot->hva;
		seen++;
	}
	for (unsigned int i = 0; i < nr; i++)
		there += slots[i]->hva <= last && slots[i]->hva + slots[i]->npages * PAGE > first;
	return seen == there;
}

static bool finds_everything(struct umbra_memslots *s)
{
	for (unsigned int i = 0; i < NR_FRAMES; i++)
		if (umbra_memslot_find(s, i) != owner[i])
			return false;
	/* And in an order that makes the hint wrong. */
	for (unsigned int i = 0; i < 2000; i++) {
		hva_t first = HVA + rnd(HVA_PAGES * PAGE);
		unsigned int gfn = rnd(NR_FRAMES);

		if (chance(10))
			s->last = nr ? slots[rnd(nr)] : NULL;
		if (umbra_memslot_find(s, gfn) != owner[gfn])
			return false;
		if (!finds_hva(s, first, first + rnd(chance(50) ? 1 : 100 * PAGE)))
			return false;
	}
	return !umbra_memslot_find(s, ~0ull) && !umbra_memslot_find(s, NR_FRAMES) &&
	       finds_hva(s, 0, ~0ul);
}

static bool random_change(void)
{
	struct umbra_memslot *victim = nr ? slots[rnd(nr)] : NULL;
	gfn_t base = rnd(NR_FRAMES - 64);
	unsigned long npages = 1 + rnd(64);
	struct umbra_memslot *drop = victim && chance(60) ? victim : NULL;
	bool overlaps = umbra_memslots_overlap(&set[0], base, npages, drop);

	if (overlaps != model_overlaps(base, npages, drop))
		return false;
	if (!overlaps && chance(80))
		replace(drop, new_slot(base, npages));
	else
		replace(drop, NULL);
	free(drop);
	return complete(&set[0]) && complete(&set[1]);
}

static void random_sets(void)
{
	bool good = true;
	unsigned int i, most = 0;

	for (i = 0; good && i < 3000; i++) {
		good = random_change();
		most = max(most, nr);
		if (good && i % 50 == 0)
			good = finds_everything(&set[0]) && finds_everything(&set[1]);
	}
	ok(good, "%u random changes, at most %u slots", i, most);
}

/* The deepest way to a slot. */
static unsigned int depth(const struct rb_node *node)
{
	return node ? 1 + max(depth(node->rb_left), depth(node->rb_right)) : 0;
}

static void many_slots(void)
{
	struct umbra_memslots many;
	struct umbra_memslot *all;
	unsigned int n = UMBRA_MAX_SLOTS;
	bool good = true;

	umbra_memslots_init(&many, 1);
	all = calloc(n, sizeof(*all));
	for (unsigned int i = 0; i < n; i++) {
		all[i].base_gfn = 3ull * i;
		all[i].npages = 2;
		all[i].hva = HVA + (n - i) * 2 * PAGE;
		umbra_memslots_replace(&many, NULL, &all[i]);
	}
	for (unsigned int i = 0; good && i < 500000; i++) {
		unsigned int k = rnd(n);
		gfn_t gfn = rnd(3 * n);

		good = umbra_memslot_find(&many, gfn) == (gfn % 3 == 2 ? NULL : &all[gfn / 3]) &&
		       umbra_memslots_first_hva(&many, all[k].hva, all[k].hva) == &all[k];
	}
	ok(good, "lookups among %u slots", n);
	/* Red-black: twice the logarithm at most. */
	ok(depth(many.by_gfn.rb_node) <= 30 && depth(many.by_hva.rb_root.rb_node) <= 30,
	   "in %u and %u steps", depth(many.by_gfn.rb_node), depth(many.by_hva.rb_root.rb_node));
	free(all);
}

static void by_hand(void)
{
	struct umbra_memslot *slot = new_slot(16, 4);
	struct umbra_memslots *s = &set[0];

	ok(!umbra_memslot_find(s, 0) && !umbra_memslot_find(s, 16) && !umbra_memslots_first(s) &&
	   !umbra_memslots_first_hva(s, 0, ~0ul), "an empty set");
	ok(!umbra_memslots_overlap(s, 0, 1, NULL), "nothing overlaps an empty set");
	replace(NULL, slot);
	ok(!umbra_memslot_find(s, 15) && umbra_memslot_find(s, 16) == slot &&
	   umbra_memslot_find(s, 19) == slot && !umbra_memslot_find(s, 20), "ends of a slot");
	ok(umbra_memslot_hva(slot, 18) == slot->hva + 8192, "host address of a frame");
	ok(umbra_memslots_overlap(s, 0, 17, NULL) && !umbra_memslots_overlap(s, 0, 16, NULL) &&
	   umbra_memslots_overlap(s, 19, 1, NULL) && !umbra_memslots_overlap(s, 20, 9, NULL) &&
	   umbra_memslots_overlap(s, 0, 100, NULL) && !umbra_memslots_overlap(s, 0, 100, slot),
	   "overlaps");
	ok(finds_hva(s, slot->hva - 1, slot->hva) && finds_hva(s, 0, slot->hva - 1) &&
	   finds_hva(s, slot->hva + 4 * PAGE - 1, ~0ul) && finds_hva(s, slot->hva + 4 * PAGE, ~0ul),
	   "ends of its host memory");
	replace(slot, NULL);
	free(slot);
}

int main(int argc, char **argv)
{
	random_state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	umbra_memslots_init(&set[0], 0);
	umbra_memslots_init(&set[1], 1);
	by_hand();
	random_sets();
	many_slots();
	while (nr) {
		struct umbra_memslot *slot = slots[0];

		replace(slot, NULL);
		free(slot);
	}
	ok(!set[0].nr && !set[1].npages && !umbra_memslots_first(&set[1]), "empty again");
	return tap_done();
}
