// SPDX-License-Identifier: GPL-2.0
/* KVM_GET_SREGS and KVM_SET_SREGS: reset state, what is refused, what is taken. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include "api.h"
#include <kselftest_harness.h>

#define CR0_PE		1ULL
#define CR0_PG		(1ULL << 31)
#define CR4_PAE		(1ULL << 5)
#define EFER_LME	(1ULL << 8)
#define EFER_LMA	(1ULL << 10)

FIXTURE(sregs) {
	int fd;
	bool umbra;
	struct kvm_sregs reset;
};

FIXTURE_SETUP(sregs)
{
	int sys = api_open();

	ASSERT_LE(0, sys);
	self->umbra = api_is_umbra(sys);
	self->fd = TRY(api_vm(sys), KVM_CREATE_VCPU, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_SREGS, &self->reset));
}

FIXTURE_TEARDOWN(sregs)
{
	close(self->fd);
}

TEST_F(sregs, reset)
{
	const struct kvm_sregs *s = &self->reset;

	EXPECT_EQ(0xffff0000, s->cs.base);
	EXPECT_EQ(0xf000, s->cs.selector);
	EXPECT_EQ(0xffff, s->cs.limit);
	EXPECT_EQ(0x60000010, s->cr0);
	EXPECT_EQ(0, s->cr2 | s->cr3 | s->cr4 | s->cr8 | s->efer);
	EXPECT_EQ(0, s->ds.base | s->ss.base | s->gdt.base | s->idt.base);
	EXPECT_EQ(0xffff, s->gdt.limit);
	EXPECT_EQ(0xffff, s->idt.limit);
	EXPECT_EQ(0xffff, s->tr.limit);
	EXPECT_EQ(1, s->tr.present);
	EXPECT_EQ(0, s->tr.unusable);
	EXPECT_EQ(0, s->ldt.unusable);
	EXPECT_EQ(0xfee00000, s->apic_base & ~0xfffULL);
	EXPECT_NE(0, s->apic_base & 0x100);
}

TEST_F(sregs, unchanged)
{
	struct kvm_sregs got;

	EXPECT_EQ(0, TRY(self->fd, KVM_SET_SREGS, &self->reset));
	EXPECT_EQ(0, TRY(self->fd, KVM_GET_SREGS, &got));
	EXPECT_EQ(0, memcmp(&got, &self->reset, sizeof(got)));
}

static void set_long_mode(struct kvm_sregs *s)
{
	s->cs = (struct kvm_segment){
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1,
		.g = 1,
	};
	s->cr0 = CR0_PE | CR0_PG | 0x30;
	s->cr3 = 0x1000;
	s->cr4 = CR4_PAE;
	s->efer = EFER_LME | EFER_LMA;
}

TEST_F(sregs, long_mode)
{
	struct kvm_sregs s = self->reset, got;

	set_long_mode(&s);
	ASSERT_EQ(0, TRY(self->fd, KVM_SET_SREGS, &s));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_SREGS, &got));
	EXPECT_EQ(s.cr0, got.cr0);
	EXPECT_EQ(s.cr3, got.cr3);
	EXPECT_EQ(s.cr4, got.cr4);
	EXPECT_EQ(s.efer, got.efer);
	EXPECT_EQ(1, got.cs.l);
	/* And back. */
	ASSERT_EQ(0, TRY(self->fd, KVM_SET_SREGS, &self->reset));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_SREGS, &got));
	EXPECT_EQ(0, memcmp(&got, &self->reset, sizeof(got)));
}

TEST_F(sregs, refuses_impossible_modes)
{
	struct kvm_sregs s = self->reset;

	/* A reserved bit of CR4. */
	s.cr4 = 1ULL << 31;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SREGS, &s));
	s.cr4 = 1ULL << 63;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SREGS, &s));

	/* Long mode without PAE. */
	s = self->reset;
	set_long_mode(&s);
	s.cr4 = 0;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SREGS, &s));

	/* Paging with LME, but LMA not set. */
	s = self->reset;
	set_long_mode(&s);
	s.efer = EFER_LME;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SREGS, &s));

	/* LMA without paging. */
	s = self->reset;
	s.efer = EFER_LME | EFER_LMA;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SREGS, &s));

	/* A 64-bit code segment outside of long mode. */
	s = self->reset;
	s.cs.l = 1;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SREGS, &s));

	/* CR3 beyond any physical address. */
	s = self->reset;
	set_long_mode(&s);
	s.cr3 = 1ULL << 60;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SREGS, &s));

	/* What was refused changed nothing. */
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_SREGS, &s));
	EXPECT_EQ(0, memcmp(&s, &self->reset, sizeof(s)));
}

TEST_F(sregs, refuses_paging_without_protection)
{
	struct kvm_sregs s = self->reset;

	if (!self->umbra)
		SKIP(return, "this kernel's KVM may take it");
	s.cr0 = CR0_PG | 0x10;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SREGS, &s));
	s.cr0 = 1ULL << 32 | 0x10;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SREGS, &s));
	s.cr0 = 1ULL << 29 | 0x10;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SREGS, &s));
}

/* PDPTEs that are not, or no longer, those in memory. */
TEST_F(sregs, pdptrs)
{
	struct kvm_sregs2 s, got;
	int sys = api_open();
	unsigned int i;

	EXPECT_EQ(1, TRY(sys, KVM_CHECK_EXTENSION, KVM_CAP_SREGS2));
	close(sys);
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_SREGS2, &s));
	EXPECT_EQ(0, memcmp(&s, &self->reset, offsetof(struct kvm_sregs2, flags)));
	EXPECT_EQ(0, s.flags);
	s.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SREGS2, &s));

	s.cr0 |= CR0_PE | CR0_PG;
	s.cr4 |= CR4_PAE;
	s.cr3 = 0x1000;
	for (i = 0; i < 4; i++)
		s.pdptrs[i] = 0x2001 + 0x1000 * i;
	s.flags = 2;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SREGS2, &s));
	s.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	s.pdptrs[2] |= 6;
	if (self->umbra)
		EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SREGS2, &s));
	s.pdptrs[2] = 1ULL << 62 | 1;
	if (self->umbra)
		EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SREGS2, &s));
	/* One that is not present may have anything. */
	s.pdptrs[2] = 6;
	ASSERT_EQ(0, TRY(self->fd, KVM_SET_SREGS2, &s));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_SREGS2, &got));
	EXPECT_EQ(KVM_SREGS2_FLAGS_PDPTRS_VALID, got.flags);
	EXPECT_EQ(0, memcmp(s.pdptrs, got.pdptrs, sizeof(s.pdptrs)));
	EXPECT_EQ(s.cr3, got.cr3);
	ASSERT_EQ(0, TRY(self->fd, KVM_SET_SREGS, &self->reset));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_SREGS2, &got));
	EXPECT_EQ(0, got.flags);
}

static void on_alarm(int sig)
{
}

/* Garbage may be refused or taken, but the vCPU must live through it. */
TEST_F(sregs, garbage)
{
	struct kvm_sregs s;
	struct kvm_run *run;
	struct sigaction action = { .sa_handler = on_alarm };
	unsigned int seed, i;

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, run);
	for (seed = 1; seed <= 64; seed++) {
		s = self->reset;
		srand(seed);
		for (i = 0; i < 12; i++)
			((u8 *)&s)[rand() % sizeof(s)] = rand();
		TRY(self->fd, KVM_SET_SREGS, &s);
		/* There is no memory: whatever it is, it ends. */
		alarm(2);
		TRY(self->fd, KVM_RUN, 0);
		alarm(0);
	}
	EXPECT_EQ(0, TRY(self->fd, KVM_SET_SREGS, &self->reset));
}

TEST_F(sregs, pending_interrupt)
{
	struct kvm_sregs s = self->reset;

	s.interrupt_bitmap[0x30 / 64] = 1ULL << (0x30 % 64);
	ASSERT_EQ(0, TRY(self->fd, KVM_SET_SREGS, &s));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_SREGS, &s));
	EXPECT_EQ(1ULL << (0x30 % 64), s.interrupt_bitmap[0]);
}

TEST_HARNESS_MAIN
