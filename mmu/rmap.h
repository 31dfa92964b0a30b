/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reverse maps: the set of sptes that map one guest frame, or that link to one
 * shadow page.
 *
 *	head.val = 0			empty
 *	head.val = spte pointer		one
 *	head.val = node pointer | 1	more: a tree of nodes
 *	           ... | 2		a member is being added
 *
 * A node is full before it has children. A member stands somewhere on the way that
 * its address, hashed, gives: two bits of the hash for each level. So adding takes
 * one node at most, and removing looks at the few nodes of one way and fills the gap
 * from a leaf below it, whatever the length. A set that once had two members keeps
 * a node until it is empty: mostly it soon has two again. The length is bounded by
 * RMAP_MAX: who adds beyond it empties the set first, so that a guest with
 * millions of aliases of a frame cannot make an operation on it long.
 *
 * Members are added with mmu_lock held, for read at least; of those who do so at the
 * same time one holds the head's lock bit. All else needs mmu_lock for write, unless
 * it says otherwise.
 */
#ifndef _UMBRA_MMU_RMAP_H
#define _UMBRA_MMU_RMAP_H

#include <linux/atomic.h>
#include <umbra/mmu.h>

#define RMAP_NODE_SPTES		10
#define RMAP_CHILDREN		4
#define RMAP_MAX		1024

/**
 * struct umbra_rmap_node - part of a set
 * @child: by the next two bits of the hash
 * @up: whose child it is; NULL for the first node
 * @nr: used places
 * @children: used places of @child
 * @place: its place in @up's @child
 * @total: sptes in the whole set; of the first node only
 * @spte: the places
 */
struct umbra_rmap_node {
	struct umbra_rmap_node *child[RMAP_CHILDREN];
	struct umbra_rmap_node *up;
	u8 nr;
	u8 children;
	u8 place;
	u32 total;
	u64 *spte[RMAP_NODE_SPTES];
};

struct umbra_rmap_head {
	unsigned long val;
};

/* Context: as for umbra_rmap_first(). */
static inline bool umbra_rmap_empty(const struct umbra_rmap_head *head)
{
	return !READ_ONCE(head->val);
}

/* The member of a set that has one and no node, otherwise NULL. */
static inline u64 *umbra_rmap_single(const struct umbra_rmap_head *head)
{
	return head->val & 1 ? NULL : (u64 *)head->val;
}

unsigned int umbra_rmap_count(const struct umbra_rmap_head *head);

/* Is the tree as said above? For the auditor. */
bool umbra_rmap_valid(const struct umbra_rmap_head *head);

/*
 * Any one member, NULL when empty. For loops that empty the set.
 * Context: mmu_lock held, for read at least; then it may not yet be present.
 */
u64 *umbra_rmap_first(const struct umbra_rmap_head *head);

/* Nodes that are left to faults: a leaf and the links of four levels. */
#define RMAP_RESERVE		5

bool umbra_rmap_add_more(struct umbra_mmu_vcpu *vcpu, struct umbra_rmap_head *head, u64 *sptep,
			 unsigned int reserve);

/**
 * umbra_rmap_add() - add a member
 * @vcpu: whose rmap_cache is used
 * @reserve: nodes to leave there: RMAP_RESERVE for those who add more than they must
 *
 * Context: mmu_lock held, for read at least.
 * Return: false when that takes more nodes, or there are RMAP_MAX already.
 */
static inline bool umbra_rmap_add(struct umbra_mmu_vcpu *vcpu, struct umbra_rmap_head *head,
				  u64 *sptep, unsigned int reserve)
{
	/* Most frames are mapped once. */
	if (umbra_rmap_empty(head) && !cmpxchg(&head->val, 0, (unsigned long)sptep))
		return true;
	return umbra_rmap_add_more(vcpu, head, sptep, reserve);
}

/* Return: false when @sptep is not in the set, which is a bug of the caller's. */
bool umbra_rmap_del(struct umbra_rmap_head *head, u64 *sptep);

/* Free the nodes, forget the members. */
void umbra_rmap_clear(struct umbra_rmap_head *head);

/**
 * struct umbra_rmap_iter - visit all members, none is added or removed meanwhile
 */
struct umbra_rmap_iter {
	const struct umbra_rmap_node *node;
	unsigned int pos;
};

u64 *umbra_rmap_iter_first(struct umbra_rmap_iter *it, const struct umbra_rmap_head *head);
u64 *umbra_rmap_iter_next(struct umbra_rmap_iter *it);

#define umbra_rmap_for_each(sptep, it, head)				\
	for (sptep = umbra_rmap_iter_first(it, head); sptep;		\
	     sptep = umbra_rmap_iter_next(it))

#endif /* _UMBRA_MMU_RMAP_H */
