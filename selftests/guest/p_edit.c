// SPDX-License-Identifier: GPL-2.0
/* Edits of page-table entries: remapping, unmapping, and through strange ways. */
#include "rt.h"

#define WINDOW		16	/* pages of virtual space that are edited */
#define FRAMES		32
#define SELF_SLOT	510

/* Frames whose first word is their number. */
static u64 numbered_frames(unsigned int n)
{
	u64 base = data_alloc(n);
	unsigned int i;

	for (i = 0; i < n; i++)
		*(u64 *)(base + i * PAGE_SIZE) = i;
	return base;
}

/* Change where a page points, flush it, look. */
void payload_ptemod(void)
{
	u64 root = space_create(), frames = numbered_frames(FRAMES);
	u64 *pte = pt_entry(root, TEST_VA, 1, true);
	u64 i, frame, va, wrong = 0;

	for (i = 0; i < WINDOW; i++)
		pte[i] = frames | PTE_KERNEL;
	write_cr3(root);
	for (i = 0; i < WINDOW; i++)
		CHECK_EQ(*(u64 *)(TEST_VA + i * PAGE_SIZE), 0);

	timed_begin();
	for (i = 0; i < ctl->ops; i++) {
		va = TEST_VA + i % WINDOW * PAGE_SIZE;
		frame = (i + i / WINDOW) % FRAMES;
		WRITE_ONCE(pte[i % WINDOW], (frames + frame * PAGE_SIZE) | PTE_KERNEL);
		invlpg(va);
		wrong += READ_ONCE(*(u64 *)va) != frame;
	}
	timed_end();
	CHECK_EQ(wrong, 0);
	note(i);
}

/* Map a page, use it, unmap it; afterwards it must be gone, with the right fault. */
void payload_map_unmap(void)
{
	u64 root = space_create(), frames = numbered_frames(FRAMES);
	u64 *pte = pt_entry(root, TEST_VA, 1, true);
	u64 i, va, wrong = 0;

	write_cr3(root);
	timed_begin();
	for (i = 0; i < ctl->ops; i++) {
		va = TEST_VA + i % WINDOW * PAGE_SIZE;
		WRITE_ONCE(pte[i % WINDOW], (frames + i % FRAMES * PAGE_SIZE) | PTE_KERNEL);
		wrong += READ_ONCE(*(u64 *)va) != i % FRAMES;
		WRITE_ONCE(pte[i % WINDOW], 0);
		invlpg(va);
	}
	timed_end();
	CHECK_EQ(wrong, 0);

	for (i = 0; i < WINDOW; i++) {
		va = TEST_VA + i * PAGE_SIZE + 8 * i;
		check_fault(probe_read(va, NULL), 0, va);
		check_fault(probe_write(va, 1), PF_W, va);
		WRITE_ONCE(pte[i], (frames + i * PAGE_SIZE) | PTE_KERNEL);
		CHECK_EQ(probe_write(va, va), 0);
		CHECK_EQ(*(u64 *)(frames + i * PAGE_SIZE + 8 * i), va);
		WRITE_ONCE(pte[i], 0);
		invlpg(va);
		check_fault(probe_call(va), PF_FETCH, va);
	}
}

/* The virtual address of the entry for @va at @level through the root's own slot. */
static u64 *self_map_entry(u64 va, int level)
{
	u64 entry = va & 0xffffffffffffUL;
	int i;

	for (i = 0; i < level; i++)
		entry = entry >> 9 | (u64)SELF_SLOT << 39;
	return (u64 *)((entry & ~7UL) | 0xffff000000000000UL);
}

/* The root maps itself; all edits go through that window. */
void payload_self_map(void)
{
	u64 root = space_create(), frames = numbered_frames(FRAMES);
	u64 table, va, i;

	((u64 *)root)[SELF_SLOT] = root | PTE_KERNEL;
	write_cr3(root);
	CHECK_EQ(*self_map_entry(0, 4), *(u64 *)root);

	for (i = 0; i < ctl->ops; i++) {
		va = TEST_VA + (i << 30) % (8UL << 30) + i % FRAMES * PAGE_SIZE;
		for (int level = 4; level > 1; level--) {
			if (*self_map_entry(va, level) & PTE_P)
				continue;
			table = pt_alloc();
			WRITE_ONCE(*self_map_entry(va, level), table | PTE_KERNEL);
			invlpg((u64)self_map_entry(va, level - 1));
		}
		WRITE_ONCE(*self_map_entry(va, 1), (frames + i % FRAMES * PAGE_SIZE) | PTE_KERNEL);
		invlpg(va);
		CHECK_EQ(READ_ONCE(*(u64 *)va), i % FRAMES);
		CHECK_EQ(*pt_entry(root, va, 1, false) & PTE_ADDR,
			 frames + i % FRAMES * PAGE_SIZE);
		WRITE_ONCE(*self_map_entry(va, 1), 0);
		invlpg(va);
		check_fault(probe_read(va, NULL), 0, va);
	}
	note(i);
}

/*
 * A page table that maps itself: each write goes through the table that it
 * changes, the last one even through the entry that it changes.
 */
void payload_self_edit(void)
{
	u64 root = space_create(), frames = numbered_frames(FRAMES);
	u64 *pte = pt_entry(root, TEST_VA, 1, true), *window = (u64 *)TEST_VA;
	u64 i, va;

	pte[0] = (u64)pte | PTE_KERNEL;
	write_cr3(root);
	for (i = 0; i < ctl->ops; i++) {
		va = TEST_VA + (1 + i % FRAMES) * PAGE_SIZE;
		WRITE_ONCE(window[1 + i % FRAMES], (frames + i % FRAMES * PAGE_SIZE) | PTE_KERNEL);
		invlpg(va);
		CHECK_EQ(READ_ONCE(*(u64 *)va), i % FRAMES);
		WRITE_ONCE(window[1 + i % FRAMES], 0);
		invlpg(va);
		check_fault(probe_read(va, NULL), 0, va);
	}
	WRITE_ONCE(window[0], (frames + 5 * PAGE_SIZE) | PTE_KERNEL);
	invlpg(TEST_VA);
	CHECK_EQ(READ_ONCE(window[0]), 5);
	CHECK_EQ(pte[0] & PTE_ADDR, frames + 5 * PAGE_SIZE);
	note(i);
}

/* One frame and one page table, each reachable at several addresses. */
void payload_alias(void)
{
	u64 root = space_create(), frames = numbered_frames(FRAMES);
	u64 *pte = pt_entry(root, TEST_VA, 1, true);
	u64 *alias = (u64 *)(TEST_VA + (8UL << 30));
	u64 i, j;

	/* The table is mapped at alias, and once more at the next large page. */
	pt_map(root, (u64)alias, (u64)pte, PTE_KERNEL);
	WRITE_ONCE(*pt_entry(root, TEST_VA + LARGE_SIZE, 2, true), (u64)pte | PTE_USER);
	write_cr3(root);
	for (i = 0; i < ctl->ops; i++) {
		for (j = 0; j < 4; j++)
			WRITE_ONCE(alias[j], (frames + i % FRAMES * PAGE_SIZE) | PTE_KERNEL);
		for (j = 0; j < 4; j++) {
			invlpg(TEST_VA + j * PAGE_SIZE);
			invlpg(TEST_VA + LARGE_SIZE + j * PAGE_SIZE);
		}
		WRITE_ONCE(*(u64 *)(TEST_VA + 8), i);
		CHECK_EQ(READ_ONCE(*(u64 *)(TEST_VA + 3 * PAGE_SIZE + 8)), i);
		CHECK_EQ(READ_ONCE(*(u64 *)(TEST_VA + LARGE_SIZE + PAGE_SIZE + 8)), i);
		CHECK_EQ(READ_ONCE(*(u64 *)(TEST_VA + LARGE_SIZE)), i % FRAMES);
	}
	note(i);
}

/* A page is a page table, then data, then a page table again. */
void payload_recycle(void)
{
	u64 root = space_create(), frames = numbered_frames(FRAMES);
	u64 *table = (u64 *)pt_alloc(), *pde = pt_entry(root, TEST_VA, 2, true);
	u64 i, j, sum;

	write_cr3(root);
	for (i = 0; i < ctl->ops; i++) {
		for (j = 0; j < 512; j++)
			WRITE_ONCE(table[j], (frames + (i + j) % FRAMES * PAGE_SIZE) | PTE_KERNEL);
		WRITE_ONCE(*pde, (u64)table | PTE_USER);
		write_cr3(root);
		for (j = 0; j < 512; j += 37)
			CHECK_EQ(READ_ONCE(*(u64 *)(TEST_VA + j * PAGE_SIZE)), (i + j) % FRAMES);
		WRITE_ONCE(*pde, 0);
		write_cr3(root);
		check_fault(probe_read(TEST_VA, NULL), 0, TEST_VA);

		for (j = 0; j < 512; j++)
			table[j] = i * j;
		for (j = 0, sum = 0; j < 512; j++)
			sum += READ_ONCE(table[j]);
		CHECK_EQ(sum, i * 511 * 512 / 2);
	}
	note(i);
}

/*
 * More rights need no INVLPG: at worst the CPU reports one fault from what it
 * had cached, and then looks again.
 */
static void check_upgraded(u64 (*access)(u64 va), u64 va)
{
	if (access(va))
		CHECK_EQ(access(va), 0);
}

static u64 kernel_read(u64 va)
{
	return probe_read(va, NULL);
}

static u64 kernel_write(u64 va)
{
	return probe_write(va, 0xc3c3c3c3c3c3c3c3UL);
}

void payload_upgrade(void)
{
	u64 root = space_create(), page = data_alloc(1), i, va;
	u64 *pte = pt_entry(root, TEST_VA, 1, true);

	space_add_user_text(root);
	*(u64 *)page = 0xc3c3c3c3c3c3c3c3UL;
	write_cr3(root);
	for (i = 0; i < ctl->ops; i++) {
		va = TEST_VA + i % WINDOW * PAGE_SIZE;
		check_fault(probe_read(va, NULL), 0, va);
		WRITE_ONCE(pte[i % WINDOW], page | PTE_READ | PTE_NX);
		check_upgraded(kernel_read, va);
		check_fault(kernel_write(va), PF_P | PF_W, va);
		WRITE_ONCE(pte[i % WINDOW], page | PTE_READ | PTE_W | PTE_NX);
		check_upgraded(kernel_write, va);
		check_fault(probe_user_read(va), PF_P | PF_U, va);
		WRITE_ONCE(pte[i % WINDOW], page | PTE_READ | PTE_W | PTE_U | PTE_NX);
		check_upgraded(probe_user_write, va);
		check_fault(probe_user_call(va), PF_P | PF_U | PF_FETCH, va);
		WRITE_ONCE(pte[i % WINDOW], page | PTE_USER);
		check_upgraded(probe_user_call, va);
		check_upgraded(probe_call, va);
		WRITE_ONCE(pte[i % WINDOW], 0);
		invlpg(va);
	}
	note(i);
}
