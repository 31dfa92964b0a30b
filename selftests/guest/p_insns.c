// SPDX-License-Identifier: GPL-2.0
/* Instructions that exit, where they are refused, and traps around those emulated. */
#include "rt.h"

#define CR4_DE		BIT(3)
#define CR4_OSXSAVE	BIT(18)
#define DR6_INIT	0xffff0ff0UL
#define DR6_BD		BIT(13)
#define DR6_BS		BIT(14)
#define DR7_GD		BIT(13)
#define DR7_INIT	BIT(10)
#define RFLAGS_TF	0x100UL
#define VEC_IRQ		0x41

/* A function of one instruction, with its operands in RCX and RAX. */
#define KERNEL_INSN(name, text)							\
static u64 do_##name(u64 rcx, u64 rax)						\
{										\
	u64 rdx = 0;								\
										\
	__asm__ volatile(text : "+a"(rax), "+d"(rdx), "+c"(rcx) : : "memory");	\
	return rax;								\
}

#define USER_INSN(name, text)							\
static USER u64 user_##name(u64 rcx)						\
{										\
	u64 rax = 0, rdx = 0;							\
										\
	__asm__ volatile(text : "+a"(rax), "+d"(rdx), "+c"(rcx) : : "memory");	\
	return rax;								\
}

KERNEL_INSN(rdpmc, "rdpmc")
KERNEL_INSN(wbinvd, "wbinvd")
KERNEL_INSN(invd, "invd")
KERNEL_INSN(xsetbv, "xsetbv")
KERNEL_INSN(clts, "clts")
KERNEL_INSN(get_dr0, "mov %%dr0, %%rax")
KERNEL_INSN(set_dr0, "mov %%rax, %%dr0")
KERNEL_INSN(get_dr3, "mov %%dr3, %%rax")
KERNEL_INSN(set_dr3, "mov %%rax, %%dr3")
KERNEL_INSN(get_dr4, "mov %%db4, %%rax")
KERNEL_INSN(get_dr6, "mov %%dr6, %%rax")
KERNEL_INSN(set_dr6, "mov %%rax, %%dr6")
KERNEL_INSN(get_dr7, "mov %%dr7, %%rax")
KERNEL_INSN(set_dr7, "mov %%rax, %%dr7")

USER_INSN(rdpmc, "rdpmc")
USER_INSN(wbinvd, "wbinvd")
USER_INSN(invd, "invd")
USER_INSN(xsetbv, "xsetbv")
USER_INSN(clts, "clts")
USER_INSN(get_dr0, "mov %%dr0, %%rax")
USER_INSN(set_dr0, "mov %%rax, %%dr0")
USER_INSN(get_dr3, "mov %%dr3, %%rax")
USER_INSN(set_dr3, "mov %%rax, %%dr3")
USER_INSN(get_dr4, "mov %%db4, %%rax")
USER_INSN(get_dr6, "mov %%dr6, %%rax")
USER_INSN(set_dr6, "mov %%rax, %%dr6")
USER_INSN(get_dr7, "mov %%dr7, %%rax")
USER_INSN(set_dr7, "mov %%rax, %%dr7")
USER_INSN(hlt, "hlt")

static void check_trap(u64 got, u64 vector)
{
	CHECK_EQ(got, TRAPPED(vector));
	CHECK_EQ(this_cpu()->error, 0);
	note(vector);
}

static u64 value_of(u64 (*fn)(u64 a, u64 b), u64 a, u64 b)
{
	CHECK_EQ(guarded(fn, a, b), 0);
	return this_cpu()->value;
}

static void check_privileged(void)
{
	static u64 (*const fns[])(u64 arg) = {
		user_rdpmc, user_wbinvd, user_invd, user_clts, user_hlt, user_get_dr0,
		user_set_dr0, user_get_dr3, user_set_dr3, user_get_dr4, user_get_dr6,
		user_set_dr6, user_get_dr7, user_set_dr7,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(fns); i++)
		check_trap(user_call(fns[i], 0), VEC_GP);
}

/* XCR0 without x87, with AVX but no SSE, with what does not exist, and no XCR0. */
static void check_xsetbv(void)
{
	check_trap(guarded(do_xsetbv, 0, 7), VEC_UD);
	check_trap(user_call(user_xsetbv, 0), VEC_UD);
	if (!cpu_has(1, 2, 26))
		return;
	write_cr4(read_cr4() | CR4_OSXSAVE);
	CHECK_EQ(guarded(do_xsetbv, 0, 2), TRAPPED(VEC_GP));
	CHECK_EQ(guarded(do_xsetbv, 0, 5), TRAPPED(VEC_GP));
	CHECK_EQ(guarded(do_xsetbv, 0, 0x80000001), TRAPPED(VEC_GP));
	CHECK_EQ(guarded(do_xsetbv, 1, 1), TRAPPED(VEC_GP));
	CHECK_EQ(user_call(user_xsetbv, 0), TRAPPED(VEC_GP));
	CHECK_EQ(guarded(do_xsetbv, 0, 3), 0);
	write_cr4(read_cr4() & ~CR4_OSXSAVE);
}

void payload_privileged(void)
{
	u64 root = space_create();

	space_add_user_text(root);
	write_cr3(root);
	check_privileged();
	check_trap(guarded(do_rdpmc, 0x12345, 0), VEC_GP);
	CHECK_EQ(guarded(do_wbinvd, 0, 0), 0);
	CHECK_EQ(guarded(do_invd, 0, 0), 0);
	CHECK_EQ(guarded(do_clts, 0, 0), 0);
	check_xsetbv();
	call(CALL_PAGED, 0, 0);
}

/* ---- debug registers ---- */

static void check_alias(void)
{
	write_cr4(read_cr4() & ~CR4_DE);
	CHECK_EQ(value_of(do_get_dr4, 0, 0), value_of(do_get_dr6, 0, 0));
	write_cr4(read_cr4() | CR4_DE);
	check_trap(guarded(do_get_dr4, 0, 0), VEC_UD);
	write_cr4(read_cr4() & ~CR4_DE);
}

/* General detect: no access to a debug register, but by the handler. */
static void check_detect(void)
{
	static u64 (*const fns[])(u64 a, u64 b) = {
		do_get_dr0, do_set_dr3, do_get_dr6, do_set_dr7,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(fns); i++) {
		do_set_dr6(0, 0);
		do_set_dr7(0, DR7_INIT | DR7_GD);
		check_trap(guarded(fns[i], 0, 0), VEC_DB);
		CHECK_EQ(value_of(do_get_dr6, 0, 0), DR6_INIT | DR6_BD);
		CHECK_EQ(value_of(do_get_dr7, 0, 0), DR7_INIT);
	}
	do_set_dr6(0, 0);
}

void payload_debug_registers(void)
{
	CHECK_EQ(value_of(do_get_dr7, 0, 0), DR7_INIT);
	do_set_dr0(0, 0x1234567890abcdef);
	do_set_dr3(0, ~0UL);
	CHECK_EQ(value_of(do_get_dr0, 0, 0), 0x1234567890abcdef);
	CHECK_EQ(value_of(do_get_dr3, 0, 0), ~0UL);
	do_set_dr3(0, 0);
	do_set_dr0(0, 0);
	check_trap(guarded(do_set_dr6, 0, 1UL << 32), VEC_GP);
	check_trap(guarded(do_set_dr7, 0, 1UL << 32), VEC_GP);
	do_set_dr6(0, 0);
	CHECK_EQ(value_of(do_get_dr6, 0, 0), DR6_INIT);
	do_set_dr6(0, 0xffffffff);
	CHECK_EQ(value_of(do_get_dr6, 0, 0) & DR6_INIT, DR6_INIT);
	do_set_dr6(0, 0);
	check_alias();
	check_detect();
}

/* ---- traps around instructions that the emulator executes ---- */

static u64 steps, step_rip, step_rdi, irq_rip;

static bool count_step(struct regs *regs)
{
	steps++;
	step_rip = regs->rip;
	step_rdi = regs->rdi;
	CHECK_EQ(value_of(do_get_dr6, 0, 0) & DR6_BS, DR6_BS);
	do_set_dr6(0, 0);
	return true;
}

static bool note_irq(struct regs *regs)
{
	irq_rip = regs->rip;
	return true;
}

/* One trap for each instruction that is left behind: three, or one an iteration. */
static void check_steps(void)
{
	u64 addr = GUEST_MMIO_GPA, after, count = 5, rdi = GUEST_MMIO_GPA, value;

	trap_set_hook(VEC_DB, count_step);
	__asm__ volatile("pushfq; orq %3, (%%rsp); popfq\n"
			 "	movl $7, (%2)\n"
			 "	movl (%2), %%ecx\n"
			 "	addl $1, (%2)\n"
			 "	pushfq; andq $~0x100, (%%rsp); popfq\n"
			 "	movl (%2), %%ecx\n"
			 "	leaq 1f(%%rip), %0\n"
			 "1:"
			 : "=r"(after), "=&c"(value) : "r"(addr), "i"(RFLAGS_TF) : "memory");
	CHECK_EQ((u32)value, 8);
	CHECK_EQ(steps, 6);
	steps = 0;
	__asm__ volatile("pushfq; orq %3, (%%rsp); popfq\n"
			 "	rep stosb\n"
			 "	pushfq; andq $~0x100, (%%rsp); popfq\n"
			 : "+D"(rdi), "+c"(count) : "a"(0x5a), "i"(RFLAGS_TF) : "memory");
	CHECK_EQ(steps, 5 + 3);
	CHECK_EQ(rdi, GUEST_MMIO_GPA + 5);
	note(steps);
	trap_set_hook(VEC_DB, NULL);
}

/* The shadow of STI is one instruction long, that of MOV SS likewise. */
static void check_shadow(void)
{
	u64 after, addr = GUEST_MMIO_GPA;

	trap_set_hook(VEC_IRQ, note_irq);
	call(CALL_IRQ, VEC_IRQ, 0);
	__asm__ volatile("leaq 1f(%%rip), %0; sti; movl $1, (%1); 1: nop; cli"
			 : "=&r"(after) : "r"(addr) : "memory");
	CHECK_EQ(irq_rip, after);
	irq_rip = 0;
	call(CALL_IRQ, VEC_IRQ, 0);
	__asm__ volatile("leaq 1f(%%rip), %0; mov %%ss, %%ecx; sti; mov %%ecx, %%ss; "
			 "movl $1, (%1); 1: nop; cli"
			 : "=&r"(after) : "r"(addr) : "rcx", "memory");
	CHECK(irq_rip);
	CHECK(irq_rip <= after);
}

/* All that the emulator does for devices beyond plain moves. */
static void check_operations(void)
{
	volatile u64 *reg = (u64 *)GUEST_MMIO_GPA;
	u64 a, d, c;
	u8 byte;

	*reg = 0x8000000000000001;
	__asm__ volatile("rolq $1, %0" : "+m"(*reg) : : "cc");
	CHECK_EQ(*reg, 3);
	__asm__ volatile("shlq %%cl, %0" : "+m"(*reg) : "c"(4) : "cc");
	CHECK_EQ(*reg, 0x30);
	__asm__ volatile("mulq %3" : "=a"(a), "=d"(d) : "a"(1UL << 62), "m"(*reg) : "cc");
	CHECK_EQ(a, 0);
	CHECK_EQ(d, 0xc);
	__asm__ volatile("divq %3" : "=a"(a), "+d"(d) : "a"(0), "m"(*reg) : "cc");
	CHECK_EQ(a, 1UL << 62);
	__asm__ volatile("imulq $-2, %1, %0" : "=r"(a) : "m"(*reg) : "cc");
	CHECK_EQ(a, -0x60UL);
	__asm__ volatile("cmpq $0x30, %1; sete %1; movb %1, %0; cmoveq %2, %%rcx"
			 : "=&r"(byte), "+m"(*reg) : "m"(reg[1]) : "rcx", "cc");
	CHECK_EQ(byte, 1);
	__asm__ volatile("pushq %1; popq %0; popcnt %0, %0" : "=r"(c) : "m"(*reg) : "cc");
	CHECK_EQ(c, 1);
	__asm__ volatile("pushq $0x77; popq %0" : "=m"(*reg));
	CHECK_EQ(*reg, 0x77);
	__asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %0; jmp *%0; ud2; 1:"
			 : "=m"(*reg) : : "rax");
	*reg = 0;
}

void payload_emulated(void)
{
	check_steps();
	check_shadow();
	check_operations();
}
