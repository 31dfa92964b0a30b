// SPDX-License-Identifier: GPL-2.0
/*
 * Faults in the shadow family.
 *
 *	 guest tables			   shadow pages
 *
 *	 CR3 -> level 4 ------------------> root
 *		  |				| link
 *		level 3 ------------------> page
 *		  |				| link
 *		level 2 ------------------> page
 *		  |   \ 2 MiB leaf		| link	\ link
 *		level 1 ------------------> page	direct page
 *		  |				| leaf	    | leaf
 *		4 KiB page = gfn = host page <--+-----------+
 *
 * The guest's tables are walked without a lock. Under mmu_lock the same path is
 * followed through the shadow; what is missing is built, each entry after a
 * second look at the guest's (see shadow.h). A walk that turns out to be old is
 * simply dropped: the guest faults again.
 *
 *	FILL	mmu_lock for read, and the lock of the last page: add a leaf, or
 *		rights to one
 *	BUILD	mmu_lock for write: the pages above, then FILL
 *	MORE	as FILL, after it: go on with the rest of the guest's table
 *	REST	the same, with mmu_lock for write
 *	ALONE	mmu_lock for write: all that is left, such as putting one leaf in
 *		place of another
 *
 * Most faults need FILL only, and vCPUs that fault in different tables do not wait
 * for each other.
 */
#include <linux/kvm.h>
#include <umbra/hostmem.h>
#include "direct.h"
#include "ept.h"
#include "fault.h"
#include "gpte.h"
#include "large.h"
#include "leaf.h"
#include "mmio.h"
#include "shadow.h"
#include "slot.h"
#include "store.h"
#include "sync.h"
#include "track.h"
#include "walk.h"

static const struct umbra_format *const fmt = &umbra_format_shadow;

/* How a fault may go about it. */
enum how { FILL, BUILD, MORE, REST, ALONE };

/* What it takes instead, besides enum umbra_fault_result. */
#define NEEDS_BUILD	(UMBRA_FAULT_GUEST + 1)
#define NEEDS_FILL	(UMBRA_FAULT_GUEST + 2)
#define NEEDS_ALONE	(UMBRA_FAULT_GUEST + 3)
#define NEEDS_MORE	(UMBRA_FAULT_GUEST + 4)
#define NEEDS_REST	(UMBRA_FAULT_GUEST + 5)

static bool is_shared(enum how how)
{
	return how == FILL || how == MORE;
}

/* Is the guest's entry, if it is from one, still what the walk has read? */
static bool gpte_unchanged(struct umbra_mmu *mmu, const struct umbra_walk *walk,
			   union umbra_role role)
{
	unsigned int i = role.level - 1;
	u64 gpte = 0;

	if (!umbra_role_has_table(role))
		return true;
	if (umbra_guest_read_atomic(mmu, walk->gpte_gpa[i], &gpte, umbra_gpte_size(role)))
		return false;
	return gpte == walk->gpte[i];
}

/* Frame and role of the page below the one of @role, whose level is not 1. */
static gfn_t child_of(const struct umbra_walk *walk, union umbra_role *role)
{
	role->level--;
	role->registers = 0;
	role->quadrant = 0;
	role->key = 0;
	if (role->level >= walk->level) {
		if (role->short_gptes)
			role->quadrant = umbra_gpte_quadrant(walk->gva, role->level);
		role->access = walk->table_access[role->level - 1];
		return walk->table_gfn[role->level - 1];
	}
	role->direct = 1;
	role->access = walk->pte_access & WALK_ACC_ALL;
	role->key = FIELD_GET(WALK_ACC_KEY, walk->pte_access);
	role->clean = !walk->dirty;
	return walk->gfn & ~(umbra_level_frames(role->level + 1) - 1);
}

static struct umbra_shadow_page *link_child(struct umbra_mmu_vcpu *vcpu,
					    const struct umbra_walk *walk, u64 *sptep,
					    gfn_t gfn, union umbra_role role)
{
	struct umbra_memslot *slot = NULL;
	struct umbra_shadow_page *child;

	if (!role.direct) {
		slot = umbra_gfn_to_slot(vcpu->mmu, gfn);
		if (!slot || !slot->track)
			return NULL;
	}
	child = umbra_shadow_get(vcpu, slot, gfn, role);
	if (!gpte_unchanged(vcpu->mmu, walk, umbra_spte_page(sptep)->role))
		return NULL;
	umbra_shadow_link(vcpu, sptep, child);
	return child;
}

/*
 * The page below @sptep on the walk's path; NULL when the walk is old, or there is
 * none to FILL.
 */
static struct umbra_shadow_page *descend(struct umbra_mmu_vcpu *vcpu,
					 const struct umbra_walk *walk, u64 *sptep, enum how how)
{
	union umbra_role role = umbra_spte_page(sptep)->role;
	gfn_t gfn = child_of(walk, &role);
	u64 spte = READ_ONCE(*sptep);

	if (umbra_spte_present(fmt, spte)) {
		struct umbra_shadow_page *child = NULL;

		if (!umbra_spte_leaf(spte))
			child = umbra_spte_child(spte);
		if (child && child->gfn == gfn && child->role.word == role.word)
			return child;
	}
	if (is_shared(how))
		return NULL;
	/* The walk is old, or a large page has become dirty, or must be small. */
	if (umbra_spte_present(fmt, spte))
		umbra_shadow_drop(vcpu->mmu, sptep);
	return link_child(vcpu, walk, sptep, gfn, role);
}

/* Neighbours of the leaf at @sptep, which has been installed. */
static int map_neighbours(struct umbra_mmu_vcpu *vcpu, u64 *sptep, enum how how)
{
	struct umbra_shadow_page *sp = umbra_spte_page(sptep);

	if (sp->role.level > 1)
		return UMBRA_FAULT_FIXED;
	if (umbra_prefetch(vcpu, sp, umbra_spte_index(sptep), is_shared(how)))
		return NEEDS_REST;
	return umbra_prefetch_unfinished(sp) ? NEEDS_MORE : UMBRA_FAULT_FIXED;
}

static int install_leaf(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault,
			const struct umbra_walk *walk, struct umbra_target *t, u64 *sptep,
			enum how how)
{
	const struct umbra_grant grant = {
		.gfn = umbra_level_base(t->gfn, t->level), .access = walk->pte_access,
		.dirty = walk->dirty,
	};
	kvm_pfn_t pfn = umbra_level_base(t->hp.pfn, t->level);
	struct umbra_shadow_page *sp = umbra_spte_page(sptep);
	u64 spte;

	if (!gpte_unchanged(vcpu->mmu, walk, sp->role))
		return UMBRA_FAULT_RETRY;
	/* An older entry may allow it and yet be refused: SMEP, SMAP. */
	if (umbra_leaf_maps(sptep, &grant, pfn) &&
	    umbra_leaf_allows(READ_ONCE(*sptep), fault->access))
		return UMBRA_FAULT_SPURIOUS;
	spte = umbra_leaf_make(sp, &grant, t, umbra_target_writable(t));
	/* A fetch gets small ones. */
	if (t->level > 1 && vcpu->mmu->nx_huge)
		spte |= PT_NX;
	vcpu->alone = !umbra_leaf_fill(vcpu, sptep, spte, &grant, t, 0);
	if (vcpu->alone && how != ALONE)
		return NEEDS_ALONE;
	if (vcpu->alone)
		WARN_ON_ONCE(!umbra_leaf_set(vcpu, sptep, spte, &grant, t, 0));
	if (umbra_leaf_allows(spte, fault->access))
		return map_neighbours(vcpu, sptep, how);
	/* The frame has become a guest table since umbra_target_get(). */
	fault->tracked = true;
	return UMBRA_FAULT_EMULATE;
}

static int map_leaf(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault,
		    const struct umbra_walk *walk, struct umbra_target *t, u64 *sptep,
		    enum how how)
{
	struct umbra_shadow_page *sp = umbra_spte_page(sptep);
	int result;

	if (how == BUILD)
		return NEEDS_FILL;
	if (how == ALONE)
		return install_leaf(vcpu, fault, walk, t, sptep, how);
	if (how == REST)
		return map_neighbours(vcpu, sptep, how);
	spin_lock(&sp->lock);
	if (how == FILL)
		result = install_leaf(vcpu, fault, walk, t, sptep, how);
	else if (umbra_prefetch_unfinished(sp))
		result = map_neighbours(vcpu, sptep, how);
	else
		/* Another vCPU has done it. */
		result = UMBRA_FAULT_FIXED;
	spin_unlock(&sp->lock);
	return result;
}

/* Keep that the frame has no memory, for the next access. */
static int map_mmio(struct umbra_mmu_vcpu *vcpu, const struct umbra_walk *walk, u64 *sptep,
		    u64 gen)
{
	struct umbra_shadow_page *sp = umbra_spte_page(sptep);
	u64 rights = SPTE_LEAF | PT_PRESENT;

	if (!gpte_unchanged(vcpu->mmu, walk, sp->role))
		return UMBRA_FAULT_RETRY;
	if (walk->pte_access & WALK_ACC_USER)
		rights |= PT_USER;
	/* The first write has to set the guest's dirty flag. */
	if ((walk->pte_access & WALK_ACC_WRITE) && walk->dirty)
		rights |= PT_WRITE;
	if (umbra_spte_present(fmt, *sptep))
		umbra_shadow_drop(vcpu->mmu, sptep);
	if (sp->entry)
		WRITE_ONCE(sp->entry[umbra_spte_index(sptep)],
			   umbra_shadow_entry(walk->gfn, walk->pte_access, walk->dirty));
	umbra_sync_fills(vcpu->mmu, sp);
	sp->has_mmio = true;
	WRITE_ONCE(*sptep, umbra_mmio_spte(gen, rights));
	vcpu->stat.pf_mmio_spte_created++;
	return UMBRA_FAULT_EMULATE;
}

/*
 * The size to map @t at: large when it is so in the guest and in the host, and
 * nobody asks for less. Tracking counts only when the leaf is installed.
 */
static unsigned int choose_level(const struct umbra_walk *walk, const struct umbra_target *t)
{
	if (walk->level < LARGE_LEVEL || !t->hp.page || umbra_memslot_logged(t->slot) ||
	    !umbra_slot_fits(t->slot, t->gfn, LARGE_LEVEL))
		return 1;
	return min_t(unsigned int, LARGE_LEVEL, umbra_hostpage_level(t->slot, t->gfn));
}

/* Is it executed, or has it been, where nothing large may be? */
static bool is_nx_split(const struct umbra_mmu *mmu, const struct umbra_walk *walk,
			const struct umbra_target *t, u64 spte)
{
	if (!mmu->nx_huge || !(walk->pte_access & WALK_ACC_EXEC))
		return false;
	return t->fetch || (umbra_spte_present(fmt, spte) && !umbra_spte_leaf(spte) &&
			    umbra_spte_child(spte)->nx_split);
}

/*
 * Must @t be small where @spte stands? The tables of the walk may be in the page: look
 * after these are tracked.
 */
static void settle_level(const struct umbra_mmu *mmu, const struct umbra_walk *walk,
			 struct umbra_target *t, u64 spte)
{
	if (!umbra_large_allowed(t->slot, t->gfn)) {
		t->level = 1;
	} else if (is_nx_split(mmu, walk, t, spte)) {
		t->nx_level = t->level;
		t->level = 1;
	}
}

/* Context: mmu_lock held as @how says; the target is not stale. */
static int map(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault,
	       const struct umbra_walk *walk, struct umbra_target *t, enum how how)
{
	struct umbra_shadow_page *sp = vcpu->shadow_root;
	u64 *sptep;

	/* Zapped meanwhile, or a root without memory where there is memory now. */
	if (!sp || sp->role.invalid || sp->gfn != walk->table_gfn[walk->top_level - 1]) {
		vcpu->root = INVALID_PAGE;
		return UMBRA_FAULT_RETRY;
	}
	if (!is_shared(how))
		umbra_shadow_make_room(vcpu->mmu);
	for (;;) {
		if (READ_ONCE(sp->writes))
			WRITE_ONCE(sp->writes, 0);
		sptep = &sp->spt[umbra_table_index(walk->gva >> UMBRA_PAGE_SHIFT, sp->role.level)];
		if (sp->role.level == LARGE_LEVEL && t->level == LARGE_LEVEL)
			settle_level(vcpu->mmu, walk, t, READ_ONCE(*sptep));
		if (sp->role.level == t->level)
			break;
		sp = descend(vcpu, walk, sptep, how);
		if (!sp)
			return is_shared(how) ? NEEDS_BUILD : UMBRA_FAULT_RETRY;
	}
	if (how == ALONE && t->nx_level)
		umbra_shadow_mark_split(vcpu->mmu, sp);
	/* Before the guest's entry is read again. */
	if (how == ALONE && umbra_unsync_sleeps(sp) && !umbra_unsync_may_wake(sp))
		umbra_sync_sleeping(vcpu->mmu, sp);
	return t->slot ? map_leaf(vcpu, fault, walk, t, sptep, how) :
			 map_mmio(vcpu, walk, sptep, t->mmio_gen);
}

/* The same unless the target is stale. Takes the lock. */
static int map_locked(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault,
		      const struct umbra_walk *walk, struct umbra_target *t, enum how how)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	int result = UMBRA_FAULT_RETRY;

	if (is_shared(how))
		read_lock(&mmu->lock);
	else
		write_lock(&mmu->lock);
	if (!umbra_target_range_stale(mmu, t, umbra_level_base(t->gfn, t->level),
				      umbra_level_frames(t->level)))
		result = map(vcpu, fault, walk, t, how);
	if (is_shared(how))
		read_unlock(&mmu->lock);
	else
		write_unlock(&mmu->lock);
	return result;
}

/* Large leaves are few. What needs the lock for write often comes in rows. */
static int map_target(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault,
		      const struct umbra_walk *walk, struct umbra_target *t)
{
	bool alone = t->level > 1 || vcpu->alone;
	int result = alone ? NEEDS_ALONE : map_locked(vcpu, fault, walk, t, FILL);

	if (result == NEEDS_BUILD) {
		result = map_locked(vcpu, fault, walk, t, BUILD);
		if (result == NEEDS_FILL)
			result = map_locked(vcpu, fault, walk, t, FILL);
	}
	/* What was built may have gone again, and has used up the caches. */
	if (result == NEEDS_ALONE || result == NEEDS_BUILD)
		return umbra_cache_topup(vcpu, UMBRA_FAMILY_SHADOW) ?:
		       map_locked(vcpu, fault, walk, t, ALONE);
	if (result != NEEDS_MORE && result != NEEDS_REST)
		return result;
	while (result == NEEDS_MORE)
		result = map_locked(vcpu, fault, walk, t, MORE);
	if (result == NEEDS_REST)
		map_locked(vcpu, fault, walk, t, REST);
	/* Whatever has become of the neighbours. */
	return UMBRA_FAULT_FIXED;
}

static void cache_mmio(struct umbra_mmu_vcpu *vcpu, const struct umbra_walk *walk,
		       struct umbra_target *t)
{
	/* Bit 50 has to be reserved: otherwise only a walk can tell. */
	if (!umbra_mmu_caps.mmio_caching || umbra_mmu_caps.pt_addr_bits > 50)
		return;
	t->level = 1;
	write_lock(&vcpu->mmu->lock);
	map(vcpu, NULL, walk, t, ALONE);
	write_unlock(&vcpu->mmu->lock);
}

/* Does the write go through a table that it modifies? */
static bool self_map(const struct umbra_walk *walk)
{
	/* The PDPTEs of PAE paging are registers: a write changes no walk. */
	unsigned int level, top = walk->top_level == 3 ? 2 : walk->top_level;

	for (level = walk->level; level <= top; level++)
		if (walk->table_gfn[level - 1] == walk->gfn)
			return true;
	return false;
}

/* Is the frame a guest table that cannot be left to the guest? */
static bool is_table(struct umbra_mmu_vcpu *vcpu, gfn_t gfn)
{
	struct umbra_memslot *slot = umbra_gfn_to_slot(vcpu->mmu, gfn);
	bool table;

	if (!slot || !umbra_tracked(slot, gfn) || (slot->flags & KVM_MEM_READONLY))
		return false;
	write_lock(&vcpu->mmu->lock);
	table = umbra_store_pays(vcpu, gfn) || !umbra_unsync(vcpu->mmu, slot, gfn);
	write_unlock(&vcpu->mmu->lock);
	return table;
}

static int shadow_fault(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault,
			const struct umbra_walk *walk)
{
	struct umbra_target t = {
		.gfn = walk->gfn,
		.write = fault->access & UMBRA_ACC_WRITE,
		.fetch = fault->access & UMBRA_ACC_FETCH,
		.mmio_gen = umbra_mmio_gen(vcpu->mmu),
	};
	int result;

	if (t.write && is_table(vcpu, t.gfn)) {
		fault->tracked = true;
		return UMBRA_FAULT_EMULATE;
	}
	result = umbra_cache_topup(vcpu, UMBRA_FAMILY_SHADOW);
	if (result)
		return result;
	result = umbra_target_get(vcpu, fault, &t);
	if (result == UMBRA_FAULT_EMULATE && !t.slot)
		cache_mmio(vcpu, walk, &t);
	if (result)
		return result;
	t.level = choose_level(walk, &t);
	result = map_target(vcpu, fault, walk, &t);
	umbra_target_put(&t);
	return result;
}

/*
 * With CR0.WP = 0 a read-only user page that the supervisor writes to becomes a
 * supervisor page here, which SMAP would no longer guard. EPT can do both.
 */
static bool needs_ept(const struct umbra_mmu_vcpu *vcpu, const struct umbra_walk *walk)
{
	union umbra_role role = { .word = vcpu->role };

	return role.smap_and_not_wp && (walk->access & UMBRA_ACC_WRITE) &&
	       (walk->pte_access & (WALK_ACC_USER | WALK_ACC_WRITE)) == WALK_ACC_USER;
}

/*
 * A write to a guest table, where the shadow tells all: by far the commonest fault
 * of a guest whose own faults do not exit.
 */
static bool is_store(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault)
{
	const u32 bits = UMBRA_ACC_PRESENT | UMBRA_ACC_WRITE;

	if ((fault->access & (bits | UMBRA_ACC_RSVD)) != bits ||
	    !umbra_shadow_translate(vcpu, fault->addr, fault->access, &fault->gpa,
				    &fault->self_map) ||
	    !is_table(vcpu, umbra_gpa_to_gfn(fault->gpa)))
		return false;
	fault->tracked = true;
	return true;
}

int umbra_mmu_shadow_fault(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault)
{
	struct umbra_walk walk UMBRA_SCRATCH;
	int result;

	vcpu->stat.pf_taken++;
	vcpu->invlpg_run = 0;
	if (is_store(vcpu, fault)) {
		umbra_fault_count(vcpu, UMBRA_FAULT_EMULATE);
		return UMBRA_FAULT_EMULATE;
	}
	fault->self_map = false;
	if (umbra_walk(vcpu, fault->addr, fault->access, true, &walk)) {
		vcpu->stat.pf_guest++;
		fault->guest = walk.exc;
		/* A #PF makes the CPU forget what it knows of the address. */
		if ((fault->access & (UMBRA_ACC_PRESENT | UMBRA_ACC_RSVD)) == UMBRA_ACC_PRESENT)
			umbra_sync_gva(vcpu, fault->addr);
		else if (!(walk.exc.error_code & UMBRA_ACC_PRESENT))
			umbra_holes_found(vcpu, &walk);
		return UMBRA_FAULT_GUEST;
	}
	if (needs_ept(vcpu, &walk)) {
		vcpu->leave_shadow = true;
		return UMBRA_FAULT_RETRY;
	}
	fault->gpa = walk.gpa;
	result = shadow_fault(vcpu, fault, &walk);
	if (result == UMBRA_FAULT_EMULATE && fault->tracked)
		fault->self_map = self_map(&walk);
	umbra_fault_count(vcpu, result);
	return result;
}
