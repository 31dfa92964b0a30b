// SPDX-License-Identifier: GPL-2.0
/*
 * Reverse maps, see rmap.h for the layout.
 */
#include <linux/slab.h>
#include "rmap.h"
#include "table.h"

#define RMAP_TREE	1ul
#define RMAP_LOCK	2ul

static struct umbra_rmap_node *tree_of(unsigned long val)
{
	if (!(val & RMAP_TREE))
		return NULL;
	return (struct umbra_rmap_node *)(val & ~(RMAP_TREE | RMAP_LOCK));
}

static u64 *single_of(unsigned long val)
{
	return (u64 *)(val & ~RMAP_LOCK);
}

/* Different for each spte; the ways of neighbours part at once. */
static u64 hash_of(const u64 *sptep)
{
	return (unsigned long)sptep * 0x9e3779b97f4a7c15ull;
}

/* Which child to go to. The hash is used up from its high end. */
static unsigned int next_digit(u64 *hash)
{
	unsigned int digit = *hash >> 62;

	*hash <<= 2;
	return digit;
}

static struct umbra_rmap_node *child_from(const struct umbra_rmap_node *node,
					  unsigned int place)
{
	for (; node->children && place < RMAP_CHILDREN; place++)
		if (node->child[place])
			return node->child[place];
	return NULL;
}

/* The node after @node, parents before their children. */
static struct umbra_rmap_node *node_after(const struct umbra_rmap_node *node)
{
	struct umbra_rmap_node *next = child_from(node, 0);

	for (; !next && node->up; node = node->up)
		next = child_from(node->up, node->place + 1);
	return next;
}

unsigned int umbra_rmap_count(const struct umbra_rmap_head *head)
{
	const struct umbra_rmap_node *node = tree_of(head->val);

	return node ? node->total : !!head->val;
}

/* Has the set's member a place in @node, whose way to the top is this? */
static bool on_its_way(const struct umbra_rmap_node *node, u64 *sptep)
{
	const struct umbra_rmap_node *up;
	unsigned int depth = 0;
	u64 hash = hash_of(sptep);

	for (up = node; up->up; up = up->up)
		depth++;
	for (; node->up; node = node->up)
		if ((hash << (2 * --depth)) >> 62 != node->place)
			return false;
	return true;
}

static bool node_valid(const struct umbra_rmap_node *node)
{
	unsigned int i, children = 0;

	if (!node->nr || node->nr > RMAP_NODE_SPTES)
		return false;
	if (node->up && (node->place >= RMAP_CHILDREN || node->up->child[node->place] != node))
		return false;
	for (i = 0; i < RMAP_CHILDREN; i++)
		children += !!node->child[i];
	if (children != node->children || (children && node->nr < RMAP_NODE_SPTES))
		return false;
	for (i = 0; i < node->nr; i++)
		if (!on_its_way(node, node->spte[i]))
			return false;
	return true;
}

bool umbra_rmap_valid(const struct umbra_rmap_head *head)
{
	const struct umbra_rmap_node *node = tree_of(head->val);
	u32 total = umbra_rmap_count(head);

	if (head->val & RMAP_LOCK || total > RMAP_MAX || (node && node->up))
		return false;
	if (!node)
		return true;
	for (; node; node = node_after(node)) {
		if (!node_valid(node) || node->nr > total)
			return false;
		total -= node->nr;
	}
	return !total;
}

u64 *umbra_rmap_first(const struct umbra_rmap_head *head)
{
	/* Pairs with unlock(). */
	unsigned long val = smp_load_acquire(&head->val);
	const struct umbra_rmap_node *node = tree_of(val);

	/* The first place of all stays as it is while members are added. */
	return node ? node->spte[0] : single_of(val);
}

static unsigned long lock(struct umbra_rmap_head *head)
{
	unsigned long val;

	for (;;) {
		val = READ_ONCE(head->val);
		if (!(val & RMAP_LOCK) && cmpxchg(&head->val, val, val | RMAP_LOCK) == val)
			return val;
		cpu_relax();
	}
}

static void unlock(struct umbra_rmap_head *head, unsigned long val)
{
	/* Pairs with lock() and umbra_rmap_first(). */
	smp_store_release(&head->val, val);
}

static void note_length(struct umbra_mmu *mmu, u64 length)
{
	u64 *max = &mmu->stat.max_mmu_rmap_size, old;

	do {
		old = READ_ONCE(*max);
	} while (old < length && cmpxchg64(max, old, length) != old);
}

/* Where a member is added: a node with a free place; else where a new one belongs. */
static struct umbra_rmap_node *find_place(struct umbra_rmap_node *node, u64 *sptep,
					  unsigned int *place)
{
	u64 hash = hash_of(sptep);

	while (node->nr == RMAP_NODE_SPTES) {
		*place = next_digit(&hash);
		if (!node->child[*place])
			break;
		node = node->child[*place];
	}
	return node;
}

static bool add_to_tree(struct umbra_mmu_vcpu *vcpu, struct umbra_rmap_node *first, u64 *sptep,
			unsigned int reserve)
{
	unsigned int place = 0;
	struct umbra_rmap_node *node = find_place(first, sptep, &place);

	if (first->total >= RMAP_MAX)
		return false;
	if (node->nr == RMAP_NODE_SPTES) {
		struct umbra_rmap_node *new;

		if (vcpu->rmap_cache.nr <= reserve)
			return false;
		new = umbra_cache_pop(&vcpu->rmap_cache);
		new->up = node;
		new->place = place;
		node->child[place] = new;
		node->children++;
		node = new;
	}
	node->spte[node->nr++] = sptep;
	note_length(vcpu->mmu, ++first->total);
	return true;
}

/* The first node, for the second member. */
static unsigned long plant_tree(struct umbra_mmu_vcpu *vcpu, unsigned long val)
{
	struct umbra_rmap_node *node = umbra_cache_pop(&vcpu->rmap_cache);

	node->spte[0] = single_of(val);
	node->nr = 1;
	node->total = 1;
	return (unsigned long)node | RMAP_TREE;
}

bool umbra_rmap_add_more(struct umbra_mmu_vcpu *vcpu, struct umbra_rmap_head *head, u64 *sptep,
			 unsigned int reserve)
{
	unsigned long val = lock(head);
	bool added = false;

	if (!(val & RMAP_TREE) && vcpu->rmap_cache.nr > reserve)
		val = plant_tree(vcpu, val);
	if (val & RMAP_TREE)
		added = add_to_tree(vcpu, tree_of(val), sptep, reserve);
	unlock(head, val);
	return added;
}

/* @node has no members left, and no children. */
static void free_node(struct umbra_rmap_head *head, struct umbra_rmap_node *node)
{
	if (node->up) {
		node->up->child[node->place] = NULL;
		node->up->children--;
	} else {
		head->val = 0;
	}
	kmem_cache_free(umbra_rmap_slab, node);
}

/* Fill a gap from a leaf below, where there is one. */
static void fill_gap(struct umbra_rmap_head *head, struct umbra_rmap_node *node, unsigned int i)
{
	struct umbra_rmap_node *leaf = node, *child;

	while ((child = child_from(leaf, 0)))
		leaf = child;
	node->spte[i] = leaf->spte[--leaf->nr];
	if (!leaf->nr)
		free_node(head, leaf);
}

bool umbra_rmap_del(struct umbra_rmap_head *head, u64 *sptep)
{
	struct umbra_rmap_node *first = tree_of(head->val), *node;
	u64 hash = hash_of(sptep);
	unsigned int i;

	if (!first) {
		if (single_of(head->val) != sptep)
			return false;
		head->val = 0;
		return true;
	}
	for (node = first; node; node = node->child[next_digit(&hash)]) {
		for (i = 0; i < node->nr; i++) {
			if (node->spte[i] != sptep)
				continue;
			first->total--;
			fill_gap(head, node, i);
			return true;
		}
	}
	return false;
}

void umbra_rmap_clear(struct umbra_rmap_head *head)
{
	struct umbra_rmap_node *node = tree_of(head->val), *child, *up;

	head->val = 0;
	while (node) {
		child = child_from(node, 0);
		if (child) {
			node = child;
			continue;
		}
		up = node->up;
		free_node(head, node);
		node = up;
	}
}

u64 *umbra_rmap_iter_first(struct umbra_rmap_iter *it, const struct umbra_rmap_head *head)
{
	it->node = tree_of(head->val);
	it->pos = 0;
	return it->node ? it->node->spte[0] : single_of(head->val);
}

u64 *umbra_rmap_iter_next(struct umbra_rmap_iter *it)
{
	if (!it->node)
		return NULL;
	if (++it->pos == it->node->nr) {
		it->node = node_after(it->node);
		it->pos = 0;
	}
	return it->node ? it->node->spte[it->pos] : NULL;
}
