/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The real mmu/ with several threads, under the thread sanitizer.
 *
 *	race.c		CPUs with TLBs, guests, what they may not see
 *	race_host.c	host pages, notifier, slots and their log
 */
#ifndef UNIT_MMU_RACE_H
#define UNIT_MMU_RACE_H

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <umbra/hostmem.h>
#include <umbra/memslot.h>
#include <umbra/mmu.h>
#include "random.h"

#define NR_RACERS	2

/* The first pages may be one huge page of the host's. */
#define HUGE_PAGES	512
#define RAM_PAGES	(HUGE_PAGES + 96)

/* Where the slots are: tables, a large one, one that comes and goes. */
enum { SLOT_TABLES, SLOT_LARGE, SLOT_PASSING, NR_RACE_SLOTS };
#define TABLES_GFN	0
#define LARGE_GFN	512
#define PASSING_GFN	1024

struct race_slot {
	gfn_t base;
	unsigned int npages;
	unsigned int first_page;
};

extern const struct race_slot race_slot[NR_RACE_SLOTS];

extern const struct umbra_cpu_ops race_cpu_ops;
extern struct umbra_mmu race_mmu;
extern u64 ram[RAM_PAGES][512];

/* How often the guest has written to a page. */
extern atomic_long_t version[RAM_PAGES];

void host_start(enum umbra_policy policy, bool ad);
void host_stop(void);

/* One random event each. */
void host_event(void);
void slot_event(void);

/* The page of ram[] that a slot has at a frame now, or -1. */
int page_of(gfn_t gfn);

/*
 * A CPU uses a frame of the host's, from within the guest: stops the test when
 * it may not. Return: the page.
 */
unsigned int use_frame(kvm_pfn_t pfn, bool write);

void __noreturn __printf(1, 2) broken(const char *format, ...);

#endif
