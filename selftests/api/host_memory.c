// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that check their memory all the time while the host does to it what hosts
 * do: merge, share, collapse, split, swap out, move, protect. None of it may be
 * seen by the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "runner.h"
#include <kselftest_harness.h>

#define SLOT		9
#define GPA		0x800000UL
#define COUNTERS	512		/* pages that the guest counts in */
#define CONSTANTS	512		/* pages that are all the same */
#define NR_PAGES	(COUNTERS + CONSTANTS)
#define SIZE		(NR_PAGES * PAGE)
#define CONSTANT	0x5a5a5a5a
#define RUN_MS		400

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

/*
 * Each counter has the number of rounds that are over, in both halves of its page;
 * each constant is what it was, and is written anew in every eighth round. HLT ends
 * it when one is not.
 */
asm("	.pushsection .rodata\n"
	"checker:\n"
	"	xor	%esi, %esi\n"
	"1:	mov	$0x800000, %edi\n"
	"	mov	$512, %ecx\n"
	"2:	cmp	%esi, (%rdi)\n"
	"	jne	3f\n"
	"	cmp	%esi, 0x800(%rdi)\n"
	"	jne	3f\n"
	"	incl	(%rdi)\n"
	"	incl	0x800(%rdi)\n"
	"	cmpl	$0x5a5a5a5a, 0x200000(%rdi)\n"
	"	jne	3f\n"
	"	cmpl	$0x5a5a5a5a, 0x200ffc(%rdi)\n"
	"	jne	3f\n"
	"	lea	(%rsi, %rcx), %eax\n"
	"	test	$7, %al\n"
	"	jne	4f\n"
	"	movl	$0x5a5a5a5a, 0x200008(%rdi)\n"
	"4:	add	$0x1000, %rdi\n"
	"	dec	%ecx\n"
	"	jne	2b\n"
	"	inc	%esi\n"
	"	jmp	1b\n"
	"3:	hlt\n"
	"checker_end:\n"
	"	.popsection\n");

extern const u8 checker[], checker_end[];

FIXTURE(host) {
	struct machine m;
	struct runner runner;
	u8 *mem;
	u64 until;
};

FIXTURE_SETUP(host)
{
	unsigned long at;
	unsigned int i;

	ASSERT_EQ(0, machine_start(&self->m, true));
	machine_code(&self->m, checker, checker_end - checker);
	/* In step with large pages. */
	at = (unsigned long)api_pages(NR_PAGES + 512);
	ASSERT_NE(0, at);
	self->mem = (u8 *)((at + (2 << 20) - 1) & -(2UL << 20));
	madvise(self->mem, SIZE, MADV_NOHUGEPAGE);
	memset(self->mem, 0, COUNTERS * PAGE);
	for (i = COUNTERS; i < NR_PAGES; i++)
		memset(self->mem + i * PAGE, CONSTANT & 0xff, PAGE);
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, GPA, SIZE, self->mem));
	ASSERT_EQ(0, runner_begin(&self->runner, &self->m.vcpu));
	self->until = now_ms() + RUN_MS;
}

static u32 word(const u8 *mem, unsigned int page, unsigned int offset)
{
	return __atomic_load_n((const u32 *)(mem + page * PAGE + offset), __ATOMIC_RELAXED);
}

/* The guest is where it was, has got on, and the process sees what it sees. */
FIXTURE_TEARDOWN(host)
{
	unsigned int i;
	long error;

	error = runner_end(&self->runner);
	EXPECT_EQ(0, error) {
		struct kvm_regs regs = {};

		TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs);
		TH_LOG("page %llu, round %llu: %x %x %x", (regs.rdi - GPA) / PAGE, regs.rsi,
		       word(self->mem, (regs.rdi - GPA) / PAGE % COUNTERS, 0),
		       word(self->mem, (regs.rdi - GPA) / PAGE % COUNTERS, 0x800),
		       word(self->mem, COUNTERS + (regs.rdi - GPA) / PAGE % COUNTERS, 0));
	}
	EXPECT_LT(0, word(self->mem, 0, 0));
	for (i = 0; i < COUNTERS; i++)
		EXPECT_GE(1, word(self->mem, 0, 0) - word(self->mem, i, 0));
	machine_stop(&self->m);
}

static bool going_on(u64 until)
{
	usleep(1000);
	return now_ms() < until;
}

static long number_in(const char *file)
{
	FILE *f = fopen(file, "r");
	long value = -1;

	if (f) {
		if (fscanf(f, "%ld", &value) != 1)
			value = -1;
		fclose(f);
	}
	return value;
}

static bool put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

#define KSM "/sys/kernel/mm/ksm/"

TEST_F(host, merges_pages)
{
	long merged = 0, now;

	if (!put(KSM "sleep_millisecs", "0") || !put(KSM "pages_to_scan", "2000") ||
	    madvise(self->mem, SIZE, MADV_MERGEABLE) || !put(KSM "run", "1"))
		SKIP(return, "no KSM");
	/* The guest breaks them up, so that there may be none at any one time. */
	self->until += 20 * RUN_MS;
	while (going_on(self->until) && merged < CONSTANTS / 4) {
		now = number_in(KSM "pages_sharing");
		merged = now > merged ? now : merged;
	}
	/* They are merged again. */
	self->until = now_ms() + RUN_MS;
	while (going_on(self->until))
		;
	EXPECT_TRUE(put(KSM "run", "2"));
	EXPECT_LT(0, merged);
	put(KSM "run", "0");
}

TEST_F(host, forks)
{
	while (going_on(self->until)) {
		pid_t child = fork();
		unsigned int i;

		if (!child) {
			u32 first = word(self->mem, 0, 0);

			/* As of the moment of the fork, now and later. */
			for (i = 1; i < COUNTERS; i++)
				if (first - word(self->mem, i, 0) > 1)
					_exit(1);
			for (i = COUNTERS; i < NR_PAGES; i++)
				if (word(self->mem, i, 8) != CONSTANT)
					_exit(2);
			_exit(word(self->mem, 0, 0) == first ? 0 : 3);
		}
		ASSERT_LT(0, child);
		EXPECT_EQ(0, api_wait(child));
	}
}

TEST_F(host, collapses_and_splits)
{
	unsigned int collapsed = 0;

	put("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	if (madvise(self->mem, SIZE, MADV_HUGEPAGE))
		SKIP(return, "no huge pages");
	self->until += RUN_MS;
	while (going_on(self->until)) {
		u8 *page = self->mem + (collapsed * 37 % NR_PAGES) * PAGE;

		collapsed += !madvise(self->mem, SIZE, MADV_COLLAPSE);
		usleep(2000);
		ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ));
		ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ | PROT_WRITE));
	}
	if (!collapsed)
		SKIP(return, "no memory for huge pages, or no MADV_COLLAPSE");
}

static bool has_swap(void)
{
	char line[256];
	FILE *f = fopen("/proc/swaps", "r");
	unsigned int lines = 0;

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		lines++;
	fclose(f);
	return lines > 1;
}

static long swapped_pages(void)
{
	char line[256];
	FILE *f = fopen("/proc/vmstat", "r");
	long pages = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "pswpout %ld", &pages) == 1)
			break;
	if (f)
		fclose(f);
	return pages;
}

TEST_F(host, swaps_out)
{
	long before = swapped_pages();
	unsigned int i = 0;

	if (!has_swap())
		SKIP(return, "no swap");
	while (going_on(self->until)) {
		u8 *part = self->mem + i++ * 32 % NR_PAGES * PAGE;

		/* At the first time they have been used lately. */
		ASSERT_EQ(0, madvise(part, 32 * PAGE, MADV_PAGEOUT));
		ASSERT_EQ(0, madvise(part, 32 * PAGE, MADV_PAGEOUT));
	}
	EXPECT_LT(before, swapped_pages());
}

TEST_F(host, takes_rights_away)
{
	unsigned int i = 0;

	while (going_on(self->until)) {
		u8 *page = self->mem + i++ * 61 % (NR_PAGES - 16) * PAGE;

		ASSERT_EQ(0, mprotect(page, 16 * PAGE, i & 1 ? PROT_READ : PROT_NONE));
		ASSERT_EQ(0, mprotect(page, 16 * PAGE, PROT_READ | PROT_WRITE));
	}
}

TEST_F(host, moves_addresses)
{
	u8 *other = api_pages(NR_PAGES);

	while (going_on(self->until)) {
		ASSERT_EQ(other, mremap(self->mem, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
					other));
		usleep(500);
		ASSERT_EQ(self->mem, mremap(other, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
					    self->mem));
		usleep(2000);
	}
	EXPECT_LT(0, self->runner.failures);
}

/* Memory of a file is the same wherever and whenever it is mapped. */
TEST_F(host, maps_a_file_anew)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);
	unsigned int i = 0;

	ASSERT_EQ(0, runner_end(&self->runner));
	ASSERT_EQ(0, ftruncate(fd, SIZE));
	ASSERT_EQ(SIZE, pwrite(fd, self->mem, SIZE, 0));
	ASSERT_EQ(self->mem, mmap(self->mem, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				  fd, 0));
	ASSERT_EQ(0, runner_begin(&self->runner, &self->m.vcpu));
	self->until = now_ms() + RUN_MS;
	while (going_on(self->until)) {
		u64 offset = i++ * 61 % (NR_PAGES - 16) * PAGE;

		ASSERT_EQ(0, munmap(self->mem + offset, 16 * PAGE));
		ASSERT_EQ(self->mem + offset,
			  mmap(self->mem + offset, 16 * PAGE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_FIXED, fd, offset));
	}
}

TEST_F(host, tracks_soft_dirty)
{
	while (going_on(self->until)) {
		if (!put("/proc/self/clear_refs", "4"))
			SKIP(break, "no soft-dirty pages");
		if (!put("/proc/self/clear_refs", "1"))
			break;
	}
}

static long uffd_range(int fd, unsigned long cmd, void *start, u64 len, u64 mode)
{
	struct uffdio_writeprotect wp = {
		.range = { (unsigned long)start, len }, .mode = mode,
	};

	return TRY(fd, cmd, &wp);
}

/* Whoever waits for a page may go on: the pages are there, and writable. */
static void uffd_answer(int fd)
{
	struct uffd_msg msg;

	while (read(fd, &msg, sizeof(msg)) == sizeof(msg)) {
		u64 page = msg.arg.pagefault.address & -PAGE;

		if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)
			uffd_range(fd, UFFDIO_WRITEPROTECT, (void *)page, PAGE, 0);
		else
			TRY(fd, UFFDIO_WAKE, &((struct uffdio_range) { page, PAGE }));
	}
}

/* As post-copy migration and snapshots do it: a page goes, and comes back. */
TEST_F(host, handles_faults_in_user_space)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (unsigned long)self->mem, SIZE },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	static u8 copy[PAGE] __attribute__((aligned(4096)));
	unsigned int i = 0;

	if (fd < 0 || TRY(fd, UFFDIO_API, &api) || TRY(fd, UFFDIO_REGISTER, &reg))
		SKIP(return, "no userfaultfd");
	while (now_ms() < self->until) {
		u8 *page = self->mem + i++ * 61 % NR_PAGES * PAGE;
		struct uffdio_copy back = {
			.dst = (unsigned long)page, .src = (unsigned long)copy, .len = PAGE,
		};

		/* From here on the page stands still. */
		ASSERT_EQ(0, uffd_range(fd, UFFDIO_WRITEPROTECT, page, PAGE,
					UFFDIO_WRITEPROTECT_MODE_WP));
		memcpy(copy, page, PAGE);
		ASSERT_EQ(0, madvise(page, PAGE, MADV_DONTNEED));
		if (i % 8 == 0)
			usleep(500);
		ASSERT_EQ(0, TRY(fd, UFFDIO_COPY, &back));
		uffd_answer(fd);
	}
	EXPECT_EQ(0, TRY(fd, UFFDIO_UNREGISTER, &reg.range));
	close(fd);
	EXPECT_LT(10, i);
}

/* To another node where there is one. */
TEST_F(host, moves_pages)
{
	int status[NR_PAGES], node[NR_PAGES], target = 0, moved = 0;
	void *page[NR_PAGES];
	unsigned int i;

	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "one node only");
	for (i = 0; i < NR_PAGES; i++)
		page[i] = self->mem + i * PAGE;
	while (going_on(self->until)) {
		target ^= 1;
		for (i = 0; i < NR_PAGES; i++)
			node[i] = target;
		ASSERT_LE(0, syscall(__NR_move_pages, 0, NR_PAGES, page, node, status,
				     MPOL_MF_MOVE));
		for (i = 0; i < NR_PAGES; i++)
			moved += status[i] == target;
	}
	EXPECT_LT(0, moved);
}

TEST_F(host, compacts_memory)
{
	while (going_on(self->until))
		if (!put("/proc/sys/vm/compact_memory", "1"))
			SKIP(return, "no compaction");
}

/* Pages that have had too many errors: their contents move elsewhere. */
TEST_F(host, takes_pages_out_of_use)
{
	unsigned int i, done = 0;

	for (i = 0; i < 16; i++) {
		done += !madvise(self->mem + i * 60 * PAGE, PAGE, MADV_SOFT_OFFLINE);
		usleep(5000);
	}
	if (!done)
		SKIP(return, "no MADV_SOFT_OFFLINE");
}

/* Blocks of memory go with all that is in them, where that can be moved. */
TEST_F(host, takes_memory_offline)
{
	unsigned int block, done = 0;
	char file[80];

	for (block = 0; block < 64; block++) {
		snprintf(file, sizeof(file), "/sys/devices/system/memory/memory%u/state", block);
		if (access(file, F_OK) || !put(file, "offline"))
			continue;
		done++;
		usleep(20000);
		EXPECT_TRUE(put(file, "online"));
	}
	if (!done)
		SKIP(return, "no block of memory can be moved");
	TH_LOG("%u blocks went offline and online", done);
}

/*
 * Pages that the process can do without until it writes to them: the guest's
 * write has to keep them.
 */
TEST_F(host, frees_lazily)
{
	unsigned int i;

	ASSERT_EQ(0, runner_end(&self->runner));
	for (i = 0; i < 32; i++)
		ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, GPA + i * PAGE + 16, 1));
	ASSERT_EQ(0, madvise(self->mem, 32 * PAGE, MADV_FREE));
	for (i = 0; i < 32; i++)
		ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, GPA + i * PAGE + 16, 0x77));
	madvise(self->mem, 32 * PAGE, MADV_PAGEOUT);
	for (i = 0; i < 32; i++)
		EXPECT_EQ(0x77, self->mem[i * PAGE + 16]);
	/* For the teardown. */
	machine_code(&self->m, checker, checker_end - checker);
	memset(self->mem, 0, COUNTERS * PAGE);
	for (i = COUNTERS; i < NR_PAGES; i++)
		memset(self->mem + i * PAGE, CONSTANT & 0xff, PAGE);
	uvmm_start_long(&self->m.vcpu, MACHINE_CODE, MACHINE_STACK, 0);
	machine_set_if(&self->m, true);
	ASSERT_EQ(0, runner_begin(&self->runner, &self->m.vcpu));
	usleep(50000);
}

TEST_HARNESS_MAIN
