// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that writes without pause while slots, host memory and the dirty log
 * change under it. With two CPUs the races are real.
 */
#include <string.h>
#include <sys/mman.h>
#include "runner.h"
#include <kselftest_harness.h>

#define SLOT		9
#define GPA		0x800000UL
#define NR_PAGES	64
#define RUN_MS		400

FIXTURE(stress) {
	struct machine m;
	struct runner runner;
	u8 *mem;
};

FIXTURE_SETUP(stress)
{
	ASSERT_EQ(0, machine_start(&self->m, true));
	self->mem = api_pages(NR_PAGES);
	ASSERT_NE(NULL, self->mem);
	/*
	 * 1: mov $GPA, %edi; mov $NR_PAGES, %ecx
	 * 2: incl (%rdi); incl 0x800(%rdi); add $4096, %rdi; dec %ecx; jnz 2b; jmp 1b
	 */
	CODE(&self->m, 0xbf, 0, 0, 0x80, 0, 0xb9, NR_PAGES, 0, 0, 0,
	     0xff, 0x07, 0xff, 0x87, 0, 8, 0, 0, 0x48, 0x81, 0xc7, 0, 0x10, 0, 0,
	     0xff, 0xc9, 0x75, 0xed, 0xeb, 0xe1);
}

FIXTURE_TEARDOWN(stress)
{
	machine_stop(&self->m);
}

TEST_F(stress, slots_come_and_go)
{
	u64 until = now_ms() + RUN_MS;
	int vm = self->m.vm.fd;

	ASSERT_EQ(0, api_slot(vm, SLOT, 0, GPA, NR_PAGES * PAGE, self->mem));
	ASSERT_EQ(0, runner_begin(&self->runner, &self->m.vcpu));
	while (now_ms() < until) {
		EXPECT_EQ(0, api_slot(vm, SLOT, 0, GPA + 8 * PAGE, NR_PAGES * PAGE, self->mem));
		usleep(500);
		EXPECT_EQ(0, api_slot(vm, SLOT, 0, 0, 0, NULL));
		EXPECT_EQ(0, api_slot(vm, SLOT, KVM_MEM_READONLY, GPA, NR_PAGES * PAGE / 2,
				      self->mem));
		usleep(500);
		EXPECT_EQ(0, api_slot(vm, SLOT, 0, 0, 0, NULL));
		EXPECT_EQ(0, api_slot(vm, SLOT, 0, GPA, NR_PAGES * PAGE, self->mem));
		usleep(500);
	}
	EXPECT_EQ(0, runner_end(&self->runner));
	/* All is as it was: the guest can write again. */
	ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, GPA + 1, 0x5a));
	EXPECT_EQ(0x5a, self->mem[1]);
}

#define PIECE		4		/* pages of a slot */
#define PIECES		(NR_PAGES / PIECE)

/* Where a piece is: nowhere, in its place, or beyond the end. */
enum { AWAY, HOME, MOVED };

static long place(int vm, unsigned int piece, int where, u32 flags, u8 *mem)
{
	u64 gpa = GPA + (piece + (where == MOVED ? PIECES : 0)) * PIECE * PAGE;

	return api_slot(vm, SLOT + piece, flags, gpa, where == AWAY ? 0 : PIECE * PAGE,
			mem + piece * PIECE * PAGE);
}

/* What no slot has must stand still, whatever the guests know of it. */
static bool stands_still(const u8 *mem)
{
	u8 before[PIECE * PAGE];

	memcpy(before, mem, sizeof(before));
	usleep(300);
	return !memcmp(before, mem, sizeof(before));
}

/* Sixteen slots, each anywhere at any time, and two vCPUs that write to them. */
TEST_F(stress, slots_at_random)
{
	u64 until = now_ms() + 2 * RUN_MS;
	int vm = self->m.vm.fd, where[PIECES];
	u32 seed = 1, changes = 0, i;
	struct runner second = {};
	struct uvmm_vcpu vcpu;

	ASSERT_EQ(0, uvmm_vcpu_create(&vcpu, &self->m.vm, 1));
	ASSERT_EQ(0, uvmm_start_long(&vcpu, MACHINE_CODE, MACHINE_STACK, 0));
	for (i = 0; i < PIECES; i++) {
		where[i] = HOME;
		ASSERT_EQ(0, place(vm, i, HOME, 0, self->mem));
	}
	ASSERT_EQ(0, runner_begin(&self->runner, &self->m.vcpu));
	ASSERT_EQ(0, runner_begin(&second, &vcpu));
	for (; now_ms() < until; changes++) {
		u32 flags;

		seed = seed * 1103515245 + 12345;
		i = seed >> 16 & (PIECES - 1);
		flags = seed >> 22 & 1 ? KVM_MEM_LOG_DIRTY_PAGES : 0;
		if (where[i] == AWAY || (seed >> 24) % 3) {
			where[i] = seed >> 28 & 1 ? HOME : MOVED;
			ASSERT_EQ(0, place(vm, i, where[i], flags, self->mem));
		} else {
			where[i] = AWAY;
			ASSERT_EQ(0, place(vm, i, AWAY, 0, self->mem));
			EXPECT_TRUE(stands_still(self->mem + i * PIECE * PAGE)) {
				TH_LOG("written to after change %u", changes);
			}
		}
	}
	EXPECT_EQ(0, runner_end(&self->runner));
	EXPECT_EQ(0, runner_end(&second));
	EXPECT_LT(10, changes);
	for (i = 0; i < PIECES; i++) {
		ASSERT_EQ(0, place(vm, i, HOME, 0, self->mem));
		ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, GPA + i * PIECE * PAGE + 8, i));
		EXPECT_EQ(i, self->mem[i * PIECE * PAGE + 8]);
	}
	uvmm_vcpu_destroy(&vcpu);
}

TEST_F(stress, memory_comes_and_goes)
{
	u64 until = now_ms() + RUN_MS;
	unsigned int i = 0;

	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, GPA, NR_PAGES * PAGE, self->mem));
	ASSERT_EQ(0, runner_begin(&self->runner, &self->m.vcpu));
	while (now_ms() < until) {
		u8 *page = self->mem + i++ % NR_PAGES * PAGE;

		EXPECT_EQ(0, madvise(page, PAGE, MADV_DONTNEED));
		EXPECT_EQ(0, mprotect(page, PAGE, PROT_READ));
		EXPECT_EQ(0, mprotect(page, PAGE, PROT_READ | PROT_WRITE));
		EXPECT_EQ(page, mmap(page, PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	}
	EXPECT_EQ(0, runner_end(&self->runner));
	for (i = 0; i < NR_PAGES; i++) {
		u8 value = 0;

		self->mem[i * PAGE + 4] = i;
		ASSERT_EQ(KVM_EXIT_HLT, machine_peek(&self->m, GPA + i * PAGE + 4, &value));
		EXPECT_EQ((u8)i, value);
	}
}

/* Writes to a page that the host has just taken must not reach its new owner. */
TEST_F(stress, forked_memory_stays_apart)
{
	u64 until = now_ms() + RUN_MS;

	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, GPA, NR_PAGES * PAGE, self->mem));
	ASSERT_EQ(0, runner_begin(&self->runner, &self->m.vcpu));
	while (now_ms() < until) {
		pid_t child = fork();

		/* The child's copy must stand still. */
		if (!child) {
			u8 copy[NR_PAGES];
			unsigned int i, turn;

			for (i = 0; i < NR_PAGES; i++)
				copy[i] = self->mem[i * PAGE];
			for (turn = 0; turn < 5; turn++) {
				usleep(3000);
				for (i = 0; i < NR_PAGES; i++)
					if (copy[i] != __atomic_load_n(self->mem + i * PAGE,
								       __ATOMIC_RELAXED))
						_exit(1);
			}
			_exit(0);
		}
		ASSERT_LT(0, child);
		EXPECT_EQ(0, api_wait(child));
	}
	EXPECT_EQ(0, runner_end(&self->runner));
}

/* As a live migration does it: copies of dirty pages only, the same in the end. */
TEST_F(stress, dirty_log_misses_nothing)
{
	u64 until = now_ms() + RUN_MS, bitmap = 0;
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = &bitmap };
	u8 *copy = api_pages(NR_PAGES);
	unsigned int i, rounds = 0;

	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, KVM_MEM_LOG_DIRTY_PAGES, GPA,
			      NR_PAGES * PAGE, self->mem));
	ASSERT_EQ(0, runner_begin(&self->runner, &self->m.vcpu));
	while (now_ms() < until) {
		ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &log));
		for (i = 0; i < NR_PAGES; i++)
			if (bitmap >> i & 1)
				memcpy(copy + i * PAGE, self->mem + i * PAGE, PAGE);
		rounds++;
		/* Now and then through the other ways of losing write rights. */
		if (!(rounds % 4))
			mprotect(self->mem, 8 * PAGE, PROT_READ);
		if (rounds % 4 == 2)
			mprotect(self->mem, 8 * PAGE, PROT_READ | PROT_WRITE);
	}
	EXPECT_EQ(0, runner_end(&self->runner));
	ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &log));
	for (i = 0; i < NR_PAGES; i++) {
		if (bitmap >> i & 1)
			continue;
		EXPECT_EQ(0, memcmp(copy + i * PAGE, self->mem + i * PAGE, PAGE)) {
			TH_LOG("page %u changed without a word, round %u", i, rounds);
		}
	}
	EXPECT_LT(1, rounds);
}

TEST_HARNESS_MAIN
