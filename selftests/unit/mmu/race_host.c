// SPDX-License-Identifier: GPL-2.0
/*
 * The host of the threads' test, see race.h. Calls mmu/ as core/ does; what
 * Linux guards with locks of its page tables is under host_lock.
 */
#include <linux/errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include "race.h"

#define NR_SMALL	8192u
#define NR_LARGE	4u
#define NR_FRAMES	(NR_SMALL + NR_LARGE * HUGE_PAGES)
#define FIRST_PFN	0x100000ull

struct frame {
	bool live;
	bool shared;		/* copy on write */
	unsigned int page;
	int refs;
	struct page page_struct;
};

static struct {
	bool present;
	unsigned int frame;
} host_page[RAM_PAGES];

const struct race_slot race_slot[NR_RACE_SLOTS] = {
	[SLOT_TABLES] = { TABLES_GFN, 64, HUGE_PAGES },
	[SLOT_LARGE] = { LARGE_GFN, HUGE_PAGES, 0 },
	[SLOT_PASSING] = { PASSING_GFN, 32, HUGE_PAGES + 64 },
};

struct umbra_mmu race_mmu;
u64 ram[RAM_PAGES][512] __aligned(HUGE_PAGES * 4096);
atomic_long_t version[RAM_PAGES];

static struct frame frame[NR_FRAMES];
static unsigned int next_frame;
static bool huge;
/* May the guest use the page at all? */
static bool reachable[RAM_PAGES];
static long seen[RAM_PAGES];
static struct umbra_memslot *slot_now[NR_RACE_SLOTS];
static struct umbra_memslots slot_set[2];

/* The outer one is for what changes the huge page and what splits it. */
static pthread_mutex_t mm_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t host_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- pages; host_lock is held ---- */

static struct frame *frame_of(unsigned int page)
{
	return &frame[host_page[page].frame];
}

static void give_frame(unsigned int page, unsigned int nr, bool shared)
{
	WRITE_ONCE(frame[nr].page, page);
	WRITE_ONCE(frame[nr].shared, shared);
	WRITE_ONCE(frame[nr].live, true);
	host_page[page].frame = nr;
	host_page[page].present = true;
}

static void take_frame(unsigned int page)
{
	if (host_page[page].present)
		WRITE_ONCE(frame_of(page)->live, false);
	host_page[page].present = false;
}

static unsigned int small_frame(void)
{
	for (unsigned int tries = 0; tries < NR_SMALL; tries++) {
		unsigned int nr = next_frame++ % NR_SMALL;

		if (!frame[nr].live && !frame[nr].refs)
			return nr;
	}
	broken("host frames are leaked");
}

static unsigned int large_frames(void)
{
	unsigned int first = NR_SMALL + rnd(NR_LARGE) * HUGE_PAGES;

	for (unsigned int i = 0; i < HUGE_PAGES; i++)
		if (frame[first + i].live || frame[first + i].refs)
			return 0;
	return first;
}

unsigned int use_frame(kvm_pfn_t pfn, bool write)
{
	struct frame *f = &frame[pfn - FIRST_PFN];
	unsigned int page;

	if (pfn < FIRST_PFN || pfn - FIRST_PFN >= NR_FRAMES)
		broken("the CPU uses pfn %llx", pfn);
	if (!READ_ONCE(f->live))
		broken("the CPU uses frame %llu after the host took it away", pfn - FIRST_PFN);
	if (write && READ_ONCE(f->shared))
		broken("the CPU writes to frame %llu, which is copy on write", pfn - FIRST_PFN);
	page = READ_ONCE(f->page);
	if (!READ_ONCE(reachable[page]))
		broken("the CPU uses page %u, which no slot has any more", page);
	if (write)
		atomic_long_inc_return(&version[page]);
	return page;
}

/* ---- the notifier ---- */

typedef bool (*slot_fn)(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start,
			gfn_t end);

static bool visit(struct umbra_memslot *slot, unsigned int page, unsigned int nr, slot_fn fn)
{
	unsigned int first = (slot->hva - (hva_t)ram) >> PAGE_SHIFT;
	unsigned int start = max(page, first), end = min(page + nr, first + (u32)slot->npages);

	return start < end && fn(&race_mmu, slot, slot->base_gfn + start - first,
				 slot->base_gfn + end - first);
}

/* Context: mmu->srcu and mmu->lock. */
static bool visit_slots(unsigned int page, unsigned int nr, slot_fn fn)
{
	struct umbra_memslot *slot;
	bool any = false;

	umbra_memslots_for_each(slot, umbra_memslots_current(&race_mmu))
		any |= visit(slot, page, nr, fn);
	slot = race_mmu.retiring;
	if (slot)
		any |= visit(slot, page, nr, fn);
	return any;
}

static bool unmap(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start, gfn_t end)
{
	return umbra_mmu_unmap_gfns(mmu, slot, start, end, false);
}

static void invalidate_start(unsigned int page, unsigned int nr)
{
	int idx = srcu_read_lock(&race_mmu.srcu);
	bool flush;

	write_lock(&race_mmu.lock);
	umbra_mmu_invalidate_begin(&race_mmu, (hva_t)ram[page], (hva_t)ram[page + nr]);
	flush = visit_slots(page, nr, unmap);
	write_unlock(&race_mmu.lock);
	if (flush)
		umbra_mmu_flush(&race_mmu);
	srcu_read_unlock(&race_mmu.srcu, idx);
}

static void invalidate_end(void)
{
	write_lock(&race_mmu.lock);
	umbra_mmu_invalidate_end(&race_mmu);
	write_unlock(&race_mmu.lock);
}

static void split(void)
{
	if (!READ_ONCE(huge))
		return;
	invalidate_start(0, HUGE_PAGES);
	WRITE_ONCE(huge, false);
	invalidate_end();
}

static void collapse(void)
{
	unsigned int first;

	invalidate_start(0, HUGE_PAGES);
	pthread_mutex_lock(&host_lock);
	first = large_frames();
	for (unsigned int i = 0; first && i < HUGE_PAGES; i++) {
		take_frame(i);
		give_frame(i, first + i, false);
	}
	if (first)
		WRITE_ONCE(huge, true);
	pthread_mutex_unlock(&host_lock);
	invalidate_end();
}

static void invalidate(unsigned int page, bool share)
{
	if (page < HUGE_PAGES)
		split();
	invalidate_start(page, 1);
	pthread_mutex_lock(&host_lock);
	if (!share)
		take_frame(page);
	else if (host_page[page].present)
		WRITE_ONCE(frame_of(page)->shared, true);
	pthread_mutex_unlock(&host_lock);
	invalidate_end();
}

static bool age(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start, gfn_t end)
{
	return umbra_mmu_age_gfns(mmu, slot, start, end, true);
}

static void age_page(unsigned int page)
{
	int idx = srcu_read_lock(&race_mmu.srcu);

	write_lock(&race_mmu.lock);
	visit_slots(page, 1, age);
	write_unlock(&race_mmu.lock);
	srcu_read_unlock(&race_mmu.srcu, idx);
}

void host_event(void)
{
	unsigned int page = chance(40) ? rnd(16) : rnd(RAM_PAGES);

	pthread_mutex_lock(&mm_lock);
	switch (rnd(9)) {
	case 0:
		collapse();
		break;
	case 8:
		/* It wants memory back; rarely, everything has to be made anew. */
		if (chance(5))
			umbra_mmu_set_nx_huge(&race_mmu, chance(50));
		else
			umbra_mmu_shrink(1 + rnd(4));
		break;
	case 1 ... 2:
		age_page(page);
		break;
	case 3:
		invalidate(page, true);
		break;
	default:
		invalidate(page, false);
	}
	pthread_mutex_unlock(&mm_lock);
}

/* ---- include/umbra/hostmem.h ---- */

struct umbra_memslots *umbra_memslots_current(struct umbra_mmu *mmu)
{
	/* Pairs with the release in publish(). */
	return smp_load_acquire(&mmu->memslots);
}

struct umbra_memslot *umbra_gfn_to_slot(struct umbra_mmu *mmu, gfn_t gfn)
{
	return umbra_memslot_find(umbra_memslots_current(mmu), gfn);
}

int page_of(gfn_t gfn)
{
	struct umbra_memslot *slot = umbra_gfn_to_slot(&race_mmu, gfn);

	return slot ? (umbra_memslot_hva(slot, gfn) - (hva_t)ram) >> PAGE_SHIFT : -1;
}

/* Is the page there, with these rights? Takes a reference; host_lock is held. */
static bool take(unsigned int page, bool write, struct umbra_hostpage *out)
{
	struct frame *f = frame_of(page);

	if (!host_page[page].present || (write && f->shared))
		return false;
	f->refs++;
	out->pfn = FIRST_PFN + host_page[page].frame;
	out->page = &f->page_struct;
	out->writable = !f->shared;
	return true;
}

int umbra_hostpage_get(const struct umbra_memslot *slot, gfn_t gfn, bool write,
		       struct umbra_hostpage *out)
{
	unsigned int page = (umbra_memslot_hva(slot, gfn) - (hva_t)ram) >> PAGE_SHIFT;
	bool done;

	might_sleep();
	WARN_ON(!umbra_memslot_has(slot, gfn));
	for (;;) {
		pthread_mutex_lock(&host_lock);
		if (!host_page[page].present)
			give_frame(page, small_frame(), !write && chance(20));
		done = take(page, write, out);
		pthread_mutex_unlock(&host_lock);
		if (done)
			return 0;
		/* Break copy on write. */
		pthread_mutex_lock(&mm_lock);
		invalidate(page, false);
		pthread_mutex_unlock(&mm_lock);
	}
}

int umbra_hostpage_bring_in(const struct umbra_memslot *slot, gfn_t gfn, bool write,
			    struct umbra_hostpage *out)
{
	return umbra_hostpage_get(slot, gfn, write, out);
}

void umbra_hostpages_put(struct umbra_hostpage *hp, unsigned int nr, u32 dirty)
{
	pthread_mutex_lock(&host_lock);
	for (unsigned int i = 0; i < nr; i++)
		frame[hp[i].pfn - FIRST_PFN].refs--;
	pthread_mutex_unlock(&host_lock);
}

void umbra_hostpage_put(struct umbra_hostpage *hp, bool dirty)
{
	umbra_hostpages_put(hp, 1, dirty);
}

unsigned int umbra_hostpages_get_present(const struct umbra_memslot *slot, gfn_t gfn,
					 unsigned int nr, bool write, struct umbra_hostpage *out)
{
	unsigned int page = (umbra_memslot_hva(slot, gfn) - (hva_t)ram) >> PAGE_SHIFT, i;

	pthread_mutex_lock(&host_lock);
	for (i = 0; i < nr && take(page + i, write, &out[i]); i++)
		out[i].writable = write;
	pthread_mutex_unlock(&host_lock);
	return i;
}

unsigned int umbra_hostpage_level(const struct umbra_memslot *slot, gfn_t gfn)
{
	return slot->base_gfn == LARGE_GFN && READ_ONCE(huge) ? 2 : 1;
}

/* Guest memory, in words as the CPU would use it. */
static u8 *guest_byte(gpa_t gpa)
{
	int page = page_of(umbra_gpa_to_gfn(gpa));

	return page < 0 ? NULL : (u8 *)ram[page] + (gpa & (PAGE_SIZE - 1));
}

static void load(void *to, const u8 *from, unsigned int len)
{
	for (unsigned int i = 0; i < len; i += 4) {
		u32 word = READ_ONCE(*(const u32 *)(from + i));

		memcpy((u8 *)to + i, &word, 4);
	}
}

int umbra_guest_read_atomic(struct umbra_mmu *mmu, gpa_t gpa, void *data, unsigned int len)
{
	const u8 *from = guest_byte(gpa);
	u64 *word = data;

	if (!from)
		return -EFAULT;
	if (gpa % 8 || len % 8) {
		load(data, from, len);
		return 0;
	}
	for (unsigned int i = 0; i < len / 8; i++)
		word[i] = READ_ONCE(((const u64 *)from)[i]);
	return 0;
}

hva_t umbra_guest_hva(struct umbra_mmu *mmu, gpa_t gpa)
{
	return (hva_t)guest_byte(gpa);
}

int umbra_hva_read64(hva_t hva, u64 *value)
{
	*value = READ_ONCE(*(u64 *)hva);
	return 0;
}

int umbra_guest_read(struct umbra_mmu *mmu, gpa_t gpa, void *data, unsigned int len)
{
	might_sleep();
	return umbra_guest_read_atomic(mmu, gpa, data, len);
}

static void log_write(struct umbra_mmu_vcpu *vcpu, gpa_t gpa)
{
	struct umbra_memslot *slot = umbra_gfn_to_slot(vcpu->mmu, umbra_gpa_to_gfn(gpa));

	if (umbra_memslot_logged(slot))
		umbra_mark_dirty(vcpu, slot, umbra_gpa_to_gfn(gpa));
}

int umbra_guest_cmpxchg_atomic(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, u64 *old, u64 new,
			       unsigned int len)
{
	u8 *at = guest_byte(gpa);
	u64 expected = *old;

	if (!at)
		return -EFAULT;
	if (len != 8)
		broken("a compare-exchange of %u bytes", len);
	if (!try_cmpxchg((u64 *)at, old, new))
		return *old == expected ? -EFAULT : -EAGAIN;
	log_write(vcpu, gpa);
	return 0;
}

int umbra_guest_cmpxchg(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, u64 *old, u64 new,
			unsigned int len)
{
	might_sleep();
	return umbra_guest_cmpxchg_atomic(vcpu, gpa, old, new, len);
}

int umbra_guest_cmpxchg16_atomic(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const u64 old[2],
				 const u64 new[2])
{
	broken("a compare-exchange of 16 bytes");
}

int umbra_guest_write_atomic(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *data,
			     unsigned int len)
{
	u8 *at = guest_byte(gpa);

	if (!at)
		return -EFAULT;
	if (len != 8 || gpa % 8)
		broken("a write of %u bytes", len);
	WRITE_ONCE(*(u64 *)at, *(const u64 *)data);
	log_write(vcpu, gpa);
	return 0;
}

int umbra_guest_write(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *data,
		      unsigned int len)
{
	might_sleep();
	return umbra_guest_write_atomic(vcpu, gpa, data, len);
}

void umbra_mark_dirty(struct umbra_mmu_vcpu *vcpu, const struct umbra_memslot *slot, gfn_t gfn)
{
	set_bit(gfn - slot->base_gfn, slot->dirty_bitmap);
}

/* ---- slots; one thread changes them ---- */

static void publish(struct umbra_memslot *drop, struct umbra_memslot *add)
{
	struct umbra_memslots *old = race_mmu.memslots;
	struct umbra_memslots *new = &slot_set[!old->index];

	umbra_memslots_replace(new, drop, add);
	new->generation = old->generation + 1;
	rcu_assign_pointer(race_mmu.memslots, new);
	synchronize_srcu(&race_mmu.srcu);
	umbra_memslots_replace(old, drop, add);
}

static void create(int id)
{
	const struct race_slot *plan = &race_slot[id];
	struct umbra_memslot *slot = calloc(1, sizeof(*slot));

	slot->base_gfn = plan->base;
	slot->npages = plan->npages;
	slot->hva = (hva_t)ram[plan->first_page];
	slot->id = id;
	if (umbra_mmu_slot_alloc(&race_mmu, slot))
		broken("no memory");
	for (unsigned int i = 0; i < plan->npages; i++)
		WRITE_ONCE(reachable[plan->first_page + i], true);
	publish(NULL, slot);
	slot_now[id] = slot;
}

static void destroy(int id)
{
	const struct race_slot *plan = &race_slot[id];
	struct umbra_memslot *slot = slot_now[id];

	umbra_mmu_slot_retire(&race_mmu, slot);
	publish(slot, NULL);
	umbra_mmu_zap_gfns(&race_mmu, slot, slot->base_gfn, slot->base_gfn + slot->npages);
	for (unsigned int i = 0; i < plan->npages; i++)
		WRITE_ONCE(reachable[plan->first_page + i], false);
	if (umbra_memslot_logged(slot))
		umbra_mmu_log_end(&race_mmu);
	umbra_mmu_slot_free(slot);
	free(slot->dirty_bitmap);
	free(slot);
	slot_now[id] = NULL;
}

/* From now on a page that is written to has to be in the log. */
static void remember(int id, const unsigned long *only)
{
	const struct race_slot *plan = &race_slot[id];

	for (unsigned int i = 0; i < plan->npages; i++)
		if (!only || test_bit(i, only))
			seen[plan->first_page + i] =
				atomic_long_read(&version[plan->first_page + i]);
}

static void set_logging(int id, bool on)
{
	struct umbra_memslot *old = slot_now[id], *slot = malloc(sizeof(*slot));

	*slot = *old;
	slot->flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0;
	slot->dirty_bitmap = on ? calloc(BITS_TO_LONGS(slot->npages), sizeof(long)) : NULL;
	if (on)
		umbra_mmu_log_begin(&race_mmu);
	publish(old, slot);
	slot_now[id] = slot;
	if (on) {
		umbra_mmu_log_start(&race_mmu, slot);
		remember(id, NULL);
	} else {
		umbra_mmu_log_end(&race_mmu);
		umbra_mmu_log_stop(&race_mmu, slot);
	}
	free(old->dirty_bitmap);
	free(old);
}

/* As KVM_GET_DIRTY_LOG without manual protection: @taken is what was in the log. */
static void take_log(struct umbra_memslot *slot, unsigned long *taken)
{
	umbra_mmu_log_sync(&race_mmu);
	for (unsigned int i = 0; i < BITS_TO_LONGS(slot->npages); i++)
		taken[i] = xchg(&slot->dirty_bitmap[i], 0ul);
}

static void read_log(struct umbra_memslot *slot, unsigned long *copy)
{
	umbra_mmu_log_sync(&race_mmu);
	for (unsigned int i = 0; i < BITS_TO_LONGS(slot->npages); i++)
		copy[i] = READ_ONCE(slot->dirty_bitmap[i]);
}

/* As KVM_CLEAR_DIRTY_LOG for some words: @bits loses what is not cleared. */
static void clear_log(struct umbra_memslot *slot, unsigned long *bits)
{
	unsigned int words = BITS_TO_LONGS(slot->npages), first = rnd(words);
	unsigned int end = first + 1 + rnd(words - first);

	umbra_mmu_log_sync(&race_mmu);
	for (unsigned int i = 0; i < words; i++)
		bits[i] = i < first || i >= end ? 0 : bits[i] &
			  __atomic_fetch_and(&slot->dirty_bitmap[i], ~bits[i], __ATOMIC_SEQ_CST);
	umbra_mmu_log_again(&race_mmu, slot, bits + first, first * BITS_PER_LONG,
			    (end - first) * BITS_PER_LONG);
}

/* A page is reported before it may be written unseen. */
static void harvest(int id)
{
	const struct race_slot *plan = &race_slot[id];
	struct umbra_memslot *slot = slot_now[id];
	unsigned long taken[BITS_TO_LONGS(HUGE_PAGES)];
	bool manual = chance(50);
	long before[HUGE_PAGES];
	int idx = srcu_read_lock(&race_mmu.srcu);

	for (unsigned int i = 0; i < plan->npages; i++)
		before[i] = atomic_long_read(&version[plan->first_page + i]);
	if (manual)
		read_log(slot, taken);
	else
		take_log(slot, taken);
	for (unsigned int i = 0; i < plan->npages; i++)
		if (before[i] > seen[plan->first_page + i] && !test_bit(i, taken))
			broken("a write to page %u is not in the log", plan->first_page + i);
	if (manual)
		clear_log(slot, taken);
	else
		umbra_mmu_log_again(&race_mmu, slot, taken, 0, plan->npages);
	umbra_mmu_flush(&race_mmu);
	srcu_read_unlock(&race_mmu.srcu, idx);
	remember(id, taken);
}

void slot_event(void)
{
	int id = rnd(NR_RACE_SLOTS);

	if (!slot_now[id])
		create(id);
	else if (id == SLOT_PASSING && chance(40))
		destroy(id);
	else if (slot_now[id]->dirty_bitmap && chance(80))
		harvest(id);
	else
		set_logging(id, !slot_now[id]->dirty_bitmap);
}

void host_start(enum umbra_policy policy, bool ad)
{
	const struct umbra_mmu_caps caps = {
		.ept_ad = ad, .ept_2m = true, .host_maxphyaddr = 46,
	};
	memset(&race_mmu, 0, sizeof(race_mmu));
	memset(host_page, 0, sizeof(host_page));
	memset(frame, 0, sizeof(frame));
	memset(ram, 0, sizeof(ram));
	huge = false;
	if (umbra_mmu_module_init(&caps) || umbra_mmu_init(&race_mmu, &race_cpu_ops, policy))
		broken("no memory");
	umbra_memslots_init(&slot_set[0], 0);
	umbra_memslots_init(&slot_set[1], 1);
	race_mmu.memslots = &slot_set[0];
	for (int id = 0; id < NR_RACE_SLOTS; id++)
		create(id);
	if (umbra_mmu_slots_prepare(&race_mmu))
		broken("no memory");
}

void host_stop(void)
{
	umbra_mmu_destroy(&race_mmu);
	for (int id = 0; id < NR_RACE_SLOTS; id++) {
		if (!slot_now[id])
			continue;
		umbra_mmu_slot_free(slot_now[id]);
		free(slot_now[id]->dirty_bitmap);
		free(slot_now[id]);
		slot_now[id] = NULL;
	}
	umbra_mmu_module_exit();
	for (unsigned int i = 0; i < NR_FRAMES; i++)
		if (frame[i].refs)
			broken("host frame %u is still referenced", i);
}
