// SPDX-License-Identifier: GPL-2.0
/* How many shadow pages there may be: what user space and the host's memory say. */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kvm.h>
#include <umbra/compat.h>
#include <umbra/vm.h>
#include "core.h"
#include "ioctl.h"

static struct shrinker *shrinker;

long umbra_shadow_pages_set(struct umbra_call *call)
{
	if (call->arg < UMBRA_MIN_SHADOW_PAGES)
		return -EINVAL;
	umbra_mmu_set_page_limit(&call->vm->mmu, call->arg);
	return 0;
}

long umbra_shadow_pages_get(struct umbra_call *call)
{
	return umbra_mmu_page_limit(&call->vm->mmu);
}

static unsigned long count(struct shrinker *s, struct shrink_control *sc)
{
	return umbra_mmu_shrink_count() ?: SHRINK_EMPTY;
}

static unsigned long scan(struct shrinker *s, struct shrink_control *sc)
{
	return umbra_mmu_shrink(sc->nr_to_scan) ?: SHRINK_STOP;
}

int __init umbra_shadow_pages_init(void)
{
	shrinker = umbra_shrinker_register("umbra-shadow", count, scan);
	return shrinker ? 0 : -ENOMEM;
}

void umbra_shadow_pages_exit(void)
{
	umbra_shrinker_unregister(shrinker);
}
