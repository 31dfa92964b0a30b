// SPDX-License-Identifier: GPL-2.0
/*
 * Allocators, RCU and warnings for mmu/ in user space. Pages come from one
 * arena with simulated physical addresses; freed ones are poisoned and reused
 * as late as possible, so that whoever still walks them is found.
 */
#include <linux/bug.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "random.h"
#include "shim.h"

#define ARENA_PAGES	16384u
/* The first pages of the arena are those below 4 GiB. */
#define LOW_PAGES	64u
#define LOW_PA		0x70000000ull
/* Not zero, and high enough that an address is hard to mistake for data. */
#define HIGH_PA		0x700000000ull

unsigned int shim_fail_percent;
unsigned int shim_fail_at;
long shim_pages;
long shim_objects;
void (*unit_hold_ends)(void);
void (*unit_lock_free)(void);
UNIT_PER_THREAD int unit_atomic_depth;
UNIT_PER_THREAD int unit_rcu_depth;
#ifdef UNIT_THREADS
__thread int unit_srcu_depth;
#endif

static unsigned char *arena;
static struct page arena_page[ARENA_PAGES];
static bool arena_live[ARENA_PAGES];

/* In tests with several threads the allocators are shared. */
#ifdef UNIT_THREADS
static pthread_mutex_t shim_mutex = PTHREAD_MUTEX_INITIALIZER;
#define shim_lock()	pthread_mutex_lock(&shim_mutex)
#define shim_unlock()	pthread_mutex_unlock(&shim_mutex)
#else
#define shim_lock()	((void)0)
#define shim_unlock()	((void)0)
#endif

/* Free pages of one kind, in the order in which they came back. */
static struct zone {
	unsigned int queue[ARENA_PAGES + 1];
	unsigned int head, tail;
} low_zone, high_zone;

void unit_bug(const char *what, const char *file, int line)
{
	fflush(stdout);
	fprintf(stderr, "# WARN_ON(%s) at %s:%d\n", what, file, line);
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_print_stack_trace();
#endif
	_exit(1);
}

static bool fail(gfp_t gfp)
{
	if (gfp & GFP_KERNEL)
		WARN_ON(unit_atomic_depth || unit_rcu_depth);
	if (shim_fail_at && !--shim_fail_at)
		return true;
	return shim_fail_percent && chance(shim_fail_percent);
}

static void zone_put(struct zone *zone, unsigned int index)
{
	zone->queue[zone->tail] = index;
	zone->tail = (zone->tail + 1) % (ARENA_PAGES + 1);
}

static unsigned int zone_get(struct zone *zone)
{
	unsigned int index = zone->queue[zone->head];

	if (zone->head == zone->tail) {
		fprintf(stderr, "# the arena of table pages is used up\n");
		abort();
	}
	zone->head = (zone->head + 1) % (ARENA_PAGES + 1);
	return index;
}

static struct zone *zone_of(unsigned int index)
{
	return index < LOW_PAGES ? &low_zone : &high_zone;
}

/* Before there are threads that would find it while one makes it. */
static void __attribute__((constructor)) arena_init(void)
{
	size_t size = (size_t)ARENA_PAGES << PAGE_SHIFT;

	/* Reverse maps are in the order of addresses: the same seed, the same order. */
	arena = mmap((void *)0x7e9000000000, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena == MAP_FAILED)
		abort();
	ASAN_POISON_MEMORY_REGION(arena, size);
	for (unsigned int i = 0; i < ARENA_PAGES; i++)
		zone_put(zone_of(i), i);
}

unsigned long __get_free_page(gfp_t gfp)
{
	unsigned int index;
	unsigned char *page;

	if (fail(gfp))
		return 0;
	shim_lock();
	index = zone_get(gfp & GFP_DMA32 ? &low_zone : &high_zone);
	shim_pages++;
	shim_unlock();
	page = arena + ((size_t)index << PAGE_SHIFT);
	ASAN_UNPOISON_MEMORY_REGION(page, PAGE_SIZE);
	memset(page, gfp & __GFP_ZERO ? 0 : 0xa5, PAGE_SIZE);
	WRITE_ONCE(arena_live[index], true);
	arena_page[index].private = 0;
	return (unsigned long)page;
}

static unsigned int arena_index(const void *addr)
{
	size_t offset = (const unsigned char *)addr - arena;

	WARN_ON(offset >= (size_t)ARENA_PAGES << PAGE_SHIFT);
	return offset >> PAGE_SHIFT;
}

void free_page(unsigned long addr)
{
	unsigned int index;

	if (!addr)
		return;
	index = arena_index((void *)addr);
	WARN_ON(!READ_ONCE(arena_live[index]) || addr & ~PAGE_MASK);
	WRITE_ONCE(arena_live[index], false);
	ASAN_POISON_MEMORY_REGION((void *)addr, PAGE_SIZE);
	shim_lock();
	zone_put(zone_of(index), index);
	shim_pages--;
	shim_unlock();
}

static phys_addr_t arena_pa(unsigned int index)
{
	return index < LOW_PAGES ? LOW_PA : HIGH_PA;
}

phys_addr_t unit_virt_to_phys(const void *addr)
{
	return arena_pa(arena_index(addr)) + ((const unsigned char *)addr - arena);
}

void *unit_phys_to_virt(phys_addr_t pa)
{
	void *addr = arena + (pa - (pa < HIGH_PA ? LOW_PA : HIGH_PA));

	arena_index(addr);
	return addr;
}

UNIT_PER_THREAD u64 unit_page_lookups;

struct page *unit_virt_to_page(const void *addr)
{
	unit_page_lookups++;
	return &arena_page[arena_index(addr)];
}

void *page_address(const struct page *page)
{
	return arena + ((size_t)(page - arena_page) << PAGE_SHIFT);
}

bool shim_page_live(u64 pa)
{
	u64 base = pa < HIGH_PA ? LOW_PA : HIGH_PA, index = (pa - base) >> PAGE_SHIFT;

	return pa >= base && index < ARENA_PAGES && READ_ONCE(arena_live[index]);
}

void *kmalloc(size_t size, gfp_t gfp)
{
	void *p;

	if (fail(gfp))
		return NULL;
	p = malloc(size);
	memset(p, gfp & __GFP_ZERO ? 0 : 0xa5, size);
	__atomic_fetch_add(&shim_objects, 1, __ATOMIC_RELAXED);
	return p;
}

void kfree(const void *p)
{
	if (p)
		__atomic_fetch_sub(&shim_objects, 1, __ATOMIC_RELAXED);
	free((void *)p);
}

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
				     unsigned int flags, void (*ctor)(void *object))
{
	struct kmem_cache *cache = kmalloc(sizeof(*cache), GFP_KERNEL);

	if (cache)
		*cache = (struct kmem_cache) { .size = size };
	return cache;
}

void kmem_cache_destroy(struct kmem_cache *cache)
{
	if (!cache)
		return;
	WARN_ON(cache->in_use);
	kfree(cache);
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	void *p = kmalloc(cache->size, gfp);

	__atomic_fetch_add(&cache->in_use, !!p, __ATOMIC_RELAXED);
	return p;
}

void kmem_cache_free(struct kmem_cache *cache, void *p)
{
	if (!p)
		return;
	__atomic_fetch_sub(&cache->in_use, 1, __ATOMIC_RELAXED);
	kfree(p);
}

static struct rcu_head *rcu_queue;

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	head->func = func;
	head->next = rcu_queue;
	rcu_queue = head;
}

/* A grace period: there is no reader, or the one thread would wait forever. */
void unit_rcu_barrier(void)
{
	WARN_ON(unit_rcu_depth);
	while (rcu_queue) {
		struct rcu_head *head = rcu_queue;

		rcu_queue = head->next;
		head->func(head);
	}
}
