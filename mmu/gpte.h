/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which entries of a guest table the entries of its shadow are made from.
 *
 * Entries of 8 bytes stand at the same index in both. Of 4-byte entries a guest
 * table has 1024, and a shadow page takes a part of them, its quadrant:
 *
 *	page table, 4 MiB	512 entries to a shadow page, one for each spte
 *	directory, 4 GiB	256 entries to a shadow page, one for each two
 *				sptes, which map the halves of its 4 MiB
 */
#ifndef _UMBRA_MMU_GPTE_H
#define _UMBRA_MMU_GPTE_H

#include "shadow.h"

static inline unsigned int umbra_gpte_size(union umbra_role role)
{
	return role.short_gptes ? sizeof(u32) : sizeof(u64);
}

/* Sptes made from one guest entry, as a shift. */
static inline unsigned int umbra_gpte_split(union umbra_role role)
{
	return role.short_gptes && role.level > 1;
}

/* Where in the guest table the entry is that spte @index is made from. */
static inline unsigned int umbra_gpte_offset(union umbra_role role, unsigned int index)
{
	unsigned int split = umbra_gpte_split(role);

	if (!role.short_gptes)
		return index * sizeof(u64);
	return ((role.quadrant * TABLE_ENTRIES + index) >> split) * sizeof(u32);
}

/* The quadrant of a table of @level that translates @gva, with 4-byte entries. */
static inline unsigned int umbra_gpte_quadrant(u64 gva, unsigned int level)
{
	return level == 1 ? (gva >> 21) & 1 : (gva >> 30) & 3;
}

/**
 * struct umbra_spte_range - sptes of one page, by index
 * @first: the first one
 * @last: the last one
 */
struct umbra_spte_range {
	unsigned int first;
	unsigned int last;
};

/* The sptes made from bytes [first, last] of the guest table. False: none. */
static inline bool umbra_gpte_sptes(union umbra_role role, unsigned int first, unsigned int last,
				    struct umbra_spte_range *range)
{
	unsigned int split = umbra_gpte_split(role);
	unsigned int base = role.quadrant * TABLE_ENTRIES;

	if (!role.short_gptes) {
		range->first = first / sizeof(u64);
		range->last = last / sizeof(u64);
		return true;
	}
	first = (first / sizeof(u32)) << split;
	last = ((last / sizeof(u32) + 1) << split) - 1;
	if (last < base || first >= base + TABLE_ENTRIES)
		return false;
	range->first = max(first, base) - base;
	range->last = min(last - base, TABLE_ENTRIES - 1u);
	return true;
}

#define GPTE_READ_MAX		32

/**
 * umbra_gpte_read() - read the guest entries of sptes, as 8 bytes each
 * @sp: of level 1 when @nr is not 1; not direct
 * @index: the first spte
 * @nr: how many, at most GPTE_READ_MAX
 *
 * Context: does not sleep.
 * Return: 0, or -EFAULT when the table cannot be read now.
 */
int umbra_gpte_read(struct umbra_mmu *mmu, const struct umbra_shadow_page *sp,
		    unsigned int index, unsigned int nr, u64 *gpte);

#endif /* _UMBRA_MMU_GPTE_H */
