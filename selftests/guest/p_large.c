// SPDX-License-Identifier: GPL-2.0
/* Guest pages of 2 MiB and 1 GiB. */
#include "rt.h"

static void fill(u64 va, u64 seed)
{
	u64 i;

	for (i = 0; i < 512; i++)
		*(u64 *)(va + i * PAGE_SIZE) = seed + i;
}

static void verify(u64 va, u64 seed)
{
	u64 i;

	for (i = 0; i < 512; i++)
		CHECK_EQ(*(u64 *)(va + i * PAGE_SIZE), seed + i);
}

/* Map a large page, split it into a table with one page moved, join it again. */
void payload_large_2m(void)
{
	u64 root = space_create(), page = data_alloc_large(), other = data_alloc(1);
	u64 *pde = pt_entry(root, TEST_VA, 2, true), *table = (u64 *)pt_alloc();
	u64 i, round;

	*(u64 *)other = 0x4d;
	write_cr3(root);
	for (round = 0; round < ctl->ops; round++) {
		WRITE_ONCE(*pde, page | PTE_KERNEL | PTE_PS);
		invlpg(TEST_VA);
		fill(TEST_VA, round << 16);
		verify(page, round << 16);

		for (i = 0; i < 512; i++)
			table[i] = (page + i * PAGE_SIZE) | PTE_KERNEL;
		table[7] = other | PTE_KERNEL;
		WRITE_ONCE(*pde, (u64)table | PTE_USER);
		invlpg(TEST_VA);
		write_cr3(root);
		CHECK_EQ(*(u64 *)(TEST_VA + 7 * PAGE_SIZE), 0x4d);
		CHECK_EQ(*(u64 *)(TEST_VA + 8 * PAGE_SIZE), (round << 16) + 8);
	}
	WRITE_ONCE(*pde, page | PTE_READ | PTE_PS);
	invlpg(TEST_VA);
	write_cr3(root);
	verify(TEST_VA, (round - 1) << 16);
	check_fault(probe_write(TEST_VA + 0x12340, 1), PF_P | PF_W, TEST_VA + 0x12340);
}

/* A large page's address bits below 2 MiB are reserved; A and D are in its entry. */
void payload_large_bits(void)
{
	u64 root = space_create(), page = data_alloc_large(), bit;
	u64 *pde = pt_entry(root, TEST_VA, 2, true);

	write_cr3(root);
	for (bit = 13; bit < 21; bit++) {
		WRITE_ONCE(*pde, page | 1UL << bit | PTE_KERNEL | PTE_PS);
		invlpg(TEST_VA);
		check_fault(probe_read(TEST_VA, NULL), PF_P | PF_RSVD, TEST_VA);
	}
	WRITE_ONCE(*pde, page | PTE_P | PTE_W | PTE_PS);
	invlpg(TEST_VA);
	CHECK_EQ(probe_read(TEST_VA + 8, NULL), 0);
	CHECK_EQ(*pde & (PTE_A | PTE_D), PTE_A);
	CHECK_EQ(probe_write(TEST_VA + 123 * PAGE_SIZE, 1), 0);
	CHECK_EQ(*pde & (PTE_A | PTE_D), PTE_A | PTE_D);
}

/* One entry for the first GiB, most of which is not there. */
void payload_large_1g(void)
{
	u64 root = space_create(), page = data_alloc_large();
	u64 *pdpte = pt_entry(root, TEST_VA, 3, true);

	if (!cpu_has(0x80000001, 3, 26))
		skip();
	WRITE_ONCE(*pdpte, PTE_KERNEL | PTE_PS);
	write_cr3(root);
	fill(TEST_VA + page, 0x16);
	verify(page, 0x16);
	WRITE_ONCE(*pdpte, 1UL << 20 | PTE_KERNEL | PTE_PS);
	invlpg(TEST_VA);
	check_fault(probe_read(TEST_VA, NULL), PF_P | PF_RSVD, TEST_VA);
}
