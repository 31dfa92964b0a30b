/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_MM_TYPES_H
#define UNIT_LINUX_MM_TYPES_H

#include <linux/types.h>

struct list_head;

/* One per page of the arena. */
struct page {
	unsigned long private;
};

#endif
