/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shadow pages: tables that the CPU walks in place of the guest's own.
 *
 * A shadow page stands for one guest table, seen under one role, or (role
 * direct) for a part of a large guest page, which has no table in the guest.
 *
 * What a table shadows is write-tracked from before its first entry is
 * derived until it is zapped. The rule that keeps entries true:
 *
 *	an entry of a non-direct page is installed only under mmu_lock, after the
 *	guest entry was read again under the same hold, while the guest table was
 *	already tracked and the debt of protecting it paid.
 *
 * So a write either was made before that read, and is seen by it, or faults, and
 * then umbra_mmu_guest_write() drops the entry and writes under one hold of
 * mmu_lock for write. An entry that is present therefore agrees with the guest's, and what
 * a walk read without the lock need not be checked again where the shadow has it.
 *
 * A page of level 1 may be left behind by its guest table (unsync): the table is
 * then no longer tracked on its behalf, so that the guest writes to it without
 * faults, and the entries are what the guest's were at some time since it last
 * invalidated, which is all that the architecture promises. The links on the
 * ways down to such a page are marked; what makes newer values visible follows
 * the marks (sync.h). A single entry may be brought up to date meanwhile.
 *
 * All of it is guarded by mmu_lock held for write. With mmu_lock held for read, and the
 * lock of a page of level 1, leaves of that page may be added, or gain rights: most
 * faults do no more (shadow_fault.c), and those in different tables do not wait for
 * each other. See Documentation/locking.rst.
 */
#ifndef _UMBRA_MMU_SHADOW_H
#define _UMBRA_MMU_SHADOW_H

#include <linux/bitfield.h>
#include <linux/bitmap.h>
#include <linux/list.h>
#include <umbra/mmu.h>
#include "rmap.h"
#include "table.h"
#include "walk.h"

/**
 * union umbra_role - what, besides its frame, decides a shadow page's contents
 * @word: for comparing and hashing
 * @level: 5 or 4 for a root, 3 for one with @registers; 1 for a table of 4 KiB
 *	leaves
 * @access: WALK_ACC_* granted by the levels above; for a direct page the
 *	rights of the large guest page
 * @direct: part of a large guest page; gfn is the frame its first entry maps
 * @clean: direct, and the large guest page is not dirty: no entry is writable.
 *	Not the same as without write right, where CR0.WP = 0 lets the supervisor
 *	write
 * @key: direct: protection key of the large guest page
 * @wp: CR0.WP
 * @nx: EFER.NXE
 * @smep_and_not_wp: user pages turned supervisor for a write are not executable
 * @smap_and_not_wp: no user page may be turned supervisor for a write: SMAP would
 *	no longer guard it
 * @invalid: zapped, kept only because it is still the root of a vCPU
 * @empty: a root for a CR3 without memory: no guest table, gfn is INVALID_GFN
 * @registers: the root of a guest outside long mode, see root.c. No guest table:
 *	its four entries follow the guest's PDPTE registers
 * @pae: the guest uses PAE paging, which reserves more bits than long mode
 * @short_gptes: entries of the guest's tables have 4 bytes
 * @pse: CR4.PSE, which gives 4 MiB pages to such a guest
 * @quadrant: with @short_gptes, which part of the guest's table, see gpte.h
 * @gbpages: the guest may have 1 GiB pages
 * @maxphyaddr: the guest's, since it decides what is reserved
 */
union umbra_role {
	u32 word;
	struct {
		u32 level:3;
		u32 access:3;
		u32 direct:1;
		u32 clean:1;
		u32 key:4;
		u32 wp:1;
		u32 nx:1;
		u32 smep_and_not_wp:1;
		u32 smap_and_not_wp:1;
		u32 invalid:1;
		u32 empty:1;
		u32 registers:1;
		u32 pae:1;
		u32 short_gptes:1;
		u32 pse:1;
		u32 quadrant:2;
		u32 gbpages:1;
		u32 maxphyaddr:6;
	};
};

static_assert(sizeof(union umbra_role) == sizeof(u32));

/* WALK_ACC_* of all that a direct page maps. */
static inline u32 umbra_role_access(union umbra_role role)
{
	return role.access | FIELD_PREP(WALK_ACC_KEY, role.key);
}

/* Is there a guest table that such a page is made from? */
static inline bool umbra_role_has_table(union umbra_role role)
{
	return !role.direct && !role.registers && !role.empty;
}

/**
 * struct umbra_shadow_page - one table
 * @hash_link: in umbra_shadow.hash, by gfn; off when invalid
 * @link: in umbra_shadow.active, most recently used first, or in a list of
 *	zapped pages
 * @lock: of those who change the page with mmu_lock held for read: they add leaves
 *	of level 1, with all that goes with that: @spt, @entry, @nr_present, @scanned,
 *	@withheld, @user and @holes
 * @role: see there
 * @gfn: frame of the guest table; of the first mapped page when direct
 * @spt: the table
 * @entry: level 1 and not direct: per spte, frame and rights of the guest
 *	entry it was made from (see umbra_shadow_entry()); level 2 as well, from
 *	when it first has a large leaf; NULL otherwise
 * @parents: sptes that link here
 * @root_count: how many shadow_root and prev_root point here
 * @generation: umbra_shadow.generation when it was created; with another it is
 *	obsolete: no CPU gets to it, nothing new leads to it, it is about to be zapped
 * @nr_present: present sptes in @spt
 * @writes: writes by the guest to its table since it was last seen to be used
 * @stored: level 1: the entry that the last of them was for
 * @has_mmio: entries of @spt are or were for MMIO
 * @scanned: how many entries of the guest table umbra_prefetch() has looked at
 * @withheld: leaves that refuse what the guest grants to users, see direct.h
 * @withheld_at: the entry that was the last to become one of them
 * @withheld_link: in umbra_shadow.withholders while there are any
 * @user: level 1: it has had leaves that let users in
 * @holes: some entries say that the guest maps nothing, see direct.h
 * @nx_split: direct, level 1: stands in for a large leaf, so that the guest can execute
 * @nx_link: in umbra_shadow.nx_splits then
 * @unsync: the guest table is not tracked for this page
 * @unsync_link: in umbra_shadow.unsync meanwhile
 * @synced_turn: umbra_shadow.turn when it was last brought back
 * @quick: how often in a row it was let go right after that
 * @calm: how often in a row it was found unchanged while restless
 * @unsync_links: how many bits of @unsync_map are set
 * @unsync_map: links that lead to unsync pages, or have led there
 */
struct umbra_shadow_page {
	struct hlist_node hash_link;
	struct list_head link;
	spinlock_t lock;
	union umbra_role role;
	gfn_t gfn;
	u64 *spt;
	u64 *entry;
	struct umbra_rmap_head parents;
	unsigned int root_count;
	unsigned int generation;
	unsigned int nr_present;
	unsigned int writes;
	unsigned int stored;
	unsigned int withheld;
	unsigned int withheld_at;
	struct list_head withheld_link;
	u16 scanned;
	bool has_mmio;
	bool user;
	bool holes;
	bool nx_split;
	struct list_head nx_link;
	bool unsync;
	struct list_head unsync_link;
	unsigned int synced_turn;
	u8 quick;
	u8 calm;
	unsigned int unsync_links;
	DECLARE_BITMAP(unsync_map, TABLE_ENTRIES);
};

/* Is there anything, here or below, that may not be in line? */
static inline bool umbra_shadow_is_loose(const struct umbra_shadow_page *sp)
{
	return (sp->unsync && sp->nr_present) || sp->unsync_links;
}

#define SHADOW_HASH_BITS	10
#define INVALID_GFN		(~(gfn_t)0)

/**
 * struct umbra_shadow - the shadow family of a VM
 * @active: pages in use, most recently used first, obsolete ones last
 * @generation: of pages that are not obsolete
 * @nr_pages: pages in use, including invalid roots
 * @limit: pages allowed before the oldest are zapped; 0 before it is first needed
 * @unsync: pages that are
 * @turn: counts when pages are let go, and when they are brought back
 * @withheld_lock: guards @withholding, @withholders and their links with mmu_lock held
 *	for read
 * @withholding: sum of their @withheld
 * @withholders: pages that have such leaves
 * @nx_splits: pages that stand in for large leaves, first those that are so for longest
 * @hash_factor: odd, and not known to guests, which choose the gfns
 * @direct_user: some vCPU may have UMBRA_DIRECT_USER; then there are none
 * @hash: buckets by gfn
 */
struct umbra_shadow {
	struct list_head active;
	unsigned int generation;
	unsigned long nr_pages;
	unsigned long limit;
	struct list_head unsync;
	unsigned int turn;
	spinlock_t withheld_lock;
	unsigned long withholding;
	struct list_head withholders;
	struct list_head nx_splits;
	u64 hash_factor;
	bool direct_user;
	struct hlist_head hash[1 << SHADOW_HASH_BITS];
};

static inline unsigned int umbra_shadow_hash(const struct umbra_shadow *shadow, gfn_t gfn)
{
	return (gfn * shadow->hash_factor) >> (64 - SHADOW_HASH_BITS);
}

static inline unsigned int umbra_spte_index(const u64 *sptep)
{
	return ((unsigned long)sptep & (PAGE_SIZE - 1)) / sizeof(*sptep);
}

static inline struct umbra_shadow_page *umbra_spte_page(const u64 *sptep)
{
	return umbra_table_owner(sptep);
}

/* The page that a link leads to. */
static inline struct umbra_shadow_page *umbra_spte_child(u64 spte)
{
	return (void *)page_private(pfn_to_page(umbra_spte_pfn(spte)));
}

/* sp->entry: the frame above the rights and the key, with the dirty flag in between. */
#define SHADOW_ENTRY_SHIFT	8
#define SHADOW_ENTRY_DIRTY	BIT_ULL(3)
#define SHADOW_ENTRY_ACCESS	((u64)(WALK_ACC_ALL | WALK_ACC_KEY))

static_assert(!(SHADOW_ENTRY_DIRTY & SHADOW_ENTRY_ACCESS));
static_assert(SHADOW_ENTRY_ACCESS >> SHADOW_ENTRY_SHIFT == 0);

static inline u64 umbra_shadow_entry(gfn_t gfn, u32 access, bool dirty)
{
	return gfn << SHADOW_ENTRY_SHIFT | (dirty ? SHADOW_ENTRY_DIRTY : 0) | access;
}

/* WALK_ACC_* that the guest grants where a leaf stands at @index, with the key. */
static inline u32 umbra_shadow_access(const struct umbra_shadow_page *sp, unsigned int index)
{
	return sp->entry ? READ_ONCE(sp->entry[index]) & SHADOW_ENTRY_ACCESS :
			   umbra_role_access(sp->role);
}

/* The frame that the leaf at @index maps, or would map. */
static inline gfn_t umbra_shadow_leaf_gfn(const struct umbra_shadow_page *sp, unsigned int index)
{
	if (sp->role.direct)
		return sp->gfn + ((gfn_t)index << (9 * (sp->role.level - 1)));
	return READ_ONCE(sp->entry[index]) >> SHADOW_ENTRY_SHIFT;
}

/**
 * umbra_shadow_translate() - translate by the shadow instead of the guest's tables
 * @access: UMBRA_ACC_WRITE, _USER, _FETCH
 * @gpa: out
 * @self_map: out, as in struct umbra_fault; may be NULL
 *
 * Where all pages below the root are in line, the shadow says what a walk would.
 * Looks at what the guest grants and not at what the entry does: the frame may be
 * read-only or tracked.
 *
 * Context: takes mmu_lock.
 * Return: true; false when the guest's tables have to tell.
 */
bool umbra_shadow_translate(struct umbra_mmu_vcpu *vcpu, u64 gva, u32 access, gpa_t *gpa,
			    bool *self_map);

/**
 * umbra_shadow_find() - the shadow page of a frame under a role
 * Return: the page, moved to the front of the active list, or NULL.
 */
struct umbra_shadow_page *umbra_shadow_find(struct umbra_mmu *mmu, gfn_t gfn,
					    union umbra_role role);

/**
 * umbra_shadow_get() - find or create
 *
 * A new page's table is tracked, and the debt of that is paid. One that is found
 * is in line with the guest's tables, and so is what lies below. @vcpu's caches
 * are filled. For a page that is not direct, @slot holds @gfn.
 */
struct umbra_shadow_page *umbra_shadow_get(struct umbra_mmu_vcpu *vcpu,
					   struct umbra_memslot *slot, gfn_t gfn,
					   union umbra_role role);

/**
 * umbra_shadow_link() - make an entry lead to @child
 * @sptep: not present; @vcpu's rmap_cache is filled
 *
 * @child is in line with the guest's tables, and so is what lies below.
 * Context: mmu_lock held for write.
 */
void umbra_shadow_link(struct umbra_mmu_vcpu *vcpu, u64 *sptep, struct umbra_shadow_page *child);

/* The page after @sp, or the first one, that shadows guest table @gfn. */
struct umbra_shadow_page *umbra_shadow_next(struct umbra_shadow *shadow, gfn_t gfn,
					    struct umbra_shadow_page *sp);

/* Visit the pages that shadow guest table @gfn. @sp may be zapped meanwhile. */
#define umbra_shadow_for_each_gfn(sp, next, shadow, gfn)			\
	for (sp = umbra_shadow_next(shadow, gfn, NULL);				\
	     sp && (next = umbra_shadow_next(shadow, gfn, sp), true); sp = next)

/**
 * umbra_shadow_drop() - clear a present spte, or a suspended one, whatever it is
 *
 * Unhooks a leaf from its rmap, a link from its child's parents. Leaves CPUs
 * with what they know of it: umbra_mmu_flush() before relying on it being gone.
 */
void umbra_shadow_drop(struct umbra_mmu *mmu, u64 *sptep);

/* Drop every spte of a set. Return: whether there was one. */
bool umbra_shadow_drop_all(struct umbra_mmu *mmu, struct umbra_rmap_head *head);

/* Work on all leaves that map @gfn. Return: whether one was affected. */
bool umbra_shadow_write_protect(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn);

/* The same for up to BITS_PER_LONG frames of @slot from @gfn on, a bit of @word for each. */
bool umbra_shadow_protect_word(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn,
			       unsigned long word);
bool umbra_shadow_age(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t gfn, bool clear);

/**
 * umbra_shadow_zap() - take a page out of use
 * @dead: where the page goes, unless it is a root in use: then it becomes
 *	invalid and its users are asked to reload
 */
void umbra_shadow_zap(struct umbra_mmu *mmu, struct umbra_shadow_page *sp,
		      struct list_head *dead);

/* Zap the direct pages of small leaves whose first frame is @gfn. */
void umbra_shadow_zap_direct(struct umbra_mmu *mmu, gfn_t gfn, struct list_head *dead);

/**
 * umbra_shadow_orphan() - a link to @sp is gone for good
 * @orphans: where the page goes when it was the last one
 */
void umbra_shadow_orphan(struct umbra_shadow_page *sp, struct list_head *orphans);

/*
 * Zap the pages, and those below them that nothing else links to. If they are very
 * many, some stay until room is made.
 */
void umbra_shadow_zap_orphans(struct umbra_mmu *mmu, struct list_head *orphans,
			      struct list_head *dead);

/* Pay the debt and free what umbra_shadow_zap() has collected. */
void umbra_shadow_free_dead(struct umbra_mmu *mmu, struct list_head *dead);

/*
 * Free one page without paying: an invalid root that no vCPU uses any more.
 * Nothing but a root pointer ever led to it.
 */
void umbra_shadow_free_root(struct umbra_mmu *mmu, struct umbra_shadow_page *sp);

/**
 * umbra_shadow_make_room() - zap the pages least recently used, when the VM
 *	has more than its share
 *
 * Before, not between, the umbra_shadow_get() of one fault.
 */
void umbra_shadow_make_room(struct umbra_mmu *mmu);

/**
 * umbra_shadow_zap_all() - begin again without shadow pages
 *
 * When it returns no vCPU uses an entry that was there before the call, and all of
 * them are gone.
 * Context: takes mmu->srcu and mmu_lock, which it gives up now and then; may sleep.
 */
void umbra_shadow_zap_all(struct umbra_mmu *mmu);

/* @sp stands in for a large leaf that must not be executed; not any more. */
void umbra_shadow_mark_split(struct umbra_mmu *mmu, struct umbra_shadow_page *sp);
void umbra_shadow_unmark_split(struct umbra_mmu *mmu, struct umbra_shadow_page *sp);

/**
 * umbra_shadow_recover_nx() - zap pages that stand in for large leaves
 * @nr: how many, at most
 *
 * Context: takes mmu->srcu and mmu_lock, which it gives up now and then; may sleep.
 * Return: how many are left to zap of @nr.
 */
unsigned long umbra_shadow_recover_nx(struct umbra_mmu *mmu, unsigned long nr);

/* Make the pages of a VM known to umbra_mmu_shrink(), or no longer. May sleep. */
void umbra_reclaim_join(struct umbra_mmu *mmu);
void umbra_reclaim_leave(struct umbra_mmu *mmu);

/* The slot that holds @gfn, published or retiring. */
struct umbra_memslot *umbra_shadow_slot(struct umbra_mmu *mmu, gfn_t gfn);

static inline struct umbra_rmap_head *umbra_slot_rmap(const struct umbra_memslot *slot,
						      gfn_t gfn)
{
	return &slot->rmap[gfn - slot->base_gfn];
}

struct umbra_shadow *umbra_shadow_create(void);
void umbra_shadow_destroy(struct umbra_mmu *mmu);

#endif /* _UMBRA_MMU_SHADOW_H */
