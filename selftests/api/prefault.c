// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is mapped without a fault of the guest's: KVM_PRE_FAULT_MEMORY, and
 * the neighbours of a page that faults.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include "api.h"
#include <kselftest_harness.h>

#define SLOT		5
#define GPA		0x40000000UL
#define NR_PAGES	64UL

FIXTURE(prefault) {
	struct machine m;
	struct uvmm_stats stats;
	struct kvm_pre_fault_memory range;
	u8 *mem;
	bool works;		/* not on shadow tables */
};

FIXTURE_SETUP(prefault)
{
	ASSERT_EQ(0, machine_start(&self->m, true));
	ASSERT_EQ(0, uvmm_stats_open(&self->stats, self->m.vcpu.fd));
	self->works = TRY(self->m.vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_PRE_FAULT_MEMORY) == 1;
	self->mem = api_pages(NR_PAGES);
	ASSERT_NE(NULL, self->mem);
	madvise(self->mem, NR_PAGES * PAGE, MADV_NOHUGEPAGE);
	self->range.gpa = GPA;
	self->range.size = NR_PAGES * PAGE;
	/* The code and its tables are mapped, and the guest is in long mode. */
	ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, MACHINE_DATA, 1));
}

FIXTURE_TEARDOWN(prefault)
{
	uvmm_stats_close(&self->stats);
	machine_stop(&self->m);
}

#define SET_SLOT(flags) \
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, flags, GPA, NR_PAGES * PAGE, self->mem))

#define PREFAULT()	TRY(self->m.vcpu.fd, KVM_PRE_FAULT_MEMORY, &self->range)

#define PEEK(page) do {								\
	u8 __value;								\
	ASSERT_EQ(KVM_EXIT_HLT,							\
		  machine_peek(&self->m, GPA + (page) * PAGE, &__value));	\
} while (0)

#define POKE(page) \
	ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, GPA + (page) * PAGE, 1))

static u64 faults(const struct uvmm_stats *stats)
{
	u64 taken = 0;

	uvmm_stats_read(stats, "pf_taken", &taken);
	return taken;
}

/* One bit per page that the host has. */
static u64 resident(const u8 *mem)
{
	unsigned char vec[NR_PAGES];
	u64 bits = 0;
	unsigned int i;

	if (mincore((void *)mem, NR_PAGES * PAGE, vec))
		return 0xbad;
	for (i = 0; i < NR_PAGES; i++)
		bits |= (u64)(vec[i] & 1) << i;
	return bits;
}

TEST_F(prefault, refused)
{
	struct kvm_pre_fault_memory *range = &self->range;

	if (!self->works)
		SKIP(return, "shadow tables are by linear address");
	EXPECT_EQ(-EFAULT, TRY(self->m.vcpu.fd, KVM_PRE_FAULT_MEMORY, NULL));
	range->flags = 1;
	EXPECT_EQ(-EINVAL, PREFAULT());
	range->flags = 0;
	range->size = 0;
	EXPECT_EQ(-EINVAL, PREFAULT());
	range->size = PAGE + 1;
	EXPECT_EQ(-EINVAL, PREFAULT());
	range->size = PAGE;
	range->gpa = GPA + 8;
	EXPECT_EQ(-EINVAL, PREFAULT());
	range->gpa = -PAGE;
	range->size = 2 * PAGE;
	EXPECT_EQ(-EINVAL, PREFAULT());
	/* No slot there, and nothing that could ever be there. */
	range->gpa = GPA;
	EXPECT_EQ(-ENOENT, PREFAULT());
	EXPECT_EQ(GPA, range->gpa);
	range->gpa = 1UL << 52;
	EXPECT_EQ(-ENOENT, PREFAULT());
	range->gpa = -2 * PAGE;
	range->size = PAGE;
	EXPECT_EQ(-ENOENT, PREFAULT());
}

TEST_F(prefault, not_on_shadow_tables)
{
	if (self->works)
		SKIP(return, "EPT");
	SET_SLOT(0);
	EXPECT_EQ(-EOPNOTSUPP, PREFAULT());
	EXPECT_EQ(0, resident(self->mem));
}

TEST_F(prefault, saves_the_faults)
{
	u64 before;
	unsigned int i;

	if (!self->works)
		SKIP(return, "shadow tables are by linear address");
	SET_SLOT(0);
	self->mem[3 * PAGE] = 0x77;
	ASSERT_EQ(0, PREFAULT());
	EXPECT_EQ(GPA + NR_PAGES * PAGE, self->range.gpa);
	EXPECT_EQ(0, self->range.size);
	EXPECT_EQ(~0UL, resident(self->mem));
	before = faults(&self->stats);
	for (i = 0; i < NR_PAGES; i++)
		PEEK(i);
	EXPECT_EQ(before, faults(&self->stats));
	/* Again: nothing to do. */
	self->range.gpa = GPA;
	self->range.size = NR_PAGES * PAGE;
	EXPECT_EQ(0, PREFAULT());
	EXPECT_EQ(before, faults(&self->stats));
	EXPECT_EQ(0x77, self->mem[3 * PAGE]);
}

/* What was done before the obstacle counts, and the rest is told. */
TEST_F(prefault, stops_at_a_hole)
{
	if (!self->works)
		SKIP(return, "shadow tables are by linear address");
	SET_SLOT(0);
	self->range.gpa = GPA + 60 * PAGE;
	self->range.size = 8 * PAGE;
	EXPECT_EQ(0, PREFAULT());
	EXPECT_EQ(GPA + 64 * PAGE, self->range.gpa);
	EXPECT_EQ(4 * PAGE, self->range.size);
	EXPECT_EQ(-ENOENT, PREFAULT());
	/* Memory that is not there any more. */
	ASSERT_EQ(0, munmap(self->mem + 8 * PAGE, PAGE));
	self->range.gpa = GPA;
	self->range.size = 16 * PAGE;
	EXPECT_EQ(0, PREFAULT());
	EXPECT_EQ(GPA + 8 * PAGE, self->range.gpa);
	EXPECT_EQ(-EFAULT, PREFAULT());
	EXPECT_EQ(GPA + 8 * PAGE, self->range.gpa);
}

static void on_alarm(int sig)
{
}

/* A signal ends a long call, which user space takes up again. */
TEST_F(prefault, ends_with_a_signal)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval timer = { .it_interval = { .tv_usec = 2000 },
				   .it_value = { .tv_usec = 2000 } };
	const u64 pages = 16384;
	unsigned int calls = 0;
	u8 *mem = api_pages(pages);
	long ret;

	if (!self->works)
		SKIP(return, "shadow tables are by linear address");
	madvise(mem, pages * PAGE, MADV_NOHUGEPAGE);
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, GPA, pages * PAGE, mem));
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));
	self->range.size = pages * PAGE;
	do {
		u64 left = self->range.size;

		ret = PREFAULT();
		EXPECT_EQ(!ret, self->range.size < left);
		calls++;
	} while ((!ret || ret == -EINTR) && self->range.size);
	timer = (struct itimerval) { };
	setitimer(ITIMER_REAL, &timer, NULL);
	EXPECT_EQ(0, ret);
	EXPECT_LT(2, calls);
	munmap(mem, pages * PAGE);
}

/* The log stays true: what is mapped ahead is not writable until it is logged. */
TEST_F(prefault, logs_no_more_than_writes)
{
	u64 bitmap = 0;
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = &bitmap };

	SET_SLOT(KVM_MEM_LOG_DIRTY_PAGES);
	memset(self->mem, 1, NR_PAGES * PAGE);
	if (self->works)
		ASSERT_EQ(0, PREFAULT());
	PEEK(9);
	ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &log));
	EXPECT_EQ(0, bitmap);
	POKE(10);
	POKE(12);
	PEEK(11);
	ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &log));
	EXPECT_EQ(5UL << 10, bitmap);
}

/* A fault maps what the host has around it, and makes the host do nothing. */
TEST_F(prefault, neighbours_only_if_present)
{
	const u64 there = 0xf0f1UL << 8;
	u64 before;
	unsigned int i;

	SET_SLOT(0);
	for (i = 0; i < NR_PAGES; i++)
		if (there >> i & 1)
			self->mem[i * PAGE] = 1;
	ASSERT_EQ(there, resident(self->mem));
	PEEK(12);
	EXPECT_EQ(there, resident(self->mem));
	before = faults(&self->stats);
	PEEK(13);
	POKE(14);
	PEEK(15);
	EXPECT_EQ(before, faults(&self->stats));
	/* One that is not there brings itself in, and none else. */
	POKE(17);
	EXPECT_EQ(there | 1UL << 17, resident(self->mem));
	EXPECT_LT(before, faults(&self->stats));
	before = faults(&self->stats);
	POKE(16);
	EXPECT_EQ(there | 3UL << 16, resident(self->mem));
	EXPECT_LT(before, faults(&self->stats));
}

/* Copy on write of the neighbours stays what it was. */
TEST_F(prefault, neighbours_break_no_copy_on_write)
{
	unsigned int i;
	pid_t child;
	u64 before;

	SET_SLOT(0);
	memset(self->mem, 7, NR_PAGES * PAGE);
	child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	ASSERT_LT(0, child);
	POKE(3);
	before = faults(&self->stats);
	for (i = 4; i < 8; i++)
		POKE(i);
	/* Each of them had to be copied, by a fault of its own. */
	EXPECT_LE(before + 4, faults(&self->stats));
	kill(child, SIGKILL);
	api_wait(child);
	for (i = 3; i < 8; i++)
		EXPECT_EQ(1, self->mem[i * PAGE]);
	EXPECT_EQ(7, self->mem[8 * PAGE]);
}

TEST_F(prefault, neighbours_of_read_only_slots)
{
	u64 before;

	memset(self->mem, 7, NR_PAGES * PAGE);
	SET_SLOT(KVM_MEM_READONLY);
	PEEK(3);
	before = faults(&self->stats);
	PEEK(4);
	PEEK(5);
	EXPECT_EQ(before, faults(&self->stats));
	ASSERT_EQ(KVM_EXIT_MMIO, machine_poke(&self->m, GPA + 4 * PAGE, 8));
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	EXPECT_EQ(7, self->mem[4 * PAGE]);
}

TEST_HARNESS_MAIN
