/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reverse maps: the set of sptes that map one guest frame, or that link to one
 * shadow page.
 *
 *	head.val = 0			empty
 *	head.val = spte pointer		one
 *	head.val = node pointer | 1	more: node -> node -> ...
 *
 * A set that once had two members keeps a node until it is empty: mostly it soon has
 * two again. Only the first node of a chain may have free places, so adding looks at one
 * node, and removing fills the gap from the first one. The length is bounded
 * by RMAP_MAX: who adds beyond it empties the set first, so that a guest with
 * millions of aliases of a frame cannot make an operation on it long.
 *
 * All of it is guarded by mmu_lock held for write.
 */
#ifndef _UMBRA_MMU_RMAP_H
#define _UMBRA_MMU_RMAP_H

#include <umbra/mmu.h>

#define RMAP_NODE_SPTES		14
#define RMAP_MAX		1024

/**
 * struct umbra_rmap_node - part of a chain
 * @more: next node, all of whose places are used
 * @nr: used places of this node
 * @total: sptes in this and all following nodes
 * @spte: the places
 */
struct umbra_rmap_node {
	struct umbra_rmap_node *more;
	u32 nr;
	u32 total;
	u64 *spte[RMAP_NODE_SPTES];
};

struct umbra_rmap_head {
	unsigned long val;
};

static inline bool umbra_rmap_empty(const struct umbra_rmap_head *head)
{
	return !head->val;
}

unsigned int umbra_rmap_count(const struct umbra_rmap_head *head);

/* Is the chain as the picture above has it? For the auditor. */
bool umbra_rmap_valid(const struct umbra_rmap_head *head);

/* Any one member, NULL when empty. For loops that empty the set. */
u64 *umbra_rmap_first(const struct umbra_rmap_head *head);

/* Nodes that are left to faults: a leaf and the links of four levels. */
#define RMAP_RESERVE		5

/*
 * For those who add more than they must: can one more be added within RMAP_MAX,
 * and without touching the reserve of @vcpu's rmap_cache?
 */
bool umbra_rmap_has_room(const struct umbra_mmu_vcpu *vcpu, const struct umbra_rmap_head *head);

/* @vcpu's rmap_cache must have a node, or the head room. */
void umbra_rmap_add(struct umbra_mmu_vcpu *vcpu, struct umbra_rmap_head *head, u64 *sptep);

/* Return: false when @sptep is not in the set, which is a bug of the caller's. */
bool umbra_rmap_del(struct umbra_rmap_head *head, u64 *sptep);

/* Free the chain, forget the members. */
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
