// SPDX-License-Identifier: GPL-2.0
/* Exceptions that the guest raises on itself, from both privilege levels. */
#include "rt.h"

#define TRIALS		300
#define MAX_STEPS	24
#define RFLAGS_TF	0x100

static u64 do_divide(u64 a, u64 b)
{
	__asm__ volatile("xor %%edx, %%edx; divq %1" : "+a"(a) : "r"(b) : "rdx");
	return a;
}

static u64 do_ud(u64 a, u64 b)
{
	__asm__ volatile("ud2");
	return a + b;
}

static u64 do_int3(u64 a, u64 b)
{
	__asm__ volatile("int3");
	return a + b;
}

static u64 do_int30(u64 a, u64 b)
{
	__asm__ volatile("int $0x30");
	return a + b;
}

static u64 do_load_ds(u64 selector, u64 unused)
{
	__asm__ volatile("mov %0, %%ds" : : "r"(selector), "r"(unused));
	return 0;
}

static u64 do_wrmsr(u64 msr, u64 value)
{
	wrmsr(msr, value);
	return 0;
}

static u64 do_write_cr4(u64 value, u64 unused)
{
	write_cr4(value);
	return unused;
}

static void check_trap(u64 got, u64 vector, u64 error)
{
	CHECK_EQ(got, TRAPPED(vector));
	CHECK_EQ(this_cpu()->error, error);
	note(vector << 32 | error);
}

void payload_exceptions(void)
{
	u64 value;

	check_trap(guarded(do_divide, 1, 0), VEC_DE, 0);
	CHECK_EQ(guarded(do_divide, 100, 7), 0);
	CHECK_EQ(this_cpu()->value, 14);
	check_trap(guarded(do_ud, 0, 0), VEC_UD, 0);
	check_trap(guarded(do_int3, 0, 0), VEC_BP, 0);
	check_trap(guarded(do_int30, 0, 0), 0x30, 0);
	check_trap(guarded(do_load_ds, 0x1230, 0), VEC_GP, 0x1230);
	check_trap(guarded(do_wrmsr, MSR_EFER, ~0UL), VEC_GP, 0);
	check_trap(guarded(do_write_cr4, ~0UL, 0), VEC_GP, 0);
	/* Non-canonical. */
	check_trap(probe_read(1UL << 47, &value), VEC_GP, 0);
	check_trap(probe_write(1UL << 63, 1), VEC_GP, 0);
}

static USER u64 user_ud(u64 arg)
{
	__asm__ volatile("ud2");
	return arg;
}

static USER u64 user_cli(u64 arg)
{
	__asm__ volatile("cli");
	return arg;
}

static USER u64 user_int3(u64 arg)
{
	__asm__ volatile("int3");
	return arg;
}

/* The gate of vector 0x30 is for the kernel only. */
static USER u64 user_int30(u64 arg)
{
	__asm__ volatile("int $0x30");
	return arg;
}

static USER u64 user_read_cr3(u64 arg)
{
	__asm__ volatile("mov %%cr3, %0" : "=r"(arg));
	return arg;
}

static USER u64 user_double(u64 arg)
{
	return arg * 2;
}

void payload_user_exceptions(void)
{
	u64 root = space_create();

	space_add_user_text(root);
	write_cr3(root);
	CHECK_EQ(user_call(user_double, 21), 0);
	CHECK_EQ(this_cpu()->value, 42);
	check_trap(user_call(user_ud, 0), VEC_UD, 0);
	check_trap(user_call(user_cli, 0), VEC_GP, 0);
	check_trap(user_call(user_int3, 0), VEC_BP, 0);
	check_trap(user_call(user_int30, 0), VEC_GP, 0x30 << 3 | 2);
	check_trap(user_call(user_read_cr3, 0), VEC_GP, 0);
	check_fault(probe_user_read((u64)&root), PF_P | PF_U, (u64)&root);
	check_fault(probe_user_write(GUEST_CTL_GPA), PF_P | PF_U | PF_W, GUEST_CTL_GPA);
}

/* A fault while one is delivered: the #PF gate is not present, so it is #DF. */
void payload_double_fault(void)
{
	trap_gate_present(VEC_PF, false);
	check_trap(probe_read(TEST_VA, NULL), VEC_DF, 0);
	trap_gate_present(VEC_PF, true);
	check_fault(probe_read(TEST_VA, NULL), 0, TEST_VA);
	trap_gate_present(VEC_UD, false);
	check_trap(guarded(do_ud, 0, 0), VEC_NP, VEC_UD << 3 | 2 | 1);	/* IDT, EXT */
	trap_gate_present(VEC_UD, true);
}

static u64 steps;

static bool count_step(struct regs *regs)
{
	return (regs->cs & 3) == 3 && ++steps % MAX_STEPS;
}

/* Random bytes as user code, a few single steps each; the kernel must survive. */
void payload_garbage_user(void)
{
	u64 root = space_create(), page = data_alloc(1), seed = 88172645463325252UL;
	u64 i, j;

	space_add_user_text(root);
	pt_map(root, TEST_VA, page, PTE_USER);
	write_cr3(root);
	trap_set_hook(VEC_DB, count_step);
	user_rflags |= RFLAGS_TF;
	for (i = 0; i < TRIALS; i++) {
		for (j = 0; j < PAGE_SIZE; j += 64)
			*(u64 *)(page + j) = next_random(&seed);
		for (j = 0; j < 64; j += 8)
			*(u64 *)(page + j) = next_random(&seed);
		steps = 0;
		probe_user_call(TEST_VA);
		CHECK(steps <= MAX_STEPS);
	}
	clear_page(page);
}
