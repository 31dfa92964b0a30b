// SPDX-License-Identifier: GPL-2.0
/*
 * The host takes back memory that very many entries map, and slots of all of it are
 * deleted. How long does a fault of a guest that has nothing to do with it wait?
 */
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "runner.h"
#include <kselftest_harness.h>

#define MEMORY		(32UL << 20)	/* shown again and again */
#define LARGE_GPA	0x40000000UL
#define SMALL_GPA	0xc0000000UL
#define SMALL_SLOTS	4
#define MAX_TICKS	600000		/* a fault alone takes some 10000 */

/* Touch RCX pages from RDI on; the longest that one took, in ticks, is in R8. */
asm("	.pushsection .rodata\n"
	"toucher:\n"
	"	xor	%r8d, %r8d\n"
	"1:	rdtsc\n"
	"	shl	$32, %rdx\n"
	"	lea	(%rdx, %rax), %r9\n"
	"	movb	$1, (%rdi)\n"
	"	rdtsc\n"
	"	shl	$32, %rdx\n"
	"	add	%rdx, %rax\n"
	"	sub	%r9, %rax\n"
	"	cmp	%r8, %rax\n"
	"	jbe	2f\n"
	"	mov	%rax, %r8\n"
	"2:	add	$0x1000, %rdi\n"
	"	dec	%rcx\n"
	"	jne	1b\n"
	"	hlt\n"
	"toucher_end:\n"
	"	.popsection\n");

extern const u8 toucher[], toucher_end[];

FIXTURE(zap) {
	struct machine m;
	u8 *large, *small;
	unsigned int slots;
};

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static u8 *populated(void)
{
	u8 *mem = api_pages(MEMORY / PAGE);

	if (mem && (madvise(mem, MEMORY, MADV_NOHUGEPAGE) ||
		    madvise(mem, MEMORY, MADV_POPULATE_WRITE)))
		return NULL;
	return mem;
}

FIXTURE_SETUP(zap)
{
	const char *megabytes = getenv("UMBRA_ZAP_MB");
	unsigned int i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "one CPU");
	self->slots = (megabytes ? atol(megabytes) : 512) * (1UL << 20) / MEMORY;
	ASSERT_EQ(0, machine_start(&self->m, true));
	machine_code(&self->m, toucher, toucher_end - toucher);
	self->large = populated();
	self->small = populated();
	ASSERT_NE(NULL, self->large);
	ASSERT_NE(NULL, self->small);
	for (i = 0; i < self->slots; i++)
		ASSERT_EQ(0, api_slot(self->m.vm.fd, 100 + i, 0, LARGE_GPA + i * MEMORY, MEMORY,
				      self->large));
	for (i = 0; i < SMALL_SLOTS; i++)
		ASSERT_EQ(0, api_slot(self->m.vm.fd, 10 + i, 0, SMALL_GPA + i * MEMORY, MEMORY,
				      self->small));
}

FIXTURE_TEARDOWN(zap)
{
	machine_stop(&self->m);
}

static void aim(struct machine *m, u64 gpa, u64 pages)
{
	struct kvm_regs regs;

	TRY(m->vcpu.fd, KVM_GET_REGS, &regs);
	regs.rip = MACHINE_CODE;
	regs.rdi = gpa;
	regs.rcx = pages;
	TRY(m->vcpu.fd, KVM_SET_REGS, &regs);
}

static u64 longest(struct machine *m)
{
	struct kvm_regs regs = {};

	TRY(m->vcpu.fd, KVM_GET_REGS, &regs);
	return regs.r8;
}

static void *touch_small(void *arg)
{
	struct machine *m = arg;

	pin(1);
	aim(m, SMALL_GPA, SMALL_SLOTS * MEMORY / PAGE);
	return (void *)machine_run(m);
}

/* @zap happens while the guest touches fresh memory. Return: the longest touch. */
static u64 wait_during(FIXTURE_DATA(zap) * self, void (*zap)(FIXTURE_DATA(zap) * self))
{
	pthread_t thread;
	void *ret;

	pin(0);
	aim(&self->m, LARGE_GPA, self->slots * MEMORY / PAGE);
	if (machine_run(&self->m) || pthread_create(&thread, NULL, touch_small, &self->m))
		return -1;
	usleep(20000);
	zap(self);
	pthread_join(thread, &ret);
	return ret || self->m.vcpu.run->exit_reason != KVM_EXIT_HLT ? (u64)-1 :
	       longest(&self->m);
}

static void take_back(FIXTURE_DATA(zap) * self)
{
	madvise(self->large, MEMORY, MADV_DONTNEED);
}

static void delete_slots(FIXTURE_DATA(zap) * self)
{
	unsigned int i;

	for (i = 0; i < self->slots; i++)
		api_slot(self->m.vm.fd, 100 + i, 0, 0, 0, NULL);
}

TEST_F(zap, host_takes_memory_back)
{
	u64 ticks = wait_during(self, take_back);

	TH_LOG("the longest touch took %llu ticks", ticks);
	EXPECT_GT(MAX_TICKS, ticks);
}

TEST_F(zap, slots_are_deleted)
{
	u64 ticks = wait_during(self, delete_slots);

	TH_LOG("the longest touch took %llu ticks", ticks);
	EXPECT_GT(MAX_TICKS, ticks);
}

TEST_HARNESS_MAIN
