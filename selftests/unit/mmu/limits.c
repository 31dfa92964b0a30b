// SPDX-License-Identifier: GPL-2.0
/*
 * What the torture test does to the number of shadow pages. Where something large
 * gives mmu_lock up, others go on meanwhile.
 */
#include "../../../mmu/shadow.h"
#include "machine.h"

static void lock_is_free(void)
{
	interfere(true);
}

void limits_shrink(void)
{
	counts.shrunk += umbra_mmu_shrink(1 + rnd(chance(10) ? 60 : 6));
}

void limits_change(void)
{
	unsigned int limit = UMBRA_MIN_SHADOW_PAGES + (chance(50) ? 0 : rnd(256));

	unit_lock_free = lock_is_free;
	umbra_mmu_set_page_limit(&machine.mmu, chance(20) ? 0 : limit);
	unit_lock_free = NULL;
	if (machine.mmu.shadow && machine.mmu.shadow->nr_pages > limit)
		violation("%lu shadow pages, %u allowed", machine.mmu.shadow->nr_pages, limit);
}

void limits_begin_again(void)
{
	unit_lock_free = lock_is_free;
	umbra_mmu_set_nx_huge(&machine.mmu, chance(50));
	unit_lock_free = NULL;
}
