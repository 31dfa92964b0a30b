// SPDX-License-Identifier: GPL-2.0
/* The end of the payloads that start without paging; real.S has the rest. */
#include "rt.h"

/* These two never get to long mode. */
void payload_prot_sum(void)
{
	CHECK(false);
}

void payload_real_sum(void)
{
	CHECK(false);
}

/* After all the round trips, paging must work as if it had been on forever. */
void payload_mode_switch(void)
{
	u64 root = space_create(), page = data_alloc(1);

	CHECK(ctl->checksum != 0);
	pt_map(root, TEST_VA, page, PTE_KERNEL);
	write_cr3(root);
	WRITE_ONCE(*(u64 *)TEST_VA, 0x64);
	CHECK_EQ(*(u64 *)page, 0x64);
}
