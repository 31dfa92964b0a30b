// SPDX-License-Identifier: GPL-2.0
/* Many memory slots: what deleting one does to others, and what finding one costs. */
#include "rt.h"

static u64 slot_va(u64 slot, u64 page)
{
	return GUEST_ALIAS_GPA + slot * GUEST_SLOT_SIZE + page * PAGE_SIZE;
}

static void touch_slots(u64 value)
{
	u64 i;

	for (i = 0; i < ctl->ops; i++)
		WRITE_ONCE(*(u64 *)slot_va(1 + i % (GUEST_SLOTS - 1), i / (GUEST_SLOTS - 1)),
			   value + i);
}

/* All slots are in use, the first one goes, the others are used again. */
void payload_slot_delete(void)
{
	const u64 pages = ctl->ops / (GUEST_SLOTS - 1);
	u64 i;

	CHECK(pages * PAGE_SIZE < GUEST_SLOT_SIZE);
	touch_slots(0x5000);
	for (i = 0; i < pages; i++)
		WRITE_ONCE(*(u64 *)(slot_va(0, i) + 8), i);
	timed_begin();
	call(CALL_SLOT_DELETE, slot_va(0, 0), 0);
	touch_slots(0x6000);
	timed_end();
	/* They have the same memory, which the last one wrote to. */
	for (i = 0; i < pages; i++) {
		CHECK_EQ(*(u64 *)slot_va(1, i), 0x6000 + (i + 1) * (GUEST_SLOTS - 1) - 1);
		CHECK_EQ(*(u64 *)(slot_va(1, i) + 8), i);
	}
}

/* First touch of pages far from each other, with many or with few slots around them. */
static void touch_far(void)
{
	const u64 range = ctl->arg[0] * GUEST_MOST_SIZE / GUEST_MOST_STEP;
	u64 i;

	CHECK(ctl->ops <= range);
	timed_begin();
	for (i = 0; i < ctl->ops; i++)
		WRITE_ONCE(*(u64 *)(GUEST_ALIAS_GPA + i * 7919 % range * GUEST_MOST_STEP), i);
	timed_end();
}

void payload_slot_lookup(void)
{
	touch_far();
}

void payload_slot_lookup_4(void)
{
	touch_far();
}
