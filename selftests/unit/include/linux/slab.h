/* SPDX-License-Identifier: GPL-2.0 */
/* malloc() underneath, so that the address sanitizer sees every object. */
#ifndef UNIT_LINUX_SLAB_H
#define UNIT_LINUX_SLAB_H

#include <linux/gfp.h>
#include <linux/types.h>

struct kmem_cache {
	size_t size;
	long in_use;
};

void *kmalloc(size_t size, gfp_t gfp);
void kfree(const void *p);
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
				     unsigned int flags, void (*ctor)(void *object));
void kmem_cache_destroy(struct kmem_cache *cache);
void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp);
void kmem_cache_free(struct kmem_cache *cache, void *p);

#define SLAB_ACCOUNT			0
#define SLAB_HWCACHE_ALIGN		0
#define kzalloc(size, gfp)		kmalloc(size, (gfp) | __GFP_ZERO)
#define kcalloc(n, size, gfp)		kzalloc((n) * (size), gfp)
#define kmalloc_array(n, size, gfp)	kmalloc((n) * (size), gfp)
#define kvzalloc(size, gfp)		kzalloc(size, gfp)
#define kvcalloc(n, size, gfp)		kcalloc(n, size, gfp)
#define kvmalloc_array(n, size, gfp)	kmalloc_array(n, size, gfp)
#define __vcalloc(n, size, gfp)		kcalloc(n, size, gfp)
#define vcalloc(n, size)		kcalloc(n, size, GFP_KERNEL)
#define vzalloc(size)			kzalloc(size, GFP_KERNEL)
#define kvfree(p)			kfree(p)
#define vfree(p)			kfree(p)
#define kmem_cache_zalloc(c, gfp)	kmem_cache_alloc(c, (gfp) | __GFP_ZERO)
#define KMEM_CACHE(s, flags) \
	kmem_cache_create(#s, sizeof(struct s), __alignof__(struct s), flags, NULL)

#endif
