// SPDX-License-Identifier: GPL-2.0
/* What processes do to page tables: fork with copy-on-write, exec, exit. */
#include "rt.h"

#define PROCESS_PAGES 64

static u64 current_root;

/* Demand-zero and copy-on-write, as the page-fault handler of a small kernel. */
static bool handle_fault(struct regs *regs)
{
	u64 va = read_cr2() & ~(PAGE_SIZE - 1), page, old;
	u64 *pte = pt_entry(current_root, va, 1, true);

	if (va < TEST_VA || va >= TEST_VA + PROCESS_PAGES * PAGE_SIZE)
		return false;
	if (!(*pte & PTE_P)) {
		CHECK_EQ(regs->error & ~PF_W, PF_U);
		page = data_alloc(1);
		clear_page(page);
		WRITE_ONCE(*pte, page | PTE_USER | PTE_ANON);
		return true;
	}
	CHECK_EQ(regs->error, PF_P | PF_W | PF_U);
	old = *pte & PTE_ADDR;
	if (data_refs(old) > 1) {
		page = data_alloc(1);
		copy_page(page, old);
		data_put(old);
		old = page;
	}
	WRITE_ONCE(*pte, old | PTE_USER | PTE_ANON);
	invlpg(va);
	return true;
}

static void switch_to(u64 root)
{
	current_root = root;
	write_cr3(root);
}

/* User code: add to the first word of each page, from the first to the last. */
static USER u64 user_touch(u64 arg)
{
	u64 step = arg & 0xff, value = arg >> 8, sum = 0, i;

	for (i = 0; i < PROCESS_PAGES; i += step)
		sum += *(u64 *)(TEST_VA + i * PAGE_SIZE) += value;
	return sum;
}

static u64 run_user(u64 step, u64 value)
{
	CHECK_EQ(user_call(user_touch, value << 8 | step), 0);
	return this_cpu()->value;
}

/* Share all pages with a new space, read-only in both. */
static u64 fork(u64 parent)
{
	u64 child = space_create(), *from, *to, i;

	space_add_user_text(child);
	from = pt_entry(parent, TEST_VA, 1, false);
	to = pt_entry(child, TEST_VA, 1, true);
	for (i = 0; i < PROCESS_PAGES; i++) {
		WRITE_ONCE(from[i], from[i] & ~PTE_W);
		WRITE_ONCE(to[i], from[i]);
		data_get(from[i] & PTE_ADDR);
	}
	write_cr3(read_cr3());
	return child;
}

static void exit_space(u64 root)
{
	space_clear(root);
	pt_free(root);
}

/*
 * One operation: fork, the parent writes all pages, the child half, the child
 * exits. The first time, which fills the page pools, is not measured.
 */
void payload_fork_cow(void)
{
	u64 parent = space_create(), child, i, want = 0;

	trap_set_hook(VEC_PF, handle_fault);
	space_add_user_text(parent);
	switch_to(parent);
	CHECK_EQ(run_user(1, 0), 0);

	for (i = 0; i <= ctl->ops; i++) {
		if (i == 1)
			timed_begin();
		child = fork(parent);
		want += i * PROCESS_PAGES;
		CHECK_EQ(run_user(1, i), want);
		switch_to(child);
		CHECK_EQ(run_user(2, 1), (want - i * PROCESS_PAGES) / 2 + PROCESS_PAGES / 2);
		switch_to(parent);
		exit_space(child);
	}
	timed_end();
	CHECK_EQ(run_user(1, 0), want);
	note(want);
}

/* One operation: drop the whole user space, build it again, touch it page by page. */
void payload_exec(void)
{
	u64 root = space_create(), i;

	trap_set_hook(VEC_PF, handle_fault);
	switch_to(root);
	for (i = 0; i <= ctl->ops; i++) {
		if (i == 1)
			timed_begin();
		space_clear(root);
		write_cr3(root);
		space_add_user_text(root);
		CHECK_EQ(run_user(1, i), i * PROCESS_PAGES);
		CHECK_EQ(run_user(4, 1), (i + 1) * PROCESS_PAGES / 4);
	}
	timed_end();
	note(i);
}
