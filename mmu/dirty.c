// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty log: which writes leave a trace, in both families.
 *
 * Shadow family, and EPT without PML: what is not in the log has no write right,
 * so that the first write faults. EPT with PML: it may have the right, but not
 * the dirty flag; the CPU that sets the flag notes the frame.
 *
 * In what order the log, the rights and the flags change, and why no write gets
 * lost: Documentation/locking.rst.
 */
#include <linux/bitops.h>
#include <linux/sched.h>
#include <umbra/hostmem.h>
#include "dirty.h"
#include "ept.h"
#include "large.h"
#include "shadow.h"
#include "tlb.h"

bool umbra_eager_page_split = true;

void umbra_mmu_log_begin(struct umbra_mmu *mmu)
{
	WRITE_ONCE(mmu->nr_logged, mmu->nr_logged + 1);
	if (!umbra_mmu_caps.pml || mmu->nr_logged > 1)
		return;
	/* No CPU may run on without logging while another maps pages that need it. */
	mmu->ops->set_logging(mmu);
	mmu->ops->kick_all(mmu);
}

void umbra_mmu_log_end(struct umbra_mmu *mmu)
{
	WRITE_ONCE(mmu->nr_logged, mmu->nr_logged - 1);
	if (umbra_mmu_caps.pml && !mmu->nr_logged)
		mmu->ops->set_logging(mmu);
}

void umbra_mmu_log_sync(struct umbra_mmu *mmu)
{
	if (umbra_mmu_caps.pml && mmu->nr_logged)
		mmu->ops->kick_all(mmu);
}

/*
 * A slot that moves is not published on its way, but its log goes along. It is there:
 * who unmaps it waits, before it goes, for CPUs that have noted writes to it.
 */
void umbra_mmu_log_gpas(struct umbra_mmu_vcpu *vcpu, const u64 *gpa, unsigned int nr)
{
	const struct umbra_memslot *slot = NULL;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		gfn_t gfn = umbra_gpa_to_gfn(gpa[i]);

		if (!slot || !umbra_memslot_has(slot, gfn))
			slot = umbra_shadow_slot(vcpu->mmu, gfn);
		/* Other slots' flags are set as well, and noted. */
		if (slot && umbra_memslot_logged(slot))
			umbra_mark_dirty(vcpu, slot, gfn);
	}
}

/* Frames between two chances for others to have mmu_lock. */
#define CHUNK	64

/* Context: mmu_lock held for write; given up now and then. */
static void protect_shadow(struct umbra_mmu *mmu, struct umbra_memslot *slot)
{
	unsigned long i;

	for (i = 0; slot->rmap && i < slot->npages; i += BITS_PER_LONG) {
		unsigned long left = min_t(unsigned long, slot->npages - i, BITS_PER_LONG);

		umbra_shadow_protect_word(mmu, slot, slot->base_gfn + i, GENMASK(left - 1, 0));
		if (i % CHUNK == 0)
			cond_resched_rwlock_write(&mmu->lock);
	}
}

void umbra_mmu_log_start(struct umbra_mmu *mmu, struct umbra_memslot *slot)
{
	gfn_t gfn = slot->base_gfn, end = gfn + slot->npages;

	if (slot->flags & KVM_MEM_READONLY)
		return;
	if (READ_ONCE(umbra_eager_page_split))
		umbra_ept_split(mmu, gfn, end);
	write_lock(&mmu->lock);
	while (gfn < end) {
		gfn = umbra_ept_log_some(mmu, gfn, end);
		cond_resched_rwlock_write(&mmu->lock);
	}
	protect_shadow(mmu, slot);
	write_unlock(&mmu->lock);
	umbra_mmu_flush(mmu);
}

void umbra_mmu_log_again(struct umbra_mmu *mmu, struct umbra_memslot *slot,
			 const unsigned long *dirty, unsigned long first, unsigned long nr)
{
	struct umbra_ept_cursor cursor = { };
	unsigned long i, end = min(first + nr, slot->npages);

	/* Those that were mapped before their frames were in the log. */
	if (READ_ONCE(umbra_eager_page_split))
		umbra_ept_split(mmu, slot->base_gfn + first, slot->base_gfn + end);
	write_lock(&mmu->lock);
	for (i = first; i < end; i += BITS_PER_LONG) {
		unsigned long word = dirty[(i - first) / BITS_PER_LONG];

		if (!word)
			continue;
		umbra_ept_log_word(mmu, &cursor, slot->base_gfn + i, word);
		umbra_shadow_protect_word(mmu, slot, slot->base_gfn + i, word);
		if (cond_resched_rwlock_write(&mmu->lock))
			umbra_ept_cursor_reset(&cursor);
	}
	write_unlock(&mmu->lock);
}

void umbra_mmu_log_stop(struct umbra_mmu *mmu, struct umbra_memslot *slot)
{
	umbra_ept_collapse(mmu, slot);
	umbra_large_collapse(mmu, slot);
}
