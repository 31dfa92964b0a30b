// SPDX-License-Identifier: GPL-2.0
/*
 * See reference.h. The rules in the order in which the architecture manual has
 * them, without sharing anything between modes that the manual does not share.
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

/* What the walk runs on: which paging mode, and the table it is at. */
struct mode {
	bool pae, lma, nxe;
	int entry_bytes, index_bits;
	int level;
	uint64_t table;
};

/* Where the walk begins. False when a PDPTE register says "not present". */
static bool begin(const struct ref_cpu *cpu, uint64_t gva, struct mode *m)
{
	m->pae = cpu->cr4 & X86_CR4_PAE;
	m->lma = cpu->efer & LMA;
	m->nxe = cpu->efer & NXE;
	m->entry_bytes = m->lma || m->pae ? 8 : 4;
	m->index_bits = m->lma || m->pae ? 9 : 10;

	if (m->lma) {
		m->level = cpu->cr4 & X86_CR4_LA57 ? 5 : 4;
		m->table = cpu->cr3 & bits(51, 12);
		return true;
	}
	m->level = 2;
	if (m->pae) {
		uint64_t pdpte = cpu->pdpte[gva >> 30 & 3];

		m->table = pdpte & bits(51, 12);
		return pdpte & 1;
	}
	m->table = cpu->cr3 & bits(31, 12);
	return true;
}

static bool is_leaf(const struct ref_cpu *cpu, const struct mode *m, uint64_t value)
{
	if (m->level == 1)
		return true;
	if (m->entry_bytes == 4)
		return value & 0x80 && cpu->cr4 & X86_CR4_PSE;
	return value & 0x80;
}

static uint64_t reserved_bits(const struct ref_cpu *cpu, const struct mode *m, bool leaf)
{
	uint64_t reserved = 0;

	if (m->entry_bytes == 8) {
		reserved |= bits(51, cpu->maxphyaddr);
		if (!m->nxe)
			reserved |= 1ull << 63;
		if (!m->lma)
			reserved |= bits(62, 52);
		if (leaf && m->level >= 4)
			reserved |= 0x80;
		if (leaf && m->level == 3)
			reserved |= cpu->gbpages ? bits(29, 13) : 0x80;
		if (leaf && m->level == 2)
			reserved |= bits(20, 13);
	} else if (leaf && m->level == 2) {
		int width = cpu->maxphyaddr < 40 ? cpu->maxphyaddr : 40;

		/* PSE-36 is there when there are more than 32 bits. */
		reserved |= width > 32 ? bits(21, width - 19) : bits(21, 13);
	}
	return reserved;
}

static void take_leaf(const struct mode *m, uint64_t value, int shift, uint64_t gva,
		      struct ref_result *r)
{
	uint64_t base;

	r->page_size = 1ull << shift;
	r->global = value & 0x100;
	r->key = m->lma ? value >> 59 & 15 : 0;
	r->leaf_dirty = value & 0x40;
	if (m->entry_bytes == 4 && m->level == 2)
		base = (value & bits(31, 22)) | (value >> 13 & 0xff) << 32;
	else if (m->entry_bytes == 4)
		base = value & bits(31, 12);
	else
		base = value & bits(51, shift);
	r->gpa = base + (gva & (r->page_size - 1));
}

static void take_rights(const struct mode *m, uint64_t value, struct ref_result *r)
{
	if (!(value & 2))
		r->writable = false;
	if (!(value & 4))
		r->user = false;
	if (m->entry_bytes == 8 && value >> 63)
		r->executable = false;
	if (!(value & 0x20))
		r->accessed = false;
}

/* One step. Return true when the walk is over, with a page or a fault. */
static bool step(const struct ref_cpu *cpu, struct mode *m, uint64_t gva, uint32_t code,
		 ref_read_t *read, void *ctx, struct ref_result *r)
{
	struct ref_entry *entry = &r->entry[r->nr++];
	int shift = 12 + (m->level - 1) * m->index_bits;
	bool leaf;

	entry->bytes = m->entry_bytes;
	entry->gpa = m->table + (gva >> shift & bits(m->index_bits - 1, 0)) * m->entry_bytes;
	entry->value = read(ctx, entry->gpa, m->entry_bytes);
	if (!(entry->value & 1)) {
		r->fault = true;
		r->error_code = code;
		return true;
	}
	leaf = is_leaf(cpu, m, entry->value);
	if (entry->value & reserved_bits(cpu, m, leaf)) {
		r->fault = true;
		r->error_code = code | 1 | 1 << 3;
		return true;
	}
	take_rights(m, entry->value, r);
	if (leaf) {
		take_leaf(m, entry->value, shift, gva, r);
		return true;
	}
	m->table = entry->value & (m->entry_bytes == 8 ? bits(51, 12) : bits(31, 12));
	m->level--;
	return false;
}

/* Access rights: a page is a user page when all entries say so. */
static bool denied(const struct ref_cpu *cpu, const struct ref_access *access,
		   const struct ref_result *r)
{
	if (access->user)
		return !r->user || (access->fetch && !r->executable) ||
		       (access->write && !r->writable);
	/* Supervisor-mode access; at CPL 3 it is an implicit one. */
	if (access->fetch)
		return (r->user && cpu->cr4 & X86_CR4_SMEP) || !r->executable;
	if (r->user && cpu->cr4 & X86_CR4_SMAP && (cpu->cpl == 3 || !cpu->ac))
		return true;
	return access->write && cpu->cr0 & X86_CR0_WP && !r->writable;
}

/* Protection keys: what PKRU has to say, whatever else there is against the access. */
static bool denied_by_key(const struct ref_cpu *cpu, const struct ref_access *access,
			  const struct ref_result *r)
{
	bool access_disable = cpu->pkru >> (2 * r->key) & 1;
	bool write_disable = cpu->pkru >> (2 * r->key + 1) & 1;

	if (!(cpu->cr4 & X86_CR4_PKE && cpu->efer & LMA))
		return false;
	if (access->fetch || !r->user)
		return false;
	if (access_disable)
		return true;
	if (!access->write || !write_disable)
		return false;
	return access->user || cpu->cr0 & X86_CR0_WP;
}

void reference_walk(const struct ref_cpu *cpu, const struct ref_access *access, ref_read_t *read,
		    void *ctx, struct ref_result *r)
{
	uint32_t code = access->write << 1 | access->user << 2;
	struct mode m;

	memset(r, 0, sizeof(*r));
	r->writable = true;
	r->user = true;
	r->executable = true;
	r->accessed = true;

	if (!(cpu->cr0 & X86_CR0_PG)) {
		r->gpa = access->gva;
		r->page_size = 4096;
		r->leaf_dirty = true;
		return;
	}
	r->fault = !begin(cpu, access->gva, &m);
	if (access->fetch && (cpu->cr4 & X86_CR4_SMEP || (m.pae && m.nxe)))
		code |= 1 << 4;
	if (r->fault) {
		r->error_code = code;
		return;
	}
	while (!step(cpu, &m, access->gva, code, read, ctx, r))
		;
	if (r->fault)
		return;
	if (denied_by_key(cpu, access, r))
		code |= 1 << 5;
	if (code & 1 << 5 || denied(cpu, access, r)) {
		r->fault = true;
		r->error_code = code | 1;
		return;
	}
	for (int i = 0; i < r->nr; i++) {
		r->entry[i].updated = r->entry[i].value | 0x20;
		if (i == r->nr - 1 && access->write)
			r->entry[i].updated |= 0x40;
	}
}
