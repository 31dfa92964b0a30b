/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_MM_H
#define UNIT_LINUX_MM_H

#include <asm/page.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/mm_types.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

struct page *unit_virt_to_page(const void *addr);
/* How often that was called: how long something takes that follows sptes. */
extern UNIT_PER_THREAD u64 unit_page_lookups;
void *page_address(const struct page *page);

#define virt_to_page(x)			unit_virt_to_page((const void *)(x))
#define pfn_to_page(pfn)		virt_to_page(__va((phys_addr_t)(pfn) << PAGE_SHIFT))
#define pfn_valid(pfn)			((void)(pfn), true)
#define page_to_phys(page)		__pa(page_address(page))
#define page_to_pfn(page)		(page_to_phys(page) >> PAGE_SHIFT)
#define set_page_private(page, v)	((page)->private = (v))
#define page_private(page)		((page)->private)
#define clear_page(p)			memset(p, 0, PAGE_SIZE)
#define alloc_page(gfp)			virt_to_page(__get_free_page(gfp))
#define __free_page(page)		free_page((unsigned long)page_address(page))

#endif
