// SPDX-License-Identifier: GPL-2.0
/*
 * How many shadow pages there are: a VM's limit, memory that the host wants back,
 * and generations of pages that have become obsolete together.
 *
 *	active:	  newest ------------------------------------> oldest
 *		  [ new, found again, recalled ]	[ looked at ][ obsolete ]
 *
 * Reclaiming begins with the oldest. A page that a CPU has walked through since it
 * was last looked at is recalled: the CPU says so by the accessed flags of the links
 * to it. That goes for so many pages at a time; then the oldest go, used or not.
 * Roots that a vCPU holds stay.
 *
 * A fault makes room for all that it may need before it builds anything, so it
 * never takes away what it has just built. Each vCPU has room for what one
 * instruction needs, so that vCPUs which take each other's pages still get on.
 *
 * To zap all pages begins a new generation: older pages are found no more. Roots go
 * at once, the rest, which only they led to, a few at a time.
 */
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include "root.h"
#include "shadow.h"
#include "slot.h"

/* One page for so many of the VM's own, if nobody asks for another number. */
#define SHADOW_RATIO		50

/*
 * An instruction uses at most seven pages, of which each needs three tables below
 * the root: two of code, two of each operand in memory, a descriptor.
 */
#define SHADOW_VCPU_PAGES	24

/* Pages are zapped so many at a time, */
#define SHADOW_BATCH		8

/* and to find them so many for each are looked at. */
#define SHADOW_LOOKS		4

static const struct umbra_format *const fmt = &umbra_format_shadow;

/* VMs that have an MMU. */
static DEFINE_MUTEX(mmus_lock);
static LIST_HEAD(mmus);

/* Has a CPU walked through a link to @sp since it was last asked? */
static bool recently_used(struct umbra_shadow_page *sp)
{
	struct umbra_rmap_iter it;
	bool used = false;
	u64 *sptep;

	umbra_rmap_for_each(sptep, &it, &sp->parents) {
		/* PDPTEs have no such flag. */
		used |= umbra_spte_page(sptep)->role.registers;
		used |= umbra_spte_clear(sptep, fmt->accessed, fmt->accessed);
	}
	return used;
}

static struct umbra_shadow_page *oldest(struct umbra_shadow *shadow)
{
	return list_last_entry(&shadow->active, struct umbra_shadow_page, link);
}

static bool obsolete(const struct umbra_mmu *mmu, const struct umbra_shadow_page *sp)
{
	return sp->generation != mmu->shadow->generation;
}

/* Zap up to @nr pages. Return: how many. Context: mmu_lock held for write. */
static unsigned long reclaim(struct umbra_mmu *mmu, unsigned long nr)
{
	struct umbra_shadow *shadow = mmu->shadow;
	unsigned long looks = SHADOW_LOOKS * nr, left = shadow->nr_pages + looks, zapped = 0;
	struct umbra_shadow_page *sp;
	LIST_HEAD(dead);

	lockdep_assert_held_write(&mmu->lock);
	for (; zapped < nr && left && !list_empty(&shadow->active); left--) {
		sp = oldest(shadow);
		if (sp->root_count || (looks && !obsolete(mmu, sp) && recently_used(sp))) {
			list_move(&sp->link, &shadow->active);
			looks -= !!looks;
			continue;
		}
		umbra_shadow_zap(mmu, sp, &dead);
		zapped++;
	}
	mmu->stat.mmu_recycled += zapped;
	umbra_shadow_free_dead(mmu, &dead);
	return zapped;
}

unsigned long umbra_mmu_page_limit(struct umbra_mmu *mmu)
{
	if (mmu->page_limit)
		return mmu->page_limit;
	return max_t(unsigned long, UMBRA_MIN_SHADOW_PAGES, umbra_slots_pages(mmu) / SHADOW_RATIO);
}

static unsigned long compute_limit(struct umbra_mmu *mmu)
{
	return max_t(unsigned long, umbra_mmu_page_limit(mmu), mmu->nr_vcpus * SHADOW_VCPU_PAGES);
}

/* Is there room for one fault's pages? */
static bool has_room(const struct umbra_shadow *shadow)
{
	return shadow->nr_pages + CACHE_SPS <= shadow->limit;
}

void umbra_shadow_make_room(struct umbra_mmu *mmu)
{
	struct umbra_shadow *shadow = mmu->shadow;

	if (likely(has_room(shadow)))
		return;
	/* Slots or vCPUs may have come. */
	shadow->limit = compute_limit(mmu);
	if (!has_room(shadow))
		reclaim(mmu, SHADOW_BATCH);
}

void umbra_mmu_set_page_limit(struct umbra_mmu *mmu, unsigned long nr)
{
	struct umbra_shadow *shadow = mmu->shadow;

	write_lock(&mmu->lock);
	mmu->page_limit = nr;
	if (shadow) {
		shadow->limit = compute_limit(mmu);
		while (shadow->nr_pages > shadow->limit && reclaim(mmu, SHADOW_BATCH))
			cond_resched_rwlock_write(&mmu->lock);
	}
	write_unlock(&mmu->lock);
}

/* ---- generations ---- */

static void zap_root(struct umbra_mmu *mmu, struct umbra_shadow_page *sp, struct list_head *dead)
{
	if (sp && !sp->role.invalid)
		umbra_shadow_zap(mmu, sp, dead);
}

/* Nothing else leads CPUs to a page. */
static void zap_roots(struct umbra_mmu *mmu, struct list_head *dead)
{
	unsigned int i, j;

	for (i = 0; i < mmu->nr_vcpus; i++) {
		struct umbra_mmu_vcpu *vcpu = mmu->vcpus[i];

		if (vcpu->pae_root)
			umbra_pae_root_clear(vcpu);
		if (vcpu->shadow_root != vcpu->pae_root)
			zap_root(mmu, vcpu->shadow_root, dead);
		for (j = 0; j < UMBRA_PREV_ROOTS; j++)
			zap_root(mmu, vcpu->prev_root[j], dead);
	}
}

/* Some of the obsolete pages. Return: whether there may be more. */
static bool zap_some(struct umbra_mmu *mmu)
{
	struct umbra_shadow_page *sp;
	unsigned int i;
	LIST_HEAD(dead);

	for (i = 0; i < SHADOW_BATCH && !list_empty(&mmu->shadow->active); i++) {
		sp = oldest(mmu->shadow);
		if (!obsolete(mmu, sp))
			break;
		umbra_shadow_zap(mmu, sp, &dead);
	}
	umbra_shadow_free_dead(mmu, &dead);
	return i == SHADOW_BATCH;
}

void umbra_shadow_zap_all(struct umbra_mmu *mmu)
{
	LIST_HEAD(dead);
	int idx;

	if (!mmu->shadow)
		return;
	idx = srcu_read_lock(&mmu->srcu);
	write_lock(&mmu->lock);
	mmu->shadow->generation++;
	zap_roots(mmu, &dead);
	umbra_shadow_free_dead(mmu, &dead);
	umbra_mmu_flush(mmu);
	while (zap_some(mmu))
		cond_resched_rwlock_write(&mmu->lock);
	write_unlock(&mmu->lock);
	srcu_read_unlock(&mmu->srcu, idx);
}

/* ---- memory that the host wants back ---- */

void umbra_reclaim_join(struct umbra_mmu *mmu)
{
	mutex_lock(&mmus_lock);
	list_add_tail(&mmu->reclaim_link, &mmus);
	mutex_unlock(&mmus_lock);
}

void umbra_reclaim_leave(struct umbra_mmu *mmu)
{
	mutex_lock(&mmus_lock);
	list_del(&mmu->reclaim_link);
	mutex_unlock(&mmus_lock);
}

static unsigned long nr_pages(const struct umbra_mmu *mmu)
{
	/* Pairs with the release in umbra_mmu_slots_prepare(). */
	const struct umbra_shadow *shadow = smp_load_acquire(&mmu->shadow);

	return shadow ? READ_ONCE(shadow->nr_pages) : 0;
}

/* Context: mmus_lock held. */
static unsigned long count_all(void)
{
	const struct umbra_mmu *mmu;
	unsigned long nr = 0;

	list_for_each_entry(mmu, &mmus, reclaim_link)
		nr += nr_pages(mmu);
	return nr;
}

unsigned long umbra_mmu_shrink_count(void)
{
	unsigned long nr;

	if (!mutex_trylock(&mmus_lock))
		return 0;
	nr = count_all();
	mutex_unlock(&mmus_lock);
	return nr;
}

/* A VM whose lock is not free at once is at work; another time. */
static unsigned long shrink(struct umbra_mmu *mmu, unsigned long nr)
{
	unsigned long freed = 0, some = SHADOW_BATCH;
	int idx = srcu_read_lock(&mmu->srcu);

	while (freed < nr && some == SHADOW_BATCH && write_trylock(&mmu->lock)) {
		some = reclaim(mmu, min_t(unsigned long, nr - freed, SHADOW_BATCH));
		freed += some;
		write_unlock(&mmu->lock);
	}
	srcu_read_unlock(&mmu->srcu, idx);
	return freed;
}

unsigned long umbra_mmu_shrink(unsigned long nr)
{
	unsigned long total, done = 0, freed = 0;
	struct umbra_mmu *mmu, *next;
	LIST_HEAD(served);

	if (!mutex_trylock(&mmus_lock))
		return 0;
	total = count_all();
	list_for_each_entry_safe(mmu, next, &mmus, reclaim_link) {
		unsigned long share = total ? nr * nr_pages(mmu) / total + 1 : 0;

		if (done >= nr)
			break;
		share = min(share, nr - done);
		if (nr_pages(mmu))
			freed += shrink(mmu, share);
		done += share;
		list_move_tail(&mmu->reclaim_link, &served);
	}
	/* Those that were not reached are first next time. */
	list_splice_tail_init(&served, &mmus);
	mutex_unlock(&mmus_lock);
	return freed;
}
