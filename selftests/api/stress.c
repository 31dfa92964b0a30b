// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that writes without pause while slots, host memory and the dirty log
 * change under it. With two CPUs the races are real.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include "api.h"
#include <kselftest_harness.h>

#define SLOT		9
#define GPA		0x800000UL
#define NR_PAGES	64
#define RUN_MS		400

struct runner {
	struct machine *m;
	pthread_t thread;
	atomic_bool stop;
	long error;
};

FIXTURE(stress) {
	struct machine m;
	struct runner runner;
	u8 *mem;
};

static void on_signal(int sig)
{
}

FIXTURE_SETUP(stress)
{
	struct sigaction action = { .sa_handler = on_signal };

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, machine_start(&self->m, true));
	self->runner.m = &self->m;
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

/* Run until told to stop. Signals, holes and missing memory are expected. */
static void *guest_thread(void *arg)
{
	struct runner *runner = arg;
	struct kvm_run *run = runner->m->vcpu.run;
	long ret;

	do {
		ret = machine_run(runner->m);
		if (ret && ret != -EINTR && ret != -EFAULT)
			runner->error = ret;
		if (!ret && run->exit_reason != KVM_EXIT_MMIO)
			runner->error = 1000 + run->exit_reason;
	} while (!runner->error && !atomic_load(&runner->stop));
	return NULL;
}

static void begin(struct __test_metadata *_metadata, struct runner *runner)
{
	ASSERT_EQ(0, pthread_create(&runner->thread, NULL, guest_thread, runner));
}

static void end(struct __test_metadata *_metadata, struct runner *runner)
{
	atomic_store(&runner->stop, true);
	while (pthread_tryjoin_np(runner->thread, NULL) == EBUSY) {
		pthread_kill(runner->thread, SIGUSR1);
		usleep(10000);
	}
	EXPECT_EQ(0, runner->error);
}

static u64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

TEST_F(stress, slots_come_and_go)
{
	u64 until = now_ms() + RUN_MS;
	int vm = self->m.vm.fd;

	ASSERT_EQ(0, api_slot(vm, SLOT, 0, GPA, NR_PAGES * PAGE, self->mem));
	begin(_metadata, &self->runner);
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
	end(_metadata, &self->runner);
	/* All is as it was: the guest can write again. */
	ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, GPA + 1, 0x5a));
	EXPECT_EQ(0x5a, self->mem[1]);
}

TEST_F(stress, memory_comes_and_goes)
{
	u64 until = now_ms() + RUN_MS;
	unsigned int i = 0;

	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, GPA, NR_PAGES * PAGE, self->mem));
	begin(_metadata, &self->runner);
	while (now_ms() < until) {
		u8 *page = self->mem + i++ % NR_PAGES * PAGE;

		EXPECT_EQ(0, madvise(page, PAGE, MADV_DONTNEED));
		EXPECT_EQ(0, mprotect(page, PAGE, PROT_READ));
		EXPECT_EQ(0, mprotect(page, PAGE, PROT_READ | PROT_WRITE));
		EXPECT_EQ(page, mmap(page, PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	}
	end(_metadata, &self->runner);
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
	begin(_metadata, &self->runner);
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
	end(_metadata, &self->runner);
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
	begin(_metadata, &self->runner);
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
	end(_metadata, &self->runner);
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
