// SPDX-License-Identifier: GPL-2.0
/*
 * See reference.h. Long on purpose: the rules in the order in which the
 * architecture manual has them, without sharing anything between modes that
 * the manual does not share.
 */
#include <asm/processor-flags.h>
#include <string.h>
#include "reference.h"

#define NXE		(1u << 11)
#define LMA		(1u << 10)

static uint64_t bits(int high, int low)
{
	uint64_t mask = 0;

	for (int i = low; i <= high; i++)
		mask |= 1ull << i;
	return mask;
}

void reference_walk(const struct ref_cpu *cpu, const struct ref_access *access, ref_read_t *read,
		    void *ctx, struct ref_result *r)
{
	bool wp = cpu->cr0 & X86_CR0_WP;
	bool pae = cpu->cr4 & X86_CR4_PAE;
	bool lma = cpu->efer & LMA;
	bool nxe = cpu->efer & NXE;
	bool smep = cpu->cr4 & X86_CR4_SMEP;
	bool smap = cpu->cr4 & X86_CR4_SMAP;
	uint32_t code = access->write << 1 | access->user << 2;
	uint64_t table, gva = access->gva;
	int level, entry_bytes, index_bits, shift;

	memset(r, 0, sizeof(*r));
	r->writable = true;
	r->user = true;
	r->executable = true;
	r->accessed = true;

	if (access->fetch && (smep || (pae && nxe)))
		code |= 1 << 4;

	if (!(cpu->cr0 & X86_CR0_PG)) {
		r->gpa = gva;
		r->page_size = 4096;
		r->leaf_dirty = true;
		return;
	}

	if (lma) {
		level = cpu->cr4 & X86_CR4_LA57 ? 5 : 4;
		table = cpu->cr3 & bits(51, 12);
		entry_bytes = 8;
		index_bits = 9;
	} else if (pae) {
		uint64_t pdpte = cpu->pdpte[gva >> 30 & 3];

		if (!(pdpte & 1)) {
			r->fault = true;
			r->error_code = code;
			return;
		}
		level = 2;
		table = pdpte & bits(51, 12);
		entry_bytes = 8;
		index_bits = 9;
	} else {
		level = 2;
		table = cpu->cr3 & bits(31, 12);
		entry_bytes = 4;
		index_bits = 10;
	}

	for (;; level--) {
		struct ref_entry *entry = &r->entry[r->nr++];
		uint64_t reserved = 0;
		bool leaf;

		shift = 12 + (level - 1) * index_bits;
		entry->bytes = entry_bytes;
		entry->gpa = table + (gva >> shift & bits(index_bits - 1, 0)) * entry_bytes;
		entry->value = read(ctx, entry->gpa, entry_bytes);

		if (!(entry->value & 1)) {
			r->fault = true;
			r->error_code = code;
			return;
		}

		if (level == 1)
			leaf = true;
		else if (entry_bytes == 4)
			leaf = entry->value & 0x80 && cpu->cr4 & X86_CR4_PSE;
		else
			leaf = entry->value & 0x80;

		if (entry_bytes == 8) {
			reserved |= bits(51, cpu->maxphyaddr);
			if (!nxe)
				reserved |= 1ull << 63;
			if (!lma)
				reserved |= bits(62, 52);
			if (leaf && level >= 4)
				reserved |= 0x80;
			if (leaf && level == 3)
				reserved |= cpu->gbpages ? bits(29, 13) : 0x80;
			if (leaf && level == 2)
				reserved |= bits(20, 13);
		} else if (leaf && level == 2) {
			int m = cpu->maxphyaddr < 40 ? cpu->maxphyaddr : 40;

			/* PSE-36 is there when there are more than 32 bits. */
			reserved |= m > 32 ? bits(21, m - 19) : bits(21, 13);
		}
		if (entry->value & reserved) {
			r->fault = true;
			r->error_code = code | 1 | 1 << 3;
			return;
		}

		if (!(entry->value & 2))
			r->writable = false;
		if (!(entry->value & 4))
			r->user = false;
		if (entry_bytes == 8 && entry->value >> 63)
			r->executable = false;
		if (!(entry->value & 0x20))
			r->accessed = false;

		if (leaf) {
			uint64_t base;

			r->page_size = 1ull << shift;
			r->global = entry->value & 0x100;
			r->leaf_dirty = entry->value & 0x40;
			if (entry_bytes == 4 && level == 2)
				base = (entry->value & bits(31, 22)) |
				       (entry->value >> 13 & 0xff) << 32;
			else if (entry_bytes == 4)
				base = entry->value & bits(31, 12);
			else
				base = entry->value & bits(51, shift);
			r->gpa = base + (gva & (r->page_size - 1));
			break;
		}
		table = entry->value & (entry_bytes == 8 ? bits(51, 12) : bits(31, 12));
	}

	/* Access rights: a page is a user page when all entries say so. */
	if (!access->user) {
		/* Supervisor-mode access; at CPL 3 it is an implicit one. */
		if (access->fetch) {
			if (r->user && smep)
				r->fault = true;
			if (!r->executable)
				r->fault = true;
		} else {
			if (r->user && smap && (cpu->cpl == 3 || !cpu->ac))
				r->fault = true;
			if (access->write && wp && !r->writable)
				r->fault = true;
		}
	} else {
		if (!r->user)
			r->fault = true;
		if (access->fetch && !r->executable)
			r->fault = true;
		if (access->write && !r->writable)
			r->fault = true;
	}
	if (r->fault) {
		r->error_code = code | 1;
		return;
	}

	for (int i = 0; i < r->nr; i++) {
		r->entry[i].updated = r->entry[i].value | 0x20;
		if (i == r->nr - 1 && access->write)
			r->entry[i].updated |= 0x40;
	}
}
