// SPDX-License-Identifier: GPL-2.0
/*
 * Reverse maps, see rmap.h for the layout.
 */
#include <linux/slab.h>
#include "rmap.h"
#include "table.h"

#define RMAP_CHAIN	1ul

static struct umbra_rmap_node *chain_of(const struct umbra_rmap_head *head)
{
	if (!(head->val & RMAP_CHAIN))
		return NULL;
	return (struct umbra_rmap_node *)(head->val & ~RMAP_CHAIN);
}

static void set_chain(struct umbra_rmap_head *head, struct umbra_rmap_node *node)
{
	head->val = (unsigned long)node | RMAP_CHAIN;
}

unsigned int umbra_rmap_count(const struct umbra_rmap_head *head)
{
	const struct umbra_rmap_node *node = chain_of(head);

	return node ? node->total : !!head->val;
}

bool umbra_rmap_valid(const struct umbra_rmap_head *head)
{
	const struct umbra_rmap_node *first = chain_of(head), *node;
	u32 total = umbra_rmap_count(head);

	if (!first)
		return true;
	if (!total || total > RMAP_MAX)
		return false;
	for (node = first; node; node = node->more) {
		if (node->total != total || !node->nr || node->nr > RMAP_NODE_SPTES)
			return false;
		if (node != first && node->nr != RMAP_NODE_SPTES)
			return false;
		total -= node->nr;
	}
	return !total;
}

u64 *umbra_rmap_first(const struct umbra_rmap_head *head)
{
	const struct umbra_rmap_node *node = chain_of(head);

	return node ? node->spte[node->nr - 1] : (u64 *)head->val;
}

bool umbra_rmap_has_room(const struct umbra_mmu_vcpu *vcpu, const struct umbra_rmap_head *head)
{
	const struct umbra_rmap_node *node = chain_of(head);

	if (node && node->total >= RMAP_MAX)
		return false;
	if (node && node->nr < RMAP_NODE_SPTES)
		return true;
	return !head->val || vcpu->rmap_cache.nr > RMAP_RESERVE;
}

void umbra_rmap_add(struct umbra_mmu_vcpu *vcpu, struct umbra_rmap_head *head, u64 *sptep)
{
	struct umbra_rmap_node *node = chain_of(head);
	unsigned int total;

	if (!head->val) {
		head->val = (unsigned long)sptep;
		return;
	}
	total = umbra_rmap_count(head);
	if (!node || node->nr == RMAP_NODE_SPTES) {
		struct umbra_rmap_node *new = umbra_cache_pop(&vcpu->rmap_cache);

		new->more = node;
		new->nr = 0;
		if (!node)
			new->spte[new->nr++] = (u64 *)head->val;
		node = new;
		set_chain(head, node);
	}
	node->spte[node->nr++] = sptep;
	node->total = total + 1;
	if (node->total > vcpu->mmu->stat.max_mmu_rmap_size)
		vcpu->mmu->stat.max_mmu_rmap_size = node->total;
}

/* Drop the last member of the first node; it is not needed or copied away. */
static void shrink(struct umbra_rmap_head *head, struct umbra_rmap_node *first)
{
	first->nr--;
	first->total--;
	if (first->nr)
		return;
	if (first->more)
		set_chain(head, first->more);
	else
		head->val = 0;
	kmem_cache_free(umbra_rmap_slab, first);
}

bool umbra_rmap_del(struct umbra_rmap_head *head, u64 *sptep)
{
	struct umbra_rmap_node *first = chain_of(head);
	struct umbra_rmap_node *node;
	unsigned int i;

	if (!first) {
		if ((u64 *)head->val != sptep)
			return false;
		head->val = 0;
		return true;
	}
	for (node = first; node; node = node->more) {
		for (i = 0; i < node->nr; i++) {
			if (node->spte[i] != sptep)
				continue;
			/* Fill the gap first: shrink() may free nodes. */
			node->spte[i] = first->spte[first->nr - 1];
			shrink(head, first);
			return true;
		}
	}
	return false;
}

void umbra_rmap_clear(struct umbra_rmap_head *head)
{
	struct umbra_rmap_node *node = chain_of(head);

	while (node) {
		struct umbra_rmap_node *more = node->more;

		kmem_cache_free(umbra_rmap_slab, node);
		node = more;
	}
	head->val = 0;
}

u64 *umbra_rmap_iter_first(struct umbra_rmap_iter *it, const struct umbra_rmap_head *head)
{
	it->node = chain_of(head);
	it->pos = 0;
	return it->node ? it->node->spte[0] : (u64 *)head->val;
}

u64 *umbra_rmap_iter_next(struct umbra_rmap_iter *it)
{
	if (!it->node)
		return NULL;
	if (++it->pos == it->node->nr) {
		it->node = it->node->more;
		it->pos = 0;
	}
	return it->node ? it->node->spte[it->pos] : NULL;
}
