// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that want more of the MMU than anybody needs: more tables than it keeps,
 * more aliases of a frame, more links to a table, other roles all the time. It has
 * to give them what they ask for, if not all at once.
 */
#include "rt.h"

#define SPAN		(PAGE_SIZE * 512)	/* what one table maps */
#define SMP_TABLES	400			/* of both CPUs together */

static u64 ready, root, done[GUEST_MAX_CPUS];

/* @n tables, each with one page of its own. */
static void map_spans(u64 n)
{
	u64 i;

	root = space_create();
	for (i = 0; i < n; i++)
		pt_map(root, TEST_VA + i * SPAN, data_alloc(1), PTE_KERNEL);
}

static void add_to_spans(u64 first, u64 n, u64 value)
{
	u64 i;

	for (i = first; i < first + n; i++)
		*(u64 *)(TEST_VA + i * SPAN) += value + i;
}

static void check_spans(u64 first, u64 n, u64 sum, u64 rounds)
{
	u64 i;

	for (i = first; i < first + n; i++)
		CHECK_EQ(*(u64 *)(TEST_VA + i * SPAN), sum + rounds * i);
}

void payload_flood_tables(void)
{
	u64 i;

	map_spans(ctl->ops);
	write_cr3(root);
	for (i = 1; i <= 4; i++)
		add_to_spans(0, ctl->ops, i);
	check_spans(0, ctl->ops, 1 + 2 + 3 + 4, 4);
}

/* Two CPUs take each other's tables. */
void payload_flood_smp(void)
{
	u64 id = this_cpu()->id, n = SMP_TABLES / GUEST_MAX_CPUS, i;

	if (id == 0) {
		map_spans(SMP_TABLES);
		WRITE_ONCE(ready, 1);
	}
	spin_until(&ready, 1);
	write_cr3(root);
	for (i = 1; i <= ctl->ops; i++)
		add_to_spans(id * n, n, i);
	check_spans(id * n, n, ctl->ops * (ctl->ops + 1) / 2, ctl->ops);
	WRITE_ONCE(done[id], 1);
	if (id == 0)
		spin_until(&done[1], 1);
}

/* The same tables, for a CPU that understands them in another way each time. */
void payload_flood_roles(void)
{
	bool smep = cpu_has(7, 1, 7);
	u64 i, sum = 0;

	map_spans(ctl->ops);
	write_cr3(root);
	for (i = 0; i < 16; i++) {
		write_cr0(i & 1 ? read_cr0() & ~CR0_WP : read_cr0() | CR0_WP);
		wrmsr(MSR_EFER, i & 2 ? rdmsr(MSR_EFER) & ~EFER_NX : rdmsr(MSR_EFER) | EFER_NX);
		if (smep)
			write_cr4(i & 4 ? read_cr4() | CR4_SMEP : read_cr4() & ~CR4_SMEP);
		add_to_spans(0, ctl->ops, i);
		sum += i;
	}
	check_spans(0, ctl->ops, sum, 16);
}

/* Tables full of one frame, which becomes a table itself in between. */
void payload_flood_aliases(void)
{
	const u64 n = 4 * 512;
	u64 frame = data_alloc(1), page = data_alloc(1), i, round;

	root = space_create();
	for (i = 0; i < n; i++)
		pt_map(root, TEST_VA + i * PAGE_SIZE, frame, PTE_KERNEL);
	write_cr3(root);
	for (round = 0; round < ctl->ops; round++) {
		for (i = 0; i < n; i++)
			++*(u64 *)(TEST_VA + i * PAGE_SIZE + 8 * (1 + i % 256));
		*(u64 *)(frame + 511 * 8) = page | PTE_KERNEL;
		WRITE_ONCE(*pt_entry(root, TEST_VA + 8 * SPAN, 2, true), frame | PTE_USER);
		*(u64 *)(TEST_VA + 8 * SPAN + 511 * PAGE_SIZE) = round;
		CHECK_EQ(*(u64 *)page, round);
		for (i = 0; i < n; i++)
			++*(u64 *)(TEST_VA + i * PAGE_SIZE + 8 * (257 + i % 128));
		WRITE_ONCE(*pt_entry(root, TEST_VA + 8 * SPAN, 2, false), 0);
		write_cr3(root);
	}
	for (i = 1; i <= 256; i++)
		CHECK_EQ(*(u64 *)(frame + 8 * i), n / 256 * ctl->ops);
	for (i = 257; i < 257 + 128; i++)
		CHECK_EQ(*(u64 *)(frame + 8 * i), n / 128 * ctl->ops);
}

/* Directories full of one table, and a table above that is full of them. */
void payload_flood_links(void)
{
	u64 table, directory, above, i, j, frame[2] = { data_alloc(1), data_alloc(1) };

	root = space_create();
	table = pt_alloc();
	directory = pt_alloc();
	above = pt_alloc();
	for (i = 0; i < 512; i++) {
		((u64 *)above)[i] = directory | PTE_USER;
		((u64 *)directory)[i] = table | PTE_USER;
	}
	*(u64 *)(table + 8) = table | PTE_KERNEL;
	*pt_entry(root, TEST_VA, 4, true) = above | PTE_USER;
	*(u64 *)frame[0] = 100;
	*(u64 *)frame[1] = 101;
	write_cr3(root);
	for (i = 0; i < ctl->ops; i++) {
		/* By another way each time, and seen by all. */
		*(u64 *)(TEST_VA + i % 512 * SPAN + PAGE_SIZE) = frame[i & 1] | PTE_KERNEL;
		invlpg(TEST_VA);
		write_cr3(root);
		for (j = 0; j < 32; j++)
			CHECK_EQ(*(u64 *)(TEST_VA + (i * 32 + j) % (512 * 512) * SPAN),
				 100 + (i & 1));
	}
}
