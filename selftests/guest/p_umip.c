// SPDX-License-Identifier: GPL-2.0
/* CR4.UMIP: users must not read the descriptor-table registers; the kernel goes on. */
#include "rt.h"

#define CR4_UMIP	BIT(11)
#define RFLAGS_TF	0x100
#define TSS_BUSY	BIT(41)

struct table {
	u16 limit;
	u64 base;
} __packed;

static USER u64 user_sgdt(u64 arg)
{
	struct table t;

	__asm__ volatile("sgdt %0" : "=m"(t));
	return arg + t.limit;
}

static USER u64 user_sidt(u64 arg)
{
	struct table t;

	__asm__ volatile("sidt %0" : "=m"(t));
	return arg + t.limit;
}

static USER u64 user_sldt(u64 arg)
{
	__asm__ volatile("sldt %0" : "=r"(arg));
	return arg;
}

static USER u64 user_str(u64 arg)
{
	__asm__ volatile("str %0" : "=r"(arg));
	return arg;
}

static u64 (*const user_reads[])(u64 arg) = { user_sgdt, user_sidt, user_sldt, user_str };

static void check_user(bool allowed)
{
	unsigned int i;
	u64 got;

	for (i = 0; i < 4; i++) {
		got = user_call(user_reads[i], 0);
		CHECK_EQ(got, allowed ? 0 : TRAPPED(VEC_GP));
		if (!allowed)
			CHECK_EQ(this_cpu()->error, 0);
		note(got);
	}
}

static u64 do_sgdt(u64 where, u64 unused)
{
	__asm__ volatile("sgdt (%0)" : : "r"(where), "r"(unused) : "memory");
	return 0;
}

static u64 do_ltr(u64 selector, u64 unused)
{
	__asm__ volatile("ltr %w0" : : "r"(selector), "r"(unused) : "memory");
	return 0;
}

static u64 do_lldt(u64 selector, u64 unused)
{
	__asm__ volatile("lldt %w0" : : "r"(selector), "r"(unused) : "memory");
	return 0;
}

/* Everything that the kernel may do with them, whatever CR4 says. */
static void check_kernel(void)
{
	struct table gdt, again, idt;
	u64 selector = ~0UL;
	u16 word = 1;

	__asm__ volatile("sgdt %0; lgdt %0; sgdt %1" : "=m"(gdt), "=m"(again));
	CHECK_EQ(gdt.base, (u64)this_cpu()->gdt);
	CHECK_EQ(again.base, gdt.base);
	CHECK_EQ(again.limit, gdt.limit);
	__asm__ volatile("sidt %0; lidt %0; sidt %1" : "=m"(idt), "=m"(again));
	CHECK_EQ(again.base, idt.base);
	CHECK_EQ(again.limit, idt.limit);
	__asm__ volatile("str %0" : "=r"(selector));
	CHECK_EQ(selector, SEL_TSS);
	__asm__ volatile("str %0" : "=m"(word));
	CHECK_EQ(word, SEL_TSS);
	/* The upper half stays. */
	selector = ~0UL;
	__asm__ volatile("sldt %w0" : "+r"(selector));
	CHECK_EQ(selector, 0xffffffffffff0000UL);
	CHECK_EQ(guarded(do_lldt, 0, 0), 0);
	CHECK_EQ(guarded(do_lldt, SEL_DATA, 0), TRAPPED(VEC_GP));
	CHECK_EQ(this_cpu()->error, SEL_DATA);
	/* It is busy. */
	CHECK_EQ(guarded(do_ltr, SEL_TSS, 0), TRAPPED(VEC_GP));
	this_cpu()->gdt[SEL_TSS / 8] &= ~TSS_BUSY;
	CHECK_EQ(guarded(do_ltr, SEL_TSS, 0), 0);
	CHECK(this_cpu()->gdt[SEL_TSS / 8] & TSS_BUSY);
}

/* The operand faults, on its second page, too. */
static void check_faults(u64 root, u64 page)
{
	struct table *at = (struct table *)(TEST_VA + PAGE_SIZE - 4);

	check_fault(guarded(do_sgdt, TEST_VA - PAGE_SIZE, 0), PF_W, TEST_VA - PAGE_SIZE);
	check_fault(guarded(do_sgdt, (u64)at, 0), PF_W, TEST_VA + PAGE_SIZE);
	pt_map(root, TEST_VA + PAGE_SIZE, page, PTE_KERNEL);
	CHECK_EQ(guarded(do_sgdt, (u64)at, 0), 0);
	CHECK_EQ(at->base, (u64)this_cpu()->gdt);
	pt_map(root, TEST_VA + PAGE_SIZE, 0, 0);
	__asm__ volatile("invlpg (%0)" : : "r"(TEST_VA + PAGE_SIZE) : "memory");
}

static u64 steps;

static bool count_step(struct regs *regs)
{
	steps++;
	return true;
}

/* To single steps it is one instruction: NOP, SGDT, NOP, POPF. */
static void check_steps(void)
{
	struct table t;

	trap_set_hook(VEC_DB, count_step);
	steps = 0;
	__asm__ volatile("pushf; pushf; orq %1, (%%rsp); popf; nop; sgdt (%0); nop; popf"
			 : : "r"(&t), "i"(RFLAGS_TF) : "memory", "cc");
	CHECK_EQ(t.base, (u64)this_cpu()->gdt);
	CHECK_EQ(steps, 4);
	trap_set_hook(VEC_DB, NULL);
}

void payload_umip(void)
{
	u64 root = space_create(), page = data_alloc(1), cr4 = read_cr4(), i;

	if (!cpu_has(7, 2, 2)) {
		skip();
		return;
	}
	space_add_user_text(root);
	pt_map(root, TEST_VA, page, PTE_KERNEL);
	write_cr3(root);
	for (i = 0; i < ctl->ops; i++) {
		check_user(true);
		write_cr4(cr4 | CR4_UMIP);
		check_user(false);
		check_kernel();
		check_faults(root, page);
		check_steps();
		CHECK_EQ(read_cr4(), cr4 | CR4_UMIP);
		check_user(false);
		write_cr4(cr4);
	}
	check_kernel();
	check_steps();
}
