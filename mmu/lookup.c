// SPDX-License-Identifier: GPL-2.0
/*
 * Looking into shadow pages as the CPU does.
 */
#include <asm/processor-flags.h>
#include "leaf.h"
#include "shadow.h"
#include "walk.h"

static const struct umbra_format *const fmt = &umbra_format_shadow;

/* Rights that need no look at registers: what is left is for a walk. */
static bool granted(const struct umbra_mmu_vcpu *vcpu, u32 rights, u32 access)
{
	const u64 guards = X86_CR4_SMEP | X86_CR4_SMAP;

	if ((access & UMBRA_ACC_WRITE) && !(rights & WALK_ACC_WRITE))
		return false;
	if ((access & UMBRA_ACC_FETCH) && !(rights & WALK_ACC_EXEC))
		return false;
	if (umbra_key_refuses(&vcpu->state, access, rights))
		return false;
	if (access & UMBRA_ACC_USER)
		return rights & WALK_ACC_USER;
	return !(rights & WALK_ACC_USER) || !(vcpu->state.cr4 & guards);
}

/* What a leaf of level 1 stands for. */
static bool translate(const struct umbra_mmu_vcpu *vcpu, const struct umbra_shadow_page *sp,
		      unsigned int index, u32 access, gfn_t *gfn)
{
	u64 entry = sp->entry ? READ_ONCE(sp->entry[index]) : umbra_role_access(sp->role);
	bool dirty = sp->entry ? entry & SHADOW_ENTRY_DIRTY : !sp->role.clean;

	if (!granted(vcpu, entry & SHADOW_ENTRY_ACCESS, access) ||
	    ((access & UMBRA_ACC_WRITE) && !dirty))
		return false;
	*gfn = umbra_shadow_leaf_gfn(sp, index);
	return true;
}

bool umbra_shadow_translate(struct umbra_mmu_vcpu *vcpu, u64 gva, u32 access, gpa_t *gpa,
			    bool *self_map)
{
	const struct umbra_shadow_page *sp = vcpu->shadow_root;
	gfn_t table[TABLE_LEVELS + 1] UMBRA_SCRATCH, gfn = INVALID_GFN;
	u64 spte, frame = gva >> UMBRA_PAGE_SHIFT;
	unsigned int n = 0;
	bool found = false;

	if (vcpu->family != UMBRA_FAMILY_SHADOW || !sp)
		return false;
	read_lock(&vcpu->mmu->lock);
	while (!sp->unsync_links && !sp->unsync) {
		unsigned int level = sp->role.level;
		unsigned int index = umbra_table_index(frame, level);

		if (umbra_role_has_table(sp->role))
			table[n++] = sp->gfn;
		/* What it was made from is to be looked at after it. */
		spte = smp_load_acquire(&sp->spt[index]);
		if (!umbra_spte_present(fmt, spte) || umbra_spte_mmio(spte))
			break;
		if (level == 1)
			found = translate(vcpu, sp, index, access, &gfn);
		if (level == 1 || umbra_spte_leaf(spte))
			break;
		sp = umbra_spte_child(spte);
	}
	read_unlock(&vcpu->mmu->lock);
	*gpa = umbra_gfn_to_gpa(gfn) | (gva & (PAGE_SIZE - 1));
	if (self_map)
		for (*self_map = false; n && !*self_map; n--)
			*self_map = table[n - 1] == gfn;
	return found;
}
