// SPDX-License-Identifier: GPL-2.0
/*
 * Runs guest payloads and reports TAP, with one "# checksum NAME VALUE" line per
 * payload: the values are the same on every module and in every paging mode.
 *
 * Each payload runs in a process of its own, so one that takes the VMM down or
 * gets stuck in the kernel costs one test, not the run.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/umbra.h>
#include "guest_vm.h"

#define STOCK_SLOTS	1024

#define KSFT_FAIL	1
#define KSFT_SKIP	4
#define TIMEOUT		60	/* seconds until the guest is told to stop */
#define GRACE		20	/* seconds more until its process is killed */

struct options {
	const char *node;
	enum uvmm_paging paging;
	unsigned int cpus;
};

/* What the child leaves for its parent, in shared memory. */
struct result {
	enum guest_end end;
	int setup_error;
	int error;
	bool timed_out;
	bool stock_fails;
	u32 exit_reason;
	u64 exit_detail;
	u64 rip;
	u64 data_sum;
	struct guest_ctl ctl;
};

static struct guest guest;
static struct result *result;

static void on_alarm(int sig)
{
	result->timed_out = true;
	guest_stop(&guest);
}

static void on_kick(int sig)
{
}

static void set_handler(int sig, void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler };	/* no SA_RESTART */

	sigaction(sig, &sa, NULL);
}

/* Without --paging the stock module runs guests as it was loaded. */
static bool stock_fails(const struct payload *payload, const struct options *opt)
{
	bool shadow = opt->paging == UVMM_PAGING_SHADOW ||
		      (opt->paging == UVMM_PAGING_DEFAULT && !uvmm_host_stock_ept());
	bool fails = payload->flags & PAYLOAD_AHEAD || (payload->flags & PAYLOAD_STRICT && shadow);

	return fails &&
	       ioctl(guest.vm.fd, KVM_CHECK_EXTENSION, UMBRA_CAP_PAGING_MODE) <= 0;
}

static void run_child(const struct payload *payload, const struct options *opt)
{
	unsigned int n_cpus = payload->flags & PAYLOAD_SMP ? GUEST_MAX_CPUS : 1;

	set_handler(SIGALRM, on_alarm);
	set_handler(SIGUSR1, on_kick);
	result->setup_error = guest_create(&guest, opt->node, opt->paging, payload, n_cpus);
	if (result->setup_error)
		return;
	if (stock_fails(payload, opt)) {
		result->end = GUEST_SKIPPED;
		result->stock_fails = true;
		guest_destroy(&guest);
		return;
	}
	alarm(TIMEOUT);
	result->end = guest_run(&guest);
	alarm(0);
	result->error = guest.cpu[0].error;
	result->exit_reason = guest.cpu[0].exit_reason;
	result->exit_detail = guest.cpu[0].exit_detail;
	result->rip = guest.cpu[0].rip;
	result->data_sum = guest.data_sum;
	result->ctl = *guest.ctl;
	guest_destroy(&guest);
}

/* False when the child had to be killed. */
static bool wait_child(pid_t pid, int *status)
{
	unsigned int ms;

	for (ms = 0; ms < (TIMEOUT + GRACE) * 1000; ms += 10) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		usleep(10000);
	}
	kill(pid, SIGKILL);
	return false;
}

/* One line on why the payload did not pass, or NULL. */
static const char *judge(const struct payload *payload)
{
	static char why[256];
	const struct guest_ctl *c = &result->ctl;
	bool must_exit = payload->flags & (PAYLOAD_SHUTDOWN | PAYLOAD_HOSTILE);

	if (result->setup_error) {
		snprintf(why, sizeof(why), "setup: %s", strerror(-result->setup_error));
	} else if (result->timed_out) {
		snprintf(why, sizeof(why), "still running after %d s, RIP %#llx", TIMEOUT,
			 result->rip);
	} else if (result->end == GUEST_ERROR) {
		snprintf(why, sizeof(why), "KVM_RUN: %s, RIP %#llx", strerror(result->error),
			 result->rip);
	} else if (result->end == GUEST_FAILED) {
		snprintf(why, sizeof(why), "%.31s:%u: %.95s: %#llx, %#llx", c->fail_file,
			 c->fail_line, c->fail_expr, c->fail_got, c->fail_want);
	} else if (result->end == GUEST_EXITED && !must_exit) {
		snprintf(why, sizeof(why), "exit %u %s, detail %#llx, RIP %#llx",
			 result->exit_reason, uvmm_exit_name(result->exit_reason),
			 result->exit_detail, result->rip);
	} else if (payload->flags & PAYLOAD_SHUTDOWN && (result->end != GUEST_EXITED ||
						      result->exit_reason != KVM_EXIT_SHUTDOWN)) {
		snprintf(why, sizeof(why), "exit %u %s, want SHUTDOWN", result->exit_reason,
			 uvmm_exit_name(result->exit_reason));
	} else if (result->end == GUEST_DONE && c->data_end && c->data_sum != result->data_sum) {
		snprintf(why, sizeof(why), "guest memory: guest sees %#llx, host %#llx",
			 c->data_sum, result->data_sum);
	} else {
		return NULL;
	}
	return why;
}

static const char *run_payload(const struct payload *payload, const struct options *opt)
{
	int status;
	pid_t pid;

	memset(result, 0, sizeof(*result));
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return "fork failed";
	if (!pid) {
		run_child(payload, opt);
		_exit(0);
	}
	if (!wait_child(pid, &status))
		return "stuck in the kernel";
	if (!WIFEXITED(status))
		return "the VMM was killed by a signal";
	return judge(payload);
}

/* Returns true unless it failed. */
static bool report(unsigned int nr, const struct payload *payload, const struct options *opt)
{
	const char *why;
	bool smp = payload->flags & PAYLOAD_SMP;

	if (smp && opt->cpus < GUEST_MAX_CPUS) {
		printf("ok %u - %s # SKIP needs --cpus %d\n", nr, payload->name, GUEST_MAX_CPUS);
		return true;
	}
	why = run_payload(payload, opt);
	if (why) {
		printf("# %s: %s\nnot ok %u - %s\n", payload->name, why, nr, payload->name);
	} else if (result->end == GUEST_SKIPPED) {
		printf("ok %u - %s # SKIP %s\n", nr, payload->name,
		       result->stock_fails ? "stock KVM gets it wrong" : "the CPU lacks it");
	} else {
		if (result->end == GUEST_EXITED)
			printf("# %s ended with exit %u %s\n", payload->name,
			       result->exit_reason, uvmm_exit_name(result->exit_reason));
		else if (!(payload->flags & PAYLOAD_HOSTILE))
			printf("# checksum %s %016llx\n", payload->name,
			       guest_mix(result->ctl.checksum, result->ctl.data_sum));
		printf("ok %u - %s\n", nr, payload->name);
	}
	fflush(stdout);
	return !why;
}

static bool selected(const struct payload *payload, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(*names, payload->name))
			return true;
	return false;
}

static void usage(void)
{
	fputs("Usage: guests [--node PATH] [--paging ept|shadow] [--cpus N] [--huge]\n"
	      "              [--list] [NAME...]\n",
	      stderr);
	exit(2);
}

static void parse(struct options *opt, int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "node", required_argument, NULL, 'n' },
		{ "paging", required_argument, NULL, 'p' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "huge", no_argument, NULL, 'h' },
		{ "list", no_argument, NULL, 'l' },
		{ }
	};
	unsigned int i;
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (c == 'n') {
			opt->node = optarg;
		} else if (c == 'c') {
			opt->cpus = atoi(optarg);
		} else if (c == 'p' && !strcmp(optarg, "ept")) {
			opt->paging = UVMM_PAGING_EPT;
		} else if (c == 'p' && !strcmp(optarg, "shadow")) {
			opt->paging = UVMM_PAGING_SHADOW;
		} else if (c == 'h') {
			guest_use_huge_pages(true);
		} else if (c == 'l') {
			for (i = 0; i < n_payloads; i++)
				puts(payloads[i].name);
			exit(0);
		} else {
			usage();
		}
	}
}

int main(int argc, char **argv)
{
	struct options opt = {
		.node = UVMM_NODE_UMBRA, .paging = UVMM_PAGING_DEFAULT, .cpus = GUEST_MAX_CPUS,
	};
	unsigned int i, total = 0, failed = 0;
	char **names;

	parse(&opt, argc, argv);
	names = argv + optind;
	result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (result == MAP_FAILED)
		return KSFT_FAIL;
	if (access(opt.node, F_OK) && opt.paging == UVMM_PAGING_DEFAULT) {
		printf("1..0 # SKIP no %s\n", opt.node);
		return KSFT_SKIP;
	}

	/* The stock module copies its array of slots for each: memory runs out. */
	if (!strcmp(opt.node, UVMM_NODE_KVM))
		guest_use_slots(STOCK_SLOTS);
	for (i = 0; i < n_payloads; i++)
		total += selected(&payloads[i], names);
	if (!total)
		usage();
	printf("TAP version 13\n1..%u\n", total);
	total = 0;
	for (i = 0; i < n_payloads; i++)
		if (selected(&payloads[i], names))
			failed += !report(++total, &payloads[i], &opt);
	printf("# %u passed, %u failed\n", total - failed, failed);
	return failed ? KSFT_FAIL : 0;
}
