// SPDX-License-Identifier: GPL-2.0
/* KVM_MEM_LOG_DIRTY_PAGES and KVM_GET_DIRTY_LOG. */
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

TEST_HARNESS_MAIN
