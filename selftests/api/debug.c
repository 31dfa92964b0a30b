// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_SET_GUEST_DEBUG: steps, software and hardware breakpoints, exceptions given
 * to the guest, interrupts held back. In long mode and in real mode.
 */
#include <errno.h>
#include "api.h"
#include <kselftest_harness.h>

#define DB		1
#define BP		3
#define TF		0x100
#define DR6_NONE	0xffff0ff0ULL
#define DR6_BS		(1ULL << 14)
#define DR6_BD		(1ULL << 13)
#define DR7_NONE	0x400ULL
#define DR7_GD		(1ULL << 13)
#define STEP		(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP)
#define HW_BP		(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP)
#define SW_BP		(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP)

/* Where the handlers of the guest's exceptions are, and their table. */
#define HANDLER		(MACHINE_CODE + 0x800)
#define IDT		(MACHINE_DATA + 0x1000)
#define NO_MEMORY	0x40000000ULL

FIXTURE(debug) {
	struct machine m;
	struct kvm_run *run;
};

FIXTURE_VARIANT(debug) {
	bool long_mode;
};

FIXTURE_VARIANT_ADD(debug, long_mode) {
	.long_mode = true,
};

FIXTURE_VARIANT_ADD(debug, real_mode) {
	.long_mode = false,
};

FIXTURE_SETUP(debug)
{
	ASSERT_EQ(0, machine_start(&self->m, variant->long_mode));
	self->run = self->m.vcpu.run;
	machine_set_if(&self->m, false);
}

FIXTURE_TEARDOWN(debug)
{
	machine_stop(&self->m);
}

static long debug(struct machine *m, u32 control)
{
	struct kvm_guest_debug dbg = { .control = control };

	dbg.arch.debugreg[7] = DR7_NONE;
	return TRY(m->vcpu.fd, KVM_SET_GUEST_DEBUG, &dbg);
}

/* A breakpoint in DR @i; @kind is what DR7 has of it, at bit 16. */
static long hw_break(struct machine *m, unsigned int i, u64 addr, u64 kind)
{
	struct kvm_guest_debug dbg = { .control = HW_BP };

	dbg.arch.debugreg[i] = addr;
	dbg.arch.debugreg[7] = DR7_NONE | 2ULL << 2 * i | kind << (16 + 4 * i);
	return TRY(m->vcpu.fd, KVM_SET_GUEST_DEBUG, &dbg);
}

static struct kvm_regs get_regs(struct machine *m)
{
	struct kvm_regs regs = {};

	TRY(m->vcpu.fd, KVM_GET_REGS, &regs);
	return regs;
}

static void set_rip(struct machine *m, u64 rip)
{
	struct kvm_regs regs = get_regs(m);

	regs.rip = rip;
	TRY(m->vcpu.fd, KVM_SET_REGS, &regs);
}

/* Run; -1 unless it ends with KVM_EXIT_DEBUG for @exception, else where. */
static long stop(struct machine *m, u32 exception)
{
	struct kvm_run *run = m->vcpu.run;

	if (machine_run(m) || run->exit_reason != KVM_EXIT_DEBUG ||
	    run->debug.arch.exception != exception)
		return -1;
	return run->debug.arch.pc;
}

/* The guest handles exceptions and interrupt 0x20 by code at HANDLER. */
static void make_idt(struct machine *m)
{
	static const u8 vector[] = { DB, BP, 0x20 };
	struct kvm_sregs sregs;
	unsigned int i;

	TRY(m->vcpu.fd, KVM_GET_SREGS, &sregs);
	sregs.idt.base = IDT;
	sregs.idt.limit = 0xfff;
	TRY(m->vcpu.fd, KVM_SET_SREGS, &sregs);
	for (i = 0; i < ARRAY_SIZE(vector); i++) {
		if (m->long_mode) {
			u32 gate[] = { UVMM_SEL_CODE64 << 16 | HANDLER, 0x8e00, 0, 0 };

			memcpy(m->mem + IDT + vector[i] * 16, gate, sizeof(gate));
		} else {
			u32 gate = HANDLER;

			memcpy(m->mem + IDT + vector[i] * 4, &gate, sizeof(gate));
		}
	}
	/* hlt */
	m->mem[HANDLER] = 0xf4;
}

TEST_F(debug, capabilities)
{
	int sys = api_open();
	long bits = TRY(sys, KVM_CHECK_EXTENSION, KVM_CAP_SET_GUEST_DEBUG2);

	EXPECT_EQ(1, TRY(sys, KVM_CHECK_EXTENSION, KVM_CAP_SET_GUEST_DEBUG));
	EXPECT_EQ(STEP | HW_BP | SW_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP |
		  KVM_GUESTDBG_BLOCKIRQ, bits);
	close(sys);
}

TEST_F(debug, refuses_nonsense)
{
	struct kvm_guest_debug dbg = { .control = 1U << 30 };
	struct machine *m = &self->m;

	if (!api_is_umbra(m->vm.node_fd))
		SKIP(return, "this kernel's KVM takes it");
	EXPECT_EQ(-EINVAL, TRY(m->vcpu.fd, KVM_SET_GUEST_DEBUG, &dbg));
	dbg.control = HW_BP;
	dbg.arch.debugreg[7] = 1ULL << 32;
	EXPECT_EQ(-EINVAL, TRY(m->vcpu.fd, KVM_SET_GUEST_DEBUG, &dbg));
	dbg.arch.debugreg[7] = ~0U;
	EXPECT_EQ(0, TRY(m->vcpu.fd, KVM_SET_GUEST_DEBUG, &dbg));
	EXPECT_EQ(0, debug(m, 0));
}

TEST_F(debug, software_breakpoint)
{
	struct machine *m = &self->m;

	CODE(m, 0x90, 0xcc, 0x90, 0xf4);		/* nop; int3; nop; hlt */
	set_rip(m, MACHINE_CODE);
	ASSERT_EQ(0, debug(m, SW_BP));
	EXPECT_EQ(MACHINE_CODE + 1, stop(m, BP));
	EXPECT_EQ(MACHINE_CODE + 1, machine_rip(m));
	/* It stays there until user space moves on. */
	EXPECT_EQ(MACHINE_CODE + 1, stop(m, BP));
	set_rip(m, MACHINE_CODE + 2);
	EXPECT_EQ(0, machine_run(m));
	EXPECT_EQ(KVM_EXIT_HLT, self->run->exit_reason);
}

/* INT3 of a guest that nobody debugs, or that is debugged otherwise, is its own. */
TEST_F(debug, own_int3)
{
	struct machine *m = &self->m;

	CODE(m, 0xcc, 0xf4);
	make_idt(m);
	set_rip(m, MACHINE_CODE);
	EXPECT_EQ(0, debug(m, SW_BP));
	EXPECT_EQ(0, debug(m, HW_BP));
	EXPECT_EQ(0, machine_run(m));
	EXPECT_EQ(KVM_EXIT_HLT, self->run->exit_reason);
	EXPECT_EQ(HANDLER + 1, machine_rip(m));
}

static void check_step(struct __test_metadata *_metadata, struct machine *m, long to)
{
	EXPECT_EQ(to, stop(m, DB));
	EXPECT_EQ(DR6_NONE | DR6_BS, m->vcpu.run->debug.arch.dr6);
	EXPECT_EQ(to, machine_rip(m));
	EXPECT_EQ(0, get_regs(m).rflags & TF);
}

#define EXPECT_STEP(to)		check_step(_metadata, m, to)

/* Instructions of the CPU's, and those that exit and are handled at once. */
TEST_F(debug, steps)
{
	struct machine *m = &self->m;
	struct kvm_regs regs;

	/* nop; sti; cli; cpuid; mov $0x1b, %cl; rdmsr; mov %dr7, %eax; hlt */
	CODE(m, 0x90, 0xfb, 0xfa, 0x0f, 0xa2, 0xb1, 0x1b, 0x0f, 0x32, 0x0f, 0x21, 0xf8, 0xf4);
	regs = get_regs(m);
	regs.rip = MACHINE_CODE;
	/* A leaf that leaves nothing in ECX. */
	regs.rax = 0x80000008;
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, debug(m, STEP));
	EXPECT_STEP(MACHINE_CODE + 1);
	EXPECT_STEP(MACHINE_CODE + 2);
	EXPECT_STEP(MACHINE_CODE + 3);
	EXPECT_STEP(MACHINE_CODE + 5);
	EXPECT_STEP(MACHINE_CODE + 7);
	EXPECT_STEP(MACHINE_CODE + 9);
	EXPECT_STEP(MACHINE_CODE + 12);
	EXPECT_EQ(DR7_NONE, get_regs(m).rax);
	ASSERT_EQ(0, debug(m, 0));
	EXPECT_EQ(0, machine_run(m));
	EXPECT_EQ(KVM_EXIT_HLT, self->run->exit_reason);
}

/* User space does its part first, then the step is reported. */
TEST_F(debug, steps_over_exits)
{
	struct machine *m = &self->m;
	struct kvm_regs regs;

	if (!variant->long_mode)
		SKIP(return, "the same instructions");
	/* out %al, $0x10; in $0x10, %al; mov %al, (%rbx); mov (%rbx), %al; hlt; nop; nop */
	CODE(m, 0xe6, 0x10, 0xe4, 0x10, 0x88, 0x03, 0x8a, 0x03, 0xf4, 0x90, 0x90);
	set_rip(m, MACHINE_CODE);
	regs = get_regs(m);
	regs.rbx = NO_MEMORY;
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, debug(m, STEP));
	EXPECT_EQ(0, machine_run(m));
	EXPECT_EQ(KVM_EXIT_IO, self->run->exit_reason);
	EXPECT_STEP(MACHINE_CODE + 2);
	EXPECT_EQ(0, machine_run(m));
	EXPECT_EQ(KVM_EXIT_IO, self->run->exit_reason);
	*((u8 *)self->run + self->run->io.data_offset) = 0x5a;
	EXPECT_STEP(MACHINE_CODE + 4);
	EXPECT_EQ(0x5a, get_regs(m).rax & 0xff);
	EXPECT_EQ(0, machine_run(m));
	EXPECT_EQ(KVM_EXIT_MMIO, self->run->exit_reason);
	EXPECT_STEP(MACHINE_CODE + 6);
	EXPECT_EQ(0, machine_run(m));
	EXPECT_EQ(KVM_EXIT_MMIO, self->run->exit_reason);
	self->run->mmio.data[0] = 0xa5;
	EXPECT_STEP(MACHINE_CODE + 8);
	EXPECT_EQ(0xa5, get_regs(m).rax & 0xff);
	EXPECT_EQ(0, machine_run(m));
	EXPECT_EQ(KVM_EXIT_HLT, self->run->exit_reason);
	EXPECT_STEP(MACHINE_CODE + 9);
	/* Registers set meanwhile begin a new step. */
	set_rip(m, MACHINE_CODE + 10);
	EXPECT_STEP(MACHINE_CODE + 11);
}

/* Each iteration is a step, whoever makes it. */
TEST_F(debug, steps_through_rep)
{
	struct machine *m = &self->m;
	struct kvm_regs regs;

	CODE(m, 0xf3, 0xaa, 0xf4);			/* rep stosb; hlt */
	set_rip(m, MACHINE_CODE);
	regs = get_regs(m);
	regs.rcx = 2;
	regs.rdi = MACHINE_DATA;
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, debug(m, STEP));
	EXPECT_STEP(MACHINE_CODE);
	EXPECT_EQ(1, get_regs(m).rcx);
	EXPECT_STEP(MACHINE_CODE + 2);
}

/* A guest that steps itself is not told of user space's steps, and goes on after. */
TEST_F(debug, own_step)
{
	struct machine *m = &self->m;
	struct kvm_regs regs;

	CODE(m, 0x90, 0x90, 0xf4);
	make_idt(m);
	set_rip(m, MACHINE_CODE);
	regs = get_regs(m);
	regs.rflags |= TF;
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, debug(m, STEP));
	EXPECT_EQ(MACHINE_CODE + 1, stop(m, DB));
	EXPECT_NE(0, get_regs(m).rflags & TF);
	ASSERT_EQ(0, debug(m, 0));
	EXPECT_EQ(0, machine_run(m));
	EXPECT_EQ(KVM_EXIT_HLT, self->run->exit_reason);
	EXPECT_EQ(HANDLER + 1, machine_rip(m));
}

TEST_F(debug, hardware_breakpoints)
{
	struct kvm_debugregs own = { .dr7 = DR7_NONE }, got;
	struct machine *m = &self->m;
	unsigned int i;

	if (!variant->long_mode)
		SKIP(return, "the same registers");
	own.db[0] = MACHINE_CODE + 0x100;
	own.dr6 = DR6_NONE;
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_DEBUGREGS, &own));
	/* mov %al, (%rdi); nop; mov %dr0, %rax; hlt */
	CODE(m, 0x88, 0x07, 0x90, 0x0f, 0x21, 0xc0, 0xf4);
	for (i = 0; i < 4; i++) {
		struct kvm_regs regs = get_regs(m);

		regs.rip = MACHINE_CODE;
		regs.rdi = MACHINE_DATA;
		ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_REGS, &regs));
		/* A write is known after it was done, an instruction before. */
		ASSERT_EQ(0, hw_break(m, i, MACHINE_DATA, 1));
		EXPECT_EQ(MACHINE_CODE + 2, stop(m, DB));
		EXPECT_EQ(DR6_NONE | 1ULL << i, self->run->debug.arch.dr6);
		EXPECT_EQ(DR7_NONE | 2ULL << 2 * i | 1ULL << (16 + 4 * i),
			  self->run->debug.arch.dr7);
		ASSERT_EQ(0, hw_break(m, i, MACHINE_CODE + 3, 0));
		EXPECT_EQ(MACHINE_CODE + 3, stop(m, DB));
		EXPECT_EQ(DR6_NONE | 1ULL << i, self->run->debug.arch.dr6);
		ASSERT_EQ(0, debug(m, HW_BP));
		EXPECT_EQ(0, machine_run(m));
		EXPECT_EQ(KVM_EXIT_HLT, self->run->exit_reason);
		/* The guest has its own registers all the time. */
		EXPECT_EQ(own.db[0], get_regs(m).rax);
	}
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_GET_DEBUGREGS, &got));
	EXPECT_EQ(0, memcmp(&own, &got, sizeof(own)));
}

TEST_F(debug, general_detect)
{
	struct kvm_guest_debug dbg = { .control = HW_BP };
	struct machine *m = &self->m;

	CODE(m, 0x90, 0x0f, 0x21, 0xc0, 0xf4);		/* nop; mov %dr0, %eax; hlt */
	set_rip(m, MACHINE_CODE);
	dbg.arch.debugreg[7] = DR7_NONE | DR7_GD;
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_GUEST_DEBUG, &dbg));
	EXPECT_EQ(MACHINE_CODE + 1, stop(m, DB));
	EXPECT_EQ(DR6_NONE | DR6_BD, self->run->debug.arch.dr6);
	ASSERT_EQ(0, debug(m, 0));
	EXPECT_EQ(0, machine_run(m));
	EXPECT_EQ(KVM_EXIT_HLT, self->run->exit_reason);
}

TEST_F(debug, injects)
{
	static const u32 control[] = { KVM_GUESTDBG_INJECT_DB, KVM_GUESTDBG_INJECT_BP };
	struct machine *m = &self->m;
	unsigned int i;

	CODE(m, 0xcc, 0xf4);
	make_idt(m);
	for (i = 0; i < ARRAY_SIZE(control); i++) {
		set_rip(m, MACHINE_CODE);
		ASSERT_EQ(0, debug(m, SW_BP | control[i]));
		EXPECT_EQ(-EBUSY, debug(m, SW_BP | control[i]));
		EXPECT_EQ(0, machine_run(m));
		EXPECT_EQ(KVM_EXIT_HLT, self->run->exit_reason);
		EXPECT_EQ(HANDLER + 1, machine_rip(m));
	}
}

/* An interrupt waits until nothing holds it back. */
TEST_F(debug, holds_interrupts_back)
{
	struct kvm_interrupt irq = { .irq = 0x20 };
	struct machine *m = &self->m;

	CODE(m, 0x90, 0x90, 0x90, 0xf4);
	make_idt(m);
	set_rip(m, MACHINE_CODE);
	machine_set_if(m, true);
	ASSERT_EQ(0, debug(m, STEP | KVM_GUESTDBG_BLOCKIRQ));
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_INTERRUPT, &irq));
	EXPECT_STEP(MACHINE_CODE + 1);
	EXPECT_STEP(MACHINE_CODE + 2);
	ASSERT_EQ(0, debug(m, 0));
	EXPECT_EQ(0, machine_run(m));
	EXPECT_EQ(KVM_EXIT_HLT, self->run->exit_reason);
	EXPECT_EQ(HANDLER + 1, machine_rip(m));
}

#define CR4_UMIP	(1ULL << 11)

/*
 * The same while the guest handles an NMI and stores a descriptor-table register in
 * spite of CR4.UMIP: it goes on, interrupts on or not.
 */
TEST_F(debug, holds_interrupts_back_in_nmi)
{
	struct kvm_vcpu_events ev = { .nmi.masked = 1 };
	struct kvm_interrupt irq = { .irq = 0x20 };
	struct machine *m = &self->m;
	const u16 frame[] = { HANDLER, 0, 2 };
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (m->long_mode)
		SKIP(return, "the same instructions");
	/* sidt (%bp,%di); out %al, $0x80; nop; hlt; iret */
	CODE(m, 0x0f, 0x01, 0x0b, 0xe6, 0x80, 0x90, 0xf4, 0xcf);
	make_idt(m);
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_GET_SREGS, &sregs));
	sregs.cr4 |= CR4_UMIP;
	if (TRY(m->vcpu.fd, KVM_SET_SREGS, &sregs))
		SKIP(return, "no UMIP for guests");
	set_rip(m, MACHINE_CODE);
	machine_set_if(m, true);
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_VCPU_EVENTS, &ev));
	ASSERT_EQ(0, debug(m, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_BLOCKIRQ));
	EXPECT_EQ(0, machine_run(m));
	ASSERT_EQ(KVM_EXIT_IO, self->run->exit_reason);
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_INTERRUPT, &irq));
	EXPECT_EQ(0, machine_run(m));
	EXPECT_EQ(KVM_EXIT_HLT, self->run->exit_reason);
	regs = get_regs(m);
	EXPECT_EQ(MACHINE_CODE + 7, regs.rip);

	/* Without that bochs 2.7 blocks the NMIs of the next guest, too. */
	regs.rsp = MACHINE_STACK - sizeof(frame);
	memcpy(m->mem + regs.rsp, frame, sizeof(frame));
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_REGS, &regs));
	EXPECT_EQ(0, machine_run(m));
	EXPECT_EQ(HANDLER + 1, machine_rip(m));
}

TEST_HARNESS_MAIN
