// SPDX-License-Identifier: GPL-2.0
/*
 * The root of a guest outside long mode.
 *
 *	CR3 -> [ 0 1 2 3 ]		a page below 4 GiB, one for each vCPU
 *		 | | | |  links
 *		 v v v v
 *		level 2 pages		PAE: the guest's directory that PDPTE i
 *		 |			named when it was loaded
 *		 v			32-bit: quadrant i of its one directory
 *		level 1 pages
 *
 * Such a guest's CPU runs with PAE paging and reads the four entries into
 * registers at each VM entry. So whoever takes one away, and has the vCPUs
 * kicked out of the guest, is sure that it is not used any more.
 *
 * The page stands for registers and not for guest memory. It is neither tracked
 * nor shared, and CR3 loads change it in place: the directories' shadows stay
 * in the hash and are linked again when the guest comes back to them.
 */
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "gpte.h"
#include "root.h"
#include "shadow.h"
#include "sync.h"
#include "walk.h"

#define NR_PDPTES	4

bool umbra_pae_root_ready(const struct umbra_mmu_vcpu *vcpu)
{
	return vcpu->pae_root;
}

int umbra_pae_root_create(struct umbra_mmu_vcpu *vcpu)
{
	struct umbra_shadow_page *sp = kmem_cache_zalloc(umbra_sp_slab, GFP_KERNEL_ACCOUNT);

	if (!sp)
		return -ENOMEM;
	sp->spt = umbra_table_alloc_low(vcpu->mmu);
	if (!sp->spt) {
		kmem_cache_free(umbra_sp_slab, sp);
		return -ENOMEM;
	}
	umbra_table_set_owner(sp->spt, sp);
	vcpu->pae_root = sp;
	return 0;
}

void umbra_pae_root_clear(struct umbra_mmu_vcpu *vcpu)
{
	struct umbra_shadow_page *sp = vcpu->pae_root;
	unsigned int i;

	for (i = 0; i < NR_PDPTES; i++)
		if (umbra_spte_present(&umbra_format_shadow, READ_ONCE(sp->spt[i])))
			umbra_shadow_drop(vcpu->mmu, &sp->spt[i]);
}

void umbra_pae_root_destroy(struct umbra_mmu_vcpu *vcpu)
{
	struct umbra_shadow_page *sp = vcpu->pae_root;

	lockdep_assert_held_write(&vcpu->mmu->lock);
	if (!sp)
		return;
	umbra_pae_root_clear(vcpu);
	vcpu->pae_root = NULL;
	umbra_table_free(vcpu->mmu, sp->spt);
	kmem_cache_free(umbra_sp_slab, sp);
}

/* What entry @i leads to, if to anything. */
static bool directory(const struct umbra_mmu_vcpu *vcpu, unsigned int i, gfn_t *gfn,
		      union umbra_role *role)
{
	role->word = vcpu->role;
	role->registers = 0;
	role->level = 2;
	if (role->short_gptes) {
		role->quadrant = i;
		*gfn = umbra_root_gfn(vcpu);
		return true;
	}
	*gfn = umbra_gpa_to_gfn(vcpu->pdptrs[i] & SPTE_ADDR);
	return vcpu->pdptrs[i] & GPTE_PRESENT;
}

static void load_entry(struct umbra_mmu_vcpu *vcpu, struct umbra_shadow_page *root,
		       unsigned int i)
{
	u64 *sptep = &root->spt[i];
	struct umbra_shadow_page *sp = NULL;
	union umbra_role role;
	gfn_t gfn;
	bool used = directory(vcpu, i, &gfn, &role);

	if (umbra_spte_present(&umbra_format_shadow, *sptep)) {
		sp = umbra_spte_page(umbra_table_va(*sptep));
		if (!used || sp->gfn != gfn || sp->role.word != role.word) {
			umbra_shadow_drop(vcpu->mmu, sptep);
			sp = NULL;
		}
	}
	if (sp) {
		umbra_sync_tree(vcpu, sp);
		return;
	}
	/* What is not there is built by the first fault that needs it. */
	sp = used ? umbra_shadow_find(vcpu->mmu, gfn, role) : NULL;
	if (!sp)
		return;
	umbra_sync_tree(vcpu, sp);
	umbra_shadow_link(vcpu, sptep, sp);
}

void umbra_pae_root_load(struct umbra_mmu_vcpu *vcpu)
{
	struct umbra_shadow_page *sp = vcpu->pae_root;
	unsigned int i;

	lockdep_assert_held_write(&vcpu->mmu->lock);
	sp->role.word = vcpu->role;
	sp->gfn = umbra_root_gfn(vcpu);
	for (i = 0; i < NR_PDPTES; i++)
		load_entry(vcpu, sp, i);
	memcpy(vcpu->root_pdptrs, vcpu->pdptrs, sizeof(vcpu->root_pdptrs));
	vcpu->root = umbra_table_pa(sp->spt);
}
