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

/* The boot page tables map it with large pages. */
static void touch_alias(u64 step)
{
	const u64 lap = GUEST_ALIAS_SIZE / step;
	u64 i, last;

	CHECK(ctl->ops * step <= (u64)GUEST_ALIASES * GUEST_ALIAS_SIZE);
	timed_begin();
	for (i = 0; i < ctl->ops; i++)
		WRITE_ONCE(*(u64 *)(GUEST_ALIAS_GPA + i * step), 0x3000 + i);
	timed_end();
	/* All laps went to the same memory, which the last one wrote to. */
	for (i = 0; i < ctl->ops && i < lap; i++) {
		last = (ctl->ops - 1 - i) / lap * lap + i;
		CHECK_EQ(*(u64 *)(GUEST_MEM_SIZE - GUEST_ALIAS_SIZE + i * step), 0x3000 + last);
	}
}

/* One word in each large page. */
void payload_touch_2m(void)
{
	touch_alias(LARGE_SIZE);
}

/* One word in each of the small pages that large guest pages consist of. */
void payload_touch_dense(void)
{
	touch_alias(PAGE_SIZE);
}
