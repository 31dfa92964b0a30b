// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor, see audit.h: slots, counters, the EPT tree.
 */
#include <linux/kernel.h>
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include "audit.h"
#include "ept.h"
#include "large.h"
#include "mmio.h"
#include "rmap.h"
#include "shadow.h"
#include "track.h"

unsigned int umbra_mmu_audit_every;

void umbra_audit_found(struct umbra_auditor *a, const char *format, ...)
{
	va_list args;

	if (a->out->findings++)
		return;
	va_start(args, format);
	vsnprintf(a->out->first, sizeof(a->out->first), format, args);
	va_end(args);
}

void umbra_audit_count(struct umbra_auditor *a, const char *what, u64 counted, u64 there)
{
	if (counted < there || (a->exact && counted != there))
		umbra_audit_found(a, "%s: %llu counted, %llu there", what, counted, there);
}

/* May a leaf be writable that is not in the log? Only until rights are taken. */
static bool is_logged(const struct umbra_memslot *slot, gfn_t gfn, u64 nr)
{
	u64 i;

	for (i = 0; slot->dirty_bitmap && i < nr; i++)
		if (!test_bit(gfn - slot->base_gfn + i, slot->dirty_bitmap))
			return false;
	return true;
}

void umbra_audit_leaf(struct umbra_auditor *a, const char *family, gfn_t gfn,
		      unsigned int level, bool writable, bool silent)
{
	const struct umbra_memslot *slot = umbra_shadow_slot(a->mmu, gfn);
	u64 nr = umbra_level_frames(level);

	a->out->entries++;
	a->leaves[level - 1]++;
	if (!slot || !umbra_memslot_has(slot, gfn + nr - 1)) {
		umbra_audit_found(a, "%s: gfn %llx is mapped, no slot has all of it", family, gfn);
		return;
	}
	if (!writable)
		return;
	if (slot->flags & KVM_MEM_READONLY)
		umbra_audit_found(a, "%s: gfn %llx of a read-only slot is writable", family, gfn);
	if (umbra_tracked_any(slot, gfn, nr))
		umbra_audit_found(a, "%s: gfn %llx is tracked and writable", family, gfn);
	if (a->exact && silent && !is_logged(slot, gfn, nr))
		umbra_audit_found(a, "%s: gfn %llx is writable, and not in the log", family, gfn);
}

/* ---- the EPT tree ---- */

static void audit_ept_leaf(struct umbra_auditor *a, u64 spte, unsigned int level, gfn_t gfn)
{
	u64 size = level == 1 ? 0 : level == 2 ? EPT_LARGE : EPT_LARGE | SPTE_1G;
	bool silent;

	if (level > 3 || (spte & (EPT_LARGE | SPTE_1G)) != size) {
		umbra_audit_found(a, "EPT: gfn %llx: %llx is no leaf of level %u", gfn, spte,
				  level);
		return;
	}
	if (level > 1 && a->mmu->nx_huge && spte & EPT_EXEC)
		umbra_audit_found(a, "EPT: gfn %llx: %llx is large and executable", gfn, spte);
	if (umbra_spte_pfn(spte) & (umbra_level_frames(level) - 1))
		umbra_audit_found(a, "EPT: gfn %llx: %llx is not aligned", gfn, spte);
	/* With PML a small one that is not dirty tells the CPU to note the write. */
	silent = !umbra_mmu_caps.pml || level > 1 || (spte & EPT_DIRTY);
	umbra_audit_leaf(a, "EPT", gfn, level, spte & EPT_WRITE, silent);
}

static bool is_link(struct umbra_auditor *a, u64 spte, unsigned int level, gfn_t gfn)
{
	const u64 bits = umbra_format_ept.link, vary = SPTE_ADDR | EPT_DIRTY | SPTE_NX_SPLIT;

	a->nx_splits += umbra_ept_nx_split(spte);
	if (level > 1 && (spte & ~vary) == bits &&
	    pfn_valid(umbra_spte_pfn(spte)))
		return true;
	umbra_audit_found(a, "EPT: gfn %llx: %llx is no link of level %u", gfn, spte, level);
	return false;
}

/* Nothing but leaves, links, and entries for MMIO. */
static void audit_ept_other(struct umbra_auditor *a, u64 spte, unsigned int level, gfn_t gfn)
{
	if (spte == SPTE_NONE)
		return;
	if (level > 1 || !umbra_spte_mmio(spte) || !(spte & EPT_WRITE))
		umbra_audit_found(a, "EPT: gfn %llx: %llx without read right", gfn, spte);
	else
		umbra_audit_mmio(a, "EPT", gfn, spte);
}

static void audit_ept_table(struct umbra_auditor *a, const u64 *table, unsigned int level,
			    gfn_t base)
{
	unsigned int i;

	a->ept_tables++;
	for (i = 0; i < TABLE_ENTRIES; i++) {
		gfn_t gfn = base + i * umbra_level_frames(level);
		u64 spte = READ_ONCE(table[i]);

		if (!umbra_spte_present(&umbra_format_ept, spte))
			audit_ept_other(a, spte, level, gfn);
		else if (umbra_spte_leaf(spte))
			audit_ept_leaf(a, spte, level, gfn);
		else if (is_link(a, spte, level, gfn))
			audit_ept_table(a, umbra_table_va(spte), level - 1, gfn);
	}
}

void umbra_audit_mmio(struct umbra_auditor *a, const char *family, gfn_t gfn, u64 spte)
{
	struct umbra_memslots *slots = umbra_memslots_current(a->mmu);

	a->out->entries++;
	/* An old one counts for nothing. */
	if (umbra_mmio_spte_current(spte, slots->mmio_gen) && umbra_memslot_find(slots, gfn))
		umbra_audit_found(a, "%s: gfn %llx: %llx is for MMIO, and there is a slot",
				  family, gfn, spte);
}

/* ---- slots ---- */

/* An aligned 2 MiB of a slot, which may have less at its ends. */
static void audit_block(struct umbra_auditor *a, const struct umbra_memslot *slot,
			unsigned long block, u64 *rmapped)
{
	const struct umbra_large *large = &slot->large[block];
	gfn_t first = umbra_level_base(slot->base_gfn, LARGE_LEVEL) + block * LARGE_FRAMES;
	gfn_t gfn = max(first, slot->base_gfn), end = first + LARGE_FRAMES;
	unsigned int tracked = 0;

	end = min_t(gfn_t, end, slot->base_gfn + slot->npages);
	for (; gfn < end; gfn++)
		tracked += !!slot->track[gfn - slot->base_gfn];
	if (large->tracked != tracked)
		umbra_audit_found(a, "block of gfn %llx has %u tracked frames, counted %u", first,
				  tracked, large->tracked);
	if (!umbra_rmap_valid(&large->rmap))
		umbra_audit_found(a, "large rmap of gfn %llx is no tree", first);
	*rmapped += umbra_rmap_count(&large->rmap);
}

static void audit_slot(struct umbra_auditor *a, const struct umbra_memslot *slot, u64 *rmapped,
		       u64 *tracked)
{
	unsigned long i;

	if (!slot->rmap)
		return;
	for (i = 0; i < slot->npages; i++) {
		const struct umbra_rmap_head *head = &slot->rmap[i];

		*tracked += slot->track[i];
		if (umbra_rmap_empty(head))
			continue;
		if (!umbra_rmap_valid(head))
			umbra_audit_found(a, "rmap of gfn %llx is no tree", slot->base_gfn + i);
		*rmapped += umbra_rmap_count(head);
	}
	for (i = 0; i < umbra_large_blocks(slot); i++)
		audit_block(a, slot, i, rmapped);
}

/* Shadow pages were counted: nothing may be left over in the slots' arrays. */
static void audit_slots(struct umbra_auditor *a)
{
	const struct umbra_memslot *retiring = a->mmu->retiring, *slot;
	u64 rmapped = 0, tracked = 0;

	umbra_memslots_for_each(slot, umbra_memslots_current(a->mmu)) {
		audit_slot(a, slot, &rmapped, &tracked);
		if (slot == retiring)
			retiring = NULL;
	}
	if (retiring)
		audit_slot(a, retiring, &rmapped, &tracked);
	if (rmapped != a->rmapped)
		umbra_audit_found(a, "rmaps have %llu sptes, shadow pages %lu", rmapped,
				  a->rmapped);
	if (tracked != a->tracking)
		umbra_audit_found(a, "frames are tracked %llu times, for %lu shadow pages",
				  tracked, a->tracking);
}

static void audit_counters(struct umbra_auditor *a)
{
	struct umbra_mmu *mmu = a->mmu;
	struct umbra_mmu_stat *stat = &mmu->stat;
	u64 tables = a->ept_tables + a->shadow_pages + a->register_roots;

	a->out->tables = tables;
	umbra_audit_count(a, "ept_pages", atomic_long_read(&mmu->ept_pages), a->ept_tables);
	umbra_audit_count(a, "pages_4k", atomic64_read(&stat->pages_4k), a->leaves[0]);
	umbra_audit_count(a, "pages_2m", atomic64_read(&stat->pages_2m), a->leaves[1]);
	umbra_audit_count(a, "pages_1g", atomic64_read(&stat->pages_1g), a->leaves[2]);
	umbra_audit_count(a, "nx_lpage_splits", atomic64_read(&stat->nx_lpage_splits),
			  a->nx_splits);
	umbra_audit_count(a, "table_bytes", atomic64_read(&stat->table_bytes),
			  tables << UMBRA_PAGE_SHIFT);
}

void umbra_mmu_audit(struct umbra_mmu *mmu, bool exact, struct umbra_audit *audit)
{
	struct umbra_auditor a = { .mmu = mmu, .out = audit, .exact = exact };

	memset(audit, 0, sizeof(*audit));
	write_lock(&mmu->lock);
	if (umbra_ept_root(mmu))
		audit_ept_table(&a, umbra_ept_root(mmu), umbra_format_ept.levels, 0);
	if (mmu->shadow)
		umbra_audit_shadow(&a);
	audit_slots(&a);
	audit_counters(&a);
	write_unlock(&mmu->lock);
}

void umbra_audit_sample(struct umbra_mmu *mmu)
{
	static atomic_t faults;
	unsigned int every = READ_ONCE(umbra_mmu_audit_every);
	struct umbra_audit audit;

	if (!every || (unsigned int)atomic_inc_return(&faults) % every)
		return;
	umbra_mmu_audit(mmu, false, &audit);
	if (audit.findings)
		pr_err_ratelimited("umbra: audit: %lu findings, the first: %s\n", audit.findings,
				   audit.first);
}
