// SPDX-License-Identifier: GPL-2.0
/*
 * Page faults and invalidations that need no exit, see direct.h.
 */
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include "direct.h"
#include "gpte.h"
#include "leaf.h"

bool umbra_direct_faults = true;
module_param_named(direct_faults, umbra_direct_faults, bool, 0644);
MODULE_PARM_DESC(direct_faults,
		 "Shadow paging: no exits for page faults that are the guest's own (default: Y)");

static const struct umbra_format *const fmt = &umbra_format_shadow;

/* More leaves that withhold than this are left alone. */
#define DROP_MAX	32

/* Root loads to wait at most. */
#define WAIT_MAX	1023u

static void drop_withheld(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	unsigned int i;

	i = sp->withheld_at;
	if (umbra_leaf_withholds(sp, i, READ_ONCE(sp->spt[i])))
		umbra_shadow_drop(mmu, &sp->spt[i]);
	for (i = 0; i < TABLE_ENTRIES && sp->withheld; i++)
		if (umbra_leaf_withholds(sp, i, READ_ONCE(sp->spt[i])))
			umbra_shadow_drop(mmu, &sp->spt[i]);
}

/* Get rid of the leaves that withhold. Return: whether none is left. */
static bool drop_all_withheld(struct umbra_mmu_vcpu *vcpu)
{
	struct umbra_shadow *shadow = vcpu->mmu->shadow;
	struct umbra_shadow_page *sp, *next;

	if (!shadow->withholding) {
		vcpu->direct_penalty /= 2;
		return true;
	}
	if (shadow->withholding > DROP_MAX)
		return false;
	if (vcpu->direct_wait) {
		vcpu->direct_wait--;
		return false;
	}
	list_for_each_entry_safe(sp, next, &shadow->withholders, withheld_link)
		drop_withheld(vcpu->mmu, sp);
	return true;
}

void umbra_direct_begin(struct umbra_mmu_vcpu *vcpu)
{
	const struct umbra_shadow_page *sp = vcpu->shadow_root;
	u32 direct = UMBRA_DIRECT_HOLES;

	lockdep_assert_held_write(&vcpu->mmu->lock);
	/* The PDPTEs of guests outside long mode have no reserved bits to spare. */
	if (!READ_ONCE(umbra_direct_faults) || !fmt->absent || !sp || sp->role.registers) {
		vcpu->direct = UMBRA_DIRECT_NONE;
		return;
	}
	if (!sp->unsync_links) {
		direct |= UMBRA_DIRECT_INVLPG;
		if (drop_all_withheld(vcpu)) {
			direct |= UMBRA_DIRECT_USER;
			vcpu->mmu->shadow->direct_user = true;
		}
	}
	vcpu->direct = direct;
}

void umbra_direct_invlpg(struct umbra_mmu_vcpu *vcpu)
{
	lockdep_assert_held_write(&vcpu->mmu->lock);
	vcpu->direct |= UMBRA_DIRECT_INVLPG;
}

/* @all: USER, or all that unsync pages forbid, for those whose root leads to some. */
static void end(struct umbra_mmu *mmu, bool all)
{
	u32 what = all ? UMBRA_DIRECT_USER : UMBRA_DIRECT_USER | UMBRA_DIRECT_INVLPG;
	bool any = false;
	unsigned int i;

	lockdep_assert_held_write(&mmu->lock);
	for (i = 0; i < mmu->nr_vcpus; i++) {
		struct umbra_mmu_vcpu *vcpu = mmu->vcpus[i];
		const struct umbra_shadow_page *sp = vcpu->shadow_root;

		if (!(vcpu->direct & what) || (!all && sp && !sp->unsync_links))
			continue;
		WRITE_ONCE(vcpu->direct, vcpu->direct & ~what);
		any = true;
		if (all) {
			vcpu->direct_penalty = min(2 * vcpu->direct_penalty + 1, WAIT_MAX);
			vcpu->direct_wait = vcpu->direct_penalty;
		}
	}
	/* It begins with a full barrier, as umbra_mmu_flush() relies on. */
	if (any)
		mmu->ops->kick_all(mmu);
}

void umbra_direct_unsync(struct umbra_mmu *mmu)
{
	end(mmu, false);
}

void umbra_direct_end(struct umbra_mmu *mmu)
{
	if (!mmu->shadow->direct_user)
		return;
	end(mmu, true);
	mmu->shadow->direct_user = false;
}

bool umbra_leaf_withholds(const struct umbra_shadow_page *sp, unsigned int index, u64 spte)
{
	return umbra_withholds(umbra_shadow_access(sp, index), spte);
}

void umbra_direct_withhold(struct umbra_mmu *mmu, struct umbra_shadow_page *sp,
			   unsigned int index)
{
	struct umbra_shadow *shadow = mmu->shadow;

	lockdep_assert_held(&mmu->lock);
	spin_lock(&shadow->withheld_lock);
	if (!sp->withheld++)
		list_add(&sp->withheld_link, &shadow->withholders);
	sp->withheld_at = index;
	shadow->withholding++;
	spin_unlock(&shadow->withheld_lock);
}

void umbra_direct_release(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	struct umbra_shadow *shadow = mmu->shadow;

	lockdep_assert_held(&mmu->lock);
	if (WARN_ON_ONCE(!sp->withheld))
		return;
	spin_lock(&shadow->withheld_lock);
	if (!--sp->withheld)
		list_del(&sp->withheld_link);
	shadow->withholding--;
	spin_unlock(&shadow->withheld_lock);
}

void umbra_holes_forget(struct umbra_shadow_page *sp)
{
	unsigned int i;

	if (!sp->holes)
		return;
	sp->holes = false;
	for (i = 0; i < TABLE_ENTRIES; i++)
		if (READ_ONCE(sp->spt[i]) == SPTE_NONE)
			WRITE_ONCE(sp->spt[i], fmt->none);
}

static void dig_around(struct umbra_mmu *mmu, struct umbra_shadow_page *sp, unsigned int index)
{
	unsigned int first = index & ~(FILL_RUN - 1), i;
	u64 gpte[FILL_RUN] UMBRA_SCRATCH;

	if (sp->unsync || sp->role.direct || umbra_gpte_read(mmu, sp, first, FILL_RUN, gpte))
		return;
	for (i = 0; i < FILL_RUN; i++)
		if (!(gpte[i] & GPTE_PRESENT))
			umbra_hole_dig(sp, first + i);
}

void umbra_holes_found(struct umbra_mmu_vcpu *vcpu, const struct umbra_walk *walk)
{
	u64 frame = walk->gva >> UMBRA_PAGE_SHIFT;
	struct umbra_shadow_page *sp;
	u64 spte;

	if (walk->level != 1 || vcpu->direct == UMBRA_DIRECT_NONE)
		return;
	read_lock(&vcpu->mmu->lock);
	sp = vcpu->shadow_root;
	while (sp && sp->role.level > 1) {
		spte = READ_ONCE(sp->spt[umbra_table_index(frame, sp->role.level)]);
		if (!umbra_spte_present(fmt, spte) || umbra_spte_leaf(spte))
			break;
		sp = umbra_spte_page(umbra_table_va(spte));
	}
	/* Whatever the walk has read: what is there now counts. */
	if (sp && sp->role.level == 1) {
		spin_lock(&sp->lock);
		dig_around(vcpu->mmu, sp, umbra_table_index(frame, 1));
		spin_unlock(&sp->lock);
	}
	read_unlock(&vcpu->mmu->lock);
}

void umbra_mmu_direct_faults(const struct umbra_mmu_vcpu *vcpu, u32 *mask, u32 *match)
{
	u32 direct = READ_ONCE(vcpu->direct);

	if (direct & UMBRA_DIRECT_USER) {
		*mask = UMBRA_ACC_USER | UMBRA_ACC_RSVD;
		*match = UMBRA_ACC_USER;
	} else if (direct & UMBRA_DIRECT_HOLES) {
		*mask = UMBRA_ACC_PRESENT | UMBRA_ACC_RSVD;
		*match = 0;
	} else {
		/* No code matches. */
		*mask = 0;
		*match = UMBRA_ACC_PRESENT;
		return;
	}
	/* The CPU runs with EFER.NXE and reports fetches; the guest may not expect that. */
	if (!umbra_fetch_is_reported(&vcpu->state))
		*mask |= UMBRA_ACC_FETCH;
}
