/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guests outside long mode. A payload starts in long mode as all others do, goes
 * to 32-bit code by run32(), and comes back. That code is compiled for 32 bits,
 * some of it twice: for 32-bit paging and for PAE. Its C names have a leading
 * underscore in the image, so that neither side calls the other by mistake.
 */
#ifndef GUEST_MODE32_H
#define GUEST_MODE32_H

/* Tables of 32-bit guests, in the upper part of the page-table pool. */
#define TABLES32_GPA	0x400000
#define TABLES32_END	GUEST_DATA_GPA
/* For large pages; above what finish() sums up, 4 MiB aligned. */
#define LARGE32_GPA	0x3000000

/* Offsets of struct mode32. */
#define M32_FN		0
#define M32_ARG		4
#define M32_ESP		8
#define M32_CR0		12
#define M32_CR3		16
#define M32_CR4		20
#define M32_EFER	24
#define M32_RESULT	28
#define M32_OLD_CR0	32
#define M32_OLD_CR3	36
#define M32_OLD_CR4	40
#define M32_OLD_EFER	44
#define M32_RSP		48

#ifndef __ASSEMBLY__
#include "proto.h"

/* How to enter 32-bit code, and how to come back. All of it lies below 4 GiB. */
struct mode32 {
	u32 fn, arg, esp;
	u32 cr0, cr3, cr4, efer;
	u32 result;
	u32 old_cr0, old_cr3, old_cr4, old_efer;
	u32 rsp;
};

/* What the 32-bit code of one CPU works with. */
struct env32 {
	u32 id;
	u32 ops;
	u32 root;		/* CR3 */
	u32 table_next;		/* free frames for tables */
	u32 data_next, data_end;	/* frames that the host sums up */
	u32 has_smep;
	u32 has_pge;
	u32 shared;		/* another CPU may come to the same root */
	u64 checksum;
};

/* mode32.S, for 64-bit code */
void mode32_enter(struct mode32 *m);
extern char stacks32[];
#endif

#endif
