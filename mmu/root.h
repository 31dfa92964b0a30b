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

#endif /* _UMBRA_MMU_ROOT_H */
