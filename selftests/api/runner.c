// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <time.h>
#include "runner.h"

static void on_signal(int sig)
{
}

/* Run until told to stop. Signals, holes and missing memory are expected. */
static void *guest_thread(void *arg)
{
	struct runner *runner = arg;
	struct kvm_run *run = runner->vcpu->run;
	long ret;

	do {
		ret = TRY(runner->vcpu->fd, KVM_RUN, 0);
		if (ret == -EFAULT)
			runner->failures++;
		else if (ret && ret != -EINTR)
			runner->error = ret;
		if (!ret && run->exit_reason != KVM_EXIT_MMIO)
			runner->error = 1000 + run->exit_reason;
	} while (!runner->error && !atomic_load(&runner->stop));
	return NULL;
}

int runner_begin(struct runner *runner, struct uvmm_vcpu *vcpu)
{
	struct sigaction action = { .sa_handler = on_signal };

	runner->vcpu = vcpu;
	runner->error = 0;
	atomic_store(&runner->stop, false);
	if (sigaction(SIGUSR1, &action, NULL))
		return -errno;
	return -pthread_create(&runner->thread, NULL, guest_thread, runner);
}

/* Return: 0, or what ended the guest. */
long runner_end(struct runner *runner)
{
	atomic_store(&runner->stop, true);
	while (pthread_tryjoin_np(runner->thread, NULL) == EBUSY) {
		pthread_kill(runner->thread, SIGUSR1);
		usleep(10000);
	}
	return runner->error;
}

u64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}
