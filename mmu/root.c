// SPDX-License-Identifier: GPL-2.0
/*
 * Family and role of a vCPU, and its roots.
 *
 * Besides the root in use a vCPU holds the last UMBRA_PREV_ROOTS others, so
 * that they are neither searched for nor recycled when the guest switches back.
 * Each pointer counts in root_count. A root that is zapped while in use becomes
 * invalid; it is freed with the last pointer.
 *
 * All of this is about guests in long mode. The root of others is in pae.c; it
 * is the vCPU's own and counts nothing.
 */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include "direct.h"
#include "ept.h"
#include "root.h"
#include "shadow.h"
#include "sync.h"
#include "walk.h"

/* Changes of these make the CPU forget linear translations. */
#define FLUSH_CR0	(X86_CR0_PG | X86_CR0_WP)
#define FLUSH_CR4	(X86_CR4_PAE | X86_CR4_PSE | X86_CR4_PGE | X86_CR4_PCIDE | \
			 X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_LA57 | X86_CR4_PKE)
#define FLUSH_EFER	(EFER_LMA | EFER_NX)

/* Shadow pages know no shadow stacks and no keys of supervisor pages: CET and PKS. */
#define NO_SHADOW_CR4	(BIT_ULL(23) | BIT_ULL(24))

static bool smap_and_not_wp(const struct umbra_paging_state *s)
{
	return (s->cr4 & X86_CR4_SMAP) && !(s->cr0 & X86_CR0_WP);
}

bool umbra_mmu_wants_shadow(const struct umbra_mmu_vcpu *vcpu)
{
	const struct umbra_paging_state *s = &vcpu->state;

	return vcpu->mmu->policy == UMBRA_POLICY_SHADOW && vcpu->mmu->shadow &&
	       umbra_guest_paging(s) != GUEST_UNPAGED && !(s->cr4 & NO_SHADOW_CR4);
}

/*
 * With CR0.WP = 0 a key does not keep the supervisor from writing, but the CPU runs with
 * WP = 1; and what is turned into a supervisor page for a write has no key any more.
 */
static bool keys_and_not_wp(const struct umbra_paging_state *s)
{
	return (s->cr4 & X86_CR4_PKE) && (s->efer & EFER_LMA) && !(s->cr0 & X86_CR0_WP);
}

static enum umbra_family choose_family(struct umbra_mmu_vcpu *vcpu)
{
	vcpu->leave_shadow &= smap_and_not_wp(&vcpu->state);
	if (vcpu->leave_shadow || keys_and_not_wp(&vcpu->state) || !vcpu->state.state_legal ||
	    !umbra_mmu_wants_shadow(vcpu))
		return UMBRA_FAMILY_EPT;
	return UMBRA_FAMILY_SHADOW;
}

static u32 root_role(const struct umbra_paging_state *s)
{
	enum umbra_guest_paging paging = umbra_guest_paging(s);
	union umbra_role role = {
		.level = paging == GUEST_5LEVEL ? 5 : paging == GUEST_4LEVEL ? 4 : 3,
		.access = WALK_ACC_ALL,
		.wp = !!(s->cr0 & X86_CR0_WP),
		.nx = !!(s->efer & EFER_NX) && paging != GUEST_32BIT,
		.registers = paging == GUEST_32BIT || paging == GUEST_PAE,
		.pae = paging == GUEST_PAE,
		.short_gptes = paging == GUEST_32BIT,
		.pse = paging == GUEST_32BIT && (s->cr4 & X86_CR4_PSE),
		.gbpages = s->has_gbpages,
		.maxphyaddr = s->maxphyaddr,
	};

	role.smap_and_not_wp = smap_and_not_wp(s);
	role.smep_and_not_wp = !role.wp && (s->cr4 & X86_CR4_SMEP);
	return role.word;
}

static bool uses_pae_root(const struct umbra_mmu_vcpu *vcpu)
{
	return ((union umbra_role) { .word = vcpu->role }).registers;
}

/* Some writes to CR0 and CR4 load the guest's PDPTEs anew. */
static bool registers_changed(const struct umbra_mmu_vcpu *vcpu)
{
	return umbra_guest_paging(&vcpu->state) == GUEST_PAE &&
	       memcmp(vcpu->pdptrs, vcpu->root_pdptrs, sizeof(vcpu->pdptrs));
}

bool umbra_mmu_state_changed(struct umbra_mmu_vcpu *vcpu)
{
	const struct umbra_paging_state *s = &vcpu->state;
	enum umbra_family family = choose_family(vcpu);
	u32 role = root_role(s);
	bool switched = family != vcpu->family;

	if (registers_changed(vcpu))
		vcpu->flush_guest = true;
	if (((s->cr0 ^ vcpu->seen_cr0) & FLUSH_CR0) || ((s->cr4 ^ vcpu->seen_cr4) & FLUSH_CR4) ||
	    ((s->efer ^ vcpu->seen_efer) & FLUSH_EFER) || switched)
		vcpu->flush_guest = true;
	vcpu->seen_cr0 = s->cr0;
	vcpu->seen_cr4 = s->cr4;
	vcpu->seen_efer = s->efer;
	/* umbra_mmu_load() puts the old root aside, or brings it up to date. */
	if (switched || (family == UMBRA_FAMILY_SHADOW &&
			 (role != vcpu->role || vcpu->flush_guest)))
		vcpu->root = INVALID_PAGE;
	vcpu->family = family;
	vcpu->role = role;
	return switched;
}

gfn_t umbra_root_gfn(const struct umbra_mmu_vcpu *vcpu)
{
	unsigned int bits = vcpu->state.maxphyaddr;

	/* Outside long mode CR3 has 32 bits. */
	if (!(vcpu->state.efer & EFER_LMA))
		bits = min(bits, 32u);
	return umbra_gpa_to_gfn(vcpu->state.cr3 & GENMASK_ULL(bits - 1, 12));
}

static bool fits(const struct umbra_mmu_vcpu *vcpu, const struct umbra_shadow_page *sp)
{
	return sp && sp->gfn == umbra_root_gfn(vcpu) && sp->role.word == vcpu->role;
}

static void put(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	if (sp && !--sp->root_count && sp->role.invalid)
		umbra_shadow_free_root(mmu, sp);
}

/* The root in use becomes the newest previous one. */
static void shelve(struct umbra_mmu_vcpu *vcpu)
{
	struct umbra_shadow_page *sp = vcpu->shadow_root;
	unsigned int i = 0;

	vcpu->shadow_root = NULL;
	if (sp == vcpu->pae_root)
		return;
	if (!sp || sp->role.invalid || sp->role.empty) {
		put(vcpu->mmu, sp);
		return;
	}
	/* Fill the first hole, or push out the oldest. */
	while (i < UMBRA_PREV_ROOTS - 1 && vcpu->prev_root[i])
		i++;
	put(vcpu->mmu, vcpu->prev_root[i]);
	memmove(&vcpu->prev_root[1], &vcpu->prev_root[0], i * sizeof(vcpu->prev_root[0]));
	vcpu->prev_root[0] = sp;
}

static struct umbra_shadow_page *take_previous(struct umbra_mmu_vcpu *vcpu)
{
	struct umbra_shadow_page *sp;
	unsigned int i;

	for (i = 0; i < UMBRA_PREV_ROOTS; i++) {
		sp = vcpu->prev_root[i];
		if (!fits(vcpu, sp))
			continue;
		vcpu->prev_root[i] = NULL;
		return sp;
	}
	return NULL;
}

static bool switch_pae_root(struct umbra_mmu_vcpu *vcpu)
{
	if (vcpu->shadow_root != vcpu->pae_root)
		shelve(vcpu);
	vcpu->shadow_root = vcpu->pae_root;
	if (!vcpu->pae_root)
		return false;
	umbra_pae_root_load(vcpu);
	return true;
}

/* Take the root that fits, if there is one. Context: mmu_lock for write. */
static bool switch_root(struct umbra_mmu_vcpu *vcpu)
{
	union umbra_role role = { .word = vcpu->role };
	struct umbra_shadow_page *sp = vcpu->shadow_root;

	if (role.registers)
		return switch_pae_root(vcpu);
	if (!fits(vcpu, sp)) {
		sp = take_previous(vcpu);
		if (!sp) {
			sp = umbra_shadow_find(vcpu->mmu, umbra_root_gfn(vcpu), role);
			if (sp)
				sp->root_count++;
		}
		shelve(vcpu);
		vcpu->shadow_root = sp;
	}
	if (sp)
		umbra_sync_tree(vcpu, sp);
	vcpu->root = sp ? umbra_table_pa(sp->spt) : INVALID_PAGE;
	return sp;
}

static void build_root(struct umbra_mmu_vcpu *vcpu)
{
	union umbra_role role = { .word = vcpu->role };
	gfn_t gfn = umbra_root_gfn(vcpu);
	struct umbra_memslot *slot = umbra_gfn_to_slot(vcpu->mmu, gfn);
	struct umbra_shadow_page *sp;

	umbra_shadow_make_room(vcpu->mmu);
	if (!slot || !slot->track) {
		role.empty = 1;
		gfn = INVALID_GFN;
		slot = NULL;
	}
	sp = umbra_shadow_get(vcpu, slot, gfn, role);
	sp->root_count++;
	vcpu->shadow_root = sp;
	vcpu->root = umbra_table_pa(sp->spt);
}

int umbra_mmu_load(struct umbra_mmu_vcpu *vcpu)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	int ret = umbra_cache_topup(vcpu, vcpu->family);

	if (ret)
		return ret;
	if (vcpu->family == UMBRA_FAMILY_EPT) {
		umbra_ept_load(vcpu);
		vcpu->root = READ_ONCE(mmu->ept_root);
		return 0;
	}
	if (uses_pae_root(vcpu) && !umbra_pae_root_ready(vcpu)) {
		ret = umbra_pae_root_create(vcpu);
		if (ret)
			return ret;
	}
	write_lock(&mmu->lock);
	if (!switch_root(vcpu))
		build_root(vcpu);
	vcpu->flush_guest = true;
	umbra_direct_begin(vcpu);
	write_unlock(&mmu->lock);
	return 0;
}

void umbra_mmu_unload(struct umbra_mmu_vcpu *vcpu)
{
	unsigned int i;

	write_lock(&vcpu->mmu->lock);
	vcpu->root = INVALID_PAGE;
	if (vcpu->shadow_root != vcpu->pae_root)
		put(vcpu->mmu, vcpu->shadow_root);
	vcpu->shadow_root = NULL;
	umbra_pae_root_destroy(vcpu);
	for (i = 0; i < UMBRA_PREV_ROOTS; i++) {
		put(vcpu->mmu, vcpu->prev_root[i]);
		vcpu->prev_root[i] = NULL;
	}
	write_unlock(&vcpu->mmu->lock);
}

void umbra_mmu_set_cr3(struct umbra_mmu_vcpu *vcpu, bool noflush)
{
	if (vcpu->family != UMBRA_FAMILY_SHADOW) {
		vcpu->flush_guest |= !noflush;
		return;
	}
	/* The hardware runs without PCID here: one tag for all address spaces. */
	vcpu->flush_guest = true;
	if (uses_pae_root(vcpu) && umbra_cache_topup(vcpu, UMBRA_FAMILY_SHADOW)) {
		/* umbra_mmu_load() reports it. */
		vcpu->root = INVALID_PAGE;
		return;
	}
	write_lock(&vcpu->mmu->lock);
	switch_root(vcpu);
	umbra_direct_begin(vcpu);
	write_unlock(&vcpu->mmu->lock);
}

/* Other roots are brought up to date when they are loaded. */
void umbra_mmu_invalidate_all(struct umbra_mmu_vcpu *vcpu)
{
	struct umbra_mmu *mmu = vcpu->mmu;
	struct umbra_shadow_page *sp;

	vcpu->flush_guest = true;
	if (vcpu->family != UMBRA_FAMILY_SHADOW)
		return;
	write_lock(&mmu->lock);
	sp = vcpu->shadow_root;
	if (sp && !sp->role.invalid)
		umbra_sync_tree(vcpu, sp);
	umbra_direct_begin(vcpu);
	write_unlock(&mmu->lock);
}

void umbra_root_invalidated(struct umbra_mmu *mmu, struct umbra_shadow_page *sp)
{
	unsigned int i, j;

	lockdep_assert_held_write(&mmu->lock);
	for (i = 0; i < mmu->nr_vcpus && sp->root_count; i++) {
		struct umbra_mmu_vcpu *vcpu = mmu->vcpus[i];

		for (j = 0; j < UMBRA_PREV_ROOTS; j++) {
			if (vcpu->prev_root[j] != sp)
				continue;
			vcpu->prev_root[j] = NULL;
			sp->root_count--;
		}
		if (vcpu->shadow_root == sp)
			mmu->ops->request_reload(vcpu);
	}
}
