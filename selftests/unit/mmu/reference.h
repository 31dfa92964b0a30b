/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The reference page walker: the architecture's rules as one plain function,
 * sharing nothing with mmu/ but the names of control-register bits.
 */
#ifndef UNIT_MMU_REFERENCE_H
#define UNIT_MMU_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

struct ref_cpu {
	uint64_t cr0, cr3, cr4, efer;
	uint64_t pdpte[4];	/* as loaded; for PAE */
	uint32_t pkru;
	bool ac;
	int cpl;
	int maxphyaddr;
	bool gbpages;
};

struct ref_access {
	uint64_t gva;
	bool write, user, fetch;
};

/* A paging-structure entry used, and what it becomes when flags are set. */
struct ref_entry {
	uint64_t gpa;
	uint64_t value;
	uint64_t updated;
	int bytes;
};

struct ref_result {
	bool fault;
	uint32_t error_code;
	uint64_t gpa;
	uint64_t page_size;
	bool writable, user, executable;	/* accumulated rights */
	int key;
	bool global;
	bool leaf_dirty;
	bool accessed;				/* all flags A are set already */
	int nr;
	struct ref_entry entry[5];
};

/* Reads an entry; memory that does not exist reads as zero. */
typedef uint64_t ref_read_t(void *ctx, uint64_t gpa, int bytes);

void reference_walk(const struct ref_cpu *cpu, const struct ref_access *access, ref_read_t *read,
		    void *ctx, struct ref_result *result);

#endif
