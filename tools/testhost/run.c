// SPDX-License-Identifier: GPL-2.0
/*
 * run: start the emulator in a run directory and be its other end.
 *
 *   run DIR TIME_LIMIT SILENCE PRELOAD EMULATOR ARGS...
 *
 * Writes the command's output to stdout and stderr as it comes, keeps the
 * kernel's and the emulator's words in DIR (serial, dmesg, emulator.out), and
 * exits with the command's status or one of enum outcome. The emulator dies
 * with this process whatever happens to it.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"

/* Documented in testhost --help. */
enum outcome {
	DIED = 120,		/* the emulator ended before the command did */
	MISSING = 121,		/* no emulator */
	BOOT_FAILED = 122,
	KERNEL_BUG = 123,	/* panic, oops or BUG */
	TIME_LIMIT = 124,
	FAILED = 125,		/* preparation went wrong */
};

/* Booting takes 15 to 25 s, of the emulator's CPU time: other work slows it down. */
#define BOOT_LIMIT	120
/* For the host to power itself off, or to finish printing its panic. */
#define GRACE		15

static FILE *serial, *klog, *chatter;
static int signals;		/* a signalfd */
static double deadline;
static bool started;
static int status = -1;		/* the command's, once known */
static bool panic_done;		/* the log is complete */
static double exit_time, panic_time;
/* How long the command may say nothing, in CPU time of the emulator; 0: for ever. */
static double silence, last_word;
static bool was_silent;
static clockid_t emulator_clock;

static double read_clock(clockid_t clock)
{
	struct timespec ts = {};

	clock_gettime(clock, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static double now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static bool silent(void)
{
	return silence && started && read_clock(emulator_clock) > last_word + silence;
}

/* A reader that does not read must not keep us from ending in time. */
static void write_all(int fd, const uint8_t *p, size_t n)
{
	struct pollfd fds[2] = {
		{ .fd = fd, .events = POLLOUT },
		{ .fd = signals, .events = POLLIN },
	};

	while (n) {
		size_t chunk = n < PIPE_BUF ? n : PIPE_BUF;
		ssize_t done = 0;

		poll(fds, 2, 250);
		if (fds[1].revents || now() > deadline)
			return;
		if (fds[0].revents)
			done = write(fd, p, chunk);
		if (done < 0)
			return;		/* nobody listens any more: still run to the end */
		p += done;
		n -= done;
	}
}

static void take_frame(uint8_t channel, const uint8_t *data, size_t n)
{
	last_word = read_clock(emulator_clock);
	switch (channel) {
	case FRAME_START:
		started = true;
		break;
	case FRAME_STDOUT:
		write_all(1, data, n);
		break;
	case FRAME_STDERR:
		write_all(2, data, n);
		break;
	case FRAME_KLOG:
		fwrite(data, 1, n, klog);
		break;
	case FRAME_EXIT:
		status = data[0];
		exit_time = now();
		break;
	}
}

/*
 * Take whole frames from the front of what the emulator wrote, and anything
 * between them as its own chatter. Returns how many bytes were used up.
 */
static size_t take_output(const uint8_t *p, size_t n)
{
	const uint8_t magic[] = FRAME_MAGIC;
	struct frame_header h;
	size_t at = 0, size;

	while (at < n) {
		size_t left = n - at;

		size = left < sizeof(magic) ? left : sizeof(magic);
		if (memcmp(p + at, magic, size)) {
			fputc(p[at++], chatter);
			continue;
		}
		if (left < sizeof(h))
			break;
		memcpy(&h, p + at, sizeof(h));
		size = h.size[0] | h.size[1] << 8;
		if (left < sizeof(h) + size)
			break;
		take_frame(h.channel, p + at + sizeof(h), size);
		at += sizeof(h) + size;
	}
	return at;
}

/* Returns false at the end of the emulator's output. */
static bool read_output(int fd)
{
	static uint8_t buf[16 * (FRAME_MAX + sizeof(struct frame_header))];
	static size_t have;
	size_t used;
	ssize_t n;

	n = read(fd, buf + have, sizeof(buf) - have);
	if (n <= 0)
		return n < 0 && errno == EINTR;
	have += n;
	used = take_output(buf, have);
	have -= used;
	memmove(buf, buf + used, have);
	return true;
}

static void watch_serial(void)
{
	char line[1024];

	clearerr(serial);
	while (fgets(line, sizeof(line), serial)) {
		size_t n = strlen(line);

		if (line[n - 1] != '\n' && n < sizeof(line) - 1) {
			fseek(serial, -(long)n, SEEK_CUR);
			break;
		}
		if (strstr(line, "Kernel panic - not syncing") && !panic_time)
			panic_time = now();
		if (strstr(line, "---[ end Kernel panic"))
			panic_done = true;
	}
}

static pid_t start(char **argv, const char *preload, int *out)
{
	int in_pipe[2], out_pipe[2];
	pid_t parent = getpid(), child;

	if (pipe(in_pipe) || pipe(out_pipe))
		err(FAILED, "pipe");
	/* Our end of the first stays open unused: at the end of input it quits. */
	fcntl(in_pipe[1], F_SETFD, FD_CLOEXEC);
	child = fork();
	if (child < 0)
		err(FAILED, "fork");
	if (!child) {
		sigset_t none;

		/* Out of the terminal's reach: its debugger would catch Ctrl-C. */
		setsid();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(FAILED);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		dup2(in_pipe[0], 0);
		dup2(out_pipe[1], 1);
		dup2(out_pipe[1], 2);
		close(in_pipe[0]);
		close(out_pipe[0]);
		close(out_pipe[1]);
		setenv("LD_PRELOAD", preload, 1);
		execvp(argv[0], argv);
		_exit(MISSING);
	}
	close(in_pipe[0]);
	close(out_pipe[1]);
	*out = out_pipe[0];
	return child;
}

/* Follow the emulator until it ends or must be ended; returns a signal or 0. */
static int follow(int out)
{
	struct pollfd fds[2] = {
		{ .fd = out, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	struct signalfd_siginfo info;

	for (;;) {
		poll(fds, 2, 250);
		if (fds[1].revents && read(signals, &info, sizeof(info)) == sizeof(info))
			return info.ssi_signo;
		if (fds[0].revents && !read_output(out))
			return 0;
		watch_serial();
		if (panic_done || (panic_time && now() > panic_time + GRACE))
			return 0;
		if (status >= 0 ? now() > exit_time + GRACE :
		    now() > deadline || silent() ||
		    (!started && read_clock(emulator_clock) > BOOT_LIMIT))
			return 0;
	}
}

/* A kernel that lived on after a BUG: the log tells, the command may not know. */
static bool klog_has_bug(void)
{
	char line[1024];
	bool found = false;

	rewind(klog);
	while (!found && fgets(line, sizeof(line), klog))
		found = strstr(line, "BUG: ") || strstr(line, "Oops: ") ||
			strstr(line, "kernel BUG at");
	return found;
}

static void show_tail(FILE *f, const char *name)
{
	char lines[40][256];
	int n = 0, i;

	rewind(f);
	while (fgets(lines[n % 40], sizeof(lines[0]), f))
		n++;
	if (!n)
		return;
	fprintf(stderr, "testhost: end of the kernel log (%s):\n", name);
	for (i = n > 40 ? n - 40 : 0; i < n; i++)
		fprintf(stderr, "  %s", lines[i % 40]);
}

static int conclude(const char *dir, int limit, int wait_status)
{
	const char *why;
	int outcome;

	if (panic_time) {
		why = "kernel panic";
		outcome = KERNEL_BUG;
	} else if (status >= 0 && klog_has_bug()) {
		why = "the kernel log has a BUG or an oops";
		outcome = KERNEL_BUG;
	} else if (status >= 0) {
		return status;
	} else if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == MISSING) {
		why = "the emulator cannot be run (package bochs)";
		outcome = MISSING;
	} else if (now() > deadline) {
		why = "the time limit is over";
		outcome = TIME_LIMIT;
	} else if (was_silent) {
		why = "the command has fallen silent";
		outcome = TIME_LIMIT;
	} else if (!started) {
		why = "the kernel did not reach user space";
		outcome = BOOT_FAILED;
	} else {
		why = "the emulator ended before the command did";
		outcome = DIED;
	}
	fflush(NULL);
	if (outcome == TIME_LIMIT && !was_silent)
		fprintf(stderr, "testhost: %s (%d s); logs in %s\n", why, limit, dir);
	else
		fprintf(stderr, "testhost: %s; logs in %s\n", why, dir);
	if (status >= 0)
		show_tail(klog, "dmesg");
	else
		show_tail(serial, "serial");
	return outcome;
}

int main(int argc, char **argv)
{
	int out, limit, wait_status = 0, sig;
	sigset_t set;
	pid_t child;

	if (argc < 6)
		errx(FAILED, "usage: run DIR TIME_LIMIT SILENCE PRELOAD EMULATOR ARGS...");
	limit = atoi(argv[2]);
	deadline = now() + limit;
	silence = atoi(argv[3]);
	if (chdir(argv[1]))
		err(FAILED, "%s", argv[1]);
	serial = fopen("serial", "w+");
	klog = fopen("dmesg", "w+");
	chatter = fopen("emulator.out", "w");
	if (!serial || !klog || !chatter)
		err(FAILED, "%s", argv[1]);

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signals = signalfd(-1, &set, SFD_CLOEXEC);

	child = start(argv + 5, argv[4], &out);
	clock_getcpuclockid(child, &emulator_clock);
	sig = follow(out);
	was_silent = silent();
	kill(child, SIGKILL);
	waitpid(child, &wait_status, 0);
	unlink("disk");
	unlink("disk.lock");
	if (sig) {
		fprintf(stderr, "testhost: stopped by signal %d\n", sig);
		return 128 + sig;
	}
	watch_serial();
	return conclude(argv[1], limit, wait_status);
}
