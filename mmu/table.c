// SPDX-License-Identifier: GPL-2.0
/*
 * Allocation of table pages and of the small objects around them.
 *
 * Nothing is allocated under mmu_lock: each vCPU fills its caches before it
 * takes the lock, with what the longest fault can need.
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/slab.h>
#include "rmap.h"
#include "shadow.h"
#include "table.h"

struct kmem_cache *umbra_sp_slab;
struct kmem_cache *umbra_rmap_slab;

static void *table_page_alloc(void)
{
	return (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
}

void *umbra_cache_pop(struct umbra_mmu_cache *cache)
{
	if (WARN_ON_ONCE(!cache->nr))
		return NULL;
	return cache->obj[--cache->nr];
}

u64 *umbra_table_alloc(struct umbra_mmu_vcpu *vcpu)
{
	u64 *table = umbra_cache_pop(&vcpu->table_cache);

	atomic64_add(PAGE_SIZE, &vcpu->mmu->stat.table_bytes);
	return table;
}

u64 *umbra_table_alloc_low(struct umbra_mmu *mmu)
{
	u64 *table = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT | GFP_DMA32);

	if (table)
		atomic64_add(PAGE_SIZE, &mmu->stat.table_bytes);
	return table;
}

u64 *umbra_table_new(struct umbra_mmu *mmu)
{
	u64 *table = table_page_alloc();

	if (table)
		atomic64_add(PAGE_SIZE, &mmu->stat.table_bytes);
	return table;
}

void umbra_table_return(struct umbra_mmu_vcpu *vcpu, u64 *table)
{
	atomic64_sub(PAGE_SIZE, &vcpu->mmu->stat.table_bytes);
	vcpu->table_cache.obj[vcpu->table_cache.nr++] = table;
}

void umbra_table_free(struct umbra_mmu *mmu, u64 *table)
{
	atomic64_sub(PAGE_SIZE, &mmu->stat.table_bytes);
	set_page_private(virt_to_page(table), 0);
	free_page((unsigned long)table);
}

static int topup_tables(struct umbra_mmu_cache *cache, unsigned int nr)
{
	while (cache->nr < nr) {
		void *obj = table_page_alloc();

		if (!obj)
			return -ENOMEM;
		cache->obj[cache->nr++] = obj;
	}
	return 0;
}

/* Objects come in batches, so that most calls find the cache full enough. */
static int topup_objects(struct umbra_mmu_cache *cache, struct kmem_cache *slab,
			 unsigned int nr)
{
	if (cache->nr >= nr)
		return 0;
	while (cache->nr < 2 * nr) {
		void *obj = kmem_cache_zalloc(slab, GFP_KERNEL_ACCOUNT);

		if (!obj)
			return cache->nr >= nr ? 0 : -ENOMEM;
		cache->obj[cache->nr++] = obj;
	}
	return 0;
}

int umbra_cache_topup(struct umbra_mmu_vcpu *vcpu, enum umbra_family family)
{
	BUILD_BUG_ON(CACHE_TABLES > UMBRA_CACHE_OBJECTS);
	BUILD_BUG_ON(2 * CACHE_SPS > UMBRA_CACHE_OBJECTS);
	BUILD_BUG_ON(2 * CACHE_RMAPS > UMBRA_CACHE_OBJECTS);

	if (topup_tables(&vcpu->table_cache, CACHE_TABLES))
		return -ENOMEM;
	if (family == UMBRA_FAMILY_EPT)
		return 0;
	if (topup_objects(&vcpu->sp_cache, umbra_sp_slab, CACHE_SPS))
		return -ENOMEM;
	return topup_objects(&vcpu->rmap_cache, umbra_rmap_slab, CACHE_RMAPS);
}

void umbra_cache_drain(struct umbra_mmu_vcpu *vcpu)
{
	while (vcpu->table_cache.nr)
		free_page((unsigned long)umbra_cache_pop(&vcpu->table_cache));
	while (vcpu->sp_cache.nr)
		kmem_cache_free(umbra_sp_slab, umbra_cache_pop(&vcpu->sp_cache));
	while (vcpu->rmap_cache.nr)
		kmem_cache_free(umbra_rmap_slab, umbra_cache_pop(&vcpu->rmap_cache));
}

int umbra_table_module_init(void)
{
	umbra_sp_slab = kmem_cache_create("umbra_shadow_page", sizeof(struct umbra_shadow_page),
					  0, SLAB_ACCOUNT, NULL);
	if (!umbra_sp_slab)
		return -ENOMEM;
	umbra_rmap_slab = kmem_cache_create("umbra_rmap_node", sizeof(struct umbra_rmap_node),
					    0, SLAB_ACCOUNT, NULL);
	if (!umbra_rmap_slab) {
		kmem_cache_destroy(umbra_sp_slab);
		return -ENOMEM;
	}
	return 0;
}

void umbra_table_module_exit(void)
{
	kmem_cache_destroy(umbra_rmap_slab);
	kmem_cache_destroy(umbra_sp_slab);
}
