// SPDX-License-Identifier: GPL-2.0
/*
 * The host: pages that come and go behind memslots, and the notifier calls that
 * go with it, in the order in which core/ makes them.
 */
#include <linux/errno.h>
#include <linux/kvm.h>
#include <linux/bitmap.h>
#include <linux/slab.h>
#include <stdlib.h>
#include "machine.h"

u8 ram[RAM_PAGES][4096] __aligned(HUGE_PAGES * 4096);
struct host_page host_page[RAM_PAGES];
struct host_frame host_frame[NR_HOST_FRAMES];
struct machine machine;

/*
 * Placed so that indices 0, 1, 2 and 511 of each level lead somewhere. The
 * second has a last-level table of its own, and may be huge. The upper half of an
 * entry for the fifth is a 4-byte entry, too, for reading and writing, and with the
 * flag that says that it was used the whole is an entry for the sixth.
 */
const struct slot_plan slot_plan[NR_SLOTS] = {
	{ .base = 0, .npages = 200, .first_page = 512 },
	{ .base = 512, .npages = 512, .first_page = 0 },
	{ .base = 1024, .npages = 32, .first_page = 712 },
	{ .base = 511 * 512 + 504, .npages = 8, .first_page = 744 },
	{ .base = (7ull << 20) + 1400, .npages = 8, .first_page = 752 },
	{ .base = (0x27ull << 20) + 1400, .npages = 8, .first_page = 760 },
};

/* ---- pages ---- */

static u32 next_frame;

static u32 frame_alloc(unsigned int page)
{
	/* Taken in turn: a stale mapping finds a dead frame for a long time. */
	for (unsigned int tries = 0; tries < NR_SMALL_FRAMES; tries++) {
		struct host_frame *f = &host_frame[next_frame];
		u32 nr = next_frame;

		next_frame = (next_frame + 1) % NR_SMALL_FRAMES;
		if (f->live || f->refs)
			continue;
		f->live = true;
		f->dirty = false;
		f->page = page;
		return nr;
	}
	violation("host frames are leaked");
}

/* The first of as many free frames as a huge page needs, or 0. */
static u32 large_frame(void)
{
	static unsigned int next;
	unsigned int i;
	u32 first;

	next = (next + 1) % NR_LARGE_FRAMES;
	first = NR_SMALL_FRAMES + next * HUGE_PAGES;
	for (i = 0; i < HUGE_PAGES; i++)
		if (host_frame[first + i].live || host_frame[first + i].refs)
			return 0;
	return first;
}

/* A large frame is dirty as a whole, also when its page was split. */
static void set_dirty(u32 frame)
{
	u32 first = frame, nr = 1;

	if (frame >= NR_SMALL_FRAMES) {
		first = frame / HUGE_PAGES * HUGE_PAGES;
		nr = HUGE_PAGES;
	}
	while (nr--)
		host_frame[first + nr].dirty = true;
}

static void bring_in(unsigned int page, bool write)
{
	struct host_page *hp = &host_page[page];

	/* Copy on write: the old frame goes away with a notifier call. */
	if (hp->present && write && hp->write_protected)
		host_unmap(page);
	if (hp->present)
		return;
	hp->frame = frame_alloc(page);
	hp->write_protected = !write && chance(machine.orderly ? 1 : 20);
	hp->present = true;
}

static unsigned int hva_to_page(hva_t hva)
{
	return (hva - (hva_t)ram) >> PAGE_SHIFT;
}

int gfn_to_page(gfn_t gfn, bool retiring, struct umbra_memslot **slot_out)
{
	struct umbra_memslot *slot = umbra_memslot_find(machine.mmu.memslots, gfn);

	if (!slot && retiring && machine.mmu.retiring &&
	    umbra_memslot_has(machine.mmu.retiring, gfn))
		slot = machine.mmu.retiring;
	if (slot_out)
		*slot_out = slot;
	return slot ? (int)hva_to_page(umbra_memslot_hva(slot, gfn)) : -1;
}

unsigned int pfn_to_ram(kvm_pfn_t pfn, bool write)
{
	struct host_frame *f;

	if (pfn < FIRST_PFN || pfn >= FIRST_PFN + NR_HOST_FRAMES)
		violation("the CPU uses pfn %llx, which is no guest memory", pfn);
	f = &host_frame[pfn - FIRST_PFN];
	if (!f->live)
		violation("the CPU uses frame %llu, which the host has taken away (page %u)",
			  pfn - FIRST_PFN, f->page);
	if (write && host_page[f->page].write_protected)
		violation("the CPU writes to page %u, which is copy on write", f->page);
	if (write && !f->dirty)
		violation("the CPU writes to page %u, the host thinks that it is clean", f->page);
	return f->page;
}

/* ---- include/umbra/hostmem.h ---- */

struct umbra_memslot *umbra_gfn_to_slot(struct umbra_mmu *mmu, gfn_t gfn)
{
	return umbra_memslot_find(mmu->memslots, gfn);
}

struct umbra_memslots *umbra_memslots_current(struct umbra_mmu *mmu)
{
	return mmu->memslots;
}

static void check_sleepable(struct umbra_mmu *mmu)
{
	might_sleep();
	WARN_ON(!srcu_read_lock_held(&mmu->srcu) || unit_rcu_depth);
}

int umbra_hostpage_get(const struct umbra_memslot *slot, gfn_t gfn, bool write,
		       struct umbra_hostpage *out)
{
	unsigned int page = hva_to_page(umbra_memslot_hva(slot, gfn));
	struct host_frame *f;

	check_sleepable(&machine.mmu);
	WARN_ON(!umbra_memslot_has(slot, gfn));
	if (write && slot->flags & KVM_MEM_READONLY)
		return -EFAULT;
	interfere(true);
	bring_in(page, write);
	f = &host_frame[host_page[page].frame];
	f->refs++;
	out->pfn = FIRST_PFN + host_page[page].frame;
	out->page = &f->page_struct;
	out->writable = !host_page[page].write_protected && !(slot->flags & KVM_MEM_READONLY);
	interfere(true);
	return 0;
}

int umbra_hostpage_bring_in(const struct umbra_memslot *slot, gfn_t gfn, bool write,
			    struct umbra_hostpage *out)
{
	return umbra_hostpage_get(slot, gfn, write, out);
}

void umbra_hostpage_put(struct umbra_hostpage *hp, bool dirty)
{
	struct host_frame *f = &host_frame[hp->pfn - FIRST_PFN];

	WARN_ON(hp->page != &f->page_struct || f->refs <= 0);
	f->refs--;
	if (dirty)
		set_dirty(hp->pfn - FIRST_PFN);
	hp->page = NULL;
}

unsigned int umbra_hostpages_get_present(const struct umbra_memslot *slot, gfn_t gfn,
					 unsigned int nr, bool write, struct umbra_hostpage *out)
{
	unsigned int page = hva_to_page(umbra_memslot_hva(slot, gfn)), i;

	WARN_ON(nr > UMBRA_HOSTPAGES_MAX);
	WARN_ON(nr && (!umbra_memslot_has(slot, gfn) || !umbra_memslot_has(slot, gfn + nr - 1)));
	WARN_ON(write && slot->flags & KVM_MEM_READONLY);
	for (i = 0; i < nr; i++, page++) {
		struct host_frame *f = &host_frame[host_page[page].frame];

		if (!host_page[page].present || (write && host_page[page].write_protected))
			break;
		f->refs++;
		out[i].pfn = FIRST_PFN + host_page[page].frame;
		out[i].page = &f->page_struct;
		out[i].writable = write;
	}
	return i;
}

unsigned int umbra_hostpage_level(const struct umbra_memslot *slot, gfn_t gfn)
{
	WARN_ON(!umbra_memslot_has(slot, gfn));
	if (hva_to_page(umbra_memslot_hva(slot, gfn)) < HUGE_PAGES && machine.huge)
		return 2;
	return 1;
}

void umbra_hostpages_put(struct umbra_hostpage *hp, unsigned int nr, u32 dirty)
{
	for (unsigned int i = 0; i < nr; i++)
		umbra_hostpage_put(&hp[i], dirty & BIT(i));
}

/* One page's worth. The caller has checked nothing. */
static int access_page(gpa_t gpa, bool write)
{
	struct umbra_memslot *slot;
	int page = gfn_to_page(umbra_gpa_to_gfn(gpa), false, &slot);

	if (page < 0 || (write && slot->flags & KVM_MEM_READONLY))
		return -EFAULT;
	/* As copy_to_user() would do it. */
	bring_in(page, write);
	return page;
}

int umbra_guest_read(struct umbra_mmu *mmu, gpa_t gpa, void *data, unsigned int len)
{
	check_sleepable(mmu);
	while (len) {
		unsigned int n = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(gpa));
		int page;

		interfere(true);
		page = access_page(gpa, false);
		if (page < 0)
			return -EFAULT;
		memcpy(data, &ram[page][offset_in_page(gpa)], n);
		gpa += n;
		data = (u8 *)data + n;
		len -= n;
	}
	return 0;
}

hva_t umbra_guest_hva(struct umbra_mmu *mmu, gpa_t gpa)
{
	int page = gfn_to_page(umbra_gpa_to_gfn(gpa), false, NULL);

	return page < 0 ? 0 : (hva_t)&ram[page][offset_in_page(gpa)];
}

int umbra_hva_read64(hva_t hva, u64 *value)
{
	*value = *(u64 *)hva;
	return 0;
}

int umbra_guest_read_atomic(struct umbra_mmu *mmu, gpa_t gpa, void *data, unsigned int len)
{
	int page = gfn_to_page(umbra_gpa_to_gfn(gpa), false, NULL);

	WARN_ON(!srcu_read_lock_held(&mmu->srcu));
	WARN_ON(offset_in_page(gpa) + len > PAGE_SIZE);
	if (page < 0 || !host_page[page].present)
		return -EFAULT;
	memcpy(data, &ram[page][offset_in_page(gpa)], len);
	return 0;
}

static void log_write(struct umbra_mmu_vcpu *vcpu, gpa_t gpa)
{
	struct umbra_memslot *slot = umbra_gfn_to_slot(vcpu->mmu, umbra_gpa_to_gfn(gpa));

	if (umbra_memslot_logged(slot))
		umbra_mark_dirty(vcpu, slot, umbra_gpa_to_gfn(gpa));
}

int umbra_guest_write(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *data,
		      unsigned int len)
{
	check_sleepable(vcpu->mmu);
	while (len) {
		unsigned int n = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(gpa));
		int page = access_page(gpa, true);

		if (page < 0)
			return -EFAULT;
		history_write(page, offset_in_page(gpa), data, n);
		log_write(vcpu, gpa);
		interfere(true);
		gpa += n;
		data = (u8 *)data + n;
		len -= n;
	}
	return 0;
}

/* Is the page at hand for writing? */
static bool can_write(gpa_t gpa)
{
	struct umbra_memslot *slot;
	int page = gfn_to_page(umbra_gpa_to_gfn(gpa), false, &slot);

	return page >= 0 && !(slot->flags & KVM_MEM_READONLY) && host_page[page].present &&
	       !host_page[page].write_protected;
}

int umbra_guest_write_atomic(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *data,
			     unsigned int len)
{
	WARN_ON(!srcu_read_lock_held(&vcpu->mmu->srcu));
	WARN_ON(offset_in_page(gpa) + len > PAGE_SIZE);
	if (!can_write(gpa))
		return -EFAULT;
	interfere_inside();
	history_write(access_page(gpa, true), offset_in_page(gpa), data, len);
	log_write(vcpu, gpa);
	interfere_inside();
	return 0;
}

static int exchange(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, u64 *old, u64 new,
		    unsigned int len)
{
	u64 found = 0;
	int page;

	WARN_ON(gpa % len);
	page = access_page(gpa, true);
	if (page < 0)
		return -EFAULT;
	memcpy(&found, &ram[page][offset_in_page(gpa)], len);
	if (memcmp(&found, old, len)) {
		*old = found;
		return -EAGAIN;
	}
	history_write(page, offset_in_page(gpa), &new, len);
	log_write(vcpu, gpa);
	return 0;
}

int umbra_guest_cmpxchg(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, u64 *old, u64 new,
			unsigned int len)
{
	check_sleepable(vcpu->mmu);
	interfere(true);
	return exchange(vcpu, gpa, old, new, len);
}

int umbra_guest_cmpxchg_atomic(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, u64 *old, u64 new,
			       unsigned int len)
{
	int ret;

	WARN_ON(!srcu_read_lock_held(&vcpu->mmu->srcu));
	if (!can_write(gpa))
		return -EFAULT;
	interfere_inside();
	ret = exchange(vcpu, gpa, old, new, len);
	interfere_inside();
	return ret;
}

int umbra_guest_cmpxchg16_atomic(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const u64 old[2],
				 const u64 new[2])
{
	int page;

	WARN_ON(!srcu_read_lock_held(&vcpu->mmu->srcu));
	WARN_ON(gpa % 16);
	if (!can_write(gpa))
		return -EFAULT;
	interfere_inside();
	page = access_page(gpa, true);
	if (page < 0)
		return -EFAULT;
	if (memcmp(&ram[page][offset_in_page(gpa)], old, 16))
		return -EAGAIN;
	history_write(page, offset_in_page(gpa), new, 16);
	log_write(vcpu, gpa);
	interfere_inside();
	return 0;
}

void umbra_mark_dirty(struct umbra_mmu_vcpu *vcpu, const struct umbra_memslot *slot, gfn_t gfn)
{
	WARN_ON(!umbra_memslot_logged(slot));
	set_bit(gfn - slot->base_gfn, slot->dirty_bitmap);
}

/* ---- the notifier, as core/notifier.c ---- */

typedef bool (*slot_fn)(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start,
			gfn_t end);

static bool visit_slot(struct umbra_memslot *slot, unsigned int page, unsigned int nr, slot_fn fn)
{
	unsigned int first = hva_to_page(slot->hva);
	unsigned int start = max(page, first);
	unsigned int end = min(page + nr, first + (unsigned int)slot->npages);

	return start < end && fn(&machine.mmu, slot, slot->base_gfn + start - first,
				 slot->base_gfn + end - first);
}

static bool visit_slots(unsigned int page, unsigned int nr, slot_fn fn)
{
	struct umbra_memslots *slots = machine.mmu.memslots;
	hva_t first = (hva_t)ram[page], last = (hva_t)ram[page + nr] - 1;
	struct umbra_memslot *slot;
	bool any = false;

	umbra_memslots_for_each_hva(slot, slots, first, last)
		any |= visit_slot(slot, page, nr, fn);
	if (machine.mmu.retiring)
		any |= visit_slot(machine.mmu.retiring, page, nr, fn);
	return any;
}

static bool unmap(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start, gfn_t end)
{
	return umbra_mmu_unmap_gfns(mmu, slot, start, end, true);
}

static void invalidate_start(unsigned int page, unsigned int nr)
{
	struct umbra_mmu *mmu = &machine.mmu;
	int idx = srcu_read_lock(&mmu->srcu);
	bool flush;

	write_lock(&mmu->lock);
	umbra_mmu_invalidate_begin(mmu, (hva_t)ram[page], (hva_t)ram[page + nr]);
	flush = visit_slots(page, nr, unmap);
	write_unlock(&mmu->lock);
	if (flush)
		umbra_mmu_flush(mmu);
	srcu_read_unlock(&mmu->srcu, idx);
	/* Faults here must not map the pages; they may well look them up. */
	if (!machine.invalidating) {
		machine.invalidating = true;
		interfere(false);
		machine.invalidating = false;
	}
}

static void invalidate_end(void)
{
	cpu_audit();
	write_lock(&machine.mmu.lock);
	umbra_mmu_invalidate_end(&machine.mmu);
	write_unlock(&machine.mmu.lock);
	counts.notified++;
}

/* The same frame, in small pages. */
static void split(void)
{
	invalidate_start(0, HUGE_PAGES);
	machine.huge = false;
	invalidate_end();
}

void host_collapse(void)
{
	u32 first = large_frame();

	if (!first || machine.huge || machine.invalidating)
		return;
	invalidate_start(0, HUGE_PAGES);
	for (unsigned int i = 0; i < HUGE_PAGES; i++) {
		struct host_page *hp = &host_page[i];

		if (hp->present)
			host_frame[hp->frame].live = false;
		*hp = (struct host_page) { .present = true, .frame = first + i };
		host_frame[hp->frame].live = true;
		host_frame[hp->frame].dirty = false;
		host_frame[hp->frame].page = i;
	}
	machine.huge = true;
	invalidate_end();
	counts.collapsed++;
}

/* What stands in the way of large leaves in the slot of huge pages goes. */
void host_clear_huge(void)
{
	struct umbra_memslot *slot = machine.slot[1];
	unsigned int i;
	int idx;

	if (!slot || !slot->track)
		return;
	idx = srcu_read_lock(&machine.mmu.srcu);
	for (i = 0; i < slot->npages; i++)
		if (slot->track[i])
			umbra_mmu_unprotect(&machine.mmu, slot->base_gfn + i);
	srcu_read_unlock(&machine.mmu.srcu, idx);
	host_collapse();
}

enum host_event { HOST_UNMAP, HOST_WRITE_PROTECT, HOST_CLEAN };

static void invalidate(unsigned int page, enum host_event event)
{
	struct host_page *hp = &host_page[page];

	if (page < HUGE_PAGES && machine.huge)
		split();
	invalidate_start(page, 1);
	if (event == HOST_UNMAP && hp->present) {
		host_frame[hp->frame].live = false;
		hp->present = false;
	} else if (event == HOST_WRITE_PROTECT) {
		hp->write_protected = true;
	} else if (hp->present) {
		host_frame[hp->frame].dirty = false;
	}
	invalidate_end();
}

void host_unmap(unsigned int page)
{
	invalidate(page, HOST_UNMAP);
}

void host_write_protect(unsigned int page)
{
	if (host_page[page].present)
		invalidate(page, HOST_WRITE_PROTECT);
}

/* Written back: the next write to the page has to be known. */
void host_clean(unsigned int page)
{
	invalidate(page, HOST_CLEAN);
}

static bool age_test(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start, gfn_t end)
{
	return umbra_mmu_age_gfns(mmu, slot, start, end, false);
}

static bool age_clear(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start, gfn_t end)
{
	return umbra_mmu_age_gfns(mmu, slot, start, end, true);
}

void host_age(unsigned int page, bool clear)
{
	struct umbra_mmu *mmu = &machine.mmu;
	int idx = srcu_read_lock(&mmu->srcu);
	bool young;

	write_lock(&mmu->lock);
	young = visit_slots(page, 1, clear ? age_clear : age_test);
	write_unlock(&mmu->lock);
	srcu_read_unlock(&mmu->srcu, idx);
	if (clear && young && chance(50))
		umbra_mmu_flush(mmu);
}

/* ---- slots, as core/slots.c ---- */

static struct umbra_memslots slot_set[2];

static void publish(struct umbra_memslot *drop, struct umbra_memslot *add)
{
	struct umbra_memslots *old = machine.mmu.memslots;
	struct umbra_memslots *new = &slot_set[!old->index];

	umbra_memslots_replace(new, drop, add);
	new->generation = old->generation + 1;
	new->mmio_gen = umbra_mmio_gen_next(old->mmio_gen, drop, add);
	if (new->mmio_gen != old->mmio_gen && umbra_mmio_gen_wrapped(new->mmio_gen))
		umbra_mmu_zap_mmio(&machine.mmu);
	rcu_assign_pointer(machine.mmu.memslots, new);
	synchronize_srcu(&machine.mmu.srcu);
	umbra_memslots_replace(old, drop, add);
}

static void slot_free(struct umbra_memslot *slot)
{
	umbra_mmu_slot_free(slot);
	free(slot->dirty_bitmap);
	free(slot);
}

/* The log, and behind it the snapshot that user space gets. */
static unsigned long *new_bitmap(const struct umbra_memslot *slot)
{
	return calloc(2 * BITS_TO_LONGS(slot->npages), sizeof(long));
}

int slot_create(int id, u32 flags)
{
	const struct slot_plan *plan = &slot_plan[id];
	struct umbra_memslot *slot = calloc(1, sizeof(*slot));

	slot->base_gfn = plan->base;
	slot->npages = plan->npages;
	slot->hva = (hva_t)ram[plan->first_page];
	slot->flags = flags;
	slot->id = id;
	if (flags & KVM_MEM_LOG_DIRTY_PAGES)
		slot->dirty_bitmap = new_bitmap(slot);
	if (umbra_mmu_slot_alloc(&machine.mmu, slot)) {
		slot_free(slot);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < plan->npages; i++)
		history_forget_page(plan->first_page + i);
	if (umbra_memslot_logged(slot))
		umbra_mmu_log_begin(&machine.mmu);
	publish(NULL, slot);
	machine.slot[id] = slot;
	return 0;
}

void slot_delete(int id)
{
	struct umbra_memslot *slot = machine.slot[id];

	machine.slot[id] = NULL;
	umbra_mmu_slot_retire(&machine.mmu, slot);
	publish(slot, NULL);
	/* Other CPUs run on; the host may take pages away even now. */
	interfere(true);
	umbra_mmu_zap_gfns(&machine.mmu, slot, slot->base_gfn, slot->base_gfn + slot->npages);
	if (umbra_memslot_logged(slot))
		umbra_mmu_log_end(&machine.mmu);
	slot_free(slot);
	for (unsigned int i = 0; i < slot_plan[id].npages; i++)
		history_forget_page(slot_plan[id].first_page + i);
	cpu_audit();
}

void slot_move(int id)
{
	struct umbra_memslot *slot = machine.slot[id];

	umbra_mmu_slot_retire(&machine.mmu, slot);
	publish(slot, NULL);
	interfere(true);
	umbra_mmu_zap_gfns(&machine.mmu, slot, slot->base_gfn, slot->base_gfn + slot->npages);
	publish(NULL, slot);
	cpu_audit();
}

void slot_age_mmio(int id)
{
	const u64 period = BIT_ULL(UMBRA_MMIO_GEN_BITS);
	struct umbra_memslots *slots = machine.mmu.memslots;
	u64 gen = slots->mmio_gen;
	u32 flags = machine.slot[id]->flags & KVM_MEM_READONLY;

	if (gen % period < 16 || gen % period > period - 16)
		return;
	slots->mmio_gen = gen | (period - 1);
	slot_delete(id);
	/* Without memory for the slot there is no new set. */
	if (!slot_create(id, flags))
		machine.mmu.memslots->mmio_gen = gen + period - rnd(8);
}

/* The new slot inherits what mmu/ keeps in the old one. */
static void log_dirty(int id, bool on, bool all)
{
	struct umbra_memslot *old = machine.slot[id];
	struct umbra_memslot *slot = malloc(sizeof(*slot));

	*slot = *old;
	slot->flags &= ~KVM_MEM_LOG_DIRTY_PAGES;
	slot->flags |= on ? KVM_MEM_LOG_DIRTY_PAGES : 0;
	slot->dirty_bitmap = on ? new_bitmap(slot) : NULL;
	for (unsigned long i = 0; on && all && i < slot->npages; i++)
		set_bit(i, slot->dirty_bitmap);
	if (on)
		umbra_mmu_log_begin(&machine.mmu);
	publish(old, slot);
	machine.slot[id] = slot;
	if (on && !all) {
		umbra_mmu_log_start(&machine.mmu, slot);
	} else if (!on) {
		umbra_mmu_log_end(&machine.mmu);
		umbra_mmu_log_stop(&machine.mmu, slot);
	}
	free(old->dirty_bitmap);
	free(old);
}

void slot_log_dirty(int id, bool on)
{
	log_dirty(id, on, false);
}

void slot_log_initially_set(int id)
{
	log_dirty(id, true, true);
}

void slot_harvest_dirty(int id)
{
	struct umbra_memslot *slot = machine.slot[id];
	unsigned int longs = BITS_TO_LONGS(slot->npages);
	unsigned long *log = slot->dirty_bitmap;
	int idx = srcu_read_lock(&machine.mmu.srcu);

	umbra_mmu_log_sync(&machine.mmu);
	for (unsigned int i = 0; i < slot->npages; i++)
		if (cpu_has_noted(slot->base_gfn + i))
			violation("a write to gfn %llx is not in the log yet",
				  slot->base_gfn + i);
	memcpy(log + longs, log, longs * sizeof(long));
	memset(log, 0, longs * sizeof(long));
	machine.harvesting = true;
	interfere(true);
	machine.harvesting = false;
	umbra_mmu_log_again(&machine.mmu, slot, log + longs, 0, slot->npages);
	umbra_mmu_flush(&machine.mmu);
	srcu_read_unlock(&machine.mmu.srcu, idx);
}

void host_init(void)
{
	umbra_memslots_init(&slot_set[0], 0);
	umbra_memslots_init(&slot_set[1], 1);
	machine.mmu.memslots = &slot_set[0];
	memset(host_page, 0, sizeof(host_page));
	for (unsigned int i = 0; i < NR_HOST_FRAMES; i++)
		host_frame[i].live = false;
}

void host_destroy(void)
{
	for (int id = 0; id < NR_SLOTS; id++) {
		if (machine.slot[id])
			slot_free(machine.slot[id]);
		machine.slot[id] = NULL;
	}
	machine.mmu.memslots = NULL;
	for (unsigned int i = 0; i < NR_HOST_FRAMES; i++)
		if (host_frame[i].refs)
			violation("host frame %u is still referenced", i);
}
