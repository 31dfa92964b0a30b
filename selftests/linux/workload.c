// SPDX-License-Identifier: GPL-2.0
/*
 * workload: what an operating system does with memory, with a checksum that
 * does not depend on where it runs. Processes that copy on write, pipes between
 * them, exec, mappings that come, go and change their rights.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE		4096
#define PAGES		512
#define CHILDREN	6
#define EXECS		4
#define ROUNDS		24

static sigjmp_buf fault_env;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static unsigned long long mix(unsigned long long sum, const void *data, size_t len)
{
	const unsigned char *p = data;

	while (len--)
		sum = (sum ^ *p++) * 0x100000001b3ull;
	return sum;
}

static void fill(unsigned char *mem, unsigned int seed)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		memset(mem + i * PAGE, seed * 31 + i, PAGE);
}

/* A child writes to every other page of what it shares with its parent. */
static unsigned long long child(unsigned char *mem, unsigned int n)
{
	unsigned int i;

	for (i = n & 1; i < PAGES; i += 2)
		mem[i * PAGE + n] = n;
	return mix(n, mem, PAGES * PAGE);
}

static unsigned long long forks(unsigned char *mem)
{
	unsigned long long sum = 0, one;
	int fds[2], status;
	unsigned int n;

	if (pipe(fds))
		die("pipe");
	for (n = 0; n < CHILDREN; n++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			one = child(mem, n);
			_exit(write(fds[1], &one, sizeof(one)) != sizeof(one));
		}
		if (read(fds[0], &one, sizeof(one)) != sizeof(one))
			die("read");
		sum = mix(sum, &one, sizeof(one));
		if (waitpid(pid, &status, 0) != pid || status)
			die("child");
	}
	return mix(sum, mem, PAGES * PAGE);
}

static void on_fault(int sig)
{
	siglongjmp(fault_env, sig);
}

/* Rights taken away must hold at once, given back too. */
static unsigned long long rights(unsigned char *mem)
{
	static unsigned int faults, i;

	signal(SIGSEGV, on_fault);
	for (i = 0; i < ROUNDS; i++) {
		unsigned char *page = mem + (i * 7 % PAGES) * PAGE;

		if (mprotect(page, PAGE, PROT_READ))
			die("mprotect");
		if (!sigsetjmp(fault_env, 1))
			*page = i;
		else
			faults++;
		if (mprotect(page, PAGE, PROT_READ | PROT_WRITE))
			die("mprotect");
		*page = i;
		if (munmap(page, PAGE) ||
		    mmap(page, PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != page)
			die("mmap");
		if (*page)
			die("a new page is not zero");
	}
	return faults;
}

static unsigned long long execs(const char *self)
{
	unsigned long long sum = 0;
	char line[64], command[256];
	unsigned int i;

	for (i = 0; i < EXECS; i++) {
		FILE *pipe;

		snprintf(command, sizeof(command), "%s child %u", self, i);
		pipe = popen(command, "r");
		if (!pipe || !fgets(line, sizeof(line), pipe) || pclose(pipe))
			die("exec");
		sum = mix(sum, line, strlen(line));
	}
	return sum;
}

int main(int argc, char **argv)
{
	unsigned char *mem = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long long sum;

	if (mem == MAP_FAILED)
		die("mmap");
	if (argc > 2) {
		fill(mem, atoi(argv[2]));
		printf("%016llx\n", mix(0, mem, PAGES * PAGE));
		return 0;
	}
	fill(mem, 1);
	sum = forks(mem);
	sum = sum * 31 + rights(mem);
	sum = sum * 31 + execs(argv[0]);
	sum = mix(sum, mem, PAGES * PAGE);
	printf("%016llx\n", sum);
	return 0;
}
