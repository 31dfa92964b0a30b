// SPDX-License-Identifier: GPL-2.0
/*
 * Faults in the EPT family.
 *
 *	look at the tree		the entry is there, or needs no more than
 *					its write right back: done
 *	pin the page, and those of its neighbours without an entry that the
 *	host has present; bring the page in when it is not
 *	map it, and them
 *
 * The neighbours save the guest an exit each. The host is not made to do
 * anything for them.
 */
#include <linux/errno.h>
#include <linux/kvm.h>
#include "around.h"
#include "ept.h"
#include "fault.h"
#include "mmio.h"
#include "slot.h"
#include "table.h"
#include "track.h"

/*
 * While writes are logged, pages that may be written to have entries of their
 * own. Others may be large until then, if user space is for late splitting.
 */
static bool needs_small(const struct umbra_target *t)
{
	if (!umbra_memslot_logged(t->slot) || (t->slot->flags & KVM_MEM_READONLY))
		return false;
	return t->write || READ_ONCE(umbra_eager_page_split);
}

/* The size to map @t at: the host's own, when nothing asks for smaller pages. */
unsigned int umbra_ept_choose_level(const struct umbra_target *t)
{
	const struct umbra_memslot *slot = t->slot;
	unsigned int level = 2;

	if (!umbra_mmu_caps.ept_2m || needs_small(t) || !umbra_slot_fits(slot, t->gfn, 2))
		return 1;
	/* Who tracks looks at each frame: not at a quarter of a million. */
	if (umbra_mmu_caps.ept_1g && !slot->track && umbra_slot_fits(slot, t->gfn, 3))
		level = 3;
	level = min(level, umbra_hostpage_level(slot, t->gfn));
	if (level > 1 && umbra_tracked_any(slot, umbra_level_base(t->gfn, level),
					   umbra_level_frames(level)))
		return 1;
	return level;
}

/* Nothing large is executed from where that is dangerous. */
static void set_level(const struct umbra_mmu *mmu, struct umbra_target *t)
{
	t->level = umbra_ept_choose_level(t);
	t->nx_level = 0;
	if (t->fetch && t->level > 1 && READ_ONCE(mmu->nx_huge)) {
		t->nx_level = t->level;
		t->level = 1;
	}
}

/* Do the tables need no host page? RETRY when they do. */
static int look(struct umbra_mmu_vcpu *vcpu, const struct umbra_target *t,
		struct umbra_around *around)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	int result;

	read_lock(&mmu->lock);
	result = umbra_ept_look(vcpu, t, around);
	read_unlock(&mmu->lock);
	if (result == UMBRA_FAULT_FIXED)
		vcpu->stat.pf_fast++;
	return result;
}

static int try_map(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault,
		   struct umbra_target *t, struct umbra_around *around)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	gfn_t first = around->first;
	unsigned long nr = around->end - first;
	int result = UMBRA_FAULT_RETRY;

	if (t->level > 1) {
		first = umbra_level_base(t->gfn, t->level);
		nr = umbra_level_frames(t->level);
	}
	read_lock(&mmu->lock);
	if (!umbra_target_range_stale(mmu, t, first, nr))
		result = umbra_ept_map(vcpu, fault, t, around);
	read_unlock(&mmu->lock);
	return result;
}

/* Another fault may be in the way of the second attempt: the guest tries again. */
static int map(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault, struct umbra_target *t,
	       struct umbra_around *around)
{
	int result = try_map(vcpu, fault, t, around);

	if (!t->in_way)
		return result;
	umbra_ept_make_way(vcpu->mmu, t);
	t->in_way = false;
	return try_map(vcpu, fault, t, around);
}

/* Pin the page, and its neighbours when they have entries of their own. */
static int get_pages(const struct umbra_mmu *mmu, struct umbra_target *t,
		     struct umbra_around *around)
{
	int ret;

	if (t->level > 1)
		umbra_around_init(around, t->gfn);
	if (umbra_around_get(around, t))
		return 0;
	umbra_around_init(around, t->gfn);
	ret = umbra_hostpage_bring_in(t->slot, t->gfn, t->write, &t->hp);
	/* The host may have had a large page for it. */
	if (!ret && t->hp.page)
		set_level(mmu, t);
	else
		t->level = 1;
	return ret;
}

static int ept_fault(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault)
{
	struct umbra_around around __uninitialized;
	struct umbra_target t = {
		.gfn = umbra_gpa_to_gfn(fault->addr),
		.write = fault->access & UMBRA_ACC_WRITE,
		.fetch = fault->access & UMBRA_ACC_FETCH,
	};
	u64 gen = umbra_mmio_gen(vcpu->mmu);
	int result;

	result = umbra_target_find(vcpu, fault, &t);
	/* The CPU's own walk would not be told from an instruction's access. */
	if (result == UMBRA_FAULT_EMULATE && !t.slot && !fault->walk)
		umbra_ept_cache_mmio(vcpu, t.gfn, gen);
	if (result)
		return result;
	set_level(vcpu->mmu, &t);
	result = look(vcpu, &t, &around);
	if (result != UMBRA_FAULT_RETRY)
		return result;
	result = umbra_cache_topup(vcpu, UMBRA_FAMILY_EPT);
	if (result)
		return result;
	result = get_pages(vcpu->mmu, &t, &around);
	if (result)
		return result;
	result = map(vcpu, fault, &t, &around);
	umbra_around_put(&around, &t);
	umbra_target_put(&t);
	return result;
}

int umbra_mmu_ept_fault(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault)
{
	int result;

	vcpu->stat.pf_taken++;
	fault->gpa = fault->addr;
	result = ept_fault(vcpu, fault);
	umbra_fault_count(vcpu, result);
	return result;
}

/* Bytes that one entry maps around @gfn, 0 when none does any more. */
static u64 mapped_bytes(struct umbra_mmu *mmu, gfn_t gfn)
{
	unsigned int level;

	read_lock(&mmu->lock);
	level = umbra_ept_level(mmu, gfn);
	read_unlock(&mmu->lock);
	return level ? umbra_level_frames(level) << UMBRA_PAGE_SHIFT : 0;
}

int umbra_mmu_prefault(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, gpa_t *end)
{
	struct umbra_fault fault = { .addr = gpa };
	u64 bytes;
	int result;

	if (vcpu->family != UMBRA_FAMILY_EPT)
		return -EOPNOTSUPP;
	result = umbra_cache_topup(vcpu, UMBRA_FAMILY_EPT);
	if (result)
		return result;
	umbra_ept_load(vcpu);
	result = ept_fault(vcpu, &fault);
	if (result < 0)
		return result;
	if (result == UMBRA_FAULT_EMULATE)
		return -ENOENT;
	bytes = mapped_bytes(vcpu->mmu, umbra_gpa_to_gfn(gpa));
	if (!bytes)
		return -EAGAIN;
	*end = (gpa & ~(bytes - 1)) + bytes;
	return 0;
}
