// SPDX-License-Identifier: GPL-2.0
/*
 * How many shadow pages a VM may have: KVM_SET_NR_MMU_PAGES, and a host that wants
 * its memory back.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include "runner.h"
#include <kselftest_harness.h>

#define MIN_PAGES	64
#define BLOCK		0x200000UL	/* what one table of small leaves maps */
#define REGION_GPA	0x40000000UL
#define REGION_SIZE	(300 * BLOCK)
#define SPARE_TABLES	16		/* roots, and the EPT tables of the guest's start */

TEST(ioctls)
{
	int sys = api_open(), vm = api_vm(sys);
	u8 *mem = api_pages(64 << 20 >> 12);

	ASSERT_LE(0, vm);
	EXPECT_EQ(1, TRY(sys, KVM_CHECK_EXTENSION, KVM_CAP_MMU_SHADOW_CACHE_CONTROL));
	EXPECT_LE(MIN_PAGES, TRY(vm, KVM_GET_NR_MMU_PAGES, 0));
	EXPECT_EQ(-EINVAL, TRY(vm, KVM_SET_NR_MMU_PAGES, 0));
	EXPECT_EQ(-EINVAL, TRY(vm, KVM_SET_NR_MMU_PAGES, MIN_PAGES - 1));
	/* A part of the memory, until somebody asks for another number. */
	ASSERT_EQ(0, api_slot(vm, 0, 0, 0, 64 << 20, mem));
	EXPECT_EQ((64 << 20 >> 12) / 50, TRY(vm, KVM_GET_NR_MMU_PAGES, 0));
	EXPECT_EQ(0, TRY(vm, KVM_SET_NR_MMU_PAGES, MIN_PAGES));
	EXPECT_EQ(MIN_PAGES, TRY(vm, KVM_GET_NR_MMU_PAGES, 0));
	ASSERT_EQ(0, api_slot(vm, 1, 0, 1 << 30, 32 << 20, mem));
	EXPECT_EQ(MIN_PAGES, TRY(vm, KVM_GET_NR_MMU_PAGES, 0));
	/* As much as anybody could want. */
	EXPECT_EQ(0, TRY(vm, KVM_SET_NR_MMU_PAGES, -1L));
	EXPECT_EQ(0, TRY(vm, KVM_SET_NR_MMU_PAGES, 1000));
	EXPECT_EQ(1000, TRY(vm, KVM_GET_NR_MMU_PAGES, 0));
}

static u64 stat_of(struct machine *m, const char *name)
{
	struct uvmm_stats stats;
	u64 value = 0;

	if (uvmm_stats_open(&stats, m->vm.fd))
		return 0;
	uvmm_stats_read(&stats, name, &value);
	uvmm_stats_close(&stats);
	return value;
}

static u64 tables(struct machine *m)
{
	return stat_of(m, "table_bytes") / PAGE;
}

/* For ever: one page of each block, RCX blocks from RDI on. */
static const u8 walker[] = {
	0x48, 0x89, 0xfe,			/* 1: mov  %rdi, %rsi */
	0x48, 0x89, 0xca,			/*    mov  %rcx, %rdx */
	0xfe, 0x06,				/* 2: incb (%rsi) */
	0x48, 0x81, 0xc6, 0, 0, 0x20, 0,	/*    add  $0x200000, %rsi */
	0x48, 0xff, 0xca,			/*    dec  %rdx */
	0x75, 0xf2,				/*    jnz  2b */
	0x49, 0xff, 0xc0,			/*    inc  %r8 */
	0x49, 0x39, 0xd8,			/*    cmp  %rbx, %r8 */
	0x75, 0xe4,				/*    jne  1b */
	0xf4,					/*    hlt */
};

FIXTURE(pages) {
	struct machine m;
};

static int walker_start(struct machine *m, unsigned int blocks)
{
	u8 *mem = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct kvm_regs regs;

	if (mem == MAP_FAILED || madvise(mem, REGION_SIZE, MADV_NOHUGEPAGE) ||
	    machine_start(m, true) ||
	    api_slot(m->vm.fd, 1, 0, REGION_GPA, REGION_SIZE, mem))
		return -1;
	machine_code(m, walker, sizeof(walker));
	TRY(m->vcpu.fd, KVM_GET_REGS, &regs);
	regs.rdi = REGION_GPA;
	regs.rcx = blocks;
	return TRY(m->vcpu.fd, KVM_SET_REGS, &regs);
}

/* Let the guest make @rounds more. */
static long walk(struct machine *m, unsigned int rounds)
{
	struct kvm_regs regs;
	long ret;

	TRY(m->vcpu.fd, KVM_GET_REGS, &regs);
	regs.rip = MACHINE_CODE;
	regs.r8 = 0;
	regs.rbx = rounds;
	TRY(m->vcpu.fd, KVM_SET_REGS, &regs);
	ret = machine_run(m);
	return ret ?: m->vcpu.run->exit_reason == KVM_EXIT_HLT ? 0 : -1;
}

static bool shadow_mode(void)
{
	const char *mode = getenv("UMBRA_PAGING");

	return mode && !strcmp(mode, "shadow");
}

FIXTURE_SETUP(pages)
{
	ASSERT_EQ(0, walker_start(&self->m, 300));
}

FIXTURE_TEARDOWN(pages)
{
	machine_stop(&self->m);
}

TEST_F(pages, limit)
{
	unsigned int round;

	if (!shadow_mode())
		SKIP(return, "EPT tables are not counted");
	ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_SET_NR_MMU_PAGES, 1000));
	ASSERT_EQ(0, walk(&self->m, 1));
	EXPECT_LE(300, tables(&self->m));
	EXPECT_EQ(0, stat_of(&self->m, "mmu_recycled"));
	/* Those that are too many go at once, */
	EXPECT_EQ(0, TRY(self->m.vm.fd, KVM_SET_NR_MMU_PAGES, 100));
	EXPECT_GE(100 + SPARE_TABLES, tables(&self->m));
	EXPECT_EQ(0, TRY(self->m.vm.fd, KVM_SET_NR_MMU_PAGES, MIN_PAGES));
	EXPECT_GE(MIN_PAGES + SPARE_TABLES, tables(&self->m));
	/* and there are not more, although the guest wants 300 again and again. */
	for (round = 0; round < 5; round++) {
		ASSERT_EQ(0, walk(&self->m, 1));
		EXPECT_GE(MIN_PAGES + SPARE_TABLES, tables(&self->m));
	}
	EXPECT_LE(1000, stat_of(&self->m, "mmu_recycled"));
}

/* While the guest is at work. */
TEST_F(pages, limit_changes)
{
	struct kvm_regs regs;
	struct runner runner;
	unsigned int i;

	if (!shadow_mode())
		SKIP(return, "EPT tables are not counted");
	TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs);
	regs.rbx = -1;
	TRY(self->m.vcpu.fd, KVM_SET_REGS, &regs);
	ASSERT_EQ(0, runner_begin(&runner, &self->m.vcpu));
	for (i = 0; i < 1000 && stat_of(&self->m, "mmu_recycled") < 1000; i++) {
		EXPECT_EQ(0, TRY(self->m.vm.fd, KVM_SET_NR_MMU_PAGES, i % 2 ? 64 : 400));
		usleep(5000);
	}
	EXPECT_EQ(0, runner_end(&runner));
	EXPECT_LE(1000, stat_of(&self->m, "mmu_recycled"));
}

static bool drop_slabs(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	bool ok = fd >= 0 && write(fd, "2", 1) == 1;

	close(fd);
	return ok;
}

/* Two VMs that do nothing give what they have, the larger one more. */
TEST_F(pages, host_wants_memory)
{
	u64 mine, others, freed_mine, freed_others;
	struct machine other;

	if (!shadow_mode() || geteuid())
		SKIP(return, "EPT tables stay, or not root");
	ASSERT_EQ(0, walker_start(&other, 100));
	ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_SET_NR_MMU_PAGES, 1000));
	ASSERT_EQ(0, TRY(other.vm.fd, KVM_SET_NR_MMU_PAGES, 1000));
	ASSERT_EQ(0, walk(&self->m, 1));
	ASSERT_EQ(0, walk(&other, 1));
	mine = tables(&self->m);
	others = tables(&other);
	ASSERT_TRUE(drop_slabs());
	freed_mine = mine - tables(&self->m);
	freed_others = others - tables(&other);
	TH_LOG("%llu of %llu tables and %llu of %llu freed", freed_mine, mine, freed_others,
	       others);
	EXPECT_LT(20, freed_mine);
	EXPECT_LT(5, freed_others);
	EXPECT_LT(freed_others, freed_mine);
	/* They get what they need again. */
	EXPECT_EQ(0, walk(&self->m, 2));
	EXPECT_EQ(0, walk(&other, 2));
	EXPECT_LE(300, tables(&self->m));
	machine_stop(&other);
}

TEST_HARNESS_MAIN
