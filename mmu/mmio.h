/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Entries for frames without memory (MMIO): by them the CPU itself says that an
 * access is one, with a kind of fault that nothing else causes.
 *
 *	EPT	writable, not readable		EPT misconfiguration
 *	shadow	reserved address bits set	#PF with RSVD
 *
 *	63   62      53 52 51 50        12 11  10 9       3 2 1 0
 *	[NX] [gen high]  0  0 [ all ones  ] [soft] [gen low] rights
 *
 * Below bit 51 the address has no clear bit: a CPU with the L1TF erratum, which uses the
 * address of such an entry all the same, finds the end of what it can address,
 * where no memory is. It need not tell the frame, either. An EPT exit comes with
 * it, and a shadow page keeps it beside the table, with what the guest grants.
 *
 * An entry holds part of the generation of the set of slots that it was made
 * for (umbra_memslots.mmio_gen), and counts for no other. So adding a slot
 * touches no table. Before the bits that an entry holds come round again all
 * entries are removed.
 *
 * CPUs keep nothing of an entry that they cannot use: replacing one takes no
 * flush.
 */
#ifndef _UMBRA_MMU_MMIO_H
#define _UMBRA_MMU_MMIO_H

#include <umbra/memslot.h>
#include <umbra/mmu.h>
#include "spte.h"

#define MMIO_GEN_LOW		GENMASK_ULL(9, 3)
#define MMIO_GEN_HIGH		GENMASK_ULL(62, MMIO_GEN_HIGH_SHIFT)
#define MMIO_GEN_HIGH_SHIFT	53
#define MMIO_GEN_LOW_BITS	7

static_assert(MMIO_GEN_LOW_BITS + 63 - MMIO_GEN_HIGH_SHIFT == UMBRA_MMIO_GEN_BITS);
static_assert(!((MMIO_GEN_LOW | MMIO_GEN_HIGH) &
		(SPTE_ADDR | SPTE_LEAF | PT_PRESENT | PT_WRITE | PT_USER | PT_NX)));

/**
 * umbra_mmio_spte() - make an entry
 * @gen: umbra_memslots.mmio_gen
 * @rights: EPT_WRITE | EPT_EXEC; or SPTE_LEAF, PT_PRESENT and what the guest
 *	grants, PT_WRITE only when its dirty flag is set
 */
static inline u64 umbra_mmio_spte(u64 gen, u64 rights)
{
	return SPTE_MMIO | rights | (gen << 3 & MMIO_GEN_LOW) |
	       (gen >> MMIO_GEN_LOW_BITS << MMIO_GEN_HIGH_SHIFT & MMIO_GEN_HIGH);
}

/* Does an entry for MMIO count in the set of generation @gen? */
static inline bool umbra_mmio_spte_current(u64 spte, u64 gen)
{
	return !((spte ^ umbra_mmio_spte(gen, 0)) & (MMIO_GEN_LOW | MMIO_GEN_HIGH));
}

/**
 * umbra_mmio_gen() - generation of the published set
 *
 * To be read before the look at slots that an entry is made after: should the set
 * change in between, the entry counts for none.
 * Context: mmu->srcu held.
 */
u64 umbra_mmio_gen(struct umbra_mmu *mmu);

#endif /* _UMBRA_MMU_MMIO_H */
