// SPDX-License-Identifier: GPL-2.0
/* KVM_SET_USER_MEMORY_REGION: the rules, one step per line. */
#include <errno.h>
#include "api.h"
#include <kselftest_harness.h>

#define NR_PAGES	64

FIXTURE(slots) {
	int sys;
	int vm;
	bool umbra;
	char *mem;
};

FIXTURE_SETUP(slots)
{
	self->sys = api_open();
	ASSERT_LE(0, self->sys);
	self->umbra = api_is_umbra(self->sys);
	self->vm = api_vm(self->sys);
	ASSERT_LE(0, self->vm);
	self->mem = api_pages(NR_PAGES);
	ASSERT_NE(NULL, self->mem);
}

FIXTURE_TEARDOWN(slots)
{
	close(self->vm);
	close(self->sys);
}

struct step {
	char what[40];
	u32 slot;
	u32 flags;
	u64 gpa;
	u64 pages;
	u64 hva_page;
	long expected;
};

static void run_steps(struct __test_metadata *_metadata, int vm, char *mem,
		      const struct step *step, unsigned int nr)
{
	const struct step *end = step + nr;

	for (; step < end; step++)
		EXPECT_EQ(step->expected,
			  api_slot(vm, step->slot, step->flags, step->gpa, step->pages * PAGE,
				   mem + step->hva_page * PAGE)) {
			TH_LOG("step: %s", step->what);
		}
}

#define LOG	KVM_MEM_LOG_DIRTY_PAGES
#define RO	KVM_MEM_READONLY

TEST_F(slots, rules)
{
	static const struct step steps[] = {
		{ "delete nothing", 0, 0, 0x10000, 0, 0, -EINVAL },
		{ "create", 0, 0, 0x10000, 4, 0, 0 },
		{ "identical", 0, 0, 0x10000, 4, 0, 0 },
		{ "other hva", 0, 0, 0x10000, 4, 1, -EINVAL },
		{ "smaller", 0, 0, 0x10000, 3, 0, -EINVAL },
		{ "larger", 0, 0, 0x10000, 5, 0, -EINVAL },
		{ "becomes read-only", 0, RO, 0x10000, 4, 0, -EINVAL },
		{ "unknown flag 2", 0, 4, 0x10000, 4, 0, -EINVAL },
		{ "unknown flag 31", 0, 1u << 31, 0x10000, 4, 0, -EINVAL },
		{ "unknown flag on deletion", 0, 1u << 31, 0x10000, 0, 0, -EINVAL },
		{ "log on", 0, LOG, 0x10000, 4, 0, 0 },
		{ "log on again", 0, LOG, 0x10000, 4, 0, 0 },
		{ "log off", 0, 0, 0x10000, 4, 0, 0 },
		{ "second, same place", 1, 0, 0x10000, 4, 8, -EEXIST },
		{ "second, inside", 1, 0, 0x11000, 1, 8, -EEXIST },
		{ "second, around", 1, 0, 0xf000, 8, 8, -EEXIST },
		{ "second, over its head", 1, 0, 0xf000, 2, 8, -EEXIST },
		{ "second, over its tail", 1, 0, 0x13000, 2, 8, -EEXIST },
		{ "second, just below", 1, 0, 0xe000, 2, 8, 0 },
		{ "third, just above", 2, RO, 0x14000, 2, 8, 0 },
		{ "third becomes writable", 2, 0, 0x14000, 2, 8, -EINVAL },
		{ "third logs too", 2, RO | LOG, 0x14000, 2, 8, 0 },
		{ "move onto the second", 0, 0, 0xf000, 4, 0, -EEXIST },
		{ "move away", 0, 0, 0x20000, 4, 0, 0 },
		{ "move by one page", 0, 0, 0x21000, 4, 0, 0 },
		{ "move and log", 0, LOG, 0x20000, 4, 0, 0 },
		{ "move with other size", 0, LOG, 0x30000, 5, 0, -EINVAL },
		{ "move with other hva", 0, LOG, 0x30000, 4, 1, -EINVAL },
		{ "fourth in the old place, same memory", 3, 0, 0x10000, 4, 0, 0 },
		{ "delete the first", 0, 0, 0, 0, 0, 0 },
		{ "delete it again", 0, 0, 0, 0, 0, -EINVAL },
		{ "create anew", 0, RO, 0x20000, 9, 3, 0 },
		{ "delete", 0, 0, 0x20000, 0, 3, 0 },
		{ "delete", 1, 0, 0, 0, 0, 0 },
		{ "delete", 2, 0, 0, 0, 0, 0 },
		{ "delete", 3, 0, 0, 0, 0, 0 },
	};

	run_steps(_metadata, self->vm, self->mem, steps, ARRAY_SIZE(steps));
}

TEST_F(slots, alignment)
{
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, 0x800, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, 0, PAGE + 1, self->mem));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, 0, 1, self->mem));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, 0, PAGE, self->mem + 1));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, 0, PAGE, self->mem + 0x800));
}

TEST_F(slots, numbers)
{
	long nr = TRY(self->sys, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);

	EXPECT_LE(509, nr);
	EXPECT_EQ(0, api_slot(self->vm, nr - 1, 0, 0, PAGE, self->mem));
	EXPECT_EQ(0, api_slot(self->vm, nr - 1, 0, 0, 0, self->mem));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, nr, 0, 0, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0xffff, 0, 0, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0x20000, 0, 0, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, -1, 0, 0, PAGE, self->mem));
	/* Stock KVM has a second address space, for SMM. */
	if (self->umbra)
		EXPECT_EQ(-EINVAL, api_slot(self->vm, 0x10000, 0, 0, PAGE, self->mem));
}

TEST_F(slots, addresses)
{
	char *high = (char *)0x7ffffffff000UL;

	/* Around the end of guest physical memory. */
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, -PAGE, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, -PAGE, 2 * PAGE, self->mem));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, 1ULL << 52, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, 1ULL << 63, PAGE, self->mem));
	/* Not user space's. */
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, 0, PAGE, (void *)KERNEL_ADDR));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, 0, 2 * PAGE, (void *)-PAGE));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, 0, 1ULL << 47, high));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, 0, -PAGE, self->mem));
	/* More pages than a slot may have. */
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, 0, 1ULL << 43, (void *)PAGE));
	EXPECT_EQ(-EFAULT, TRY(self->vm, KVM_SET_USER_MEMORY_REGION, NULL));
	EXPECT_EQ(-EFAULT, TRY(self->vm, KVM_SET_USER_MEMORY_REGION, KERNEL_ADDR));
	/* Nothing mapped there is not an error yet. */
	EXPECT_EQ(0, api_slot(self->vm, 0, 0, 0, PAGE, (void *)(PAGE * 16)));
}

/* A large slot without memory behind it costs only what is used. */
TEST_F(slots, huge_slot)
{
	EXPECT_EQ(0, api_slot(self->vm, 0, 0, 0, 1ULL << 32, (void *)(1UL << 40)));
	EXPECT_EQ(-EEXIST, api_slot(self->vm, 1, 0, (1ULL << 32) - PAGE, PAGE, self->mem));
	EXPECT_EQ(0, api_slot(self->vm, 1, 0, 1ULL << 32, PAGE, self->mem));
	EXPECT_EQ(0, api_slot(self->vm, 0, 0, 0, 0, NULL));
}

/* Taken or refused, but not worth a line in the kernel log. */
TEST_F(slots, larger_than_the_host)
{
	long ret;

	if (!self->umbra)
		SKIP(return, "stock KVM writes to the log");
	ret = api_slot(self->vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, 1ULL << 39, (void *)(1UL << 40));
	EXPECT_TRUE(!ret || ret == -ENOMEM);
	EXPECT_EQ(ret ? -EINVAL : 0, api_slot(self->vm, 0, 0, 0, 0, NULL));
}

/* Many, created in an order that is neither up nor down. */
TEST_F(slots, many)
{
	const unsigned int nr = 400, step = 147;
	unsigned int i, n;

	for (i = 0; i < nr; i++) {
		n = i * step % nr;
		ASSERT_EQ(0, api_slot(self->vm, n, 0, n * 2 * PAGE, PAGE,
				      self->mem + n % NR_PAGES * PAGE));
	}
	for (n = 0; n < nr; n += 37) {
		EXPECT_EQ(-EEXIST, api_slot(self->vm, nr, 0, n * 2 * PAGE, PAGE, self->mem));
		EXPECT_EQ(-EEXIST, api_slot(self->vm, nr, 0, (n * 2 + 1) * PAGE, 2 * PAGE,
					    self->mem));
		EXPECT_EQ(0, api_slot(self->vm, nr, 0, (n * 2 + 1) * PAGE, PAGE, self->mem));
		EXPECT_EQ(0, api_slot(self->vm, nr, 0, 0, 0, self->mem));
	}
	for (i = 0; i < nr; i++)
		EXPECT_EQ(0, api_slot(self->vm, i * step % nr, 0, 0, 0, self->mem));
	EXPECT_EQ(-EINVAL, api_slot(self->vm, 0, 0, 0, 0, self->mem));
}

/* The highest number too. */
TEST_F(slots, all_of_them)
{
	unsigned int nr = TRY(self->sys, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS), n;

	if (!self->umbra)
		SKIP(return, "takes stock KVM a minute");
	for (n = 0; n < nr; n++)
		ASSERT_EQ(0, api_slot(self->vm, n, 0, n * 2 * PAGE, PAGE, self->mem));
	EXPECT_EQ(-EEXIST, api_slot(self->vm, 1, 0, 0, PAGE, self->mem));
	EXPECT_EQ(0, api_slot(self->vm, 0, 0, (nr * 2 - 1) * PAGE, PAGE, self->mem));
	for (n = 0; n < nr; n++)
		ASSERT_EQ(0, api_slot(self->vm, n, 0, 0, 0, NULL));
}

TEST_HARNESS_MAIN
