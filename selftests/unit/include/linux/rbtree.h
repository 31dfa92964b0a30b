/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's own trees; mmu/Makefile links its code. */
#ifndef UNIT_LINUX_RBTREE_H
#define UNIT_LINUX_RBTREE_H

#include <linux/kernel.h>
#include <stddef.h>
#include <tools/include/linux/rbtree.h>

#endif
