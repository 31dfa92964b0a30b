// SPDX-License-Identifier: GPL-2.0
/*
 * Ends without warning, ioctls in the wrong order from many threads, and
 * arguments without sense: nothing may be left behind.
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

/* References to the module; -1 when it is not umbra. */
static int module_users(void)
{
	FILE *file = fopen("/sys/module/umbra/refcnt", "r");
	int users = -1;

	if (strcmp(api_node(), UVMM_NODE_UMBRA) || !file)
		return -1;
	if (fscanf(file, "%d", &users) != 1)
		users = -1;
	fclose(file);
	return users;
}

static void spin_forever(bool long_mode)
{
	struct machine m;

	if (machine_start(&m, long_mode))
		_exit(1);
	CODE(&m, 0xeb, 0xfe);
	machine_enter(&m);
	_exit(2);
}

/* Dirty pages as fast as it goes: inc (%rdi); add $4096, %rdi; jmp */
static void touch_forever(void)
{
	struct machine m;
	u8 *mem = api_pages(1024);

	if (machine_start(&m, true) || api_slot(m.vm.fd, 1, 0, 0x800000, 1024 * PAGE, mem))
		_exit(1);
	CODE(&m, 0xbf, 0, 0, 0x80, 0, 0xb9, 0, 4, 0, 0, 0xfe, 0x07, 0x48, 0x81, 0xc7, 0, 0x10,
	     0, 0, 0xff, 0xc9, 0x75, 0xf3, 0xeb, 0xe7);
	machine_enter(&m);
	_exit(2);
}

static void create_forever(void)
{
	int sys = api_open();
	char *mem = api_pages(4);

	for (;;) {
		int vm = api_vm(sys);

		TRY(vm, KVM_CREATE_VCPU, 0);
		api_slot(vm, 0, 0, 0, 4 * PAGE, mem);
		TRY(vm, KVM_GET_STATS_FD, 0);
		TRY(vm, KVM_CREATE_VCPU, 1);
		api_slot(vm, 0, 0, 0, 0, NULL);
		for (vm = sys + 1; vm < sys + 8; vm++)
			close(vm);
	}
}

FIXTURE(killed) {
	int users;
};

FIXTURE_VARIANT(killed) {
	int what;
};

FIXTURE_VARIANT_ADD(killed, real_mode_guest) {
	.what = 0,
};

FIXTURE_VARIANT_ADD(killed, long_mode_guest) {
	.what = 1,
};

FIXTURE_VARIANT_ADD(killed, faulting_guest) {
	.what = 2,
};

FIXTURE_VARIANT_ADD(killed, while_creating) {
	.what = 3,
};

FIXTURE_SETUP(killed)
{
	self->users = module_users();
}

FIXTURE_TEARDOWN(killed)
{
}

TEST_F(killed, leaves_nothing)
{
	unsigned int i;

	for (i = 0; i < 8; i++) {
		pid_t child = fork();

		switch (child ? -1 : variant->what) {
		case 0:
			spin_forever(false);
			break;
		case 1:
			spin_forever(true);
			break;
		case 2:
			touch_forever();
			break;
		case 3:
			create_forever();
		}
		usleep(2000 + i * 7000);
		ASSERT_EQ(0, kill(child, SIGKILL));
		EXPECT_EQ(-SIGKILL, api_wait(child));
	}
	/* The last fput() is the dying task's own work, done before it is reaped. */
	EXPECT_EQ(self->users, module_users());
}

struct shared {
	int sys;
	int vm;
	int vcpu;
	atomic_bool stop;
	char *mem;
};

static void *slot_thread(void *arg)
{
	struct shared *s = arg;
	unsigned int i;

	for (i = 0; !s->stop; i++)
		api_slot(s->vm, i % 3, i & 8 ? KVM_MEM_LOG_DIRTY_PAGES : 0,
			 (i % 5) * 0x1000, (i % 4) * PAGE, s->mem);
	return NULL;
}

static void *state_thread(void *arg)
{
	struct shared *s = arg;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	unsigned int i;

	for (i = 0; !s->stop; i++) {
		TRY(s->vcpu, KVM_GET_SREGS, &sregs);
		TRY(s->vcpu, KVM_SET_SREGS, &sregs);
		TRY(s->vcpu, KVM_GET_REGS, &regs);
		regs.rip = i % 0x5000;
		regs.rflags |= 0x200;
		TRY(s->vcpu, KVM_SET_REGS, &regs);
		TRY(s->vcpu, KVM_NMI, 0);
		TRY(s->vm, KVM_CREATE_VCPU, 2 + i % 20);
		close(TRY(s->vcpu, KVM_GET_STATS_FD, 0));
	}
	return NULL;
}

static void on_signal(int sig)
{
}

static void *memory_thread(void *arg)
{
	struct shared *s = arg;
	unsigned int i;

	for (i = 0; !s->stop; i++) {
		madvise(s->mem + i % 3 * PAGE, PAGE, MADV_DONTNEED);
		mprotect(s->mem, PAGE, i & 1 ? PROT_READ : PROT_READ | PROT_WRITE);
	}
	return NULL;
}

/* All at once on one VM; whatever each call answers, the machine lives. */
TEST(everything_at_once)
{
	void *(*const thread_fn[])(void *) = { slot_thread, state_thread, memory_thread };
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval timer = { { 0, 5000 }, { 0, 5000 } };
	struct shared s = { .sys = api_open() };
	pthread_t thread[ARRAY_SIZE(thread_fn)];
	struct timespec now, end;
	struct kvm_sregs sregs;
	unsigned int i;

	s.vm = api_vm(s.sys);
	s.vcpu = TRY(s.vm, KVM_CREATE_VCPU, 0);
	ASSERT_LE(0, s.vcpu);
	s.mem = api_pages(4);
	memset(s.mem, 0x90, 4 * PAGE);
	ASSERT_EQ(0, TRY(s.vcpu, KVM_GET_SREGS, &sregs));
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	ASSERT_EQ(0, TRY(s.vcpu, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	for (i = 0; i < ARRAY_SIZE(thread_fn); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, thread_fn[i], &s));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 2;
	do {
		TRY(s.vcpu, KVM_RUN, 0);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
	s.stop = true;
	memset(&timer, 0, sizeof(timer));
	setitimer(ITIMER_REAL, &timer, NULL);
	for (i = 0; i < ARRAY_SIZE(thread_fn); i++)
		EXPECT_EQ(0, pthread_join(thread[i], NULL));
}

static void try_random_ioctls(int fd, unsigned int seed, const void *page)
{
	unsigned int i;

	srand(seed);
	for (i = 0; i < 300; i++) {
		unsigned int nr = rand() & 0xff;
		unsigned int size = (rand() & 3) ? (rand() & 0x1ff) : (rand() & 0x3fff);
		unsigned long arg[] = { 0, 1, (unsigned long)page, KERNEL_ADDR, rand(), -1UL };

		/* Not the one that may run for long. */
		if (nr == _IOC_NR(KVM_RUN))
			continue;
		TRY(fd, _IOC(rand() & 3, KVMIO, nr, size), arg[rand() % ARRAY_SIZE(arg)]);
	}
}

/* In a child, since the answers may be fds and mappings. */
TEST(random_ioctls)
{
	int users = module_users();
	pid_t child = fork();

	if (!child) {
		unsigned int *page = api_pages(16);
		int sys = api_open(), vm = api_vm(sys), vcpu = TRY(vm, KVM_CREATE_VCPU, 0);
		unsigned int round, i;

		for (round = 0; round < 12; round++) {
			for (i = 0; i < 16 * PAGE / sizeof(*page); i++)
				page[i] = rand() & (round & 1 ? 0xff : -1);
			try_random_ioctls(sys, round, page);
			try_random_ioctls(vm, round, page);
			try_random_ioctls(vcpu, round, page);
		}
		_exit(0);
	}
	EXPECT_EQ(0, api_wait(child));
	EXPECT_EQ(users, module_users());
}

/* A signal every 20 ms, which ends a KVM_RUN that would go on. */
static void set_ticks(bool on)
{
	struct itimerval timer = { { 0, 20000 }, { 0, 20000 } };

	if (!on)
		memset(&timer, 0, sizeof(timer));
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* A guest that executes whatever is there: each time an exit, never a hang. */
TEST(random_code)
{
	struct sigaction action = { .sa_handler = on_signal };
	unsigned int seed, i;

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	for (seed = 0; seed < 24; seed++) {
		struct kvm_sregs sregs;
		struct machine m;

		ASSERT_EQ(0, machine_start(&m, seed & 1));
		/* No table of handlers: the first exception shuts it down. */
		ASSERT_EQ(0, TRY(m.vcpu.fd, KVM_GET_SREGS, &sregs));
		sregs.idt.limit = 0;
		ASSERT_EQ(0, TRY(m.vcpu.fd, KVM_SET_SREGS, &sregs));
		srand(seed);
		for (i = MACHINE_CODE; i < MACHINE_CODE + PAGE; i++)
			m.mem[i] = rand() >> 8;
		set_ticks(true);
		machine_enter(&m);
		for (i = 0; i < 20; i++)
			if (machine_run(&m) < 0)
				break;
		set_ticks(false);
		machine_stop(&m);
	}
}

/* Page tables full of garbage, and a CR3 without memory. */
TEST(random_page_tables)
{
	struct sigaction action = { .sa_handler = on_signal };
	unsigned int seed, i;

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	for (seed = 0; seed < 16; seed++) {
		struct kvm_sregs sregs;
		struct machine m;

		ASSERT_EQ(0, machine_start(&m, true));
		/* mov (%rdi), %al; add $4096, %edi; jmp */
		CODE(&m, 0x8a, 0x07, 0x81, 0xc7, 0, 0x10, 0, 0, 0xeb, 0xf6);
		srand(seed);
		for (i = UVMM_BOOT_CR3; i < UVMM_BOOT_END; i++)
			if (seed < 4 || !(rand() & 0x3f))
				m.mem[i] = rand() >> 8;
		ASSERT_EQ(0, TRY(m.vcpu.fd, KVM_GET_SREGS, &sregs));
		if (seed > 12)
			sregs.cr3 = 0x40000000UL << (seed - 12);
		TRY(m.vcpu.fd, KVM_SET_SREGS, &sregs);
		set_ticks(true);
		machine_enter(&m);
		set_ticks(false);
		machine_stop(&m);
	}
}

#define STRING_BYTES	50000

/* All of a linear range without end is one page: the local APIC. */
static void alias_lapic(struct machine *m)
{
	u64 *pml4 = (u64 *)(m->mem + UVMM_BOOT_CR3), *table = (u64 *)(m->mem + 0x100000);
	unsigned int i;

	pml4[1] = 0x100003;
	for (i = 0; i < 512; i++) {
		table[i] = 0x101003;
		table[512 + i] = 0x102003;
		table[1024 + i] = 0xfee00003;
	}
}

/* A string instruction whose every access is done in the kernel: signals end KVM_RUN. */
TEST(string_from_lapic)
{
	struct sigaction action = { .sa_handler = on_signal };
	unsigned int partial = 0, i;
	struct kvm_regs regs;
	struct machine m;

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, machine_start_vm(&m));
	ASSERT_EQ(0, TRY(m.vm.fd, KVM_CREATE_IRQCHIP, 0));
	ASSERT_EQ(0, machine_start_vcpu(&m, true));
	alias_lapic(&m);
	/* rep lodsb; jmp . */
	CODE(&m, 0xf3, 0xac, 0xeb, 0xfe);
	ASSERT_EQ(0, TRY(m.vcpu.fd, KVM_GET_REGS, &regs));
	regs.rip = MACHINE_CODE;
	regs.rsi = 1ULL << 39;
	regs.rcx = STRING_BYTES;
	ASSERT_EQ(0, TRY(m.vcpu.fd, KVM_SET_REGS, &regs));
	set_ticks(true);
	for (i = 0; i < 1000 && regs.rcx; i++) {
		EXPECT_EQ(-EINTR, machine_run(&m));
		TRY(m.vcpu.fd, KVM_GET_REGS, &regs);
		partial += regs.rcx && regs.rcx < STRING_BYTES;
	}
	set_ticks(false);
	EXPECT_EQ(0, regs.rcx);
	EXPECT_LT(1, partial);
	machine_stop(&m);
}

TEST_HARNESS_MAIN
