// SPDX-License-Identifier: GPL-2.0
/*
 * Memory behind a slot that cannot be had: KVM_RUN fails, says where, and works
 * on when the memory is back.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include "api.h"
#include <kselftest_harness.h>

#define SLOT		7
#define GPA		0x800000UL
#define NR_PAGES	4

FIXTURE(fault) {
	struct machine m;
	u8 *mem;
};

static void *fresh(void *at, size_t pages)
{
	return mmap(at, pages * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

FIXTURE_SETUP(fault)
{
	int sys = api_open();

	ASSERT_LE(0, sys);
	if (TRY(sys, KVM_CHECK_EXTENSION, KVM_CAP_MEMORY_FAULT_INFO) <= 0)
		SKIP(return, "no KVM_CAP_MEMORY_FAULT_INFO");
	close(sys);
	ASSERT_EQ(0, machine_start(&self->m, true));
	self->mem = api_pages(NR_PAGES);
	ASSERT_NE(NULL, self->mem);
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, GPA, NR_PAGES * PAGE, self->mem));
}

FIXTURE_TEARDOWN(fault)
{
	machine_stop(&self->m);
}

#define EXPECT_FAULT(ret, error, address) do {						\
	const struct kvm_run *__run = self->m.vcpu.run;					\
	const struct umbra_memory_fault *__fault = (const void *)&__run->hw;		\
	EXPECT_EQ(-(error), ret);							\
	EXPECT_EQ(KVM_EXIT_MEMORY_FAULT, __run->exit_reason);				\
	EXPECT_EQ(0, __fault->flags);							\
	EXPECT_EQ((address) & -PAGE, __fault->gpa);					\
	EXPECT_EQ(PAGE, __fault->size);							\
} while (0)

#define EXPECT_PEEK(address, expected) do {						\
	u8 __value = 0;									\
	EXPECT_EQ(KVM_EXIT_HLT, machine_peek(&self->m, address, &__value));		\
	EXPECT_EQ(expected, __value);							\
} while (0)

TEST_F(fault, never_there)
{
	char *hole = api_pages(2);
	u8 value;

	ASSERT_EQ(0, munmap(hole, 2 * PAGE));
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT + 1, 0, 2 * GPA, 2 * PAGE, hole));
	EXPECT_FAULT(machine_peek(&self->m, 2 * GPA + PAGE + 5, &value), EFAULT,
		     2 * GPA + PAGE);
	EXPECT_FAULT(machine_poke(&self->m, 2 * GPA + 7, 1), EFAULT, 2 * GPA);
	ASSERT_EQ(hole, fresh(hole, 2));
	/* The same instruction goes on where it stopped. */
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	EXPECT_EQ(1, hole[7]);
	EXPECT_PEEK(2 * GPA + 7, 1);
	EXPECT_EQ(0, munmap(hole, 2 * PAGE));
	EXPECT_FAULT(machine_peek(&self->m, 2 * GPA + 7, &value), EFAULT, 2 * GPA);
}

TEST_F(fault, goes_and_comes_back)
{
	u8 value;

	ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, GPA + PAGE, 1));
	ASSERT_EQ(0, munmap(self->mem + PAGE, PAGE));
	EXPECT_FAULT(machine_peek(&self->m, GPA + PAGE, &value), EFAULT, GPA + PAGE);
	/* Its neighbours are as they were. */
	EXPECT_PEEK(GPA, 0);
	EXPECT_PEEK(GPA + 2 * PAGE, 0);
	ASSERT_EQ(self->mem + PAGE, fresh(self->mem + PAGE, 1));
	EXPECT_PEEK(GPA + PAGE, 0);
}

TEST_F(fault, becomes_read_only)
{
	u8 value;

	ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, GPA, 1));
	ASSERT_EQ(0, mprotect(self->mem, PAGE, PROT_READ));
	EXPECT_PEEK(GPA, 1);
	EXPECT_FAULT(machine_poke(&self->m, GPA, 2), EFAULT, GPA);
	ASSERT_EQ(0, mprotect(self->mem, PAGE, PROT_NONE));
	EXPECT_FAULT(machine_peek(&self->m, GPA, &value), EFAULT, GPA);
	ASSERT_EQ(0, mprotect(self->mem, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, GPA, 3));
	EXPECT_EQ(3, self->mem[0]);
}

/* Ordinary memory becomes a device's, which has no struct page, and goes. */
TEST_F(fault, becomes_a_device)
{
	int fd = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	u8 value, *rom;

	ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, GPA + 0xff0, 1));
	rom = fd < 0 ? MAP_FAILED : mmap(self->mem, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd,
					 0xff000);
	if (rom == MAP_FAILED)
		SKIP(return, "/dev/mem does not give the BIOS");
	EXPECT_PEEK(GPA + 0xff0, rom[0xff0]);
	EXPECT_FAULT(machine_poke(&self->m, GPA + 0xff0, 2), EFAULT, GPA);
	ASSERT_EQ(0, munmap(rom, PAGE));
	EXPECT_FAULT(machine_peek(&self->m, GPA + 0xff0, &value), EFAULT, GPA);
	ASSERT_EQ(self->mem, fresh(self->mem, 1));
	EXPECT_PEEK(GPA + 0xff0, 0);
}

/* An instruction that is emulated: outsb from memory that is gone. */
TEST_F(fault, under_the_emulator)
{
	struct kvm_regs regs;

	CODE(&self->m, 0x6e, 0xf4);		/* outsb; hlt */
	ASSERT_EQ(0, munmap(self->mem + PAGE, PAGE));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs));
	regs.rsi = GPA + PAGE + 3;
	regs.rdx = 0x80;
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_REGS, &regs));
	EXPECT_FAULT(machine_enter(&self->m), EFAULT, GPA + PAGE);
	ASSERT_EQ(self->mem + PAGE, fresh(self->mem + PAGE, 1));
	self->mem[PAGE + 3] = 0x77;
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	EXPECT_EQ(0x77, *((u8 *)self->m.vcpu.run + self->m.vcpu.run->io.data_offset));
}

/* The reason of an error must not be taken from an earlier exit. */
TEST_F(fault, is_not_left_behind)
{
	u8 value;

	ASSERT_EQ(0, munmap(self->mem, PAGE));
	EXPECT_FAULT(machine_peek(&self->m, GPA, &value), EFAULT, GPA);
	self->m.vcpu.run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, machine_peek(&self->m, GPA, &value));
	EXPECT_EQ(KVM_EXIT_UNKNOWN, self->m.vcpu.run->exit_reason);
	self->m.vcpu.run->immediate_exit = 0;
	EXPECT_FAULT(machine_peek(&self->m, GPA, &value), EFAULT, GPA);
}

static siginfo_t poison;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	poison = *info;
}

/* A page with an error that no machine can correct: as if the thread had read it. */
TEST_F(fault, is_poisoned)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	sigset_t set;
	u8 value;

	ASSERT_EQ(0, sigaction(SIGBUS, &action, NULL));
	ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, GPA + PAGE, 1));
	if (madvise(self->mem + PAGE, PAGE, MADV_HWPOISON))
		SKIP(return, "no MADV_HWPOISON");
	/* It may tell the process at once. */
	memset(&poison, 0, sizeof(poison));
	EXPECT_EQ(-EINTR, machine_peek(&self->m, GPA + PAGE, &value));
	EXPECT_EQ(SIGBUS, poison.si_signo);
	EXPECT_EQ(BUS_MCEERR_AR, poison.si_code);
	EXPECT_EQ((void *)(self->mem + PAGE), poison.si_addr);

	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, NULL));
	EXPECT_FAULT(machine_poke(&self->m, GPA + PAGE, 1), EHWPOISON, GPA + PAGE);
	ASSERT_EQ(0, sigprocmask(SIG_UNBLOCK, &set, NULL));

	EXPECT_PEEK(GPA, 0);
	ASSERT_EQ(self->mem + PAGE, fresh(self->mem + PAGE, 1));
	EXPECT_PEEK(GPA + PAGE, 0);
}

TEST_HARNESS_MAIN
