/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The auditor: does everything that mmu/ keeps twice agree?
 *
 *	audit.c		slots, counters, the EPT tree
 *	audit_shadow.c	shadow pages
 *
 * What is found is counted and the first of it told. Nothing is repaired, nothing
 * warns, and of what an entry points to no more is read than it takes to see
 * whether it is what it should be.
 */
#ifndef _UMBRA_MMU_AUDIT_H
#define _UMBRA_MMU_AUDIT_H

#include <umbra/mmu.h>
#include "spte.h"

/* A guest's tables have no more, nor can a broken one of ours say so. */
#define AUDIT_LEVELS	7

/**
 * struct umbra_auditor - an audit in progress
 * @mmu: the VM's
 * @out: what was found
 * @exact: see umbra_mmu_audit()
 * @ept_tables: tables of the EPT tree
 * @nx_splits: those that stand in for large leaves
 * @shadow_pages: shadow pages, invalid roots included
 * @register_roots: roots of vCPUs that stand for PDPTE registers
 * @leaves: [level - 1]: leaves of both families
 * @rmapped: leaves of shadow pages, each of which has to be in an rmap
 * @links: links between shadow pages
 * @linked: members of all sets of parents
 * @withheld: leaves that refuse what the guest grants to users
 * @hashed: shadow pages that the hash has
 * @tracking: shadow pages that ask for a frame to be tracked
 */
struct umbra_auditor {
	struct umbra_mmu *mmu;
	struct umbra_audit *out;
	bool exact;
	unsigned long ept_tables;
	unsigned long nx_splits;
	unsigned long shadow_pages;
	unsigned long register_roots;
	unsigned long leaves[AUDIT_LEVELS];
	unsigned long rmapped;
	unsigned long links;
	unsigned long linked;
	unsigned long withheld;
	unsigned long hashed;
	unsigned long tracking;
};

/* Something does not agree. */
void __printf(2, 3) umbra_audit_found(struct umbra_auditor *a, const char *format, ...);

/* A counter that may be ahead of what is there only while others are at work. */
void umbra_audit_count(struct umbra_auditor *a, const char *what, u64 counted, u64 there);

/**
 * umbra_audit_leaf() - what holds for leaves of either family
 * @family: for the report
 * @gfn: first frame
 * @level: size
 * @writable: the entry lets the guest write
 * @silent: and nobody would note it
 */
void umbra_audit_leaf(struct umbra_auditor *a, const char *family, gfn_t gfn,
		      unsigned int level, bool writable, bool silent);

/* What holds for entries for MMIO of either family. */
void umbra_audit_mmio(struct umbra_auditor *a, const char *family, gfn_t gfn, u64 spte);

/* All shadow pages. Context: mmu_lock held for write, as for all of these. */
void umbra_audit_shadow(struct umbra_auditor *a);

/* Called after each fault: audits every Nth, as the parameter audit= says. */
void umbra_audit_sample(struct umbra_mmu *mmu);

#endif /* _UMBRA_MMU_AUDIT_H */
