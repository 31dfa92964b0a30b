/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Table pages: 512 entries each, walked by the CPU.
 *
 * The struct page of a table in use carries one word for its owner: the
 * shadow_page of a shadow table, or the next table in a list of dead ones.
 */
#ifndef _UMBRA_MMU_TABLE_H
#define _UMBRA_MMU_TABLE_H

#include <linux/mm.h>
#include <umbra/mmu.h>
#include "spte.h"

/* What one fault takes at most: links of four levels, each with a parent. */
#define CACHE_TABLES	6
#define CACHE_SPS	4
#define CACHE_RMAPS	8

/**
 * umbra_table_alloc() - take a zeroed table out of the cache
 *
 * The caller has filled the cache with umbra_cache_topup(). Accounted in
 * stat.table_bytes from here to umbra_table_free(). What is kept beside a table
 * is not: like the kernel's SecPageTables, the figure is of what CPUs walk.
 */
u64 *umbra_table_alloc(struct umbra_mmu_vcpu *vcpu);
void umbra_table_free(struct umbra_mmu *mmu, u64 *table);

/* A zeroed table below 4 GiB, or NULL. Context: may sleep. */
u64 *umbra_table_alloc_low(struct umbra_mmu *mmu);

/* The same for those without a vCPU: may sleep, NULL without memory. */
u64 *umbra_table_new(struct umbra_mmu *mmu);

/* Give back a table that was never installed; it is still zeroed. */
void umbra_table_return(struct umbra_mmu_vcpu *vcpu, u64 *table);

static inline hpa_t umbra_table_pa(const u64 *table)
{
	return __pa(table);
}

static inline u64 *umbra_table_va(u64 spte)
{
	return __va(spte & SPTE_ADDR);
}

static inline void umbra_table_set_owner(u64 *table, void *owner)
{
	set_page_private(virt_to_page(table), (unsigned long)owner);
}

/* @entry: any entry of the table. */
static inline void *umbra_table_owner(const u64 *entry)
{
	return (void *)page_private(virt_to_page(entry));
}

/* A list of dead tables that must not be freed before the next flush. */
struct umbra_table_list {
	u64 *first;
};

static inline void umbra_table_list_add(struct umbra_table_list *list, u64 *table)
{
	umbra_table_set_owner(table, list->first);
	list->first = table;
}

static inline u64 *umbra_table_list_pop(struct umbra_table_list *list)
{
	u64 *table = list->first;

	if (table)
		list->first = umbra_table_owner(table);
	return table;
}

/**
 * umbra_cache_topup() - make sure that one fault of @vcpu needs no allocation
 * @family: which family's faults
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int umbra_cache_topup(struct umbra_mmu_vcpu *vcpu, enum umbra_family family);
void umbra_cache_drain(struct umbra_mmu_vcpu *vcpu);

/* Pop from sp_cache and rmap_cache, which umbra_cache_topup() has filled. */
void *umbra_cache_pop(struct umbra_mmu_cache *cache);

/* The object caches behind sp_cache and rmap_cache. */
extern struct kmem_cache *umbra_sp_slab;
extern struct kmem_cache *umbra_rmap_slab;

int umbra_table_module_init(void);
void umbra_table_module_exit(void);

#endif /* _UMBRA_MMU_TABLE_H */
