/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Roots: which table a vCPU's CPU starts at.
 */
#ifndef _UMBRA_MMU_ROOT_H
#define _UMBRA_MMU_ROOT_H

#include <umbra/mmu.h>

struct umbra_shadow_page;

/**
 * umbra_root_invalidated() - @sp has been zapped
 *
 * Takes it out of the vCPUs' caches of previous roots; asks those that run on
 * it to reload. They hold on to it until then.
 * Context: mmu_lock held for write.
 */
void umbra_root_invalidated(struct umbra_mmu *mmu, struct umbra_shadow_page *sp);

/* The frame that CR3 points to. */
gfn_t umbra_root_gfn(const struct umbra_mmu_vcpu *vcpu);

/*
 * The root of a guest outside long mode, see pae.c. It is created before it is
 * loaded, and belongs to the vCPU's thread but for its entries (mmu_lock).
 */
bool umbra_pae_root_ready(const struct umbra_mmu_vcpu *vcpu);

/* Context: may sleep. Return: 0 or -ENOMEM. */
int umbra_pae_root_create(struct umbra_mmu_vcpu *vcpu);

/* Context: mmu_lock held for write; no CPU uses it. */
void umbra_pae_root_destroy(struct umbra_mmu_vcpu *vcpu);

/* Drop what it leads to; faults find it again. Context: mmu_lock held for write. */
void umbra_pae_root_clear(struct umbra_mmu_vcpu *vcpu);

/**
 * umbra_pae_root_load() - make the root follow CR3 or the PDPTE registers
 *
 * Links what is shadowed already and brings it in line with the guest's tables.
 * Context: mmu_lock held for write, @vcpu's caches filled.
 */
void umbra_pae_root_load(struct umbra_mmu_vcpu *vcpu);

#endif /* _UMBRA_MMU_ROOT_H */
