// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor, see audit.h: shadow pages.
 *
 * Each spte has to be in its rmap, or in the parents of the page that it links
 * to, and in all of these together there have to be as many as there are sptes.
 * Then none of them leads to something that is gone, and none had to be followed
 * to find that out.
 */
#include <linux/mm.h>
#include "audit.h"
#include "direct.h"
#include "leaf.h"
#include "rmap.h"
#include "shadow.h"
#include "walk.h"

static const struct umbra_format *const fmt = &umbra_format_shadow;

#define found(a, sp, format, ...)						\
	umbra_audit_found(a, "shadow of gfn %llx, role %x: " format,		\
			  (sp)->gfn, (sp)->role.word, ##__VA_ARGS__)

static bool contains(const struct umbra_rmap_head *head, const u64 *sptep)
{
	struct umbra_rmap_iter it;
	u64 *member;

	umbra_rmap_for_each(member, &it, head)
		if (member == sptep)
			return true;
	return false;
}

/* ---- entries ---- */

static void audit_rights(struct umbra_auditor *a, const struct umbra_shadow_page *sp,
			 unsigned int index, u64 spte)
{
	u32 access = umbra_shadow_access(sp, index);
	/* By the supervisor, with CR0.WP = 0. */
	bool lifted = !sp->role.wp && !(spte & PT_USER);
	bool write = spte & PT_WRITE;

	if (access & WALK_ACC_ALL & ~sp->role.access)
		found(a, sp, "entry %u has rights %x", index, access);
	if ((spte & PT_USER) && !(access & WALK_ACC_USER))
		found(a, sp, "spte %u, %llx: users are not let in", index, spte);
	if (!(spte & PT_NX) && !(access & WALK_ACC_EXEC))
		found(a, sp, "spte %u, %llx: nobody may execute", index, spte);
	if (write && !(access & WALK_ACC_WRITE) && !lifted)
		found(a, sp, "spte %u, %llx: nobody may write", index, spte);
	if ((spte & PT_KEY) != umbra_leaf_key(access))
		found(a, sp, "spte %u, %llx, has another key", index, spte);
	if (write && (!(spte & PT_DIRTY) || sp->role.clean))
		found(a, sp, "spte %u, %llx: writable and not dirty", index, spte);
}

static void audit_leaf(struct umbra_auditor *a, const struct umbra_shadow_page *sp,
		       unsigned int index, u64 spte)
{
	gfn_t gfn = umbra_shadow_leaf_gfn(sp, index);
	const struct umbra_memslot *slot = umbra_shadow_slot(a->mmu, gfn);
	bool large = sp->role.level > 1;

	a->rmapped++;
	umbra_audit_leaf(a, "shadow", gfn, sp->role.level, spte & PT_WRITE, true);
	audit_rights(a, sp, index, spte);
	if (!!(spte & PT_LARGE) != large ||
	    umbra_spte_pfn(spte) & (umbra_level_frames(sp->role.level) - 1))
		found(a, sp, "spte %u, %llx, is of another size", index, spte);
	if (slot && !(slot->rmap && contains(umbra_leaf_rmap(slot, gfn, sp->role.level),
					     &sp->spt[index])))
		found(a, sp, "spte %u is not in the rmap of gfn %llx", index, gfn);
}

static void audit_mmio(struct umbra_auditor *a, const struct umbra_shadow_page *sp,
		       unsigned int index, u64 spte)
{
	u32 access = sp->role.direct ? sp->role.access : sp->entry[index];

	umbra_audit_mmio(a, "shadow", umbra_shadow_leaf_gfn(sp, index), spte);
	if (!sp->has_mmio)
		found(a, sp, "spte %u, %llx, is for MMIO", index, spte);
	if (((spte & PT_USER) && !(access & WALK_ACC_USER)) ||
	    ((spte & PT_WRITE) && !(access & WALK_ACC_WRITE)))
		found(a, sp, "spte %u, %llx: too many rights for MMIO", index, spte);
}

static void audit_link(struct umbra_auditor *a, const struct umbra_shadow_page *sp,
		       unsigned int index, u64 spte)
{
	/* A PDPTE has no rights and no flags. */
	u64 bits = sp->role.registers ? PT_PRESENT : fmt->link;
	/* Reclaiming clears the accessed flag, CPUs set it. */
	u64 flags = sp->role.registers ? 0 : PT_DIRTY | fmt->accessed;
	const struct umbra_shadow_page *child;

	a->out->entries++;
	a->links++;
	if ((spte & ~(SPTE_ADDR | flags)) != (bits & ~flags) || !pfn_valid(umbra_spte_pfn(spte))) {
		found(a, sp, "spte %u, %llx, is no link", index, spte);
		return;
	}
	child = umbra_spte_page(umbra_table_va(spte));
	if (!child || child->spt != umbra_table_va(spte)) {
		found(a, sp, "spte %u, %llx, links to no shadow page", index, spte);
		return;
	}
	if (child->role.level + 1 != sp->role.level || child->role.invalid)
		found(a, sp, "spte %u links to role %x", index, child->role.word);
	if (child->generation != a->mmu->shadow->generation &&
	    (sp->role.registers || sp->generation == a->mmu->shadow->generation))
		found(a, sp, "spte %u links to an obsolete page", index);
	if (!contains(&child->parents, &sp->spt[index]))
		found(a, sp, "spte %u is not among the parents of gfn %llx", index, child->gfn);
	if (umbra_shadow_is_loose(child) && !test_bit(index, sp->unsync_map))
		found(a, sp, "spte %u leads to an unsync page and has no mark", index);
}

static void audit_entries(struct umbra_auditor *a, const struct umbra_shadow_page *sp)
{
	unsigned int i, present = 0, marks = 0, withheld = 0;

	for (i = 0; i < TABLE_ENTRIES; i++) {
		u64 spte = READ_ONCE(sp->spt[i]);
		bool mark = test_bit(i, sp->unsync_map);

		marks += mark;
		if (!umbra_spte_present(fmt, spte)) {
			if (mark)
				found(a, sp, "spte %u is marked and leads nowhere", i);
			if (fmt->absent && spte == SPTE_NONE && !sp->role.registers &&
			    (!sp->holes || sp->unsync))
				found(a, sp, "spte %u is a hole", i);
			continue;
		}
		present++;
		withheld += umbra_leaf_withholds(sp, i, spte);
		if (umbra_spte_mmio(spte))
			audit_mmio(a, sp, i, spte);
		else if (umbra_spte_leaf(spte))
			audit_leaf(a, sp, i, spte);
		else
			audit_link(a, sp, i, spte);
	}
	if (withheld != sp->withheld)
		found(a, sp, "%u sptes that withhold counted, %u there", sp->withheld, withheld);
	a->withheld += withheld;
	if (present != sp->nr_present)
		found(a, sp, "%u sptes counted, %u there", sp->nr_present, present);
	if (marks != sp->unsync_links)
		found(a, sp, "%u marks counted, %u there", sp->unsync_links, marks);
}

/* ---- pages ---- */

static unsigned int roots_to(const struct umbra_mmu_vcpu *vcpu, const void *sp)
{
	unsigned int i, n = vcpu->shadow_root == sp;

	for (i = 0; i < UMBRA_PREV_ROOTS; i++)
		n += vcpu->prev_root[i] == sp;
	return n;
}

static unsigned int count_roots(const struct umbra_mmu *mmu, const struct umbra_shadow_page *sp)
{
	unsigned int i, n = 0;

	for (i = 0; i < mmu->nr_vcpus; i++)
		n += roots_to(mmu->vcpus[i], sp);
	return n;
}

/* Level 2 has them only when there was a large leaf. */
static bool may_have_entries(const struct umbra_shadow_page *sp)
{
	if (sp->role.direct || sp->role.level > LARGE_LEVEL)
		return !sp->entry;
	return sp->entry || sp->role.level == LARGE_LEVEL;
}

static void audit_page(struct umbra_auditor *a, const struct umbra_shadow_page *sp)
{
	a->linked += umbra_rmap_count(&sp->parents);
	a->nx_splits += sp->nx_split;
	if (sp->nx_split && (!sp->role.direct || sp->role.level > 1))
		found(a, sp, "stands in for no large leaf");
	if (umbra_table_owner(sp->spt) != sp)
		found(a, sp, "the table is another's");
	if (!umbra_rmap_valid(&sp->parents))
		found(a, sp, "the parents are no tree");
	if (!may_have_entries(sp))
		found(a, sp, "has %s", sp->entry ? "entries" : "no entries");
	else
		audit_entries(a, sp);
}

/* One that all vCPUs share. */
static void audit_shared(struct umbra_auditor *a, const struct umbra_shadow_page *sp)
{
	unsigned int roots = count_roots(a->mmu, sp);

	a->shadow_pages++;
	if (roots != sp->root_count)
		found(a, sp, "%u roots counted, %u there", sp->root_count, roots);
	audit_page(a, sp);
}

/* The frame is tracked once for each page that is in line with its table. */
static void audit_tracking(struct umbra_auditor *a, struct umbra_shadow_page *sp)
{
	const struct umbra_memslot *slot = umbra_shadow_slot(a->mmu, sp->gfn);
	struct umbra_shadow_page *other = NULL;
	unsigned int pages = 0, track;

	a->tracking++;
	if (!slot || !slot->track) {
		found(a, sp, "no slot has the guest's table");
		return;
	}
	while ((other = umbra_shadow_next(a->mmu->shadow, sp->gfn, other)))
		pages += !other->unsync && umbra_role_has_table(other->role);
	track = slot->track[sp->gfn - slot->base_gfn];
	if (track != pages)
		found(a, sp, "tracked %u times for %u pages", track, pages);
}

static void audit_active(struct umbra_auditor *a)
{
	struct umbra_shadow_page *sp;
	u64 unsync = 0;

	list_for_each_entry(sp, &a->mmu->shadow->active, link) {
		if (sp->role.invalid)
			found(a, sp, "invalid and in use");
		if (sp->unsync && (sp->role.level > 1 || !umbra_role_has_table(sp->role)))
			found(a, sp, "cannot be unsync");
		unsync += sp->unsync;
		audit_shared(a, sp);
		if (umbra_role_has_table(sp->role) && !sp->unsync)
			audit_tracking(a, sp);
	}
	if (unsync != a->mmu->stat.mmu_unsync)
		umbra_audit_found(a, "mmu_unsync: %llu counted, %llu there",
				  a->mmu->stat.mmu_unsync, unsync);
}

/* Has no earlier vCPU the same root? */
static bool is_first(const struct umbra_mmu *mmu, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (mmu->vcpus[i]->shadow_root == mmu->vcpus[nr]->shadow_root)
			return false;
	return true;
}

/* Zapped roots are on no list: those who still use them lead to them. */
static void audit_roots(struct umbra_auditor *a)
{
	const struct umbra_mmu *mmu = a->mmu;
	const struct umbra_shadow_page *sp;
	unsigned int i, j;

	for (i = 0; i < mmu->nr_vcpus; i++) {
		sp = mmu->vcpus[i]->pae_root;
		if (sp) {
			a->register_roots++;
			audit_page(a, sp);
		}
		sp = mmu->vcpus[i]->shadow_root;
		if (sp && sp->role.level < TABLE_LEVELS && sp != mmu->vcpus[i]->pae_root)
			found(a, sp, "is no root");
		if (sp && sp->role.invalid && is_first(mmu, i))
			audit_shared(a, sp);
		for (j = 0; j < UMBRA_PREV_ROOTS; j++) {
			sp = mmu->vcpus[i]->prev_root[j];
			if (sp && sp->role.invalid)
				found(a, sp, "a zapped root is kept for later");
		}
	}
}

static void audit_bucket(struct umbra_auditor *a, const struct hlist_head *bucket,
			 unsigned int nr)
{
	const struct umbra_shadow_page *sp, *other;

	hlist_for_each_entry(sp, bucket, hash_link) {
		a->hashed++;
		if (umbra_shadow_hash(a->mmu->shadow, sp->gfn) != nr)
			found(a, sp, "is in the wrong bucket");
		hlist_for_each_entry(other, bucket, hash_link)
			if (other != sp && other->gfn == sp->gfn &&
			    other->role.word == sp->role.word &&
			    other->generation == sp->generation)
				found(a, sp, "exists twice");
	}
}

void umbra_audit_shadow(struct umbra_auditor *a)
{
	struct umbra_shadow *shadow = a->mmu->shadow;
	unsigned int i;

	audit_active(a);
	for (i = 0; i < ARRAY_SIZE(shadow->hash); i++)
		audit_bucket(a, &shadow->hash[i], i);
	if (a->hashed != a->shadow_pages)
		umbra_audit_found(a, "%lu shadow pages in the hash, %lu in use", a->hashed,
				  a->shadow_pages);
	audit_roots(a);
	if (a->linked != a->links)
		umbra_audit_found(a, "%lu parents, %lu links", a->linked, a->links);
	umbra_audit_count(a, "leaves that withhold", shadow->withholding, a->withheld);
	umbra_audit_count(a, "shadow pages", shadow->nr_pages, a->shadow_pages);
}
