// SPDX-License-Identifier: GPL-2.0
/*
 * Write tracking of guest tables, and writes to them.
 *
 *	vCPU writes a tracked frame		vCPU shadows a frame
 *
 *	memory = new				track++, protect, flush
 *	full barrier				full barrier
 *	track != 0 ?				read memory
 *	  mmu_lock, drop entries		install entries
 *
 * One of the two sees the other: either the reader reads the new value, or the
 * writer finds the tracker, and drops what was installed, since both install
 * and drop hold mmu_lock for write.
 */
#include <linux/errno.h>
#include <linux/string.h>
#include <umbra/hostmem.h>
#include "ept.h"
#include "gpte.h"
#include "shadow.h"
#include "tlb.h"
#include "track.h"
#include "walk.h"

/*
 * A table that is written so often without being used for a translation in
 * between is being filled, torn down or recycled: tracking it costs more than
 * building its shadow again.
 */
#define FLOOD_WRITES	3

static const struct umbra_format *const fmt = &umbra_format_shadow;

void umbra_track_begin(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn)
{
	u16 *track = &slot->track[gfn - slot->base_gfn];

	lockdep_assert_held_write(&mmu->lock);
	WRITE_ONCE(*track, *track + 1);
	if (*track == 1) {
		umbra_ept_write_protect(mmu, gfn, gfn + 1);
		umbra_shadow_write_protect(mmu, slot, gfn);
	}
}

void umbra_track_add(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn)
{
	umbra_track_begin(mmu, slot, gfn);
	umbra_mmu_flush(mmu);
	/* Pairs with the barrier in track_written(). */
	smp_mb();
}

void umbra_track_del(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn)
{
	u16 *track;

	lockdep_assert_held_write(&mmu->lock);
	if (!slot || !slot->track)
		return;
	track = &slot->track[gfn - slot->base_gfn];
	if (!WARN_ON_ONCE(!*track))
		WRITE_ONCE(*track, *track - 1);
}

bool umbra_track_zap(struct umbra_mmu *mmu, gfn_t gfn, struct list_head *dead)
{
	struct umbra_shadow_page *sp, *next;
	bool any = false;

	lockdep_assert_held_write(&mmu->lock);
	umbra_shadow_for_each_gfn(sp, next, mmu->shadow, gfn) {
		umbra_shadow_zap(mmu, sp, dead);
		any = true;
	}
	return any;
}

bool umbra_mmu_tracked(struct umbra_mmu *mmu, gfn_t gfn)
{
	const struct umbra_memslot *slot = umbra_gfn_to_slot(mmu, gfn);

	return slot && umbra_tracked(slot, gfn);
}

bool umbra_mmu_unprotect(struct umbra_mmu *mmu, gfn_t gfn)
{
	LIST_HEAD(dead);
	bool any;

	if (!mmu->shadow)
		return false;
	write_lock(&mmu->lock);
	any = umbra_track_zap(mmu, gfn, &dead);
	umbra_shadow_free_dead(mmu, &dead);
	write_unlock(&mmu->lock);
	return any;
}

/* The guest's entry no longer leads anywhere. */
static bool is_cut(struct umbra_mmu *mmu, const struct umbra_shadow_page *sp, unsigned int index)
{
	u64 gpte;

	return !umbra_gpte_read(mmu, sp, index, 1, &gpte) && !(gpte & GPTE_PRESENT);
}

/*
 * The guest's entries behind these have changed. A table that the guest has cut
 * off is most likely free: to go on tracking it would cost faults when it is used
 * for something else.
 */
static void drop_entries(struct umbra_mmu *mmu, struct umbra_shadow_page *sp,
			 const struct umbra_spte_range *range, struct list_head *orphans)
{
	unsigned int i;

	for (i = range->first; i <= range->last; i++) {
		u64 spte = sp->spt[i];

		if (!umbra_spte_present(fmt, spte))
			continue;
		umbra_shadow_drop(mmu, &sp->spt[i]);
		if (umbra_spte_leaf(spte))
			continue;
		mmu->stat.mmu_pde_zapped++;
		if (is_cut(mmu, sp, i))
			umbra_shadow_orphan(umbra_spte_page(umbra_table_va(spte)), orphans);
	}
}

static void track_written(struct umbra_mmu *mmu, gpa_t gpa, unsigned int len)
{
	gfn_t gfn = umbra_gpa_to_gfn(gpa);
	struct umbra_memslot *slot = umbra_gfn_to_slot(mmu, gfn);
	unsigned int first = gpa & (PAGE_SIZE - 1);
	struct umbra_shadow_page *sp, *next;
	struct umbra_spte_range range;
	LIST_HEAD(orphans);
	LIST_HEAD(dead);

	/* Pairs with the barrier in umbra_track_add(). */
	smp_mb();
	if (!slot || !umbra_tracked(slot, gfn))
		return;
	write_lock(&mmu->lock);
	mmu->stat.mmu_pte_write++;
	umbra_shadow_for_each_gfn(sp, next, mmu->shadow, gfn) {
		if (sp->unsync || !umbra_gpte_sptes(sp->role, first, first + len - 1, &range))
			continue;
		if (++sp->writes >= FLOOD_WRITES) {
			mmu->stat.mmu_flooded++;
			umbra_shadow_zap(mmu, sp, &dead);
		} else {
			drop_entries(mmu, sp, &range, &orphans);
		}
	}
	umbra_shadow_zap_orphans(mmu, &orphans, &dead);
	umbra_shadow_free_dead(mmu, &dead);
	write_unlock(&mmu->lock);
}

int umbra_mmu_guest_write(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *data,
			  unsigned int len)
{
	int ret = umbra_guest_write(vcpu->mmu, gpa, data, len);

	if (!ret && len)
		track_written(vcpu->mmu, gpa, len);
	return ret;
}

/*
 * Exchange @len bytes inside the aligned 8 bytes around them. The neighbours
 * may change meanwhile, which is not the guest's mismatch.
 */
static int cmpxchg_inside(struct umbra_mmu *mmu, gpa_t gpa, const void *old, const void *new,
			  unsigned int len)
{
	unsigned int shift = gpa % sizeof(u64), tries;
	u64 seen, next;
	int ret;

	ret = umbra_guest_read(mmu, gpa - shift, &seen, sizeof(seen));
	for (tries = 0; !ret && tries < 64; tries++) {
		if (memcmp((u8 *)&seen + shift, old, len))
			return -EAGAIN;
		next = seen;
		memcpy((u8 *)&next + shift, new, len);
		ret = umbra_guest_cmpxchg(mmu, gpa - shift, &seen, next, sizeof(seen));
		if (!ret)
			return 0;
		if (ret == -EAGAIN)
			ret = 0;
	}
	return ret ?: -EAGAIN;
}

/* An operand across 8-byte words. Not atomic: hardware would lock the bus. */
static int cmpxchg_split(struct umbra_mmu *mmu, gpa_t gpa, const void *old, const void *new,
			 unsigned int len)
{
	u8 seen[16];
	int ret;

	if (len > sizeof(seen))
		return -EFAULT;
	ret = umbra_guest_read(mmu, gpa, seen, len);
	if (ret)
		return ret;
	if (memcmp(seen, old, len))
		return -EAGAIN;
	return umbra_guest_write(mmu, gpa, new, len);
}

int umbra_mmu_guest_cmpxchg(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *old,
			    const void *new, unsigned int len)
{
	int ret;

	if (gpa % sizeof(u64) + len <= sizeof(u64))
		ret = cmpxchg_inside(vcpu->mmu, gpa, old, new, len);
	else
		ret = cmpxchg_split(vcpu->mmu, gpa, old, new, len);
	if (!ret)
		track_written(vcpu->mmu, gpa, len);
	return ret;
}
