// SPDX-License-Identifier: GPL-2.0
/*
 * Writes to guest memory on the guest's behalf, to its tables above all.
 *
 *	vCPU writes			another vCPU, in the guest
 *
 *	mmu_lock
 *	suspend the shadow entries	uses them, with what it had cached, or faults
 *	full barrier
 *	memory = new			reads memory: new; invalidates; faults
 *	drop, replace or resume the entries
 *	mmu_unlock			its fault goes on
 *
 * So who sees the new value does not find an entry made from the old one. Memory
 * that the host would have to bring in first is brought in without the lock.
 */
#include <linux/errno.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <umbra/hostmem.h>
#include "gpte.h"
#include "leaf.h"
#include "shadow.h"
#include "store.h"
#include "sync.h"
#include "track.h"
#include "walk.h"

/*
 * A table that is written so often without being used for a translation in
 * between is being filled, torn down or recycled: tracking it costs more than
 * building its shadow again.
 */
#define FLOOD_WRITES	3

/* How often the host may take the page away again before it has been written. */
#define MAX_TRIES	64

static const struct umbra_format *const fmt = &umbra_format_shadow;

/**
 * struct store - one write
 * @gpa: where; does not cross a page
 * @old: what has to be there, or NULL
 * @new: what to write
 * @len: bytes
 * @flags: accessed and dirty flags of a 4-byte entry
 */
struct store {
	gpa_t gpa;
	const void *old;
	const void *new;
	unsigned int len;
	bool flags;
};

/* The entries of a tracked table's shadow that a store concerns. False: none. */
static bool concerns(const struct umbra_shadow_page *sp, const struct store *s,
		     struct umbra_spte_range *range)
{
	unsigned int offset = s->gpa & (PAGE_SIZE - 1);

	/* Where they are flags they only add to what the guest granted. */
	if (sp->unsync || (s->flags && sp->role.short_gptes))
		return false;
	return umbra_gpte_sptes(sp->role, offset, offset + s->len - 1, range);
}

/*
 * Exchange @s->len bytes inside the aligned 8 bytes around them. The neighbours
 * may change meanwhile, which is not the guest's mismatch.
 */
static int exchange_inside(struct umbra_mmu_vcpu *vcpu, const struct store *s)
{
	unsigned int shift = s->gpa % sizeof(u64), tries;
	u64 seen, next;
	int ret;

	ret = umbra_guest_read_atomic(vcpu->mmu, s->gpa - shift, &seen, sizeof(seen));
	for (tries = 0; !ret && tries < 64; tries++) {
		if (memcmp((u8 *)&seen + shift, s->old, s->len))
			return -EAGAIN;
		next = seen;
		memcpy((u8 *)&next + shift, s->new, s->len);
		ret = umbra_guest_cmpxchg_atomic(vcpu, s->gpa - shift, &seen, next, sizeof(seen));
		if (!ret)
			return 0;
		if (ret == -EAGAIN)
			ret = 0;
	}
	return ret ?: -EAGAIN;
}

/* As the CPU does it: next to it may be what must not be touched. */
static int exchange_aligned(struct umbra_mmu_vcpu *vcpu, const struct store *s)
{
	u64 old = 0, new = 0;

	memcpy(&old, s->old, s->len);
	memcpy(&new, s->new, s->len);
	return umbra_guest_cmpxchg_atomic(vcpu, s->gpa, &old, new, s->len);
}

/* CMPXCHG16B. */
static int exchange_pair(struct umbra_mmu_vcpu *vcpu, const struct store *s)
{
	u64 old[2], new[2];

	memcpy(old, s->old, sizeof(old));
	memcpy(new, s->new, sizeof(new));
	return umbra_guest_cmpxchg16_atomic(vcpu, s->gpa, old, new);
}

/* An operand across 8-byte words. Not atomic: hardware would lock the bus. */
static int exchange_split(struct umbra_mmu_vcpu *vcpu, const struct store *s)
{
	u8 seen[16];
	int ret;

	if (s->len > sizeof(seen))
		return -EINVAL;
	ret = umbra_guest_read_atomic(vcpu->mmu, s->gpa, seen, s->len);
	if (ret)
		return ret;
	if (memcmp(seen, s->old, s->len))
		return -EAGAIN;
	return umbra_guest_write_atomic(vcpu, s->gpa, s->new, s->len);
}

/* Memory alone. Return: 0, -EAGAIN for another @s->old, -EFAULT when not at hand. */
static int store_memory(struct umbra_mmu_vcpu *vcpu, const struct store *s)
{
	if (!s->old)
		return umbra_guest_write_atomic(vcpu, s->gpa, s->new, s->len);
	if (is_power_of_2(s->len) && s->len <= sizeof(u64) && s->gpa % s->len == 0)
		return exchange_aligned(vcpu, s);
	if (s->gpa % sizeof(u64) + s->len <= sizeof(u64))
		return exchange_inside(vcpu, s);
	if (s->len == 2 * sizeof(u64) && s->gpa % s->len == 0)
		return exchange_pair(vcpu, s);
	return exchange_split(vcpu, s);
}

/* Was the entry that was last written to used since? Only level 1 tells. */
static void look_for_use(struct umbra_shadow_page *sp)
{
	u64 spte = READ_ONCE(sp->spt[sp->stored]);

	if (sp->role.level == 1 && umbra_spte_present(fmt, spte) && (spte & fmt->accessed))
		sp->writes = 0;
}

bool umbra_store_pays(struct umbra_mmu_vcpu *vcpu, gfn_t gfn)
{
	struct umbra_shadow_page *sp, *next;

	lockdep_assert_held_write(&vcpu->mmu->lock);
	if (!(vcpu->direct & UMBRA_DIRECT_USER))
		return false;
	umbra_shadow_for_each_gfn(sp, next, vcpu->mmu->shadow, gfn) {
		look_for_use(sp);
		if (!sp->user || sp->writes >= FLOOD_WRITES - 1)
			return false;
	}
	return true;
}

/* The guest's entry no longer leads anywhere. */
static bool is_cut(struct umbra_mmu *mmu, const struct umbra_shadow_page *sp, unsigned int index)
{
	u64 gpte;

	return !umbra_gpte_read(mmu, sp, index, 1, &gpte) && !(gpte & GPTE_PRESENT);
}

/* Does what has gone stand for a page that the guest has as one and CPUs as several? */
static bool was_fragmented(const struct umbra_shadow_page *sp, u64 spte)
{
	if (umbra_spte_leaf(spte))
		return sp->role.short_gptes;
	return umbra_spte_child(spte)->role.direct;
}

/*
 * The guest's entry has changed. A table that the guest has cut off is most likely
 * free: to go on tracking it would cost faults when it is used for something else.
 */
static void drop_entry(struct umbra_mmu *mmu, struct umbra_shadow_page *sp, unsigned int i,
		       struct list_head *orphans)
{
	u64 spte = umbra_spte_resumed(READ_ONCE(sp->spt[i]));

	umbra_shadow_drop(mmu, &sp->spt[i]);
	/* The guest's INVLPG names one address of it. */
	if (was_fragmented(sp, spte))
		umbra_mmu_flush(mmu);
	if (umbra_spte_leaf(spte))
		return;
	mmu->stat.mmu_pde_zapped++;
	if (is_cut(mmu, sp, i))
		umbra_shadow_orphan(umbra_spte_page(umbra_table_va(spte)), orphans);
}

/* Keep CPUs from using what is about to become old. */
static void suspend(struct umbra_mmu *mmu, const struct store *s, struct list_head *dead)
{
	struct umbra_shadow_page *sp, *next;
	struct umbra_spte_range range;
	unsigned int i;

	umbra_shadow_for_each_gfn(sp, next, mmu->shadow, umbra_gpa_to_gfn(s->gpa)) {
		if (!concerns(sp, s, &range))
			continue;
		look_for_use(sp);
		if (++sp->writes >= FLOOD_WRITES) {
			mmu->stat.mmu_flooded++;
			umbra_shadow_zap(mmu, sp, dead);
			continue;
		}
		sp->stored = range.first;
		for (i = range.first; i <= range.last; i++) {
			if (umbra_spte_present(fmt, READ_ONCE(sp->spt[i])))
				umbra_spte_suspend(&sp->spt[i]);
			else
				WRITE_ONCE(sp->spt[i], fmt->none);
		}
	}
	/* Before memory changes. */
	smp_mb();
}

/* Would @vcpu's walks understand the entries as @sp's maker did? */
static bool same_format(const struct umbra_mmu_vcpu *vcpu, const struct umbra_shadow_page *sp)
{
	union umbra_role role = { .word = vcpu->role };

	role.level = sp->role.level;
	role.access = sp->role.access;
	role.registers = 0;
	role.quadrant = sp->role.quadrant;
	return vcpu->family == UMBRA_FAMILY_SHADOW && role.word == sp->role.word;
}

/* The guest's entry after the store, unless it cannot be read. */
static bool read_entry(struct umbra_mmu *mmu, const struct umbra_shadow_page *sp,
		       const struct store *s, unsigned int index, u64 *gpte)
{
	/* One whole entry: it is what was written. */
	if (!s->old && s->len == sizeof(u64) && s->gpa % sizeof(u64) == 0 &&
	    !sp->role.short_gptes) {
		memcpy(gpte, s->new, sizeof(*gpte));
		return true;
	}
	return !umbra_gpte_read(mmu, sp, index, 1, gpte);
}

/* The same or another guest entry is there now. @changed: it was written to. */
static void settle_leaves(struct umbra_mmu_vcpu *vcpu, struct umbra_shadow_page *sp,
			  const struct store *s, const struct umbra_spte_range *range, bool changed)
{
	u64 reserved = umbra_gpte_always_reserved(vcpu);
	struct umbra_fill f UMBRA_SCRATCH;
	unsigned int i;
	u64 gpte;

	umbra_fill_init(&f, vcpu, sp, false);
	f.fresh = true;
	for (i = range->first; i <= range->last; i++) {
		if (changed && same_format(vcpu, sp) && read_entry(vcpu->mmu, sp, s, i, &gpte))
			umbra_sync_entry(&f, i, gpte, reserved);
		else if (!umbra_spte_suspended(READ_ONCE(sp->spt[i])))
			continue;
		else if (changed)
			umbra_shadow_drop(vcpu->mmu, &sp->spt[i]);
		else
			umbra_spte_resume(&sp->spt[i]);
	}
	umbra_fill_flush(&f);
}

/* @changed: memory has been written to. */
static void settle_links(struct umbra_mmu *mmu, struct umbra_shadow_page *sp,
			 const struct umbra_spte_range *range, bool changed,
			 struct list_head *orphans)
{
	unsigned int i;

	for (i = range->first; i <= range->last; i++) {
		if (!umbra_spte_suspended(READ_ONCE(sp->spt[i])))
			continue;
		if (changed)
			drop_entry(mmu, sp, i, orphans);
		else
			umbra_spte_resume(&sp->spt[i]);
	}
}

static void settle(struct umbra_mmu_vcpu *vcpu, const struct store *s, bool changed,
		   struct list_head *orphans)
{
	struct umbra_shadow_page *sp, *next;
	struct umbra_spte_range range;

	umbra_shadow_for_each_gfn(sp, next, vcpu->mmu->shadow, umbra_gpa_to_gfn(s->gpa)) {
		if (!concerns(sp, s, &range))
			continue;
		if (sp->role.level == 1)
			settle_leaves(vcpu, sp, s, &range, changed);
		else
			settle_links(vcpu->mmu, sp, &range, changed, orphans);
	}
}

static int store_locked(struct umbra_mmu_vcpu *vcpu, const struct store *s)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	gfn_t gfn = umbra_gpa_to_gfn(s->gpa);
	struct umbra_memslot *slot = umbra_gfn_to_slot(mmu, gfn);
	LIST_HEAD(orphans);
	LIST_HEAD(dead);
	int ret;

	lockdep_assert_held_write(&mmu->lock);
	if (!slot || !umbra_tracked(slot, gfn))
		return store_memory(vcpu, s);
	mmu->stat.mmu_pte_write++;
	suspend(mmu, s, &dead);
	ret = store_memory(vcpu, s);
	settle(vcpu, s, !ret, &orphans);
	umbra_shadow_zap_orphans(mmu, &orphans, &dead);
	umbra_shadow_free_dead(mmu, &dead);
	return ret;
}

/* Have the host bring in the page behind @gpa for writing. */
static int bring_in(struct umbra_mmu *mmu, gpa_t gpa)
{
	struct umbra_memslot *slot = umbra_gfn_to_slot(mmu, umbra_gpa_to_gfn(gpa));
	struct umbra_hostpage hp;
	int ret;

	if (!slot)
		return -EFAULT;
	ret = umbra_hostpage_get(slot, umbra_gpa_to_gfn(gpa), true, &hp);
	if (!ret)
		umbra_hostpage_put(&hp, false);
	return ret;
}

static int store(struct umbra_mmu_vcpu *vcpu, const struct store *s)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	unsigned int tries;
	int ret;

	/* What replaces the entry may need it; if not, a fault will do. */
	if (mmu->shadow)
		umbra_cache_topup(vcpu, UMBRA_FAMILY_SHADOW);
	for (tries = 0; tries < MAX_TRIES; tries++) {
		write_lock(&mmu->lock);
		ret = store_locked(vcpu, s);
		write_unlock(&mmu->lock);
		if (ret != -EFAULT)
			return ret;
		ret = bring_in(mmu, s->gpa);
		if (ret)
			return ret;
	}
	return -EFAULT;
}

static unsigned int room_in_page(gpa_t gpa)
{
	return PAGE_SIZE - (gpa & (PAGE_SIZE - 1));
}

/* Nothing, or what guest or user space has placed across pages. */
static int write_parts(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *data, unsigned int len)
{
	unsigned int part;
	int ret = 0;

	for (; len && !ret; gpa += part, data += part, len -= part) {
		part = min(len, room_in_page(gpa));
		ret = umbra_mmu_guest_write(vcpu, gpa, data, part);
	}
	return ret;
}

int umbra_mmu_guest_write(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *data,
			  unsigned int len)
{
	const struct store s = { .gpa = gpa, .new = data, .len = len };

	if (unlikely(len - 1 >= room_in_page(gpa)))
		return write_parts(vcpu, gpa, data, len);
	/* Without the shadow family nothing depends on what memory holds. */
	if (!vcpu->mmu->shadow)
		return umbra_guest_write(vcpu, gpa, data, len);
	return store(vcpu, &s);
}

int umbra_mmu_guest_cmpxchg(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *old,
			    const void *new, unsigned int len)
{
	const struct store s = { .gpa = gpa, .old = old, .new = new, .len = len };

	return store(vcpu, &s);
}

int umbra_store_flags(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, u64 *old, u64 new,
		      unsigned int len)
{
	const struct store s = { .gpa = gpa, .old = old, .new = &new, .len = len, .flags = true };

	if (gpa % sizeof(u64) == 0 || !vcpu->mmu->shadow)
		return umbra_guest_cmpxchg(vcpu, gpa, old, new, len);
	return store(vcpu, &s);
}
