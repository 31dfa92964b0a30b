/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_RBTREE_AUGMENTED_H
#define UNIT_LINUX_RBTREE_AUGMENTED_H

#include <linux/compiler.h>
#include <linux/rbtree.h>
#include <tools/include/linux/rbtree_augmented.h>

#endif
