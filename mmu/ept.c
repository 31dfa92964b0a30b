// SPDX-License-Identifier: GPL-2.0
/*
 * The EPT tree, see ept.h.
 *
 * Leaves are of 4 KiB, 2 MiB or 1 GiB. What is mapped at one size is mapped at
 * another only after it was removed, see umbra_ept_make_way().
 *
 * A dead subtree is listed by its topmost table. The level of that table is
 * not kept: a table whose entries are links is freed with all below it, one
 * whose entries are leaves alone, and SPTE_LEAF tells them apart.
 */
#include <linux/sched.h>
#include <linux/string.h>
#include "around.h"
#include "dirty.h"
#include "ept.h"
#include "fault.h"
#include "mmio.h"
#include "spte.h"
#include "tlb.h"
#include "track.h"

/* EPT tables up to which frames without memory are kept in the tree. */
#define MMIO_TABLES	1024
#define MMIO_RATIO	256

static const struct umbra_format *const fmt = &umbra_format_ept;

static u64 make_leaf(const struct umbra_hostpage *hp, unsigned int level, bool write)
{
	u64 spte = umbra_level_base(hp->pfn, level) << UMBRA_PAGE_SHIFT;

	spte |= SPTE_LEAF | EPT_READ | EPT_EXEC | EPT_IGNORE_PAT;
	if (write)
		spte |= EPT_WRITE;
	if (level > 1)
		spte |= EPT_LARGE;
	if (level == 3)
		spte |= SPTE_1G;
	/* Mappings of VM_PFNMAP may change without the mmu_notifier. */
	if (hp->writable && hp->page)
		spte |= SPTE_HOST_WRITE;
	return spte | (umbra_hostpage_uncached(hp) ? EPT_MEMTYPE_UC : EPT_MEMTYPE_WB);
}

atomic64_t *umbra_ept_pages_of(struct umbra_mmu *mmu, u64 spte)
{
	if (!(spte & EPT_LARGE))
		return &mmu->stat.pages_4k;
	return spte & SPTE_1G ? &mmu->stat.pages_1g : &mmu->stat.pages_2m;
}

void umbra_ept_load(struct umbra_mmu_vcpu *vcpu)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	u64 *table;

	if (umbra_ept_root(mmu))
		return;
	table = umbra_table_alloc(vcpu);
	/* Who finds the table finds it counted. */
	atomic_long_inc(&mmu->ept_pages);
	if (cmpxchg(&mmu->ept_root, INVALID_PAGE, umbra_table_pa(table)) == INVALID_PAGE)
		return;
	atomic_long_dec(&mmu->ept_pages);
	umbra_table_return(vcpu, table);
}

/* Put a table in place of nothing. Return: the entry, which may be somebody else's. */
static u64 add_table(struct umbra_mmu_vcpu *vcpu, u64 *sptep)
{
	u64 *table = umbra_table_alloc(vcpu);
	u64 link = umbra_spte_link(fmt, umbra_table_pa(table));
	u64 seen = cmpxchg64(sptep, SPTE_NONE, link);

	if (seen == SPTE_NONE) {
		atomic_long_inc(&vcpu->mmu->ept_pages);
		return link;
	}
	umbra_table_return(vcpu, table);
	return seen;
}

/* Replace the leaf @spte. Return: what is in its place now. */
static u64 split(struct umbra_mmu_vcpu *vcpu, u64 *sptep, u64 spte, unsigned int level)
{
	u64 *table = umbra_table_alloc(vcpu);

	/* The CPU may set flags in it meanwhile, and another vCPU split it. */
	while (umbra_spte_leaf(spte)) {
		if (umbra_ept_split_leaf(vcpu->mmu, sptep, spte, level, table))
			return READ_ONCE(*sptep);
		spte = READ_ONCE(*sptep);
	}
	memset(table, 0, PAGE_SIZE);
	umbra_table_return(vcpu, table);
	return spte;
}

/* The entry of @t->gfn at @t->level, with tables down to it. */
static u64 *find_or_build(struct umbra_mmu_vcpu *vcpu, struct umbra_target *t)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	u64 *table = umbra_ept_root(mmu);
	unsigned int level;

	for (level = fmt->levels;; level--) {
		u64 *sptep = &table[umbra_table_index(t->gfn, level)];
		u64 spte = READ_ONCE(*sptep);

		if (level == t->level && umbra_ept_nx_split(spte))
			t->level--;
		if (level == t->level)
			return sptep;
		if (!umbra_spte_present(fmt, spte))
			spte = add_table(vcpu, sptep);
		if (umbra_spte_leaf(spte))
			spte = split(vcpu, sptep, spte, level);
		if (level <= t->nx_level)
			umbra_ept_mark_split(mmu, sptep, spte);
		table = umbra_table_va(spte);
	}
}

/*
 * May a leaf be writable that nobody writes to yet? With PML the CPU notes the
 * first write to a small one.
 */
static bool writable_early(const struct umbra_memslot *slot, unsigned int level)
{
	return !umbra_memslot_logged(slot) || (umbra_mmu_caps.pml && level == 1);
}

/*
 * The dirty flag of a writable leaf: clear only where a write has to be noted.
 * A CPU that finds it set has nothing to do.
 */
static u64 dirty_flag(const struct umbra_memslot *slot, bool written)
{
	return written || !umbra_memslot_logged(slot) ? EPT_DIRTY : 0;
}

/*
 * Without the accessed flag, where the CPU sets it by itself: the guest has not
 * used the page yet.
 */
static u64 make_neighbour(const struct umbra_memslot *slot, gfn_t gfn,
			  const struct umbra_hostpage *hp)
{
	bool write = hp->writable && writable_early(slot, 1) && !umbra_tracked(slot, gfn);
	u64 spte = make_leaf(hp, 1, write) | (umbra_mmu_caps.ept_ad ? 0 : EPT_ACCESSED);

	return write ? spte | dirty_flag(slot, false) : spte;
}

/*
 * Map @nr neighbours from @gfn, whose entry is @sptep, on.
 * Return: bit per page, set when the guest may write to it now or later.
 */
static u32 map_run(struct umbra_mmu *mmu, const struct umbra_memslot *slot, u64 *sptep,
		   gfn_t gfn, const struct umbra_hostpage *hp, unsigned int nr)
{
	unsigned int i, added = 0;
	u32 dirty = 0;

	for (i = 0; i < nr; i++) {
		u64 spte = make_neighbour(slot, gfn + i, &hp[i]);

		if (cmpxchg64(&sptep[i], SPTE_NONE, spte) != SPTE_NONE)
			continue;
		added++;
		if (spte & SPTE_HOST_WRITE)
			dirty |= BIT(i);
	}
	atomic64_add(added, &mmu->stat.pages_4k);
	return dirty;
}

static void map_around(struct umbra_mmu *mmu, const struct umbra_target *t, u64 *sptep,
		       struct umbra_around *around)
{
	gfn_t first = around->first, next = t->gfn + 1;

	if (around->before)
		around->dirty_before = map_run(mmu, t->slot, sptep - (t->gfn - first), first,
					       umbra_around_page(around, first), around->before);
	if (around->after)
		around->dirty_after = map_run(mmu, t->slot, sptep + 1, next,
					      umbra_around_page(around, next), around->after);
}

u64 *umbra_ept_find(struct umbra_mmu *mmu, gfn_t gfn, unsigned int lowest, unsigned int *level)
{
	u64 *table = umbra_ept_root(mmu);
	u64 *sptep, spte;

	for (*level = fmt->levels;; (*level)--) {
		sptep = &table[umbra_table_index(gfn, *level)];
		spte = READ_ONCE(*sptep);
		if (*level == lowest || !umbra_spte_present(fmt, spte) || umbra_spte_leaf(spte))
			return sptep;
		table = umbra_table_va(spte);
	}
}

unsigned int umbra_ept_level(struct umbra_mmu *mmu, gfn_t gfn)
{
	unsigned int level;
	u64 spte;

	lockdep_assert_held_read(&mmu->lock);
	if (!umbra_ept_root(mmu))
		return 0;
	spte = READ_ONCE(*umbra_ept_find(mmu, gfn, 1, &level));
	return umbra_spte_present(fmt, spte) ? level : 0;
}

/* Give back the write right that the MMU has taken from the leaf @old. */
static int allow_write(struct umbra_mmu_vcpu *vcpu, const struct umbra_target *t, u64 *sptep,
		       u64 old)
{
	if (!(old & SPTE_HOST_WRITE) || umbra_tracked(t->slot, t->gfn))
		return UMBRA_FAULT_RETRY;
	/* First the log, then the right. */
	if (umbra_memslot_logged(t->slot))
		umbra_mark_dirty(vcpu, t->slot, t->gfn);
	if (cmpxchg64(sptep, old, old | fmt->write | EPT_DIRTY) != old)
		return UMBRA_FAULT_RETRY;
	return UMBRA_FAULT_FIXED;
}

int umbra_ept_look(struct umbra_mmu_vcpu *vcpu, const struct umbra_target *t,
		   struct umbra_around *around)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	unsigned int level;
	u64 *sptep, spte;

	lockdep_assert_held_read(&mmu->lock);
	umbra_around_init(around, t->gfn);
	if (!umbra_ept_root(mmu))
		return UMBRA_FAULT_RETRY;
	sptep = umbra_ept_find(mmu, t->gfn, 1, &level);
	spte = READ_ONCE(*sptep);
	if (!umbra_spte_present(fmt, spte)) {
		umbra_around_grow(around, t->slot, t->gfn, level == 1 ? sptep : NULL, fmt);
		return UMBRA_FAULT_RETRY;
	}
	/* Large, and must not be executed: small ones have to take its place. */
	if (t->fetch && !(spte & EPT_EXEC))
		return UMBRA_FAULT_RETRY;
	if (!t->write || (spte & fmt->write))
		return UMBRA_FAULT_SPURIOUS;
	/* Large, or of another size than it could be now: map it anew. */
	if (level > 1 || t->level > 1)
		return UMBRA_FAULT_RETRY;
	return allow_write(vcpu, t, sptep, spte);
}

/* Replace @old. FIXED; SPURIOUS when that would change nothing; RETRY. */
static int install(struct umbra_mmu_vcpu *vcpu, struct umbra_target *t, u64 *sptep, u64 old,
		   bool write)
{
	u64 new = make_leaf(&t->hp, t->level, write) | EPT_ACCESSED |
		  (write ? dirty_flag(t->slot, t->write) : 0);
	struct umbra_mmu *mmu = vcpu->mmu;
	bool same = umbra_spte_present(fmt, old) && umbra_spte_pfn(old) == umbra_spte_pfn(new);

	if (t->level > 1 && mmu->nx_huge)
		new &= ~EPT_EXEC;
	if (same) {
		/* Another vCPU's write may have given more than this read asks for. */
		if (write <= !!(old & fmt->write))
			return UMBRA_FAULT_SPURIOUS;
		new |= old & EPT_DIRTY;
	}
	if (write && t->write)
		umbra_target_set_dirty(vcpu, t);
	else if (new & SPTE_HOST_WRITE)
		t->dirty = true;
	if (cmpxchg64(sptep, old, new) != old)
		return UMBRA_FAULT_RETRY;
	if (!umbra_spte_present(fmt, old)) {
		atomic64_inc(umbra_ept_pages_of(mmu, new));
	} else if (!same) {
		/* A host mapping that changes without notifiers: VM_PFNMAP. */
		umbra_tlb_debt(mmu);
		umbra_mmu_flush(mmu);
	}
	return UMBRA_FAULT_FIXED;
}

static bool is_table(u64 spte)
{
	return umbra_spte_present(fmt, spte) && !umbra_spte_leaf(spte);
}

int umbra_ept_map(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault,
		  struct umbra_target *t, struct umbra_around *around)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	u64 *sptep, old;
	bool write;
	int result;

	lockdep_assert_held_read(&mmu->lock);
	/* The root went away: umbra_mmu_load() makes a new one. */
	if (!umbra_ept_root(mmu))
		return UMBRA_FAULT_RETRY;
	if (t->level > 1 && umbra_tracked_any(t->slot, umbra_level_base(t->gfn, t->level),
					      umbra_level_frames(t->level)))
		t->level = 1;
	/* Switched off since the level was chosen. */
	if (!mmu->nx_huge)
		t->nx_level = 0;
	sptep = find_or_build(vcpu, t);
	if (is_table(READ_ONCE(*sptep)) && umbra_memslot_logged(t->slot)) {
		/* Made small by a write, and not to be large again while others come. */
		t->level = 1;
		sptep = find_or_build(vcpu, t);
	}
	old = READ_ONCE(*sptep);
	t->in_way = is_table(old);
	if (t->in_way)
		return UMBRA_FAULT_RETRY;
	write = umbra_target_grants_write(t) && (t->write || writable_early(t->slot, t->level));
	result = install(vcpu, t, sptep, old, write);
	if (result == UMBRA_FAULT_FIXED)
		map_around(mmu, t, sptep, around);
	if (result == UMBRA_FAULT_RETRY || !t->write || write)
		return result;
	/* The frame became a guest table since umbra_target_get(). */
	if (fault->walk)
		return UMBRA_FAULT_RETRY;
	fault->tracked = true;
	return UMBRA_FAULT_EMULATE;
}

/*
 * Tables that MMIO alone needs: as many as make sense for a guest that does not
 * roam about its address space.
 */
static bool may_cache_mmio(struct umbra_mmu *mmu)
{
	u64 tables = MMIO_TABLES + umbra_memslots_current(mmu)->npages / MMIO_RATIO;

	return umbra_mmu_caps.mmio_caching && atomic_long_read(&mmu->ept_pages) < tables;
}

void umbra_ept_cache_mmio(struct umbra_mmu_vcpu *vcpu, gfn_t gfn, u64 gen)
{
	struct umbra_target t = { .gfn = gfn, .level = 1 };
	u64 new = umbra_mmio_spte(gen, EPT_WRITE | EPT_EXEC);
	struct umbra_mmu *mmu = vcpu->mmu;
	u64 *sptep, old;

	if (gfn >= umbra_level_frames(fmt->levels + 1) || !may_cache_mmio(mmu) ||
	    umbra_cache_topup(vcpu, UMBRA_FAMILY_EPT))
		return;
	read_lock(&mmu->lock);
	sptep = !umbra_ept_root(mmu) ? NULL : find_or_build(vcpu, &t);
	old = sptep ? READ_ONCE(*sptep) : SPTE_NONE;
	if (sptep && !umbra_spte_present(fmt, old) && cmpxchg64(sptep, old, new) == old)
		vcpu->stat.pf_mmio_spte_created++;
	read_unlock(&mmu->lock);
}

bool umbra_ept_is_mmio(struct umbra_mmu *mmu, gfn_t gfn, u64 gen)
{
	unsigned int level;
	u64 spte;

	lockdep_assert_held_read(&mmu->lock);
	if (!umbra_ept_root(mmu) || gfn >= umbra_level_frames(fmt->levels + 1))
		return false;
	spte = READ_ONCE(*umbra_ept_find(mmu, gfn, 1, &level));
	return level == 1 && umbra_spte_mmio(spte) && umbra_mmio_spte_current(spte, gen);
}

static void zap_mmio(u64 *table, unsigned int level)
{
	unsigned int i;

	for (i = 0; i < TABLE_ENTRIES; i++) {
		u64 spte = READ_ONCE(table[i]);

		if (level == 1 && umbra_spte_mmio(spte))
			WRITE_ONCE(table[i], SPTE_NONE);
		else if (level > 1 && umbra_spte_present(fmt, spte) && !umbra_spte_leaf(spte))
			zap_mmio(umbra_table_va(spte), level - 1);
	}
}

/* Tables may go while others have the lock: each part is found from the root. */
void umbra_ept_zap_mmio(struct umbra_mmu *mmu)
{
	u64 part = umbra_level_frames(fmt->levels - 1);
	gfn_t gfn, end = umbra_level_frames(fmt->levels + 1);
	unsigned int level;
	u64 spte;

	lockdep_assert_held_write(&mmu->lock);
	for (gfn = 0; gfn < end && umbra_ept_root(mmu); gfn += part) {
		u64 *top = umbra_ept_root(mmu);

		level = fmt->levels;
		spte = READ_ONCE(top[umbra_table_index(gfn, level)]);
		if (!umbra_spte_present(fmt, spte)) {
			gfn += umbra_level_frames(level) - part;
			continue;
		}
		level--;
		spte = READ_ONCE(umbra_table_va(spte)[umbra_table_index(gfn, level)]);
		if (umbra_spte_present(fmt, spte) && !umbra_spte_leaf(spte))
			zap_mmio(umbra_table_va(spte), level - 1);
		cond_resched_rwlock_write(&mmu->lock);
	}
}

static void count_unlinked(struct umbra_mmu *mmu, u64 link)
{
	if (umbra_ept_nx_split(link))
		atomic64_dec(&mmu->stat.nx_lpage_splits);
}

void umbra_ept_unlink(struct umbra_mmu *mmu, u64 *sptep, struct umbra_table_list *dead)
{
	u64 link = *sptep;

	lockdep_assert_held_write(&mmu->lock);
	count_unlinked(mmu, link);
	WRITE_ONCE(*sptep, SPTE_NONE);
	umbra_table_list_add(dead, umbra_table_va(link));
}

typedef bool (*leaf_fn)(struct umbra_mmu *mmu, u64 *sptep);

/*
 * Visit the leaves of [start, end) below @table, whose first entry maps @base.
 * With @dead, unlink the tables that lie in the range as a whole instead.
 */
static bool visit(struct umbra_mmu *mmu, u64 *table, unsigned int level, gfn_t start,
		  gfn_t end, leaf_fn fn, struct umbra_table_list *dead)
{
	u64 frames = umbra_level_frames(level);
	bool any = false;
	gfn_t gfn, next;

	for (gfn = start; gfn < end; gfn = next) {
		u64 *sptep = &table[umbra_table_index(gfn, level)];
		u64 spte = READ_ONCE(*sptep);

		next = min_t(gfn_t, end, (gfn & ~(frames - 1)) + frames);
		if (!umbra_spte_present(fmt, spte))
			continue;
		if (umbra_spte_leaf(spte)) {
			any |= fn(mmu, sptep);
		} else if (dead && next - gfn == frames) {
			umbra_ept_unlink(mmu, sptep, dead);
			any = true;
		} else {
			any |= visit(mmu, umbra_table_va(spte), level - 1, gfn, next, fn, dead);
		}
	}
	return any;
}

static bool visit_all(struct umbra_mmu *mmu, gfn_t start, gfn_t end, leaf_fn fn,
		      struct umbra_table_list *dead)
{
	lockdep_assert_held_write(&mmu->lock);
	end = min_t(gfn_t, end, umbra_level_frames(fmt->levels + 1));
	if (!umbra_ept_root(mmu))
		return false;
	return visit(mmu, umbra_ept_root(mmu), fmt->levels, start, end, fn, dead);
}

static bool zap_leaf(struct umbra_mmu *mmu, u64 *sptep)
{
	atomic64_dec(umbra_ept_pages_of(mmu, READ_ONCE(*sptep)));
	WRITE_ONCE(*sptep, SPTE_NONE);
	return true;
}

/* A large one loses the right as a whole; the next write splits it. */
static bool write_protect_leaf(struct umbra_mmu *mmu, u64 *sptep)
{
	return umbra_spte_clear(sptep, fmt->write, fmt->write | EPT_DIRTY);
}

static bool test_leaf(struct umbra_mmu *mmu, u64 *sptep)
{
	/* Without the flag every mapped page counts as used. */
	return !umbra_mmu_caps.ept_ad || (READ_ONCE(*sptep) & fmt->accessed);
}

static bool age_leaf(struct umbra_mmu *mmu, u64 *sptep)
{
	if (!umbra_mmu_caps.ept_ad) {
		zap_leaf(mmu, sptep);
		umbra_tlb_debt(mmu);
		return true;
	}
	return umbra_spte_clear(sptep, fmt->accessed, fmt->accessed);
}

gfn_t umbra_ept_zap_some(struct umbra_mmu *mmu, gfn_t start, gfn_t end)
{
	unsigned int level;
	u64 *sptep;

	lockdep_assert_held_write(&mmu->lock);
	if (!umbra_ept_root(mmu) || start >= umbra_level_frames(fmt->levels + 1))
		return end;
	sptep = umbra_ept_find(mmu, start, 2, &level);
	end = min_t(gfn_t, end, umbra_level_base(start, level) + umbra_level_frames(level));
	if (umbra_spte_present(fmt, READ_ONCE(*sptep)) &&
	    visit_all(mmu, start, end, zap_leaf, NULL))
		umbra_tlb_debt(mmu);
	return end;
}

bool umbra_ept_zap_tables(struct umbra_mmu *mmu, gfn_t start, gfn_t end,
			  struct umbra_table_list *dead)
{
	bool any = visit_all(mmu, start, end, zap_leaf, dead);

	if (any)
		umbra_tlb_debt(mmu);
	return any;
}

bool umbra_ept_write_protect(struct umbra_mmu *mmu, gfn_t start, gfn_t end)
{
	bool any = visit_all(mmu, start, end, write_protect_leaf, NULL);

	if (any)
		umbra_tlb_debt(mmu);
	return any;
}

/* A cleared flag that a CPU has cached only makes the page look idle: no debt. */
bool umbra_ept_age(struct umbra_mmu *mmu, gfn_t start, gfn_t end, bool clear)
{
	return visit_all(mmu, start, end, clear ? age_leaf : test_leaf, NULL);
}

static void free_table(struct umbra_mmu *mmu, u64 *table)
{
	atomic_long_dec(&mmu->ept_pages);
	umbra_table_free(mmu, table);
}

void umbra_ept_free_dead(struct umbra_mmu *mmu, struct umbra_table_list *dead)
{
	unsigned int i;
	u64 *table;

	if (!dead->first)
		return;
	umbra_mmu_flush(mmu);
	while ((table = umbra_table_list_pop(dead))) {
		for (i = 0; i < TABLE_ENTRIES; i++) {
			u64 spte = table[i];

			if (!umbra_spte_present(fmt, spte))
				continue;
			if (umbra_spte_leaf(spte)) {
				atomic64_dec(umbra_ept_pages_of(mmu, spte));
				continue;
			}
			count_unlinked(mmu, spte);
			umbra_table_list_add(dead, umbra_table_va(spte));
		}
		free_table(mmu, table);
		cond_resched();
	}
}

void umbra_ept_make_way(struct umbra_mmu *mmu, const struct umbra_target *t)
{
	gfn_t start = umbra_level_base(t->gfn, t->level);
	struct umbra_table_list dead = { };

	write_lock(&mmu->lock);
	umbra_ept_zap_tables(mmu, start, start + umbra_level_frames(t->level), &dead);
	umbra_mmu_flush(mmu);
	write_unlock(&mmu->lock);
	umbra_ept_free_dead(mmu, &dead);
}

void umbra_ept_destroy(struct umbra_mmu *mmu)
{
	struct umbra_table_list dead = { };

	if (!umbra_ept_root(mmu))
		return;
	umbra_table_list_add(&dead, umbra_ept_root(mmu));
	mmu->ept_root = INVALID_PAGE;
	umbra_ept_free_dead(mmu, &dead);
}
