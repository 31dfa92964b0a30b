// SPDX-License-Identifier: GPL-2.0
/* Signals and threads around KVM_RUN. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include "api.h"
#include <kselftest_harness.h>

FIXTURE(signals) {
	struct machine m;
	struct kvm_run *run;
};

/* The kernel's set of 64 signals follows the head at once. */
struct mask {
	struct kvm_signal_mask head;
	u64 set;
} __packed;

static void on_signal(int sig)
{
}

FIXTURE_SETUP(signals)
{
	struct sigaction action = { .sa_handler = on_signal };

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, machine_start(&self->m, true));
	self->run = self->m.vcpu.run;
	CODE(&self->m, 0xeb, 0xfe);			/* jmp . */
}

FIXTURE_TEARDOWN(signals)
{
	machine_stop(&self->m);
}

static void alarm_in_ms(unsigned int ms)
{
	struct itimerval timer = { .it_value.tv_usec = ms * 1000 };

	setitimer(ITIMER_REAL, &timer, NULL);
}

TEST_F(signals, interrupt_a_spinning_guest)
{
	alarm_in_ms(30);
	EXPECT_EQ(-EINTR, machine_run(&self->m));
	EXPECT_EQ(KVM_EXIT_INTR, self->run->exit_reason);
	EXPECT_EQ(MACHINE_CODE, machine_rip(&self->m));
	/* And it can go on. */
	CODE(&self->m, 0xf4);
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
}

/* The host's interrupts come through whatever the guest does with its own. */
TEST_F(signals, interrupt_a_guest_with_interrupts_off)
{
	machine_set_if(&self->m, false);
	alarm_in_ms(30);
	EXPECT_EQ(-EINTR, machine_run(&self->m));
	CODE(&self->m, 0xf3, 0x90, 0xeb, 0xfc);		/* pause; jmp */
	alarm_in_ms(30);
	EXPECT_EQ(-EINTR, machine_run(&self->m));
	EXPECT_EQ(KVM_EXIT_INTR, self->run->exit_reason);
}

TEST_F(signals, pending_before_the_run)
{
	struct mask mask = { .head.len = 8 };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &blocked, NULL));
	ASSERT_EQ(0, raise(SIGUSR1));

	/* Blocked, also during the run: it does not interrupt. */
	CODE(&self->m, 0xf4);
	EXPECT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));

	/* Unblocked during the run only. */
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_SIGNAL_MASK, &mask));
	CODE(&self->m, 0xeb, 0xfe);
	EXPECT_EQ(-EINTR, machine_enter(&self->m));
	EXPECT_EQ(KVM_EXIT_INTR, self->run->exit_reason);
}

TEST_F(signals, blocked_by_the_mask)
{
	struct mask mask = { .head.len = 8, .set = ~(1ULL << (SIGALRM - 1)) };

	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_SIGNAL_MASK, &mask));
	ASSERT_EQ(0, raise(SIGUSR1));
	alarm_in_ms(30);
	EXPECT_EQ(-EINTR, machine_run(&self->m));
}

struct runner {
	struct machine *m;
	long ret;
	atomic_bool started;
};

static void *run_thread(void *arg)
{
	struct runner *runner = arg;

	runner->started = true;
	runner->ret = machine_run(runner->m);
	return NULL;
}

TEST_F(signals, to_the_vcpu_thread)
{
	struct runner runner = { .m = &self->m };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, run_thread, &runner));
	while (!runner.started)
		usleep(1000);
	usleep(20000);
	/* Twice: the first may come before the thread is in KVM_RUN. */
	EXPECT_EQ(0, pthread_kill(thread, SIGUSR1));
	usleep(20000);
	pthread_kill(thread, SIGUSR1);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(-EINTR, runner.ret);
}

static void *get_regs_thread(void *arg)
{
	struct runner *runner = arg;
	struct kvm_regs regs;

	runner->started = true;
	runner->ret = TRY(runner->m->vcpu.fd, KVM_GET_REGS, &regs);
	return NULL;
}

/* Other ioctls of a running vCPU wait for it. */
TEST_F(signals, one_ioctl_at_a_time)
{
	struct runner other = { .m = &self->m, .ret = 1 };
	sigset_t set;
	pthread_t thread;

	/* The timer's signal is for this thread. */
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	ASSERT_EQ(0, pthread_create(&thread, NULL, get_regs_thread, &other));
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	alarm_in_ms(100);
	EXPECT_EQ(-EINTR, machine_run(&self->m));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, other.ret);
}

/* A VM fd's ioctls do not wait for a vCPU that runs. */
TEST_F(signals, slots_change_under_a_running_vcpu)
{
	struct runner runner = { .m = &self->m };
	pthread_t thread;
	char *mem = api_pages(4);
	unsigned int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, run_thread, &runner));
	while (!runner.started)
		usleep(1000);
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(0, api_slot(self->m.vm.fd, 5, 0, 0x10000000, 4 * PAGE, mem));
		EXPECT_EQ(0, api_slot(self->m.vm.fd, 5, 0, 0x20000000, 4 * PAGE, mem));
		EXPECT_EQ(0, api_slot(self->m.vm.fd, 5, 0, 0, 0, mem));
	}
	for (i = 0; i < 100; i++) {
		pthread_kill(thread, SIGUSR1);
		if (!pthread_tryjoin_np(thread, NULL))
			break;
		usleep(10000);
	}
	EXPECT_GT(100, i);
	EXPECT_EQ(-EINTR, runner.ret);
}

TEST_HARNESS_MAIN
