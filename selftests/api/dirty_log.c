// SPDX-License-Identifier: GPL-2.0
/* KVM_MEM_LOG_DIRTY_PAGES, KVM_GET_DIRTY_LOG and KVM_CLEAR_DIRTY_LOG. */
#include <errno.h>
#include "api.h"
#include <kselftest_harness.h>

#define SLOT		3
#define GPA		0x800000UL
#define NR_PAGES	100

FIXTURE(dirty) {
	struct machine m;
	u8 *mem;
	u64 bitmap[2];
	struct kvm_dirty_log log;
};

FIXTURE_SETUP(dirty)
{
	ASSERT_EQ(0, machine_start(&self->m, true));
	self->mem = api_pages(NR_PAGES);
	self->log.slot = SLOT;
	self->log.dirty_bitmap = self->bitmap;
}

FIXTURE_TEARDOWN(dirty)
{
	machine_stop(&self->m);
}

#define SET_SLOT(flags) \
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, flags, GPA, NR_PAGES * PAGE, self->mem))

#define POKE(page) \
	ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, GPA + (page) * PAGE, 1))

#define GET(low, high) do {							\
	ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &self->log));	\
	EXPECT_EQ(low, self->bitmap[0]);					\
	EXPECT_EQ(high, self->bitmap[1]);					\
} while (0)

TEST_F(dirty, refused)
{
	EXPECT_EQ(-EFAULT, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, NULL));
	/* No such slot, and no bitmap. */
	EXPECT_EQ(-ENOENT, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &self->log));
	SET_SLOT(0);
	EXPECT_EQ(-ENOENT, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &self->log));
	self->log.slot = 0x7fff;
	EXPECT_EQ(-EINVAL, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &self->log));
	self->log.slot = 0xffff0000;
	EXPECT_EQ(-EINVAL, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &self->log));
	SET_SLOT(KVM_MEM_LOG_DIRTY_PAGES);
	self->log.slot = SLOT;
	self->log.dirty_bitmap = NULL;
	EXPECT_EQ(-EFAULT, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &self->log));
	self->log.dirty_bitmap = (void *)KERNEL_ADDR;
	EXPECT_EQ(-EFAULT, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &self->log));
}

TEST_F(dirty, from_the_start)
{
	SET_SLOT(KVM_MEM_LOG_DIRTY_PAGES);
	GET(0, 0);
	POKE(0);
	POKE(70);
	GET(1, 1ULL << 6);
	GET(0, 0);
	/* Again, through mappings that were there before. */
	POKE(70);
	POKE(99);
	GET(0, 1ULL << 6 | 1ULL << 35);
	GET(0, 0);
}

/* Pages that were writable before logging began. */
TEST_F(dirty, switched_on)
{
	SET_SLOT(0);
	POKE(1);
	POKE(2);
	SET_SLOT(KVM_MEM_LOG_DIRTY_PAGES);
	GET(0, 0);
	POKE(2);
	GET(4, 0);
}

TEST_F(dirty, reads_are_not_writes)
{
	u8 value;

	SET_SLOT(KVM_MEM_LOG_DIRTY_PAGES);
	ASSERT_EQ(KVM_EXIT_HLT, machine_peek(&self->m, GPA, &value));
	GET(0, 0);
	POKE(0);
	GET(1, 0);
}

TEST_F(dirty, switched_off_and_on)
{
	SET_SLOT(KVM_MEM_LOG_DIRTY_PAGES);
	POKE(5);
	SET_SLOT(0);
	EXPECT_EQ(-ENOENT, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &self->log));
	POKE(6);
	SET_SLOT(KVM_MEM_LOG_DIRTY_PAGES);
	GET(0, 0);
	POKE(6);
	GET(1ULL << 6, 0);
}

/* What was not fetched yet moves along. */
TEST_F(dirty, moved_slot)
{
	SET_SLOT(KVM_MEM_LOG_DIRTY_PAGES);
	POKE(5);
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, KVM_MEM_LOG_DIRTY_PAGES, 2 * GPA,
			      NR_PAGES * PAGE, self->mem));
	GET(1ULL << 5, 0);
	ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, 2 * GPA + PAGE, 1));
	GET(2, 0);
}

/* ---- KVM_CLEAR_DIRTY_LOG ---- */

#define ALL_HIGH	((1ULL << (NR_PAGES - 64)) - 1)

static long manual(struct machine *m, u64 flags)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { flags },
	};

	return TRY(m->vm.fd, KVM_ENABLE_CAP, &cap);
}

static long clear(struct machine *m, u64 first, u32 nr, u64 low, u64 high)
{
	u64 bitmap[2] = { low, high };
	struct kvm_clear_dirty_log log = {
		.slot = SLOT, .first_page = first, .num_pages = nr, .dirty_bitmap = bitmap,
	};

	return TRY(m->vm.fd, KVM_CLEAR_DIRTY_LOG, &log);
}

#define CLEAR(first, nr, low, high) \
	ASSERT_EQ(0, clear(&self->m, first, nr, low, high))

TEST_F(dirty, manual_refused)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .flags = 1 };

	EXPECT_EQ(3, TRY(self->m.vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2));
	EXPECT_EQ(-EINVAL, TRY(self->m.vm.fd, KVM_ENABLE_CAP, &cap));
	EXPECT_EQ(-EINVAL, manual(&self->m, 4));
	EXPECT_EQ(-EINVAL, manual(&self->m, KVM_DIRTY_LOG_INITIALLY_SET));
	EXPECT_EQ(-EINVAL, manual(&self->m, 1ULL << 32 | 1));
	EXPECT_EQ(0, manual(&self->m, 3));
	EXPECT_EQ(0, manual(&self->m, 1));
	EXPECT_EQ(0, manual(&self->m, 0));
}

TEST_F(dirty, clear_refused)
{
	struct kvm_clear_dirty_log log = { .slot = SLOT, .num_pages = NR_PAGES };

	EXPECT_EQ(-EFAULT, TRY(self->m.vm.fd, KVM_CLEAR_DIRTY_LOG, NULL));
	EXPECT_EQ(-ENOENT, clear(&self->m, 0, NR_PAGES, 0, 0));
	SET_SLOT(0);
	EXPECT_EQ(-ENOENT, clear(&self->m, 0, NR_PAGES, 0, 0));
	SET_SLOT(KVM_MEM_LOG_DIRTY_PAGES);
	EXPECT_EQ(-EINVAL, clear(&self->m, 1, 64, 0, 0));
	EXPECT_EQ(-EINVAL, clear(&self->m, 0, 63, 0, 0));
	EXPECT_EQ(-EINVAL, clear(&self->m, 0, NR_PAGES - 1, 0, 0));
	EXPECT_EQ(-EINVAL, clear(&self->m, 0, NR_PAGES + 1, 0, 0));
	EXPECT_EQ(-EINVAL, clear(&self->m, 64, 64, 0, 0));
	EXPECT_EQ(-EINVAL, clear(&self->m, 128, 0, 0, 0));
	EXPECT_EQ(-EINVAL, clear(&self->m, 1ULL << 63, 64, 0, 0));
	EXPECT_EQ(-EINVAL, clear(&self->m, 64, ~0u, 0, 0));
	EXPECT_EQ(0, clear(&self->m, 0, 0, 0, 0));
	EXPECT_EQ(0, clear(&self->m, 64, NR_PAGES - 64, 0, 0));
	EXPECT_EQ(-EFAULT, TRY(self->m.vm.fd, KVM_CLEAR_DIRTY_LOG, &log));
	log.dirty_bitmap = (void *)KERNEL_ADDR;
	EXPECT_EQ(-EFAULT, TRY(self->m.vm.fd, KVM_CLEAR_DIRTY_LOG, &log));
	log.slot = 0x7fff;
	EXPECT_EQ(-EINVAL, TRY(self->m.vm.fd, KVM_CLEAR_DIRTY_LOG, &log));
}

/* With manual protection reading the log changes nothing. */
TEST_F(dirty, manual)
{
	ASSERT_EQ(0, manual(&self->m, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE));
	SET_SLOT(KVM_MEM_LOG_DIRTY_PAGES);
	POKE(3);
	POKE(4);
	POKE(99);
	GET(0x18, 1ULL << 35);
	GET(0x18, 1ULL << 35);
	CLEAR(0, 64, 8, 0);
	GET(0x10, 1ULL << 35);
	POKE(3);
	GET(0x18, 1ULL << 35);
	/* Only the range counts; bits that are not set, and those past the end, do not. */
	CLEAR(64, NR_PAGES - 64, ~0ULL, 0);
	GET(0x18, 0);
	CLEAR(0, NR_PAGES, ~0ULL, ~0ULL);
	GET(0, 0);
	POKE(4);
	POKE(5);
	POKE(98);
	GET(0x30, 1ULL << 34);
}

/* Without manual protection it is of little use, but it works. */
TEST_F(dirty, clear_alone)
{
	SET_SLOT(KVM_MEM_LOG_DIRTY_PAGES);
	POKE(1);
	POKE(2);
	CLEAR(0, 64, 2, 0);
	GET(4, 0);
	POKE(1);
	GET(2, 0);
}

TEST_F(dirty, initially_set)
{
	SET_SLOT(0);
	POKE(1);
	POKE(70);
	ASSERT_EQ(0, manual(&self->m, 3));
	SET_SLOT(KVM_MEM_LOG_DIRTY_PAGES);
	GET(~0ULL, ALL_HIGH);
	CLEAR(0, 64, ~0ULL, 0);
	GET(0, ALL_HIGH);
	POKE(1);
	POKE(2);
	GET(6, ALL_HIGH);
	CLEAR(0, NR_PAGES, ~0ULL, ~0ULL);
	GET(0, 0);
	POKE(70);
	GET(0, 1ULL << 6);
}

/* A bitmap that user space did not get is not lost. */
TEST_F(dirty, failed_get)
{
	SET_SLOT(KVM_MEM_LOG_DIRTY_PAGES);
	POKE(7);
	self->log.dirty_bitmap = NULL;
	ASSERT_EQ(-EFAULT, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &self->log));
	self->log.dirty_bitmap = self->bitmap;
	if (api_is_umbra(self->m.vm.node_fd))
		GET(1ULL << 7, 0);
}

TEST_HARNESS_MAIN
