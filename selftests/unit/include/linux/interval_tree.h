/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_INTERVAL_TREE_H
#define UNIT_LINUX_INTERVAL_TREE_H

#include <linux/rbtree_augmented.h>
#include <tools/include/linux/interval_tree_generic.h>

struct interval_tree_node {
	struct rb_node rb;
	unsigned long start;
	unsigned long last;
	unsigned long subtree_last;
};

#define UNIT_START(node)	((node)->start)
#define UNIT_LAST(node)		((node)->last)

INTERVAL_TREE_DEFINE(struct interval_tree_node, rb, unsigned long, subtree_last, UNIT_START,
		     UNIT_LAST, static inline, interval_tree)

#endif
