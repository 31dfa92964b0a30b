// SPDX-License-Identifier: GPL-2.0
/*
 * e9pump: run in the emulated host, send what a command says to port 0xE9.
 *
 *   e9pump start                 say that user space is there
 *   e9pump [merge] -- COMMAND... run it, stream its output, exit with its status
 *   e9pump klog                  send standard input as the kernel log
 *   e9pump exit STATUS           the end of the conversation
 *
 * A byte to the port costs one tick in the emulator, one to the serial line
 * thousands.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frame.h"

struct frame {
	struct frame_header header;
	uint8_t data[FRAME_MAX];
} __attribute__((packed));

/* One rep outsb, so that a frame is never torn. */
static void send_frame(struct frame *f, uint8_t channel, size_t n)
{
	const uint8_t magic[] = FRAME_MAGIC;

	memcpy(f->header.magic, magic, sizeof(magic));
	f->header.channel = channel;
	f->header.size[0] = n & 0xff;
	f->header.size[1] = n >> 8;
	n += sizeof(f->header);
	/* Not outsb() of <sys/io.h>: it does not tell the compiler that it reads memory. */
	asm volatile("rep outsb" : "+S" (f), "+c" (n) : "d" (FRAME_PORT) : "memory");
}

/* Pass on what is there; 0 at the end of the stream, -1 when there is nothing now. */
static ssize_t pump(int fd, uint8_t channel)
{
	struct frame f;
	ssize_t n;

	n = read(fd, f.data, sizeof(f.data));
	if (n > 0)
		send_frame(&f, channel, n);
	return n;
}

static void on_child(int sig)
{
	(void)sig;
}

/*
 * Until the command ends, not until its pipes close: what it left in the
 * background must not keep the host running.
 */
static int stream(pid_t child, struct pollfd *fds, const uint8_t *channels)
{
	sigset_t blocked, open;
	int status, i;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, &open);
	while (waitpid(child, &status, WNOHANG) == 0) {
		if (ppoll(fds, 2, NULL, &open) <= 0)
			continue;
		for (i = 0; i < 2; i++)
			if (fds[i].revents && pump(fds[i].fd, channels[i]) == 0)
				fds[i].fd = -1;
	}
	for (i = 0; i < 2; i++)
		while (fds[i].fd >= 0 && pump(fds[i].fd, channels[i]) > 0)
			;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run(char **argv, int merge)
{
	const uint8_t channels[] = { FRAME_STDOUT, FRAME_STDERR };
	struct sigaction sa = { .sa_handler = on_child };
	struct pollfd fds[2];
	int ends[2][2], i;
	pid_t child;

	for (i = 0; i < 2; i++) {
		if (pipe(ends[i]))
			err(125, "pipe");
		fcntl(ends[i][0], F_SETFL, O_NONBLOCK);
		fds[i] = (struct pollfd){ .fd = ends[i][0], .events = POLLIN };
	}
	sigaction(SIGCHLD, &sa, NULL);
	child = fork();
	if (child < 0)
		err(125, "fork");
	if (!child) {
		/* The command has no use for the port. */
		ioperm(FRAME_PORT, 1, 0);
		dup2(ends[0][1], 1);
		dup2(ends[merge ? 0 : 1][1], 2);
		for (i = 0; i < 4; i++)
			close(ends[i / 2][i % 2]);
		signal(SIGCHLD, SIG_DFL);
		execvp(argv[0], argv);
		i = errno;
		warn("%s", argv[0]);
		_exit(i == ENOENT ? 127 : 126);
	}
	close(ends[0][1]);
	close(ends[1][1]);
	return stream(child, fds, channels);
}

int main(int argc, char **argv)
{
	int merge = argc > 1 && !strcmp(argv[1], "merge");
	struct frame f;

	if (ioperm(FRAME_PORT, 1, 1))
		err(125, "ioperm");
	if (argc > 2 + merge && !strcmp(argv[1 + merge], "--"))
		return run(argv + 2 + merge, merge);
	if (argc == 2 && !strcmp(argv[1], "start")) {
		send_frame(&f, FRAME_START, 0);
	} else if (argc == 2 && !strcmp(argv[1], "klog")) {
		while (pump(0, FRAME_KLOG) > 0)
			;
	} else if (argc == 3 && !strcmp(argv[1], "exit")) {
		f.data[0] = atoi(argv[2]);
		send_frame(&f, FRAME_EXIT, 1);
	} else {
		errx(125, "usage: e9pump start | [merge] -- COMMAND... | klog | exit STATUS");
	}
	return 0;
}
