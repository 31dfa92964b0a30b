/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Simulated host-physical memory: one arena that __get_free_page() hands out
 * page by page. Addresses outside it have no __va().
 */
#ifndef UNIT_ASM_PAGE_H
#define UNIT_ASM_PAGE_H

#include <linux/types.h>

#define PAGE_SHIFT		12
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define PAGE_ALIGN(x)		(((x) + PAGE_SIZE - 1) & PAGE_MASK)
#define PAGE_ALIGNED(x)		(!((unsigned long)(x) & ~PAGE_MASK))
#define offset_in_page(p)	((unsigned long)(p) & ~PAGE_MASK)

phys_addr_t unit_virt_to_phys(const void *addr);
void *unit_phys_to_virt(phys_addr_t pa);

#define __pa(x)			unit_virt_to_phys((const void *)(x))
#define __va(x)			unit_phys_to_virt(x)
#define virt_to_phys(x)		unit_virt_to_phys(x)
#define phys_to_virt(x)		unit_phys_to_virt(x)

#endif
