// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of memory slots: lookup and change. No kernel services but trees are
 * used, so that the unit tests compile this file in user space.
 */
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <umbra/memslot.h>

static struct umbra_memslot *gfn_entry(const struct umbra_memslots *slots, struct rb_node *node)
{
	return container_of(node, struct umbra_memslot, node[slots->index].gfn);
}

static struct umbra_memslot *hva_entry(const struct umbra_memslots *slots,
				       struct interval_tree_node *node)
{
	return node ? container_of(node, struct umbra_memslot, node[slots->index].hva) : NULL;
}

void umbra_memslots_init(struct umbra_memslots *slots, unsigned int index)
{
	*slots = (struct umbra_memslots) {
		.index = index,
		.mmio_gen = UMBRA_MMIO_GEN_FIRST,
		.by_gfn = RB_ROOT,
		.by_hva = RB_ROOT_CACHED,
	};
}

struct umbra_memslot *umbra_memslot_find(struct umbra_memslots *slots, gfn_t gfn)
{
	/* Hints: they may race with other readers, and are always slots of this set. */
	struct umbra_memslot *last = READ_ONCE(slots->last), *slot;
	struct rb_node *node = slots->by_gfn.rb_node;

	if (last && umbra_memslot_has(last, gfn))
		return last;
	slot = READ_ONCE(slots->before_last);
	if (slot && umbra_memslot_has(slot, gfn))
		return slot;
	while (node) {
		slot = gfn_entry(slots, node);
		if (gfn < slot->base_gfn) {
			node = node->rb_left;
		} else if (!umbra_memslot_has(slot, gfn)) {
			node = node->rb_right;
		} else {
			WRITE_ONCE(slots->before_last, last);
			WRITE_ONCE(slots->last, slot);
			return slot;
		}
	}
	return NULL;
}

struct umbra_memslot *umbra_memslots_first(const struct umbra_memslots *slots)
{
	struct rb_node *node = rb_first(&slots->by_gfn);

	return node ? gfn_entry(slots, node) : NULL;
}

struct umbra_memslot *umbra_memslots_next(const struct umbra_memslots *slots,
					  const struct umbra_memslot *slot)
{
	struct rb_node *node = rb_next(&slot->node[slots->index].gfn);

	return node ? gfn_entry(slots, node) : NULL;
}

struct umbra_memslot *umbra_memslots_first_hva(struct umbra_memslots *slots, hva_t start,
					       hva_t last)
{
	return hva_entry(slots, interval_tree_iter_first(&slots->by_hva, start, last));
}

struct umbra_memslot *umbra_memslots_next_hva(struct umbra_memslots *slots,
					      struct umbra_memslot *slot, hva_t start,
					      hva_t last)
{
	return hva_entry(slots, interval_tree_iter_next(&slot->node[slots->index].hva, start,
							last));
}

/* The lowest slot that ends above @gfn. */
static struct umbra_memslot *first_above(const struct umbra_memslots *slots, gfn_t gfn)
{
	struct rb_node *node = slots->by_gfn.rb_node;
	struct umbra_memslot *found = NULL;

	while (node) {
		struct umbra_memslot *slot = gfn_entry(slots, node);

		if (slot->base_gfn + slot->npages > gfn) {
			found = slot;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

bool umbra_memslots_overlap(const struct umbra_memslots *slots, gfn_t base,
			    unsigned long npages, const struct umbra_memslot *skip)
{
	const struct umbra_memslot *slot = first_above(slots, base);

	if (slot && slot == skip)
		slot = umbra_memslots_next(slots, slot);
	return slot && slot->base_gfn < base + npages;
}

static void insert(struct umbra_memslots *slots, struct umbra_memslot *slot)
{
	struct umbra_memslot_node *own = &slot->node[slots->index];
	struct rb_node **link = &slots->by_gfn.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = slot->base_gfn < gfn_entry(slots, parent)->base_gfn ?
			&parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&own->gfn, parent, link);
	rb_insert_color(&own->gfn, &slots->by_gfn);

	own->hva.start = slot->hva;
	own->hva.last = slot->hva + (slot->npages << UMBRA_PAGE_SHIFT) - 1;
	interval_tree_insert(&own->hva, &slots->by_hva);
	slots->npages += slot->npages;
	slots->nr++;
}

static void remove(struct umbra_memslots *slots, struct umbra_memslot *slot)
{
	struct umbra_memslot_node *own = &slot->node[slots->index];

	rb_erase(&own->gfn, &slots->by_gfn);
	interval_tree_remove(&own->hva, &slots->by_hva);
	slots->npages -= slot->npages;
	slots->nr--;
}

void umbra_memslots_replace(struct umbra_memslots *slots, struct umbra_memslot *drop,
			    struct umbra_memslot *add)
{
	slots->last = NULL;
	slots->before_last = NULL;
	if (drop)
		remove(slots, drop);
	if (add)
		insert(slots, add);
}

u64 umbra_mmio_gen_next(u64 gen, const struct umbra_memslot *drop,
			const struct umbra_memslot *add)
{
	/* Other flags for the same frames: nothing that was MMIO has memory now. */
	bool same = drop && add && drop->base_gfn == add->base_gfn &&
		    drop->npages == add->npages;

	return gen + (add && !same);
}
