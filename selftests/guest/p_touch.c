// SPDX-License-Identifier: GPL-2.0
/* First touch of memory, and touch again after the host took the pages away. */
#include "rt.h"

/* Map @pages fresh data pages at TEST_VA of a new address space and go there. */
static u64 map_data(u64 pages)
{
	u64 root = space_create(), base = data_alloc(pages), i;

	for (i = 0; i < pages; i++)
		pt_map(root, TEST_VA + i * PAGE_SIZE, base + i * PAGE_SIZE, PTE_KERNEL);
	write_cr3(root);
	return base;
}

static void touch(u64 va, u64 pages, u64 value)
{
	u64 i;

	for (i = 0; i < pages; i++)
		WRITE_ONCE(*(u64 *)(va + i * PAGE_SIZE), value + i);
}

static void verify(u64 va, u64 pages, u64 value)
{
	u64 i;

	for (i = 0; i < pages; i++)
		CHECK_EQ(*(u64 *)(va + i * PAGE_SIZE), value + i);
}

void payload_touch_4k(void)
{
	u64 base = map_data(ctl->ops);

	timed_begin();
	touch(TEST_VA, ctl->ops, 0x1000);
	timed_end();
	verify(base, ctl->ops, 0x1000);
}

void payload_retouch(void)
{
	u64 base = map_data(ctl->ops);

	touch(TEST_VA, ctl->ops, 1);
	verify(TEST_VA, ctl->ops, 1);
	call(CALL_DONTNEED, base, ctl->ops * PAGE_SIZE);
	timed_begin();
	touch(TEST_VA + 8, ctl->ops, 0x2000);
	timed_end();
	verify(TEST_VA + 8, ctl->ops, 0x2000);
	CHECK_EQ(*(u64 *)TEST_VA, 0);
	CHECK_EQ(*(u64 *)(base + (ctl->ops - 1) * PAGE_SIZE), 0);
}
