// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: of everything that it looks at one thing at a time is broken, and
 * it has to say so, with words that fit; mended, it has to be content again.
 */
#include <linux/bitmap.h>
#include <linux/hash.h>
#include <linux/kvm.h>
#include "../../../mmu/ept.h"
#include "../../../mmu/large.h"
#include "../../../mmu/mmio.h"
#include "../../../mmu/rmap.h"
#include "../../../mmu/shadow.h"
#include "../../../mmu/walk.h"
#include "scene.h"

static struct umbra_audit audit;

static bool finds(const char *words)
{
	int idx = srcu_read_lock(&mmu->srcu);

	umbra_mmu_audit(mmu, true, &audit);
	srcu_read_unlock(&mmu->srcu, idx);
	return words ? audit.findings && strstr(audit.first, words) : !audit.findings;
}

/* Break, look, mend, look. */
static void expect(const char *what, bool found)
{
	struct umbra_audit broken = audit;
	bool mended = finds(NULL);

	if (!ok(found && mended, "%s", what))
		printf("# broken: %lu, '%s'; mended: %lu, '%s'\n", broken.findings, broken.first,
		       audit.findings, audit.first);
}

#define BREAK(lvalue, value, words) do {					\
	__typeof__(lvalue) *at = &(lvalue), was = *at;				\
	bool found;								\
	*at = (value);								\
	found = finds(words);							\
	*at = was;								\
	expect(#lvalue " = " #value, found);					\
} while (0)

/* The same for a field of a shadow page's role. */
#define BREAK_ROLE(sp, field, value, words) do {				\
	union umbra_role *old = &(sp)->role, new = *old;			\
	new.field = (value);							\
	BREAK(old->word, new.word, words);					\
} while (0)

/* ---- a VM with something of everything ---- */

static u64 *ept_entry(gfn_t gfn, unsigned int level)
{
	u64 *table = __va(mmu->ept_root);

	for (unsigned int l = 4; l > level; l--)
		table = umbra_table_va(table[umbra_table_index(gfn, l)]);
	return &table[umbra_table_index(gfn, level)];
}

/* The shadow page of a guest table. */
static struct umbra_shadow_page *sp_of(gfn_t gfn)
{
	struct umbra_shadow_page *sp = umbra_shadow_next(mmu->shadow, gfn, NULL);

	if (!sp)
		violation("no shadow of gfn %llx", gfn);
	return sp;
}

static struct umbra_memslot *slot_of(gfn_t gfn)
{
	return umbra_gfn_to_slot(mmu, gfn);
}

static void populate(void)
{
	const struct umbra_mmu_caps caps = {
		.host_maxphyaddr = 46, .ept_2m = true, .ept_1g = true,
	};

	vm_create(UMBRA_POLICY_SHADOW);
	umbra_mmu_caps = caps;
	host_collapse();
	for (gfn_t gfn = 20; gfn < 24; gfn++) {
		struct guest_access a = { .unpaged_gfn = gfn, .write = true, .len = 8 };

		guest_access(cpu, &a);
		a.unpaged_gfn = gfn + 600;
		guest_access(cpu, &a);
	}
	long_mode();
	set_entry(3, 0, 4 << 12 | PTE);
	set_entry(3, 1, 4 << 12 | PTE);
	set_entry(3, 2, 6 << 12 | PTE);
	set_entry(3, 3, 0 << 12 | PTE | GPTE_PS);
	for (unsigned int i = 0; i < 40; i++)
		set_entry(4, i, (i < 20 ? 20 : 30 + i) << 12 | PTE);
	set_entry(6, 0, 20 << 12 | PTE);
	set_entry(6, 1, 6 << 12 | PTE);
	set_entry(6, 2, 21 << 12 | (PTE & ~2ull));
	if (!works(0, UMBRA_ACC_WRITE) || !works(0x200000, 0) || !works(0x600000, 0) ||
	    !works(0x400000, 0) || !works(0x401000, 0) || !works(0x401000, UMBRA_ACC_WRITE) ||
	    !works(20 << 12, 0) || mmu->stat.mmu_unsync != 1)
		violation("the scene is not set");
	finds(NULL);
	ok(!audit.findings && audit.entries && audit.tables, "a VM with %lu entries, %lu tables",
	   audit.entries, audit.tables);
}

/* ---- what can be wrong with it ---- */

static void scene_ept(void)
{
	u64 *small = ept_entry(20, 1), *large = ept_entry(620, 2);
	u64 *link = ept_entry(20, 2), *top = ept_entry(20, 4);
	struct umbra_memslot *slot = slot_of(20);

	ok((*large & EPT_LARGE) && !(*small & EPT_LARGE), "leaves of both sizes");
	BREAK(*small, *small | EPT_LARGE, "no leaf of level 1");
	BREAK(*large, *large & ~EPT_LARGE, "no leaf of level 2");
	BREAK(*large, *large | SPTE_1G, "no leaf of level 2");
	BREAK(*large, *large | BIT_ULL(13), "not aligned");
	BREAK(*small, *small & ~EPT_READ, "without read right");
	BREAK(*small, umbra_mmio_spte(umbra_mmio_gen(mmu), EPT_WRITE | EPT_EXEC),
	      "is for MMIO, and there is a slot");
	BREAK(*small, *small & ~SPTE_LEAF, "no link of level 1");
	BREAK(*link, *link & ~EPT_WRITE, "no link of level 2");
	BREAK(*link, *link | EPT_LARGE, "no link of level 2");
	BREAK(*top, *top | SPTE_LEAF, "no leaf of level 4");
	BREAK(*small, 0, "pages_4k: ");
	BREAK(*large, 0, "pages_2m: ");
	BREAK(*link, 0, "ept_pages: ");
	BREAK(link[100], *link, "no slot has all of it");
	BREAK(ept_entry(300, 1)[0], *small, "gfn 12c is mapped, no slot");
	BREAK(slot->flags, KVM_MEM_READONLY, "EPT: gfn 14 of a read-only slot");
	BREAK(slot->track[20], 1, "EPT: gfn 14 is tracked");
	BREAK(slot_of(620)->track[100], 1, "EPT: gfn 200 is tracked");
}

static void scene_counters(void)
{
	BREAK(mmu->stat.pages_4k.counter, 1, "pages_4k: ");
	BREAK(mmu->stat.pages_2m.counter, 7, "pages_2m: ");
	BREAK(mmu->stat.pages_1g.counter, 1, "pages_1g: ");
	BREAK(mmu->ept_pages.counter, 99, "ept_pages: ");
	BREAK(mmu->stat.table_bytes.counter, 4096, "table_bytes: ");
	BREAK(mmu->stat.mmu_unsync, 0, "mmu_unsync: ");
	BREAK(mmu->shadow->nr_pages, 99, "shadow pages: ");
}

/* Sets of sptes: rmaps of frames, parents of shadow pages. */
static void scene_sets(void)
{
	struct umbra_rmap_head *many = umbra_slot_rmap(slot_of(20), 20);
	struct umbra_rmap_head *one = umbra_slot_rmap(slot_of(50), 50);
	struct umbra_rmap_head *none = umbra_slot_rmap(slot_of(100), 100);
	struct umbra_rmap_head *parents = &sp_of(4)->parents;
	struct umbra_rmap_node *node = (void *)(many->val & ~1ul), *more = NULL;

	for (unsigned int i = 0; i < RMAP_CHILDREN; i++)
		if (node->child[i] && (!more || node->child[i]->nr > more->nr))
			more = node->child[i];
	ok(more && more->nr > 1 && umbra_rmap_count(one) == 1 && umbra_rmap_empty(none),
	   "sets of many, one and none");
	BREAK(node->spte[0], node->spte[1], "is not in the rmap of gfn 14");
	BREAK(node->total, node->total + 1, "rmap of gfn 14 is no tree");
	BREAK(more->nr, more->nr - 1, "is not in the rmap of gfn 14");
	BREAK(node->children, node->children + 1, "rmap of gfn 14 is no tree");
	BREAK(node->child[more->place], NULL, "is not in the rmap of gfn 14");
	BREAK(one->val, 0, "is not in the rmap of gfn 32");
	BREAK(none->val, one->val, "rmaps have");
	BREAK(parents->val, 0, "is not among the parents of gfn 4");
	BREAK(sp_of(1)->parents.val, one->val, "parents, ");
}

static void scene_pages(void)
{
	struct umbra_shadow_page *leaf = sp_of(4), *table = sp_of(3), *root = sp_of(1);
	const u64 link = table->spt[0];

	BREAK(table->spt[0], umbra_format_shadow.none, "counted, ");
	BREAK(table->spt[0], 0, "is a hole");
	BREAK(leaf->withheld, leaf->withheld + 1, "that withhold counted");
	BREAK(table->spt[0], link & ~PT_WRITE, "is no link");
	BREAK(table->spt[0], __pa(leaf->entry) | umbra_format_shadow.link, "to no shadow page");
	BREAK(table->spt[0], __pa(root->spt) | umbra_format_shadow.link, "links to role");
	BREAK(table->spt[9], link, "is not among the parents of gfn 4");
	BREAK(table->nr_present, 1, "1 sptes counted");
	BREAK(table->spt[0], link | SPTE_ABSENT, "counted, ");
	BREAK(table->gfn, 7, "is in the wrong bucket");
	BREAK_ROLE(table, invalid, 1, "invalid and in use");
	BREAK_ROLE(leaf, level, 2, "no slot has all of it");
	BREAK(leaf->entry, NULL, "has no entries");
	BREAK(virt_to_page(leaf->spt)->private, (unsigned long)table, "the table is another's");
	BREAK(virt_to_page(root->spt)->private, (unsigned long)table, "the table is another's");
	BREAK(mmu->shadow->hash[hash_64(3, SHADOW_HASH_BITS)].first, NULL, "tracked 1 times for 0");
	BREAK(mmu->shadow->hash[hash_64(0, SHADOW_HASH_BITS)].first, NULL, "in the hash");
}

static void scene_roots(void)
{
	struct umbra_shadow_page *table = sp_of(3), *root = sp_of(1);

	BREAK(root->root_count, 0, "0 roots counted, 1 there");
	BREAK(cpu->v.prev_root[1], root, "1 roots counted, 2 there");
	BREAK(cpu->v.shadow_root, NULL, "1 roots counted, 0 there");
	BREAK(cpu->v.shadow_root, table, "roots counted");
}

/* What the guest, the host and the slot allow. */
static void scene_leaves(void)
{
	struct umbra_shadow_page *leaf = sp_of(4), *loose = sp_of(6);
	struct umbra_memslot *slot = slot_of(20);
	unsigned long log[BITS_TO_LONGS(200)] = {};
	u64 *readonly = &loose->spt[2];

	BREAK(leaf->entry[0], umbra_shadow_entry(20, WALK_ACC_ALL & ~WALK_ACC_WRITE, true),
	      "may write");
	BREAK(leaf->entry[0], umbra_shadow_entry(20, WALK_ACC_ALL & ~WALK_ACC_USER, true),
	      "let in");
	BREAK(leaf->entry[0], umbra_shadow_entry(20, WALK_ACC_ALL & ~WALK_ACC_EXEC, true),
	      "execute");
	BREAK(leaf->entry[0], umbra_shadow_entry(20, WALK_ACC_ALL | 0x10, true), "another key");
	BREAK(leaf->spt[0], leaf->spt[0] | 1ull << 62, "another key");
	BREAK(leaf->entry[0], umbra_shadow_entry(21, WALK_ACC_ALL, true), "in the rmap of gfn 15");
	BREAK(leaf->entry[0], umbra_shadow_entry(300, WALK_ACC_ALL, true),
	      "gfn 12c is mapped, no slot");
	BREAK_ROLE(leaf, access, WALK_ACC_USER, "has rights");
	BREAK(leaf->spt[0], leaf->spt[0] & ~PT_DIRTY, "writable and not dirty");
	BREAK(leaf->spt[511], leaf->spt[0], "users are not let in");
	BREAK(*readonly, *readonly | PT_WRITE | PT_DIRTY, "nobody may write");
	BREAK(slot->dirty_bitmap, log, "not in the log");
	BREAK(slot->track[20], 1, "is tracked and writable");
	BREAK(slot->rmap, NULL, "is not in the rmap");
}

static void scene_tracking(void)
{
	struct umbra_shadow_page *leaf = sp_of(4), *loose = sp_of(6), *table = sp_of(3);
	struct umbra_memslot *slot = slot_of(20);

	ok(loose->unsync && !leaf->unsync, "one table is unsync");
	BREAK(slot->track[4], 0, "tracked 0 times for 1 pages");
	BREAK(slot->track[4], 2, "tracked 2 times for 1 pages");
	BREAK(slot->track[100], 1, "has 5 tracked frames, counted 4");
	BREAK(slot->large[0].tracked, 5, "has 4 tracked frames, counted 5");
	BREAK(loose->unsync, false, "tracked 0 times for 1 pages");
	BREAK(leaf->unsync, true, "is a hole");
	BREAK(table->unsync, true, "cannot be unsync");
	BREAK(table->unsync_map[0], 0, "leads to an unsync page");
	BREAK(table->unsync_map[1], 1, "leads nowhere");
	BREAK(table->unsync_links, 2, "2 marks counted");
}

int main(void)
{
	random_state = 1;
	populate();
	scene_ept();
	scene_counters();
	scene_sets();
	scene_pages();
	scene_roots();
	scene_leaves();
	scene_tracking();
	vm_destroy("audit");
	return tap_done();
}
