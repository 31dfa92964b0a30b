// SPDX-License-Identifier: GPL-2.0
/* What the torture test has come across, for people. */
#include <stdio.h>
#include "machine.h"

void machine_report(void)
{
	printf("# steps %llu, accesses %llu (shadow tries %llu), VMs %llu\n", counts.steps,
	       counts.accesses, counts.shadow, counts.vms);
	printf("# shadow tries: 4-level %llu, 5-level %llu, PAE %llu, 32-bit %llu\n",
	       counts.mode[GUEST_MODE_4LEVEL], counts.mode[GUEST_MODE_5LEVEL],
	       counts.mode[GUEST_MODE_PAE], counts.mode[GUEST_MODE_32BIT]);
	printf("# out of sync: 4-level %llu, 5-level %llu, PAE %llu, 32-bit %llu\n",
	       counts.unsync[GUEST_MODE_4LEVEL], counts.unsync[GUEST_MODE_5LEVEL],
	       counts.unsync[GUEST_MODE_PAE], counts.unsync[GUEST_MODE_32BIT]);
	printf("# TLB hits %llu, walks %llu, stale but allowed %llu, undecided %llu\n",
	       counts.hits, counts.walks, counts.stale, counts.undecided);
	printf("# faults %llu: fixed %llu, spurious %llu, retry %llu, guest %llu, nomem %llu\n",
	       counts.faults, counts.fixed, counts.spurious, counts.retry, counts.guest_faults,
	       counts.nomem);
	printf("# emulated %llu: mmio %llu (by an entry %llu)\n", counts.emulated, counts.mmio,
	       counts.mmio_fast);
	printf("# tracked %llu (self map %llu, unprotected %llu, wide or elsewhere %llu)\n",
	       counts.tracked, counts.self_map, counts.unprotected, counts.wide);
	printf("# emulator's fetches %llu (recalled %llu)\n", counts.fetches, counts.recalled);
	printf("# without an exit: #PF %llu (late %llu), INVLPG %llu\n", counts.direct, counts.late,
	       counts.invlpg);
	printf("# notified %llu, collapsed %llu, interfered %llu, inside %llu, raced %llu\n",
	       counts.notified, counts.collapsed, counts.interfered, counts.inside,
	       counts.raced);
	printf("# walks that end with a protection key %llu\n", counts.keys);
	printf("# shadow pages reclaimed %llu, of these by the host %llu\n", counts.recycled,
	       counts.shrunk);
	printf("# audits %llu, to EPT %llu, large pages of shadow tables walked %llu\n",
	       counts.audits, counts.left_shadow, counts.large);
}

/* A long run that misses something proves nothing about it. */
bool machine_reached_all(u64 steps)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(counts.mode); i++)
		if (steps >= 100000 && counts.mode[i] < steps / 100)
			return false;
	if (steps >= 100000 && (counts.recycled < steps / 1000 || counts.shrunk < steps / 1000))
		return false;
	return steps < 1000000 || (counts.large >= steps / 10000 && counts.keys >= steps / 10000);
}
