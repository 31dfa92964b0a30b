/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Entries of the tables that the CPU walks (sptes), in both formats.
 *
 * A format is data; what differs between EPT entries and entries of shadow
 * pages is in struct umbra_format and nowhere else. Index bits are the same in
 * both: 9 per level, level 1 is the one whose entries map 4 KiB.
 *
 * An entry that maps nothing is zero, or in shadow pages has SPTE_ABSENT alone. It
 * is read speculatively by CPUs with the L1TF erratum as if it were present, and
 * then names host frame 0, which never holds anything that a guest may not know,
 * or a frame that no CPU reaches. Entries that are not present but hold data must
 * keep it out of SPTE_ADDR or invert it.
 */
#ifndef _UMBRA_MMU_SPTE_H
#define _UMBRA_MMU_SPTE_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <umbra/types.h>

#define SPTE_NONE		0ull
#define SPTE_ADDR		GENMASK_ULL(51, 12)

#define TABLE_ENTRIES		512
#define TABLE_LEVELS		4

/* Extended page tables. */
#define EPT_READ		BIT_ULL(0)
#define EPT_WRITE		BIT_ULL(1)
#define EPT_EXEC		BIT_ULL(2)
#define EPT_MEMTYPE_UC		(0ull << 3)
#define EPT_MEMTYPE_WB		(6ull << 3)
#define EPT_IGNORE_PAT		BIT_ULL(6)
#define EPT_LARGE		BIT_ULL(7)
#define EPT_ACCESSED		BIT_ULL(8)
#define EPT_DIRTY		BIT_ULL(9)

/* The CPU's own page tables. */
#define PT_PRESENT		BIT_ULL(0)
#define PT_WRITE		BIT_ULL(1)
#define PT_USER			BIT_ULL(2)
#define PT_UNCACHED		(BIT_ULL(3) | BIT_ULL(4))
#define PT_ACCESSED		BIT_ULL(5)
#define PT_DIRTY		BIT_ULL(6)
#define PT_LARGE		BIT_ULL(7)
#define PT_KEY			GENMASK_ULL(62, 59)
#define PT_NX			BIT_ULL(63)

/*
 * Software bits, the same place in both formats: ignored by the CPU in every
 * entry, present or not. The CPU of a guest outside long mode runs with PAE
 * tables, in which bits 52 to 62 are reserved; of the low ones that PAE leaves,
 * EPT leaves two.
 *
 * SPTE_LEAF: the entry maps guest memory and is not a link to a table. Kept so
 * that a walker which sees an entry of any level can tell without knowing the
 * level (bit 7 means something else in level 1).
 *
 * SPTE_HOST_WRITE: in a leaf, the host allows writes to the page, and takes it
 * for dirty already. Without the write right, the MMU itself has taken it away
 * and may give it back. The mmu_notifier removes the leaf before the host
 * changes its mind.
 *
 * SPTE_1G: in a large leaf, it maps 1 GiB and not 2 MiB. For counting what goes
 * with a table whose level is not known. PAE has no such leaves.
 *
 * SPTE_NX_SPLIT: in an EPT link, the table stands in for a large leaf, so that the
 * guest can execute from it, see ept_nx.c.
 */
#define SPTE_LEAF		BIT_ULL(11)
#define SPTE_HOST_WRITE		BIT_ULL(10)
#define SPTE_1G			BIT_ULL(52)
#define SPTE_NX_SPLIT		BIT_ULL(53)
#define SPTE_SOFT		(SPTE_LEAF | SPTE_HOST_WRITE | SPTE_1G | SPTE_NX_SPLIT)

/*
 * SPTE_ABSENT: in shadow pages, a bit that the CPU reserves: using the entry
 * faults, whatever else it holds, and with an error code that says so. So faults
 * that are the guest's own can be told from those that are not:
 *
 *	present and absent, no more	the shadow does not know
 *	present and absent, and more	suspended for a moment
 *	zero				a hole: the guest maps nothing there
 *
 * Not where the CPU's physical addresses are that long, see umbra_spte_init().
 * Then there are no holes, and zero says nothing.
 */
#define SPTE_ABSENT		BIT_ULL(51)

/*
 * SPTE_MMIO: the address of an entry for MMIO (mmio.h), in shadow pages with
 * reserved bits. Not in all of SPTE_ADDR, so that such an entry can be suspended.
 */
#define SPTE_MMIO		GENMASK_ULL(50, 12)

/**
 * struct umbra_format - how entries of one family are laid out
 * @present: at least one of these is set in an entry that is in use
 * @absent: and none of these
 * @none: an entry that maps nothing
 * @write: write right
 * @accessed: set by the CPU on use
 * @link: rights and flags of a link to a lower table
 * @levels: number of levels
 */
struct umbra_format {
	u64 present;
	u64 absent;
	u64 none;
	u64 write;
	u64 accessed;
	u64 link;
	unsigned int levels;
};

extern const struct umbra_format umbra_format_ept;
extern struct umbra_format umbra_format_shadow;

/* Once, before tables are made. @addr_bits: umbra_mmu_caps.pt_addr_bits. */
void umbra_spte_init(unsigned int addr_bits);

static inline unsigned int umbra_table_index(u64 frame, unsigned int level)
{
	return (frame >> (9 * (level - 1))) & (TABLE_ENTRIES - 1);
}

/* Frames that one entry of @level spans. */
static inline u64 umbra_level_frames(unsigned int level)
{
	return 1ull << (9 * (level - 1));
}

/* The first of them when @frame is one. */
static inline u64 umbra_level_base(u64 frame, unsigned int level)
{
	return frame & ~(umbra_level_frames(level) - 1);
}

static inline bool umbra_spte_present(const struct umbra_format *fmt, u64 spte)
{
	return (spte & fmt->present) && !(spte & fmt->absent);
}

static inline bool umbra_spte_leaf(u64 spte)
{
	return spte & SPTE_LEAF;
}

/*
 * Is it an entry for MMIO (see mmio.h)? No other has this address. For EPT it is
 * none that is present.
 */
static inline bool umbra_spte_mmio(u64 spte)
{
	return (spte & SPTE_MMIO) == SPTE_MMIO;
}

static inline kvm_pfn_t umbra_spte_pfn(u64 spte)
{
	return (spte & SPTE_ADDR) >> UMBRA_PAGE_SHIFT;
}

static inline u64 umbra_spte_link(const struct umbra_format *fmt, hpa_t table)
{
	return table | fmt->link;
}

/**
 * umbra_spte_clear() - clear @bits as long as one of @test is set
 *
 * The CPU may set flags in the entry meanwhile.
 * Return: whether one of @test was set.
 */
static inline bool umbra_spte_clear(u64 *sptep, u64 test, u64 bits)
{
	u64 old = READ_ONCE(*sptep);

	while (old & test) {
		u64 seen = cmpxchg64(sptep, old, old & ~bits);

		if (seen == old)
			return true;
		old = seen;
	}
	return false;
}

/*
 * In shadow pages: keep CPUs from using a present entry for a while, as if it were
 * not present, without forgetting it. CPUs may have it cached.
 */
static inline void umbra_spte_suspend(u64 *sptep)
{
	u64 old = READ_ONCE(*sptep), seen;

	for (;; old = seen) {
		u64 absent = umbra_format_shadow.absent;

		seen = cmpxchg64(sptep, old, absent ? old | absent : old & ~PT_PRESENT);
		if (seen == old)
			return;
	}
}

static inline bool umbra_spte_suspended(u64 spte)
{
	return (spte & ~umbra_format_shadow.none) &&
	       !umbra_spte_present(&umbra_format_shadow, spte);
}

/* What the entry is when it is not suspended. */
static inline u64 umbra_spte_resumed(u64 spte)
{
	return (spte | PT_PRESENT) & ~umbra_format_shadow.absent;
}

/* End of umbra_spte_suspend(). No CPU sets flags in a suspended entry. */
static inline void umbra_spte_resume(u64 *sptep)
{
	/* What a link leads to was there before it was suspended. */
	smp_store_release(sptep, umbra_spte_resumed(READ_ONCE(*sptep)));
}

#define EPT_BITS	(EPT_READ | EPT_WRITE | EPT_EXEC | EPT_MEMTYPE_WB | EPT_IGNORE_PAT | \
			 EPT_LARGE | EPT_ACCESSED | EPT_DIRTY)
#define PT_BITS		(PT_PRESENT | PT_WRITE | PT_USER | PT_UNCACHED | PT_ACCESSED | \
			 PT_DIRTY | PT_LARGE | PT_KEY | PT_NX)

static_assert(!(SPTE_SOFT & (EPT_BITS | PT_BITS | SPTE_ADDR)));
static_assert(SPTE_SOFT == (SPTE_LEAF ^ SPTE_HOST_WRITE ^ SPTE_1G ^ SPTE_NX_SPLIT));
static_assert(!(SPTE_ADDR & (EPT_BITS | PT_BITS)));
/* Neither format's rights may be taken for the large-page bit. */
static_assert(!(EPT_MEMTYPE_WB & EPT_LARGE));

#endif /* _UMBRA_MMU_SPTE_H */
