// SPDX-License-Identifier: GPL-2.0
/* Many address spaces: switches, PCID, INVPCID, global pages. */
#include "rt.h"

#define MAX_SPACES	64
#define SPACE_PAGES	4

static u64 roots[MAX_SPACES];

/* Each space has pages of its own at the same addresses. */
static void create_spaces(unsigned int n, u64 flags)
{
	unsigned int i, j;
	u64 base;

	for (i = 0; i < n; i++) {
		roots[i] = space_create();
		base = data_alloc(SPACE_PAGES);
		for (j = 0; j < SPACE_PAGES; j++) {
			pt_map(roots[i], TEST_VA + j * PAGE_SIZE, base + j * PAGE_SIZE, flags);
			*(u64 *)(base + j * PAGE_SIZE) = i << 8 | j;
		}
	}
}

static u64 space_page(unsigned int i, unsigned int j)
{
	return *pt_entry(roots[i], TEST_VA + j * PAGE_SIZE, 1, false) & PTE_ADDR;
}

/* One operation: load CR3, read each page, write one. */
static void round_robin(unsigned int n)
{
	u64 i, j, wrong = 0, written = 0;

	create_spaces(n, PTE_KERNEL);
	for (i = 0; i < n; i++) {
		write_cr3(roots[i]);
		for (j = 0; j < SPACE_PAGES; j++)
			CHECK_EQ(*(u64 *)(TEST_VA + j * PAGE_SIZE), i << 8 | j);
		*(u64 *)(TEST_VA + 8) = 0;
	}
	timed_begin();
	for (i = 0; i < ctl->ops; i++) {
		write_cr3(roots[i % n]);
		for (j = 0; j < SPACE_PAGES; j++)
			wrong += READ_ONCE(*(u64 *)(TEST_VA + j * PAGE_SIZE)) != (i % n << 8 | j);
		++*(u64 *)(TEST_VA + 8);
	}
	timed_end();
	CHECK_EQ(wrong, 0);
	for (i = 0; i < n; i++)
		written += *(u64 *)(space_page(i, 0) + 8);
	CHECK_EQ(written, ctl->ops);
}

void payload_switch_4(void)
{
	round_robin(4);
}

void payload_switch_64(void)
{
	round_robin(64);
}

static void swap_first_pages(unsigned int i)
{
	u64 *pte = pt_entry(roots[i], TEST_VA, 1, false), first = pte[0];

	WRITE_ONCE(pte[0], pte[1]);
	WRITE_ONCE(pte[1], first);
}

/* PCIDs, with and without flush on load; an edit is flushed in its own PCID. */
void payload_switch_pcid(void)
{
	const u64 no_flush = 1UL << 63;
	unsigned int n = 8;
	u64 i, space;

	if (!cpu_has(1, 2, 17))
		skip();
	create_spaces(n, PTE_KERNEL);
	write_cr4(read_cr4() | CR4_PCIDE);
	for (i = 0; i < ctl->ops; i++) {
		space = i % n;
		write_cr3(roots[space] | (space + 1) | (i >= n ? no_flush : 0));
		CHECK_EQ(read_cr3(), roots[space] | (space + 1));
		CHECK_EQ(*(u64 *)TEST_VA, space << 8 | (i / n % 2));
		CHECK_EQ(*(u64 *)(TEST_VA + 2 * PAGE_SIZE), space << 8 | 2);
		swap_first_pages(space);
		invlpg(TEST_VA);
		invlpg(TEST_VA + PAGE_SIZE);
		CHECK_EQ(*(u64 *)TEST_VA, space << 8 | ((i / n + 1) % 2));
	}
	write_cr3(roots[0]);
	write_cr4(read_cr4() & ~CR4_PCIDE);
	note(*(u64 *)TEST_VA);
}

static void invpcid(u64 type, u64 pcid, u64 va)
{
	u64 desc[2] = { pcid, va };

	__asm__ volatile("invpcid %0, %1" : : "m"(desc), "r"(type) : "memory");
}

static u64 do_invpcid(u64 type, u64 pcid)
{
	invpcid(type, pcid, TEST_VA);
	return 0;
}

static u64 invpcid_at(u64 desc, u64 type)
{
	__asm__ volatile("invpcid (%0), %1" : : "r"(desc), "r"(type) : "memory");
	return 0;
}

/* After each type of INVPCID, what it covers must be seen anew. */
void payload_invpcid(void)
{
	u64 type, i, state = 0;

	if (!cpu_has(1, 2, 17) || !cpu_has(7, 1, 10))
		skip();
	create_spaces(2, PTE_KERNEL);
	write_cr4(read_cr4() | CR4_PCIDE);
	write_cr3(roots[1] | 2);
	CHECK_EQ(*(u64 *)TEST_VA, 1 << 8);
	write_cr3(roots[0] | 1);
	for (i = 0; i < ctl->ops; i++) {
		type = i % 4;
		CHECK_EQ(*(u64 *)TEST_VA, state);
		swap_first_pages(0);
		swap_first_pages(1);
		state ^= 1;
		invpcid(type, 1, TEST_VA);
		CHECK_EQ(*(u64 *)TEST_VA, state);
		invpcid(type, 2, TEST_VA);
		write_cr3(roots[1] | 2 | 1UL << 63);
		CHECK_EQ(*(u64 *)TEST_VA, 1 << 8 | state);
		write_cr3(roots[0] | 1 | 1UL << 63);
		invpcid(0, 1, TEST_VA + PAGE_SIZE);
		CHECK_EQ(*(u64 *)(TEST_VA + PAGE_SIZE), state ^ 1);
	}
	CHECK_EQ(guarded(do_invpcid, 4, 0), TRAPPED(VEC_GP));
	CHECK_EQ(guarded(do_invpcid, 0, 0x1000), TRAPPED(VEC_GP));
	/* What would be a descriptor, if bits 63:48 did not count. */
	*(u64 *)TEST_VA = 0;
	CHECK_EQ(guarded(invpcid_at, TEST_VA, 0), 0);
	CHECK_EQ(guarded(invpcid_at, 1UL << 60 | TEST_VA, 0), TRAPPED(VEC_GP));
	write_cr3(roots[0]);
	write_cr4(read_cr4() & ~CR4_PCIDE);
}

/* Toggling CR4.PGE flushes global pages too. */
void payload_toggle_pge(void)
{
	u64 i;

	create_spaces(1, PTE_KERNEL | PTE_G);
	write_cr4(read_cr4() | CR4_PGE);
	write_cr3(roots[0]);
	for (i = 0; i < ctl->ops; i++) {
		CHECK_EQ(*(u64 *)TEST_VA, i % 2);
		swap_first_pages(0);
		write_cr4(read_cr4() & ~CR4_PGE);
		CHECK_EQ(*(u64 *)TEST_VA, (i + 1) % 2);
		write_cr4(read_cr4() | CR4_PGE);
		CHECK_EQ(*(u64 *)(TEST_VA + PAGE_SIZE), i % 2);
	}
}
