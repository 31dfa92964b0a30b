// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that break themselves or attack the MMU. Each must come to an end that
 * the host can see: an exit, or a fault that the guest takes itself.
 */
#include "rt.h"

#define OUTSIDE_GPA	0x3f00000000UL	/* below MAXPHYADDR, in no slot */

static void load_empty_idt(void)
{
	struct {
		u16 limit;
		u64 base;
	} __packed desc = { 0, 0 };

	__asm__ volatile("lidt %0" : : "m"(desc));
}

static u64 random_page(u64 seed)
{
	u64 page = data_alloc(1), i;

	for (i = 0; i < PAGE_SIZE; i += 8)
		*(u64 *)(page + i) = next_random(&seed);
	return page;
}

void payload_triple_fault(void)
{
	load_empty_idt();
	__asm__ volatile("ud2");
}

/* With a page of random bits as root, not even the next instruction can be fetched. */
void payload_garbage_root(void)
{
	u64 page = random_page(42);

	*(u64 *)page |= PTE_P | PTE_RSVD;
	write_cr3(page);
}

void payload_root_outside(void)
{
	write_cr3(OUTSIDE_GPA);
}

void payload_root_mmio(void)
{
	write_cr3(GUEST_MMIO_GPA);
}

/* Page tables at each level that are no memory, or random memory. */
void payload_tables_outside(void)
{
	static const u64 bad[] = { OUTSIDE_GPA, GUEST_MMIO_GPA, GUEST_MEM_SIZE };
	u64 root = space_create();
	unsigned int level, i;

	write_cr3(root);
	for (level = 4; level > 1; level--) {
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			WRITE_ONCE(*pt_entry(root, TEST_VA, level, true), bad[i] | PTE_USER);
			write_cr3(root);
			probe_read(TEST_VA, NULL);
			probe_write(TEST_VA + 0x123456, 1);
			WRITE_ONCE(*pt_entry(root, TEST_VA, level, true), 0);
		}
	}
}

void payload_tables_garbage(void)
{
	u64 root = space_create(), seed = 7, i, page;
	unsigned int level;

	write_cr3(root);
	for (i = 0; i < 40; i++) {
		level = 4 - i % 3;
		page = random_page(i + 1);
		WRITE_ONCE(*pt_entry(root, TEST_VA, level, true), page | PTE_USER);
		write_cr3(root);
		probe_read(TEST_VA + (next_random(&seed) & 0x7ffffffff8UL), NULL);
		probe_call(TEST_VA + (next_random(&seed) & 0x7ffffffff8UL));
		WRITE_ONCE(*pt_entry(root, TEST_VA, level, true), 0);
		write_cr3(root);
	}
}

/* One page is every level of its own tables. */
void payload_tables_cyclic(void)
{
	u64 root = space_create(), va, i;

	for (i = 1; i < 512; i++)
		WRITE_ONCE(*(u64 *)(root + i * 8), root | PTE_KERNEL);
	write_cr3(root);
	for (i = 1; i < 256; i++) {
		va = i << 39 | (511 - i) << 30 | 3UL << 21 | 17UL << 12;
		CHECK_EQ(*(u64 *)(va + 8 * i), *(u64 *)(root + 8 * i));
	}
	/* Written through itself: the entry of the very path that is used. */
	for (i = 256; i < 500; i++) {
		va = 0xffff000000000000UL | i << 39 | i << 30 | i << 21 | i << 12;
		WRITE_ONCE(*(u64 *)(va + 8 * i), 0);
		write_cr3(root);
		CHECK_EQ(*(u64 *)(root + 8 * i), 0);
		check_fault(probe_read(va, NULL), 0, va);
	}
	note(i);
}

void payload_fetch_mmio(void)
{
	probe_call(GUEST_MMIO_GPA);
}

void payload_fetch_outside(void)
{
	u64 root = space_create();

	pt_map(root, TEST_VA, OUTSIDE_GPA, PTE_KERNEL);
	write_cr3(root);
	probe_call(TEST_VA);
}

/* Random code in kernel mode; the first exception ends it. */
void payload_garbage_kernel(void)
{
	u64 page = random_page(0x5eed);

	load_empty_idt();
	((void (*)(void))page)();
}

/* The descriptor tables and the stack are no memory when an exception comes. */
void payload_idt_outside(void)
{
	struct {
		u16 limit;
		u64 base;
	} __packed desc = { 0xfff, 0xc0000000 };

	__asm__ volatile("lidt %0" : : "m"(desc));
	__asm__ volatile("ud2");
}

void payload_stack_outside(void)
{
	__asm__ volatile("mov %0, %%rsp; ud2" : : "r"(0xc0000000UL));
}
