/* SPDX-License-Identifier: GPL-2.0 */
/* How many shadow pages there may be. Part of <umbra/mmu.h>. */
#ifndef _UMBRA_MMU_LIMIT_H
#define _UMBRA_MMU_LIMIT_H

struct umbra_mmu;

/* The least that user space may allow, and what the smallest VM has. */
#define UMBRA_MIN_SHADOW_PAGES	64

/**
 * umbra_mmu_page_limit() - how many shadow pages a VM may have
 *
 * What user space has asked for, else a part of its memory. More are allowed only to
 * VMs with so many vCPUs that these would take each other's pages all the time.
 *
 * Context: slots_lock, or mmu->srcu held for read.
 */
unsigned long umbra_mmu_page_limit(struct umbra_mmu *mmu);

/**
 * umbra_mmu_set_page_limit() - let a VM have another number of shadow pages
 * @nr: at least UMBRA_MIN_SHADOW_PAGES; or 0 for a part of its memory again
 *
 * Zaps the oldest of those that are too many.
 *
 * Context: slots_lock held; takes mmu->lock; may sleep.
 */
void umbra_mmu_set_page_limit(struct umbra_mmu *mmu, unsigned long nr);

/**
 * umbra_mmu_shrink_count() - shadow pages of all VMs, more or less
 * umbra_mmu_shrink() - free some of them
 * @nr: how many; each VM gives its share
 *
 * Pages that CPUs have used lately are spared as long as there are others.
 *
 * Context: any in which the kernel reclaims memory: waits for no lock.
 * Return: how many there are, or were freed.
 */
unsigned long umbra_mmu_shrink_count(void);
unsigned long umbra_mmu_shrink(unsigned long nr);

#endif /* _UMBRA_MMU_LIMIT_H */
