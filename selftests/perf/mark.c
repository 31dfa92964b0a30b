// SPDX-License-Identifier: GPL-2.0
/*
 * mark REGION COMMAND...: run COMMAND as a region for `testhost --count`, and
 * print "ticks N", how far the time-stamp counter went meanwhile.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "../../tools/testhost/count.h"

int main(int argc, char **argv)
{
	unsigned long long begin;
	int status;
	pid_t pid;

	if (argc < 3)
		errx(2, "usage: mark REGION COMMAND...");
	if (ioperm(COUNT_PORT, 4, 1))
		err(1, "ioperm");
	begin = __rdtsc();
	outl(atoi(argv[1]), COUNT_PORT);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		execvp(argv[2], argv + 2);
		err(127, "%s", argv[2]);
	}
	if (waitpid(pid, &status, 0) < 0)
		err(1, "waitpid");
	outl(0, COUNT_PORT);
	printf("ticks %llu\n", __rdtsc() - begin);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
