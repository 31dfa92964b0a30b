/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_GFP_H
#define UNIT_LINUX_GFP_H

#include <linux/types.h>

typedef unsigned int gfp_t;

#define GFP_KERNEL		1u
#define GFP_ATOMIC		2u
#define __GFP_ZERO		4u
#define __GFP_ACCOUNT		8u
#define __GFP_NOWARN		16u
#define __GFP_NORETRY		32u
#define GFP_NOWAIT		64u
#define GFP_DMA32		128u
#define GFP_KERNEL_ACCOUNT	(GFP_KERNEL | __GFP_ACCOUNT)

unsigned long __get_free_page(gfp_t gfp);
void free_page(unsigned long addr);

#define get_zeroed_page(gfp)	__get_free_page((gfp) | __GFP_ZERO)

#endif
