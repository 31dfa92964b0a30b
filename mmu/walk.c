// SPDX-License-Identifier: GPL-2.0
/*
 * Guest page-table walker.
 *
 *	     gva
 *	      |        table_access   ALL     rights above, ANDed going down
 *	CR3 --+--> level 5 or 4  [gpte] --.
 *	      |                           v
 *	      |        level 3   [gpte] ------ PS --> 1 GiB page
 *	PDPTE +------------.       |   (with PAE: the loaded register, no flags)
 *	      |            v       v
 *	CR3 --+--> level 2  [gpte] ----------- PS --> 2 MiB, 4 MiB (PSE) page
 *	(32-bit)                   v
 *	               level 1   [gpte] ------------> 4 KiB page
 *	                                                 |
 *	 not present at any level ........ #PF P=0       |  down: stop at once
 *	 reserved bit at any level ....... #PF P=1 RSVD  |
 *	 rights do not allow the access .. #PF P=1       |  at the end
 *	 nor does the page's key ......... #PF P=1 PK    |
 *	 else: set A on the way, D on the leaf <---------'  only now
 *
 * The part that touches entries is a template, built once for 32-bit and once
 * for 64-bit entries; here is what does not depend on their size.
 */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <linux/bitfield.h>
#include <linux/errno.h>
#include <umbra/hostmem.h>
#include "store.h"
#include "walk.h"

/* Lost compare-exchanges before the guest gets a fault instead. */
#define WALK_MAX_RETRIES	64

#define PF_VECTOR		14

/* Two bits of PKRU for each key. */
#define PKRU_NO_ACCESS		BIT(0)
#define PKRU_NO_WRITE		BIT(1)

enum umbra_guest_paging umbra_guest_paging(const struct umbra_paging_state *state)
{
	if (!(state->cr0 & X86_CR0_PG))
		return GUEST_UNPAGED;
	if (state->efer & EFER_LMA)
		return state->cr4 & X86_CR4_LA57 ? GUEST_5LEVEL : GUEST_4LEVEL;
	return state->cr4 & X86_CR4_PAE ? GUEST_PAE : GUEST_32BIT;
}

/* The fetch bit is reported only when some kind of fetch can be refused. */
bool umbra_fetch_is_reported(const struct umbra_paging_state *state)
{
	return state->cr4 & X86_CR4_SMEP ||
	       (state->cr4 & X86_CR4_PAE && state->efer & EFER_NX);
}

/* @why: UMBRA_ACC_PRESENT, with UMBRA_ACC_RSVD or _PK; 0 for not present. */
static int walk_fault(const struct umbra_paging_state *state, struct umbra_walk *walk, u32 why)
{
	u32 reported = UMBRA_ACC_WRITE | UMBRA_ACC_USER;

	if (umbra_fetch_is_reported(state))
		reported |= UMBRA_ACC_FETCH;

	walk->exc = (struct umbra_exception) {
		.valid = true,
		.has_error_code = true,
		.vector = PF_VECTOR,
		.error_code = (walk->access & reported) | why,
		.cr2 = walk->gva,
	};
	return -EFAULT;
}

/* Are user pages closed to this supervisor access? */
static bool user_page_refused(const struct umbra_paging_state *state, u32 access)
{
	if (access & UMBRA_ACC_FETCH)
		return state->cr4 & X86_CR4_SMEP;
	if (!(state->cr4 & X86_CR4_SMAP))
		return false;
	/* At CPL 3 a supervisor access is implicit: AC does not count. */
	return state->cpl == 3 || !state->rflags_ac;
}

static bool walk_permitted(const struct umbra_paging_state *state, u32 access, u32 rights)
{
	bool user = access & UMBRA_ACC_USER;

	if (access & UMBRA_ACC_WRITE && !(rights & WALK_ACC_WRITE) &&
	    (user || state->cr0 & X86_CR0_WP))
		return false;
	if (access & UMBRA_ACC_FETCH && !(rights & WALK_ACC_EXEC))
		return false;
	if (user)
		return rights & WALK_ACC_USER;
	return !(rights & WALK_ACC_USER) || !user_page_refused(state, access);
}

/* Keys are for data in user pages, whoever uses it. */
bool __umbra_key_refuses(const struct umbra_paging_state *state, u32 access, u32 rights)
{
	u32 refused;

	if (!(state->efer & EFER_LMA) || !(rights & WALK_ACC_USER) || (access & UMBRA_ACC_FETCH))
		return false;
	refused = state->pkru >> 2 * FIELD_GET(WALK_ACC_KEY, rights);
	if (refused & PKRU_NO_ACCESS)
		return true;
	return (refused & PKRU_NO_WRITE) && (access & UMBRA_ACC_WRITE) &&
	       (access & UMBRA_ACC_USER || state->cr0 & X86_CR0_WP);
}

/* Return: 0 when the access is permitted, else why not, as walk_fault() wants it. */
static u32 walk_refused(const struct umbra_paging_state *state, u32 access, u32 rights)
{
	if (umbra_key_refuses(state, access, rights))
		return UMBRA_ACC_PRESENT | UMBRA_ACC_PK;
	return walk_permitted(state, access, rights) ? 0 : UMBRA_ACC_PRESENT;
}

static u64 above_maxphyaddr(const struct umbra_paging_state *state)
{
	return state->maxphyaddr < 52 ? GENMASK_ULL(51, state->maxphyaddr) : 0;
}

bool umbra_pdpte_reserved(const struct umbra_paging_state *state, u64 pdpte)
{
	/* Level 3 of PAE has neither rights nor flags, and no NX. */
	return pdpte & (above_maxphyaddr(state) | GENMASK_ULL(63, 52) | GENMASK_ULL(8, 5) |
			GENMASK_ULL(2, 1));
}

#define WALK_BITS 32
#include "walk_template.h"
#undef WALK_BITS

#define WALK_BITS 64
#include "walk_template.h"
#undef WALK_BITS

static void walk_unpaged(struct umbra_walk *walk)
{
	walk->top_level = 0;
	walk->level = 1;
	walk->pte_access = WALK_ACC_ALL;
	walk->gpa = walk->gva;
	walk->gfn = umbra_gpa_to_gfn(walk->gpa);
	walk->dirty = true;
}

int umbra_walk(struct umbra_mmu_vcpu *vcpu, u64 gva, u32 access, bool set_ad,
	       struct umbra_walk *walk)
{
	enum umbra_guest_paging paging = umbra_guest_paging(&vcpu->state);

	walk->gva = gva;
	walk->access = access & (UMBRA_ACC_WRITE | UMBRA_ACC_USER | UMBRA_ACC_FETCH);
	walk->exc.valid = false;

	switch (paging) {
	case GUEST_UNPAGED:
		walk_unpaged(walk);
		return 0;
	case GUEST_32BIT:
		return walk_32(vcpu, paging, set_ad, walk);
	default:
		return walk_64(vcpu, paging, set_ad, walk);
	}
}

bool umbra_gpte_reserved(const struct umbra_mmu_vcpu *vcpu, u64 gpte, unsigned int level)
{
	enum umbra_guest_paging paging = umbra_guest_paging(&vcpu->state);

	switch (paging) {
	case GUEST_UNPAGED:
		return false;
	case GUEST_32BIT:
		return reserved_32(&vcpu->state, always_reserved_32(&vcpu->state, paging),
				   gpte, level);
	case GUEST_PAE:
		if (level == 3)
			return umbra_pdpte_reserved(&vcpu->state, gpte);
		fallthrough;
	default:
		return reserved_64(&vcpu->state, always_reserved_64(&vcpu->state, paging),
				   gpte, level);
	}
}

u64 umbra_gpte_always_reserved(const struct umbra_mmu_vcpu *vcpu)
{
	enum umbra_guest_paging paging = umbra_guest_paging(&vcpu->state);

	if (paging == GUEST_32BIT)
		return always_reserved_32(&vcpu->state, paging);
	return always_reserved_64(&vcpu->state, paging);
}
