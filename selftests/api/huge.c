// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory in huge pages of the host's: that they are mapped as such, and
 * that the host may do to a part of one what it does to any page.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include "api.h"
#include <kselftest_harness.h>

#define SLOT		5
#define GPA		0x40000000UL
#define SIZE_2M		(2UL << 20)
#define SIZE_1G		(1UL << 30)
#define NR_LARGE	2UL		/* of 2 MiB each */

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define HUGETLB(shift)	(MAP_HUGETLB | (shift) << MAP_HUGE_SHIFT)

static u64 stat_of(struct machine *m, const char *name)
{
	struct uvmm_stats stats;
	u64 value = ~0UL;

	if (uvmm_stats_open(&stats, m->vm.fd))
		return value;
	uvmm_stats_read(&stats, name, &value);
	uvmm_stats_close(&stats);
	return value;
}

/* Run code that walks @pages pages from @gpa in RDI and RCX; give RAX. */
static u64 walk(struct machine *m, u64 gpa, u64 pages)
{
	struct kvm_regs regs;

	TRY(m->vcpu.fd, KVM_GET_REGS, &regs);
	regs.rdi = gpa;
	regs.rcx = pages;
	regs.rax = 0;
	TRY(m->vcpu.fd, KVM_SET_REGS, &regs);
	if (machine_enter(m) != KVM_EXIT_HLT)
		return ~0UL;
	TRY(m->vcpu.fd, KVM_GET_REGS, &regs);
	return regs.rax;
}

/* The sum of the first words of all pages, as the guest sees them. */
static u64 guest_sum(struct machine *m, u64 gpa, u64 pages)
{
	/* 1: add (%rdi), %rax; add $4096, %rdi; dec %rcx; jnz 1b; hlt */
	CODE(m, 0x48, 0x03, 0x07, 0x48, 0x81, 0xc7, 0, 0x10, 0, 0, 0x48, 0xff, 0xc9, 0x75, 0xf1,
	     0xf4);
	return walk(m, gpa, pages);
}

/* Add 1 to each of them. */
static u64 guest_increment(struct machine *m, u64 gpa, u64 pages)
{
	/* 1: addq $1, (%rdi); add $4096, %rdi; dec %rcx; jnz 1b; hlt */
	CODE(m, 0x48, 0x83, 0x07, 1, 0x48, 0x81, 0xc7, 0, 0x10, 0, 0, 0x48, 0xff, 0xc9, 0x75,
	     0xf0, 0xf4);
	return walk(m, gpa, pages);
}

static u64 host_sum(const u8 *mem, u64 pages)
{
	u64 sum = 0, i;

	for (i = 0; i < pages; i++)
		sum += *(const u64 *)(mem + i * PAGE);
	return sum;
}

FIXTURE(huge) {
	struct machine m;
	u8 *mem;		/* aligned; NULL when the host has none */
	u8 *area;
	u64 pages;
	bool ept;
};

FIXTURE_VARIANT(huge) {
	bool hugetlb;
};

FIXTURE_VARIANT_ADD(huge, thp) {
};

FIXTURE_VARIANT_ADD(huge, hugetlb) {
	.hugetlb = true,
};

static void set_number(const char *path, unsigned int nr)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return;
	fprintf(f, "%u", nr);
	fclose(f);
}

FIXTURE_SETUP(huge)
{
	const u64 size = NR_LARGE * SIZE_2M;
	u64 i;

	self->pages = size / PAGE;
	ASSERT_EQ(0, machine_start(&self->m, true));
	if (variant->hugetlb) {
		set_number("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", 2 * NR_LARGE);
		self->mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | HUGETLB(21), -1, 0);
		if (self->mem == MAP_FAILED)
			self->mem = NULL;
	} else {
		uvmm_host_allow_thp();
		self->area = mmap(NULL, size + SIZE_2M, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		self->mem = self->area + (-(unsigned long)self->area & (SIZE_2M - 1));
		madvise(self->mem, size, MADV_HUGEPAGE);
	}
	if (!self->mem)
		SKIP(return, "no huge pages");
	for (i = 0; i < self->pages; i++)
		*(u64 *)(self->mem + i * PAGE) = i;
	self->ept = TRY(self->m.vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_PRE_FAULT_MEMORY) == 1;
}

FIXTURE_TEARDOWN(huge)
{
	machine_stop(&self->m);
	if (variant->hugetlb && self->mem) {
		munmap(self->mem, NR_LARGE * SIZE_2M);
		set_number("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", 0);
	} else if (self->area) {
		munmap(self->area, (NR_LARGE + 1) * SIZE_2M);
	}
}

#define SET_SLOT(gpa, size, flags, mem) \
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, flags, gpa, size, mem))

#define SAME_SUM() \
	EXPECT_EQ(host_sum(self->mem, self->pages), guest_sum(&self->m, GPA, self->pages))

#define LARGE(nr)	EXPECT_EQ(nr, stat_of(&self->m, "pages_2m"))

TEST_F(huge, is_mapped_large)
{
	SET_SLOT(GPA, NR_LARGE * SIZE_2M, 0, self->mem);
	SAME_SUM();
	LARGE(NR_LARGE);
	guest_increment(&self->m, GPA, self->pages);
	SAME_SUM();
	EXPECT_EQ(8, *(u64 *)(self->mem + 7 * PAGE));
	LARGE(NR_LARGE);
}

/* A write after a read has to break up what the host shares. */
TEST_F(huge, of_zeroes)
{
	if (variant->hugetlb)
		SKIP(return, "has no page of zeroes");
	ASSERT_EQ(0, madvise(self->mem, NR_LARGE * SIZE_2M, MADV_DONTNEED));
	SET_SLOT(GPA, NR_LARGE * SIZE_2M, 0, self->mem);
	EXPECT_EQ(0, guest_sum(&self->m, GPA, self->pages));
	guest_increment(&self->m, GPA, self->pages);
	SAME_SUM();
	EXPECT_EQ(1, *(u64 *)self->mem);
}

TEST_F(huge, out_of_step)
{
	/* Guest frames that are not large where the host's are. */
	SET_SLOT(GPA + PAGE, SIZE_2M, 0, self->mem);
	EXPECT_EQ(host_sum(self->mem, 512), guest_sum(&self->m, GPA + PAGE, 512));
	LARGE(0);
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, 0, 0, NULL));
	/* A slot that ends before the large page does. */
	SET_SLOT(GPA, 2 * SIZE_2M - PAGE, 0, self->mem);
	EXPECT_EQ(host_sum(self->mem, 1023), guest_sum(&self->m, GPA, 1023));
	guest_increment(&self->m, GPA, 1023);
	EXPECT_EQ(host_sum(self->mem, 1023), guest_sum(&self->m, GPA, 1023));
	LARGE(1);
}

TEST_F(huge, a_page_is_dropped)
{
	SET_SLOT(GPA, NR_LARGE * SIZE_2M, 0, self->mem);
	guest_increment(&self->m, GPA, self->pages);
	if (variant->hugetlb) {
		ASSERT_EQ(0, madvise(self->mem, SIZE_2M, MADV_DONTNEED));
		LARGE(1);
		SAME_SUM();
		LARGE(2);
		return;
	}
	ASSERT_EQ(0, madvise(self->mem + 300 * PAGE, PAGE, MADV_DONTNEED));
	LARGE(1);
	EXPECT_EQ(0, guest_sum(&self->m, GPA + 300 * PAGE, 1));
	EXPECT_EQ(300, guest_sum(&self->m, GPA + 299 * PAGE, 1));
	SAME_SUM();
	guest_increment(&self->m, GPA, self->pages);
	SAME_SUM();
	LARGE(1);
	/* As khugepaged would do it in its own time. */
	if (madvise(self->mem, SIZE_2M, MADV_COLLAPSE))
		SKIP(return, "no MADV_COLLAPSE");
	SAME_SUM();
	LARGE(2);
}

TEST_F(huge, a_page_is_protected)
{
	u8 value;

	if (variant->hugetlb)
		SKIP(return, "is protected as a whole");
	SET_SLOT(GPA, NR_LARGE * SIZE_2M, 0, self->mem);
	guest_increment(&self->m, GPA, self->pages);
	ASSERT_EQ(0, mprotect(self->mem + 40 * PAGE, PAGE, PROT_READ));
	SAME_SUM();
	EXPECT_EQ(-EFAULT, machine_poke(&self->m, GPA + 40 * PAGE, 0x55));
	EXPECT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, GPA + 41 * PAGE, 0x55));
	EXPECT_EQ(41, self->mem[40 * PAGE]);
	EXPECT_EQ(0x55, self->mem[41 * PAGE]);
	ASSERT_EQ(0, mprotect(self->mem + 40 * PAGE, PAGE, PROT_NONE));
	EXPECT_EQ(-EFAULT, machine_peek(&self->m, GPA + 40 * PAGE, &value));
	ASSERT_EQ(0, mprotect(self->mem + 40 * PAGE, PAGE, PROT_READ | PROT_WRITE));
	SAME_SUM();
	guest_increment(&self->m, GPA, self->pages);
	SAME_SUM();
}

TEST_F(huge, a_part_is_unmapped)
{
	const u64 hole = variant->hugetlb ? SIZE_2M : 8 * PAGE;
	const u64 at = variant->hugetlb ? 0 : 100 * PAGE;
	u8 value;

	SET_SLOT(GPA, NR_LARGE * SIZE_2M, 0, self->mem);
	guest_increment(&self->m, GPA, self->pages);
	ASSERT_EQ(0, munmap(self->mem + at, hole));
	EXPECT_EQ(-EFAULT, machine_peek(&self->m, GPA + at, &value));
	EXPECT_EQ(-EFAULT, machine_poke(&self->m, GPA + at + hole - PAGE, 1));
	EXPECT_EQ(host_sum(self->mem + at + hole, 100),
		  guest_sum(&self->m, GPA + at + hole, 100));
	/* Something else in its place. */
	ASSERT_EQ(self->mem + at, mmap(self->mem + at, hole, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	self->mem[at] = 0x77;
	SAME_SUM();
	guest_increment(&self->m, GPA, self->pages);
	SAME_SUM();
}

TEST_F(huge, copy_on_write)
{
	u64 before, after;
	pid_t child;

	SET_SLOT(GPA, NR_LARGE * SIZE_2M, 0, self->mem);
	guest_increment(&self->m, GPA, self->pages);
	before = host_sum(self->mem, self->pages);
	child = fork();
	if (!child) {
		usleep(100000);
		_exit(host_sum(self->mem, self->pages) == before ? 0 : 1);
	}
	ASSERT_LT(0, child);
	guest_increment(&self->m, GPA, self->pages);
	after = host_sum(self->mem, self->pages);
	EXPECT_EQ(before + self->pages, after);
	SAME_SUM();
	EXPECT_EQ(0, api_wait(child));
}

/* While the log is kept, each page has its own right; afterwards none needs to. */
TEST_F(huge, is_logged)
{
	u64 bitmap[NR_LARGE * 8] = { };
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bitmap };

	SET_SLOT(GPA, NR_LARGE * SIZE_2M, 0, self->mem);
	guest_increment(&self->m, GPA, self->pages);
	LARGE(NR_LARGE);
	SET_SLOT(GPA, NR_LARGE * SIZE_2M, KVM_MEM_LOG_DIRTY_PAGES, self->mem);
	ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &log));
	guest_sum(&self->m, GPA, self->pages);
	ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &log));
	EXPECT_EQ(0, bitmap[0] | bitmap[8]);
	guest_increment(&self->m, GPA + 3 * PAGE, 2);
	ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &log));
	EXPECT_EQ(0x18, bitmap[0]);
	SAME_SUM();
	guest_increment(&self->m, GPA, self->pages);
	SET_SLOT(GPA, NR_LARGE * SIZE_2M, 0, self->mem);
	guest_increment(&self->m, GPA, self->pages);
	SAME_SUM();
	LARGE(NR_LARGE);
}

#define PARAMETER(name)	"/sys/module/umbra/parameters/nx_huge_pages" name

static void set_word(const char *path, const char *word)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return;
	fputs(word, f);
	fclose(f);
}

/* Wait for recovery, which comes by itself. */
static bool wait_stat(struct machine *m, const char *name, u64 value)
{
	unsigned int tries;

	for (tries = 0; tries < 200 && stat_of(m, name) != value; tries++)
		usleep(10000);
	return tries < 200;
}

/* What is executed is small while nx_huge_pages is on, and large again later. */
TEST_F(huge, is_executed)
{
	static const u8 code[] = { 0xb0, 0x42, 0xf4 };	/* mov $0x42, %al; hlt */
	struct kvm_regs regs;
	unsigned int i;

	if (access(PARAMETER(), W_OK))
		SKIP(return, "no parameter");
	memcpy(self->mem + 9 * PAGE, code, sizeof(code));
	SET_SLOT(GPA, NR_LARGE * SIZE_2M, 0, self->mem);
	guest_increment(&self->m, GPA, 8);
	guest_increment(&self->m, GPA + SIZE_2M, 8);
	LARGE(NR_LARGE);
	set_word(PARAMETER("_recovery_ratio"), "0");
	set_word(PARAMETER(), "force");
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs));
		regs.rip = GPA + 9 * PAGE;
		regs.rax = 0;
		ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_REGS, &regs));
		ASSERT_EQ(0, machine_run(&self->m));
		EXPECT_EQ(KVM_EXIT_HLT, self->m.vcpu.run->exit_reason);
		ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs));
		EXPECT_EQ(0x42, regs.rax);
		guest_increment(&self->m, GPA + 16 * PAGE, 512);
		LARGE(NR_LARGE - 1);
		EXPECT_EQ(1, stat_of(&self->m, "nx_lpage_splits"));
		EXPECT_LE(8, stat_of(&self->m, "pages_4k"));
	}
	set_word(PARAMETER("_recovery_ratio"), "1");
	set_word(PARAMETER("_recovery_period_ms"), "20");
	EXPECT_TRUE(wait_stat(&self->m, "nx_lpage_splits", 0));
	guest_increment(&self->m, GPA, 8);
	SAME_SUM();
	LARGE(NR_LARGE);
	set_word(PARAMETER(), "off");
	set_word(PARAMETER("_recovery_period_ms"), "0");
	set_word(PARAMETER("_recovery_ratio"), "60");
	SAME_SUM();
	EXPECT_EQ(0, stat_of(&self->m, "nx_lpage_splits"));
	/* Again from nothing. */
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, 0, 0, NULL));
	SET_SLOT(GPA, NR_LARGE * SIZE_2M, 0, self->mem);
	SAME_SUM();
	LARGE(NR_LARGE);
}

/* Needs a host that was told to set one aside: hugepagesz=1G hugepages=1. */
TEST(a_gigabyte)
{
	u8 *mem = mmap(NULL, SIZE_1G, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | HUGETLB(30), -1, 0);
	const u64 step = SIZE_1G / 16;
	struct machine m;
	bool ept;
	u8 value;
	u64 i;

	if (mem == MAP_FAILED)
		SKIP(return, "no page of 1 GiB");
	ASSERT_EQ(0, machine_start(&m, true));
	ept = TRY(m.vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_PRE_FAULT_MEMORY) == 1;
	ASSERT_EQ(0, api_slot(m.vm.fd, SLOT, 0, GPA, SIZE_1G, mem));
	for (i = 0; i < 16; i++)
		ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&m, GPA + i * step + i, i + 1));
	for (i = 0; i < 16; i++)
		EXPECT_EQ(i + 1, mem[i * step + i]);
	/* Shadow pages have leaves of 2 MiB. */
	EXPECT_EQ(ept ? 1 : 16, stat_of(&m, ept ? "pages_1g" : "pages_2m"));
	/* The same memory again, out of step by 2 MiB. */
	ASSERT_EQ(0, api_slot(m.vm.fd, SLOT + 1, 0, GPA + SIZE_1G, SIZE_1G - SIZE_2M,
			      mem + SIZE_2M));
	ASSERT_EQ(KVM_EXIT_HLT, machine_peek(&m, GPA + SIZE_1G + step - SIZE_2M + 1, &value));
	EXPECT_EQ(2, value);
	EXPECT_EQ(ept ? 1 : 17, stat_of(&m, "pages_2m"));
	ASSERT_EQ(0, madvise(mem, SIZE_1G, MADV_DONTNEED));
	EXPECT_EQ(0, stat_of(&m, "pages_1g") + stat_of(&m, "pages_2m"));
	ASSERT_EQ(0, munmap(mem, SIZE_1G));
	EXPECT_EQ(-EFAULT, machine_peek(&m, GPA, &value));
	machine_stop(&m);
}

TEST_HARNESS_MAIN
