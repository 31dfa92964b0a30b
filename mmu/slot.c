// SPDX-License-Identifier: GPL-2.0
/*
 * What mmu/ keeps per slot, and operations on whole slots, in both families.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "ept.h"
#include "large.h"
#include "shadow.h"
#include "slot.h"
#include "tlb.h"
#include "track.h"

/* Frames and entries that are worked on before others may have mmu_lock. */
#define CHUNK	512

/* Frames whose arrays are looked through before others may have the CPU. */
#define FREE_CHUNK	65536

static struct umbra_memslots *published(struct umbra_mmu *mmu)
{
	/* Guarded by srcu or by slots_lock, which mmu/ cannot name. */
	return rcu_dereference_raw(mmu->memslots);
}

u64 umbra_slots_pages(struct umbra_mmu *mmu)
{
	const struct umbra_memslots *slots = published(mmu);

	return slots ? slots->npages : 0;
}

bool umbra_slot_fits(const struct umbra_memslot *slot, gfn_t gfn, unsigned int level)
{
	gfn_t first = umbra_level_base(gfn, level);
	u64 frames = umbra_level_frames(level);

	if (((slot->hva >> UMBRA_PAGE_SHIFT) ^ slot->base_gfn) & (frames - 1))
		return false;
	return first >= slot->base_gfn && first + frames <= slot->base_gfn + slot->npages;
}

static void *alloc_array(unsigned long nr, size_t size)
{
	/* User space may ask for more than there is: that is no news for the log. */
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;

	/* Small slots come by the thousand: not a mapping of the kernel's for each. */
	if (nr <= PAGE_SIZE / size)
		return kcalloc(nr, size, gfp);
	return __vcalloc(nr, size, gfp);
}

static int alloc_arrays(struct umbra_mmu *mmu, struct umbra_memslot *slot)
{
	struct umbra_rmap_head *rmap = alloc_array(slot->npages, sizeof(*rmap));
	u16 *track = alloc_array(slot->npages, sizeof(*track));
	struct umbra_large *large = alloc_array(umbra_large_blocks(slot), sizeof(*large));

	if (!rmap || !track || !large) {
		kvfree(rmap);
		kvfree(track);
		kvfree(large);
		return -ENOMEM;
	}
	/* A published slot may be looked at: whoever has the lock finds all three, or none. */
	write_lock(&mmu->lock);
	slot->rmap = rmap;
	slot->large = large;
	/* Lockless readers look at @track only, and want it zeroed. */
	smp_store_release(&slot->track, track);
	write_unlock(&mmu->lock);
	return 0;
}

int umbra_mmu_slot_alloc(struct umbra_mmu *mmu, struct umbra_memslot *slot)
{
	if (mmu->policy != UMBRA_POLICY_SHADOW)
		return 0;
	return alloc_arrays(mmu, slot);
}

void umbra_mmu_slot_free(struct umbra_memslot *slot)
{
	unsigned long i;

	if (!slot->rmap)
		return;
	/* Chains are left only when the whole VM goes. */
	for (i = 0; i < slot->npages; i++) {
		if (slot->rmap[i].val)
			umbra_rmap_clear(&slot->rmap[i]);
		if (i % FREE_CHUNK == 0)
			cond_resched();
	}
	for (i = 0; i < umbra_large_blocks(slot); i++)
		umbra_rmap_clear(&slot->large[i].rmap);
	kvfree(slot->rmap);
	kvfree(slot->track);
	kvfree(slot->large);
	slot->rmap = NULL;
	slot->track = NULL;
	slot->large = NULL;
}

int umbra_mmu_slots_prepare(struct umbra_mmu *mmu)
{
	struct umbra_shadow *shadow;
	struct umbra_memslot *slot;
	int ret;

	if (mmu->policy != UMBRA_POLICY_SHADOW)
		return 0;
	umbra_memslots_for_each(slot, published(mmu)) {
		if (slot->rmap)
			continue;
		ret = alloc_arrays(mmu, slot);
		if (ret)
			return ret;
	}
	if (mmu->shadow)
		return 0;
	shadow = umbra_shadow_create();
	/* Who counts its pages without a lock finds a list of none. */
	smp_store_release(&mmu->shadow, shadow);
	return shadow ? 0 : -ENOMEM;
}

void umbra_mmu_slot_retire(struct umbra_mmu *mmu, struct umbra_memslot *slot)
{
	write_lock(&mmu->lock);
	WRITE_ONCE(mmu->retiring, slot);
	write_unlock(&mmu->lock);
}

/* Return: how much there was to do, in entries. */
static unsigned int zap_shadow_gfn(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn,
				   struct list_head *dead)
{
	unsigned int work = 1 + umbra_rmap_count(umbra_slot_rmap(slot, gfn));

	/* Those that are unsync do not show in slot->track. */
	if (mmu->shadow && umbra_track_zap(mmu, gfn, dead))
		work += TABLE_ENTRIES;
	umbra_shadow_drop_all(mmu, umbra_slot_rmap(slot, gfn));
	/* With the first frame of each block. */
	if (gfn == slot->base_gfn || gfn % LARGE_FRAMES == 0) {
		work += umbra_rmap_count(&umbra_slot_large(slot, gfn)->rmap);
		umbra_large_drop(mmu, slot, gfn, gfn + 1);
	}
	return work;
}

void umbra_mmu_zap_gfns(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start,
			gfn_t end)
{
	struct umbra_table_list tables = { };
	unsigned int work = 0;
	LIST_HEAD(dead);
	gfn_t gfn;

	write_lock(&mmu->lock);
	for (gfn = start; slot->rmap && gfn < end; gfn++) {
		work += zap_shadow_gfn(mmu, slot, gfn, &dead);
		if (work < CHUNK)
			continue;
		cond_resched_rwlock_write(&mmu->lock);
		work = 0;
	}
	umbra_ept_zap_tables(mmu, start, end, &tables);
	/* The notifier stops looking at the slot below: nothing may be left of it. */
	umbra_mmu_flush(mmu);
	umbra_shadow_free_dead(mmu, &dead);
	if (mmu->retiring == slot)
		WRITE_ONCE(mmu->retiring, NULL);
	/* With less memory there may be fewer pages. */
	if (mmu->shadow)
		mmu->shadow->limit = 0;
	write_unlock(&mmu->lock);
	umbra_ept_free_dead(mmu, &tables);
}
