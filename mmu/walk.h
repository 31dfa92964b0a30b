/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest page-table walker: what the guest's own tables say about an address.
 */
#ifndef _UMBRA_MMU_WALK_H
#define _UMBRA_MMU_WALK_H

#include <asm/processor-flags.h>
#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/types.h>
#include <umbra/mmu.h>
#include <umbra/types.h>

/* Bits of a guest paging-structure entry, the same in all formats. */
#define GPTE_PRESENT		BIT_ULL(0)
#define GPTE_WRITE		BIT_ULL(1)
#define GPTE_USER		BIT_ULL(2)
#define GPTE_ACCESSED		BIT_ULL(5)
#define GPTE_DIRTY		BIT_ULL(6)
#define GPTE_PS			BIT_ULL(7)
#define GPTE_GLOBAL		BIT_ULL(8)
#define GPTE_NX			BIT_ULL(63)

/*
 * Accumulated rights. Write and user sit where the entries have them, so that
 * going down one level is a single AND.
 */
#define WALK_ACC_EXEC		BIT(0)
#define WALK_ACC_WRITE		BIT(1)
#define WALK_ACC_USER		BIT(2)
#define WALK_ACC_ALL		(WALK_ACC_EXEC | WALK_ACC_WRITE | WALK_ACC_USER)

/*
 * With the rights of a page goes its protection key, which long mode has in bits 62:59
 * of the leaf. It is kept whether the guest uses keys or not: CPUs ignore it then.
 */
#define WALK_ACC_KEY		GENMASK(7, 4)

static inline u32 umbra_gpte_key(u64 gpte)
{
	return gpte >> 55 & WALK_ACC_KEY;
}

/* How the guest translates linear addresses now. */
enum umbra_guest_paging {
	GUEST_UNPAGED,
	GUEST_32BIT,
	GUEST_PAE,
	GUEST_4LEVEL,
	GUEST_5LEVEL,
};

/**
 * struct umbra_walk - result of a guest page walk
 * @gva: the address walked
 * @access: the UMBRA_ACC_* asked for
 * @top_level: root level of the guest's paging mode, 0 when unpaged
 * @level: level of the leaf, or of the entry where the walk stopped
 * @table_gfn: [level - 1]: frame of the guest table read at that level
 * @gpte: [level - 1]: entry as read, after the A/D update; the loaded PDPTE at
 *	level 3 of PAE
 * @gpte_gpa: [level - 1]: its address
 * @table_access: [level - 1]: rights accumulated above that level, the rights
 *	of a shadow of that table
 * @pte_access: rights of the page, leaf included, and its key
 * @gpa: translation
 * @gfn: its frame, in 4 KiB pages whatever the page size
 * @dirty: the leaf's dirty flag is set
 * @exc: the guest's #PF, when the walk fails
 *
 * Only levels from @level to @top_level are filled in.
 */
struct umbra_walk {
	u64 gva;
	u32 access;
	u8 top_level;
	u8 level;
	gfn_t table_gfn[5];
	u64 gpte[5];
	gpa_t gpte_gpa[5];
	u32 table_access[5];
	u32 pte_access;
	gpa_t gpa;
	gfn_t gfn;
	bool dirty;
	struct umbra_exception exc;
};

/**
 * umbra_guest_paging() - the paging mode that @state describes
 *
 * By EFER.LMA, not LME: user space may set registers one group at a time.
 */
enum umbra_guest_paging umbra_guest_paging(const struct umbra_paging_state *state);

/* With CR4.PKE. */
bool __umbra_key_refuses(const struct umbra_paging_state *state, u32 access, u32 rights);

/**
 * umbra_key_refuses() - does a protection key forbid an access to a page?
 * @access: UMBRA_ACC_WRITE, _USER, _FETCH
 * @rights: the page's WALK_ACC_*, with its key
 */
static inline bool umbra_key_refuses(const struct umbra_paging_state *state, u32 access,
				     u32 rights)
{
	return unlikely(state->cr4 & X86_CR4_PKE) && __umbra_key_refuses(state, access, rights);
}

/* Does the guest's CPU set the fetch bit in error codes? */
bool umbra_fetch_is_reported(const struct umbra_paging_state *state);

/**
 * umbra_walk() - translate @gva as the guest's CPU would
 * @vcpu: any family, any paging mode
 * @gva: linear address; the caller has checked that it is canonical
 * @access: UMBRA_ACC_WRITE, _USER, _FETCH; other bits are ignored
 * @set_ad: set accessed and dirty flags in the guest's tables
 * @walk: out
 *
 * Without USER the access is a supervisor one. When the CPL is 3 it is then an
 * implicit one (descriptor tables, TSS), for which RFLAGS.AC does not lift
 * SMAP.
 *
 * Flags are set only when the access is permitted. A table in a read-only slot
 * that needs a flag set gives #PF with P = 1: the access cannot complete, and
 * under EPT the CPU could not set the flag either. Tables in ROM have to come
 * with their flags set. A table outside all slots reads as not present.
 *
 * An entry that changes while its flags are set makes the walk start again. A
 * guest that changes it faster than WALK_MAX_RETRIES walks gets the #PF of the
 * entry being not present, so that it cannot hold the CPU here.
 *
 * Return: 0; -EFAULT with @walk->exc holding the guest's #PF.
 */
int umbra_walk(struct umbra_mmu_vcpu *vcpu, u64 gva, u32 access, bool set_ad,
	       struct umbra_walk *walk);

/**
 * umbra_gpte_reserved() - does a present entry have reserved bits set
 * @gpte: the entry
 * @level: level of the table it stands in; 3 with PAE is a PDPTE
 */
bool umbra_gpte_reserved(const struct umbra_mmu_vcpu *vcpu, u64 gpte, unsigned int level);

/* Bits that no present entry may have set, at any level. */
u64 umbra_gpte_always_reserved(const struct umbra_mmu_vcpu *vcpu);

/**
 * umbra_pdpte_reserved() - does a present PDPTE have reserved bits set
 * @state: only maxphyaddr matters, so that it works before PAE is on
 * @pdpte: the entry
 */
bool umbra_pdpte_reserved(const struct umbra_paging_state *state, u64 pdpte);

#endif /* _UMBRA_MMU_WALK_H */
