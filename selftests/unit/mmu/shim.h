/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the shim headers of ../include need behind them, and how a test steers
 * it: allocation failures, grace periods, leak counts.
 */
#ifndef UNIT_MMU_SHIM_H
#define UNIT_MMU_SHIM_H

#include <linux/types.h>

/* Fail each allocation with this probability, in percent. */
extern unsigned int shim_fail_percent;

/* Fail the allocation after so many less one others, once; 0 for none. */
extern unsigned int shim_fail_at;

/* Pages and objects that are allocated now. */
extern long shim_pages;
extern long shim_objects;

/* Is this simulated host-physical address inside a page that is allocated? */
bool shim_page_live(u64 pa);

#endif
