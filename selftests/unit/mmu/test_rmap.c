// SPDX-License-Identifier: GPL-2.0
/*
 * Reverse maps against a plain array, and that no node is leaked.
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
	if (!umbra_rmap_add(&vcpu, &head[h], &spte[i], 0))
		return false;
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
	if (!umbra_rmap_valid(&head[h]))
		return false;
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
	ok(same(0), "several nodes");
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
	ok(mmu.stat.max_mmu_rmap_size == 100, "the longest one is counted");
}

/* One entry more than there may be, and one node fewer than it takes. */
static void limits(void)
{
	static u64 many[RMAP_MAX + 1];
	unsigned int i;

	for (i = 0; i < RMAP_MAX; i++)
		if (umbra_cache_topup(&vcpu, UMBRA_FAMILY_SHADOW) ||
		    !umbra_rmap_add(&vcpu, &head[2], &many[i], 0))
			break;
	ok(i == RMAP_MAX && umbra_rmap_valid(&head[2]) && umbra_rmap_count(&head[2]) == RMAP_MAX,
	   "%u members", RMAP_MAX);
	ok(!umbra_rmap_add(&vcpu, &head[2], &many[i], 0) &&
	   umbra_rmap_count(&head[2]) == RMAP_MAX, "and no more");
	while (i--)
		if (!umbra_rmap_del(&head[2], &many[i]) || !umbra_rmap_valid(&head[2]))
			break;
	ok(i + 1 == 0 && umbra_rmap_empty(&head[2]), "the last one goes first");
	umbra_cache_drain(&vcpu);
	ok(umbra_rmap_add(&vcpu, &head[2], &many[0], 5) &&
	   !umbra_rmap_add(&vcpu, &head[2], &many[1], 0) && umbra_rmap_count(&head[2]) == 1,
	   "one needs no node, two do");
	umbra_rmap_clear(&head[2]);
}

static unsigned int depth(const struct umbra_rmap_node *node)
{
	unsigned int nodes = 0;

	for (; node; node = node->up)
		nodes++;
	return nodes;
}

/* Removing looks at the nodes on the way to a member: that there are few. */
static void removal(void)
{
	static u64 many[RMAP_MAX];
	unsigned int i, longest = 0, sum = 0;
	struct umbra_rmap_iter it;
	u64 *p;

	for (i = 0; i < RMAP_MAX; i++) {
		umbra_cache_topup(&vcpu, UMBRA_FAMILY_SHADOW);
		/* As a guest has them that maps a frame in all entries of its tables. */
		umbra_rmap_add(&vcpu, &head[3], &many[i], 0);
	}
	umbra_rmap_for_each(p, &it, &head[3]) {
		longest = max(longest, depth(it.node));
		sum += depth(it.node);
	}
	ok(longest <= 7 && sum <= 5 * RMAP_MAX, "%u members: %u nodes at most, %u.%u on average",
	   RMAP_MAX, longest, sum / RMAP_MAX, sum * 10 / RMAP_MAX % 10);
	umbra_rmap_clear(&head[3]);
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
	limits();
	removal();
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
