// SPDX-License-Identifier: GPL-2.0
/*
 * Reverse maps against a plain array, and that no chain node is leaked.
 *
 *	test_rmap [SEED]
 */
#include <linux/kernel.h>
#include <stdlib.h>
#include <string.h>
#include <tap.h>
#include "../../../mmu/rmap.h"
#include "../../../mmu/table.h"
#include "random.h"
#include "shim.h"

#define NR_HEADS	8
#define NR_SPTES	512

static struct umbra_mmu mmu;
static struct umbra_mmu_vcpu vcpu = { .mmu = &mmu };
static struct umbra_rmap_head head[NR_HEADS];
static u64 spte[NR_SPTES];

/* The model: which head an spte is in, or -1. */
static int member[NR_SPTES];
static unsigned int size[NR_HEADS];

static bool add(unsigned int h, unsigned int i)
{
	if (umbra_cache_topup(&vcpu, UMBRA_FAMILY_SHADOW))
		return false;
	umbra_rmap_add(&vcpu, &head[h], &spte[i]);
	member[i] = h;
	size[h]++;
	return true;
}

static bool del(unsigned int i)
{
	int h = member[i];

	member[i] = -1;
	size[h]--;
	return umbra_rmap_del(&head[h], &spte[i]);
}

/* Each member once, and nothing else. */
static bool same(unsigned int h)
{
	bool seen[NR_SPTES] = {};
	struct umbra_rmap_iter it;
	unsigned int n = 0;
	u64 *p;

	umbra_rmap_for_each(p, &it, &head[h]) {
		unsigned int i = p - spte;

		if (i >= NR_SPTES || member[i] != (int)h || seen[i])
			return false;
		seen[i] = true;
		n++;
	}
	if (n != size[h] || umbra_rmap_count(&head[h]) != n || umbra_rmap_empty(&head[h]) != !n)
		return false;
	p = umbra_rmap_first(&head[h]);
	return n ? member[p - spte] == (int)h : !p;
}

static bool random_change(void)
{
	unsigned int i = rnd(NR_SPTES);
	/* Phases of growing and shrinking, some heads much longer than others. */
	unsigned int h = chance(60) ? 0 : rnd(NR_HEADS);

	if (member[i] < 0)
		return add(h, i);
	/* Not there: must say so and change nothing. */
	if (umbra_rmap_del(&head[(member[i] + 1) % NR_HEADS], &spte[i]))
		return false;
	return del(i);
}

static void by_hand(void)
{
	u64 *p;

	ok(umbra_rmap_empty(&head[0]) && !umbra_rmap_first(&head[0]) && same(0), "empty");
	add(0, 7);
	ok(same(0) && !(head[0].val & 1) && umbra_rmap_first(&head[0]) == &spte[7],
	   "one entry needs no node");
	ok(!umbra_rmap_del(&head[0], &spte[8]) && same(0), "a stranger is not removed");
	for (unsigned int i = 8; i < 8 + 3 * RMAP_NODE_SPTES; i++)
		add(0, i);
	ok(same(0), "three nodes and one entry");
	while ((p = umbra_rmap_first(&head[0])))
		if (!del(p - spte) || !same(0))
			break;
	ok(!p && umbra_rmap_empty(&head[0]), "emptied by its first entry");
	for (unsigned int i = 0; i < 100; i++)
		add(1, i);
	umbra_rmap_clear(&head[1]);
	memset(member, -1, sizeof(member));
	size[1] = 0;
	ok(same(1), "cleared at once");
	ok(mmu.stat.max_mmu_rmap_size == 100, "the longest chain is counted");
}

int main(int argc, char **argv)
{
	bool good = true;
	unsigned int i;

	random_state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	if (umbra_table_module_init())
		return 1;
	memset(member, -1, sizeof(member));
	by_hand();
	for (i = 0; good && i < 200000; i++) {
		good = random_change();
		if (good && i % 20 == 0)
			for (unsigned int h = 0; good && h < NR_HEADS; h++)
				good = same(h);
	}
	ok(good, "%u random additions and removals", i);
	for (i = 0; i < NR_SPTES; i++)
		if (member[i] >= 0)
			good &= del(i);
	umbra_cache_drain(&vcpu);
	umbra_table_module_exit();
	ok(good && !shim_objects && !shim_pages, "no node is leaked");
	return tap_done();
}
