/* SPDX-License-Identifier: GPL-2.0 */
/* The auditor. Part of <umbra/mmu.h>. */
#ifndef _UMBRA_MMU_AUDIT_REPORT_H
#define _UMBRA_MMU_AUDIT_REPORT_H

#include <linux/types.h>

struct umbra_mmu;

#define UMBRA_AUDIT_TEXT	160

/**
 * struct umbra_audit - what umbra_mmu_audit() has found
 * @entries: present entries of both families
 * @tables: tables of both families
 * @findings: how many things do not agree
 * @first: the first of them, in words
 */
struct umbra_audit {
	unsigned long entries;
	unsigned long tables;
	unsigned long findings;
	char first[UMBRA_AUDIT_TEXT];
};

/**
 * umbra_mmu_audit() - check that everything that mmu/ keeps twice agrees
 * @exact: nobody else is at work in this VM's MMU: counters must be what they
 *	count, and what is writable must be in the log. Otherwise tables that are
 *	still to be freed, and rights that are still to be taken, are let pass
 * @audit: out
 *
 * Every entry of both families against rmaps, parents, slots, tracking, marks of
 * unsync pages and counters.
 *
 * Context: takes mmu->lock for write, for as long as it takes to read all tables
 * and per-slot arrays.
 */
void umbra_mmu_audit(struct umbra_mmu *mmu, bool exact, struct umbra_audit *audit);

/*
 * Audit after every so many faults, of all VMs together, and tell the kernel log
 * of findings; 0 for never. Parameter audit=.
 */
extern unsigned int umbra_mmu_audit_every;

#endif /* _UMBRA_MMU_AUDIT_REPORT_H */
