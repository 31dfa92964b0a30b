// SPDX-License-Identifier: GPL-2.0
/* Two vCPUs on the same page tables. There is no APIC: they talk through memory. */
#include "rt.h"

#define FRAMES 16

static u64 ready, root, *table;
static u64 turn, done[GUEST_MAX_CPUS];

/* CPU 0 builds the shared space, then both enter it. */
static void enter_shared(u64 pages_per_cpu)
{
	u64 base, i, n = pages_per_cpu * GUEST_MAX_CPUS;

	if (this_cpu()->id == 0) {
		root = space_create();
		base = data_alloc(n);
		for (i = 0; i < n; i++)
			pt_map(root, TEST_VA + i * PAGE_SIZE, base + i * PAGE_SIZE, PTE_KERNEL);
		table = pt_entry(root, TEST_VA, 1, false);
		WRITE_ONCE(ready, 1);
	}
	spin_until(&ready, 1);
	write_cr3(root);
}

static void leave_shared(void)
{
	u64 id = this_cpu()->id;

	WRITE_ONCE(done[id], 1);
	if (id == 0)
		spin_until(&done[1], 1);
}

/* Both touch pages of their own for the first time. */
void payload_smp_touch(void)
{
	u64 id = this_cpu()->id, n = ctl->ops, va = TEST_VA + id * n * PAGE_SIZE, i;

	enter_shared(n);
	for (i = 0; i < n; i++)
		*(u64 *)(va + i * PAGE_SIZE) = id << 32 | i;
	for (i = 0; i < n; i++)
		CHECK_EQ(*(u64 *)(va + i * PAGE_SIZE), id << 32 | i);
	leave_shared();
	for (i = 0; i < 2 * n && id == 0; i++)
		CHECK_EQ(*(u64 *)(TEST_VA + i * PAGE_SIZE), (i / n) << 32 | i % n);
}

/* One or two vCPUs touch all pages for the first time, each its own part. */
void payload_touch_smp(void)
{
	u64 id = this_cpu()->id, n = ctl->ops / ctl->n_cpus, va = TEST_VA + id * n * PAGE_SIZE, i;

	enter_shared(ctl->ops / GUEST_MAX_CPUS);
	if (id == 0) {
		if (ctl->n_cpus > 1)
			spin_until(&turn, 1);
		timed_begin();
		WRITE_ONCE(turn, 2);
	} else {
		WRITE_ONCE(turn, 1);
		spin_until(&turn, 2);
	}
	for (i = 0; i < n; i++)
		WRITE_ONCE(*(u64 *)(va + i * PAGE_SIZE), id << 32 | i);
	WRITE_ONCE(done[id], 1);
	if (id != 0)
		return;
	spin_until(&done[ctl->n_cpus - 1], 1);
	timed_end();
	for (i = 0; i < ctl->ops; i++)
		CHECK_EQ(*(u64 *)(TEST_VA + i * PAGE_SIZE), (i / n) << 32 | i % n);
}

/* Both touch the same pages, so that faults on one page race. */
void payload_smp_race(void)
{
	u64 i;

	enter_shared(ctl->ops);
	for (i = 0; i < ctl->ops; i++)
		__asm__ volatile("lock addq $1, (%0)" : : "r"(TEST_VA + i * PAGE_SIZE) : "memory");
	leave_shared();
	for (i = 0; i < ctl->ops && this_cpu()->id == 0; i++)
		CHECK_EQ(*(u64 *)(TEST_VA + i * PAGE_SIZE), 2);
}

/* In turns: one changes an entry and flushes, the other flushes and must see it. */
void payload_smp_edit(void)
{
	u64 id = this_cpu()->id, i, step, frame, va;

	enter_shared(FRAMES / 2);
	if (id == 0) {
		for (i = 0; i < FRAMES; i++)
			*(u64 *)(TEST_VA + i * PAGE_SIZE) = table[i] & PTE_ADDR;
		WRITE_ONCE(turn, 1);
	}
	for (i = 0; i < ctl->ops; i++) {
		step = 1 + 2 * i + id;
		spin_until(&turn, step);
		va = TEST_VA + i % FRAMES * PAGE_SIZE;
		if (i > 0 || id > 0) {		/* what the other one edited last */
			frame = step - 2;
			invlpg(TEST_VA + frame / 2 % FRAMES * PAGE_SIZE);
			CHECK_EQ(*(u64 *)(TEST_VA + frame / 2 % FRAMES * PAGE_SIZE),
				 table[frame / 2 % FRAMES] & PTE_ADDR);
		}
		frame = table[i % FRAMES];
		WRITE_ONCE(table[i % FRAMES], table[(i + 5) % FRAMES]);
		WRITE_ONCE(table[(i + 5) % FRAMES], frame);
		invlpg(va);
		invlpg(TEST_VA + (i + 5) % FRAMES * PAGE_SIZE);
		CHECK_EQ(*(u64 *)va, table[i % FRAMES] & PTE_ADDR);
		WRITE_ONCE(turn, step + 1);
	}
	leave_shared();
}

static u64 lock_word;

static void lock(void)
{
	u64 old = 1;

	for (;;) {
		__asm__ volatile("xchg %0, %1" : "+r"(old), "+m"(lock_word) : : "memory");
		if (!old)
			return;
		spin_until(&lock_word, 0);
		old = 1;
	}
}

static void unlock(void)
{
	WRITE_ONCE(lock_word, 0);
}

/* Each maps the same counter at an address of its own, counts, and unmaps it. */
void payload_smp_map(void)
{
	u64 id = this_cpu()->id, i, slot = 64 + id, counter;

	enter_shared(1);
	counter = table[0] & PTE_ADDR;
	for (i = 0; i < ctl->ops; i++) {
		lock();
		WRITE_ONCE(table[slot], counter | PTE_KERNEL);
		++*(u64 *)(TEST_VA + slot * PAGE_SIZE);
		WRITE_ONCE(table[slot], 0);
		invlpg(TEST_VA + slot * PAGE_SIZE);
		unlock();
		check_fault(probe_read(TEST_VA + slot * PAGE_SIZE, NULL), 0,
			    TEST_VA + slot * PAGE_SIZE);
	}
	leave_shared();
	if (id == 0)
		CHECK_EQ(*(u64 *)TEST_VA, 2 * ctl->ops);
}
