// SPDX-License-Identifier: GPL-2.0
/*
 * Life of shadow pages: hash, creation, zapping. See shadow.h for the rules, and
 * reclaim.c for how many there may be.
 */
#include <linux/gfp.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "direct.h"
#include "large.h"
#include "leaf.h"
#include "root.h"
#include "shadow.h"
#include "slot.h"
#include "sync.h"
#include "tlb.h"
#include "track.h"

/* A guest may cut off all of its tables at once: others want mmu_lock, too. */
#define ORPHANS_MAX	16

static const struct umbra_format *const fmt = &umbra_format_shadow;

static struct hlist_head *bucket(struct umbra_shadow *shadow, gfn_t gfn)
{
	return &shadow->hash[umbra_shadow_hash(shadow, gfn)];
}

struct umbra_shadow_page *umbra_shadow_next(struct umbra_shadow *shadow, gfn_t gfn,
					    struct umbra_shadow_page *sp)
{
	struct hlist_node *node = sp ? sp->hash_link.next : bucket(shadow, gfn)->first;

	for (; node; node = node->next) {
		sp = hlist_entry(node, struct umbra_shadow_page, hash_link);
		if (sp->gfn == gfn && umbra_role_has_table(sp->role))
			return sp;
	}
	return NULL;
}

struct umbra_shadow_page *umbra_shadow_find(struct umbra_mmu *mmu, gfn_t gfn,
					    union umbra_role role)
{
	struct umbra_shadow *shadow = mmu->shadow;
	struct umbra_shadow_page *sp;

	lockdep_assert_held_write(&mmu->lock);
	hlist_for_each_entry(sp, bucket(shadow, gfn), hash_link) {
		if (sp->gfn != gfn || sp->role.word != role.word ||
		    sp->generation != shadow->generation)
			continue;
		list_move(&sp->link, &shadow->active);
		return sp;
	}
	return NULL;
}

struct umbra_shadow_page *umbra_shadow_get(struct umbra_mmu_vcpu *vcpu,
					   struct umbra_memslot *slot, gfn_t gfn,
					   union umbra_role role)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	struct umbra_shadow_page *sp = umbra_shadow_find(mmu, gfn, role);

	if (sp) {
		/* No CPU knows it from where it is going to be linked. */
		umbra_sync_tree(vcpu, sp);
		return sp;
	}
	sp = umbra_cache_pop(&vcpu->sp_cache);
	spin_lock_init(&sp->lock);
	sp->role = role;
	sp->gfn = gfn;
	sp->generation = mmu->shadow->generation;
	sp->spt = umbra_table_alloc(vcpu);
	memset64(sp->spt, fmt->none, TABLE_ENTRIES);
	umbra_table_set_owner(sp->spt, sp);
	if (role.level == 1 && !role.direct)
		sp->entry = umbra_cache_pop(&vcpu->table_cache);
	hlist_add_head(&sp->hash_link, bucket(mmu->shadow, gfn));
	list_add(&sp->link, &mmu->shadow->active);
	WRITE_ONCE(mmu->shadow->nr_pages, mmu->shadow->nr_pages + 1);
	mmu->stat.mmu_cache_miss++;
	if (slot && !role.direct)
		umbra_track_add(mmu, slot, gfn);
	return sp;
}

void umbra_shadow_link(struct umbra_mmu_vcpu *vcpu, u64 *sptep, struct umbra_shadow_page *child)
{
	struct umbra_shadow_page *sp = umbra_spte_page(sptep);
	hpa_t table = umbra_table_pa(child->spt);

	lockdep_assert_held_write(&vcpu->mmu->lock);
	if (umbra_rmap_count(&child->parents) >= RMAP_MAX)
		umbra_shadow_drop_all(vcpu->mmu, &child->parents);
	WARN_ON_ONCE(!umbra_rmap_add(vcpu, &child->parents, sptep, 0));
	sp->nr_present++;
	if (umbra_shadow_is_loose(child) && !umbra_unsync_linked(vcpu->mmu, sptep))
		umbra_unsync_shed(vcpu->mmu, child);
	/* What the table holds comes first. A PDPTE has no rights and no flags. */
	smp_store_release(sptep, sp->role.registers ? table | PT_PRESENT :
						      umbra_spte_link(fmt, table));
}

struct umbra_memslot *umbra_shadow_slot(struct umbra_mmu *mmu, gfn_t gfn)
{
	struct umbra_memslot *slot = umbra_gfn_to_slot(mmu, gfn);

	if (slot)
		return slot;
	slot = READ_ONCE(mmu->retiring);
	return slot && umbra_memslot_has(slot, gfn) ? slot : NULL;
}

static void drop_leaf(struct umbra_mmu *mmu, struct umbra_shadow_page *sp, u64 *sptep,
		      u64 spte)
{
	gfn_t gfn = umbra_shadow_leaf_gfn(sp, umbra_spte_index(sptep));
	struct umbra_memslot *slot = umbra_shadow_slot(mmu, gfn);

	if (umbra_leaf_withholds(sp, umbra_spte_index(sptep), spte))
		umbra_direct_release(mmu, sp);
	atomic64_dec(umbra_leaf_count(mmu, sp->role.level));
	if (WARN_ON_ONCE(!slot || !slot->rmap))
		return;
	WARN_ON_ONCE(!umbra_rmap_del(umbra_leaf_rmap(slot, gfn, sp->role.level), sptep));
}

void umbra_shadow_drop(struct umbra_mmu *mmu, u64 *sptep)
{
	struct umbra_shadow_page *sp = umbra_spte_page(sptep);
	u64 spte = umbra_spte_resumed(xchg(sptep, sp->role.registers ? SPTE_NONE : fmt->none));

	lockdep_assert_held_write(&mmu->lock);
	umbra_tlb_leftover(mmu);
	sp->nr_present--;
	if (umbra_spte_mmio(spte))
		return;
	if (umbra_spte_leaf(spte)) {
		drop_leaf(mmu, sp, sptep, spte);
	} else {
		struct umbra_shadow_page *child = umbra_spte_page(umbra_table_va(spte));

		if (__test_and_clear_bit(umbra_spte_index(sptep), sp->unsync_map))
			sp->unsync_links--;
		WARN_ON_ONCE(!umbra_rmap_del(&child->parents, sptep));
	}
}

bool umbra_shadow_drop_all(struct umbra_mmu *mmu, struct umbra_rmap_head *head)
{
	bool any = false;
	u64 *sptep;

	while ((sptep = umbra_rmap_first(head))) {
		umbra_shadow_drop(mmu, sptep);
		any = true;
	}
	return any;
}

static void free_sp(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	umbra_table_free(mmu, sp->spt);
	if (sp->entry)
		free_page((unsigned long)sp->entry);
	WRITE_ONCE(mmu->shadow->nr_pages, mmu->shadow->nr_pages - 1);
	kmem_cache_free(umbra_sp_slab, sp);
}

void umbra_shadow_zap(struct umbra_mmu *mmu, struct umbra_shadow_page *sp,
		      struct list_head *dead)
{
	unsigned int i;

	lockdep_assert_held_write(&mmu->lock);
	mmu->stat.mmu_shadow_zapped++;
	for (i = 0; i < TABLE_ENTRIES && sp->nr_present; i++)
		if (umbra_spte_present(fmt, READ_ONCE(sp->spt[i])))
			umbra_shadow_drop(mmu, &sp->spt[i]);
	umbra_shadow_drop_all(mmu, &sp->parents);
	hlist_del_init(&sp->hash_link);
	list_del_init(&sp->link);
	umbra_shadow_unmark_split(mmu, sp);
	if (sp->unsync) {
		list_del(&sp->unsync_link);
		mmu->stat.mmu_unsync--;
	} else if (umbra_role_has_table(sp->role)) {
		umbra_track_del(mmu, umbra_shadow_slot(mmu, sp->gfn), sp->gfn);
	}
	/* CPUs may hold links to the table that were dropped long ago. */
	umbra_tlb_leftover(mmu);
	sp->role.invalid = 1;
	umbra_root_invalidated(mmu, sp);
	if (!sp->root_count)
		list_add(&sp->link, dead);
}

void umbra_shadow_zap_direct(struct umbra_mmu *mmu, gfn_t gfn, struct list_head *dead)
{
	struct umbra_shadow_page *sp;
	struct hlist_node *next;

	lockdep_assert_held_write(&mmu->lock);
	hlist_for_each_entry_safe(sp, next, bucket(mmu->shadow, gfn), hash_link)
		if (sp->gfn == gfn && sp->role.direct && sp->role.level == 1)
			umbra_shadow_zap(mmu, sp, dead);
}

void umbra_shadow_orphan(struct umbra_shadow_page *sp, struct list_head *orphans)
{
	if (umbra_rmap_empty(&sp->parents) && !sp->root_count)
		list_move(&sp->link, orphans);
}

static void orphan_children(struct umbra_mmu *mmu, struct umbra_shadow_page *sp,
			    struct list_head *orphans)
{
	unsigned int i;

	for (i = 0; i < TABLE_ENTRIES && sp->nr_present; i++) {
		u64 spte = READ_ONCE(sp->spt[i]);

		if (!umbra_spte_present(fmt, spte))
			continue;
		umbra_shadow_drop(mmu, &sp->spt[i]);
		if (!umbra_spte_leaf(spte))
			umbra_shadow_orphan(umbra_spte_page(umbra_table_va(spte)), orphans);
	}
}

void umbra_shadow_zap_orphans(struct umbra_mmu *mmu, struct list_head *orphans,
			      struct list_head *dead)
{
	struct umbra_shadow_page *sp;
	unsigned int i;

	for (i = 0; i < ORPHANS_MAX && !list_empty(orphans); i++) {
		sp = list_first_entry(orphans, struct umbra_shadow_page, link);
		orphan_children(mmu, sp, orphans);
		umbra_shadow_zap(mmu, sp, dead);
	}
	list_splice_init(orphans, &mmu->shadow->active);
}

void umbra_shadow_free_root(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	free_sp(mmu, sp);
}

void umbra_shadow_free_dead(struct umbra_mmu *mmu, struct list_head *dead)
{
	struct umbra_shadow_page *sp, *tmp;

	if (list_empty(dead))
		return;
	umbra_mmu_flush(mmu);
	list_for_each_entry_safe(sp, tmp, dead, link)
		free_sp(mmu, sp);
	INIT_LIST_HEAD(dead);
}

struct umbra_shadow *umbra_shadow_create(void)
{
	struct umbra_shadow *shadow = kvzalloc(sizeof(*shadow), GFP_KERNEL_ACCOUNT);

	if (shadow) {
		INIT_LIST_HEAD(&shadow->active);
		INIT_LIST_HEAD(&shadow->withholders);
		INIT_LIST_HEAD(&shadow->nx_splits);
		INIT_LIST_HEAD(&shadow->unsync);
		shadow->hash_factor = get_random_u64() | 1;
		spin_lock_init(&shadow->withheld_lock);
	}
	return shadow;
}

/* All vCPUs are gone, and with them all roots. The slots may be gone too. */
void umbra_shadow_destroy(struct umbra_mmu *mmu)
{
	struct umbra_shadow_page *sp, *tmp;

	if (!mmu->shadow)
		return;
	list_for_each_entry_safe(sp, tmp, &mmu->shadow->active, link) {
		umbra_rmap_clear(&sp->parents);
		umbra_shadow_unmark_split(mmu, sp);
		free_sp(mmu, sp);
		cond_resched();
	}
	kvfree(mmu->shadow);
	mmu->shadow = NULL;
}
