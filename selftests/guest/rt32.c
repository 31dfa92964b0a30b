// SPDX-License-Identifier: GPL-2.0
/* Descriptor tables, traps, checks and probes of 32-bit code. */
#include "rt32.h"

static u64 idt[256];
trap_hook32 trap_hooks32[256];

void call32(enum guest_call nr)
{
	outl(GUEST_PORT_CALL, nr);
}

void note32(struct env32 *env, u32 value)
{
	env->checksum = guest_mix(env->checksum, value);
}

/* Rarely asks the host for its CPU: the other vCPU may need it. */
void spin_until32(const u32 *word, u32 value)
{
	u32 spins = 0;

	while (READ_ONCE(*word) != value) {
		__asm__ volatile("pause");
		if (++spins % 1024 == 0)
			call32(CALL_YIELD);
	}
}

void load_table32(const char *what, const void *base, u16 limit)
{
	struct {
		u16 limit;
		u32 base;
	} __packed desc = { limit, (u32)base };

	if (*what == 'g')
		__asm__ volatile("lgdt %0" : : "m"(desc));
	else
		__asm__ volatile("lidt %0" : : "m"(desc));
}

static void init_gdt(struct cpu32 *cpu)
{
	u32 tss = (u32)cpu->tss;

	/* The stack of traps from CPL 3, below the one in use. */
	cpu->tss[1] = (u32)cpu + STACK32_SIZE / 2;
	cpu->tss[2] = SEL_DATA;
	cpu->gdt[1] = 0x00af9b000000ffff;
	cpu->gdt[2] = 0x00cf93000000ffff;
	cpu->gdt[3] = 0x00cf9b000000ffff;
	cpu->gdt[4] = 0x00cff3000000ffff;
	cpu->gdt[5] = 0x00cffb000000ffff;
	cpu->gdt[6] = (sizeof(cpu->tss) - 1) | (u64)(tss & 0xffffff) << 16 | 0x89ull << 40 |
		      (u64)(tss >> 24) << 56;
	load_table32("gdt", cpu->gdt, sizeof(cpu->gdt) - 1);
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss" : : "r"(SEL_DATA));
	__asm__ volatile("ltr %0" : : "r"((u16)SEL_TSS));
}

void init32(void)
{
	u32 i, addr, type;

	init_gdt(this_cpu32());
	for (i = 0; i < 256; i++) {
		addr = (u32)trap_stubs32 + 16 * i;
		type = i == VEC_SYSCALL ? 0xee : 0x8e;
		idt[i] = (addr & 0xffff) | SEL_CODE32 << 16 | (u64)(type << 8) << 32 |
			 (u64)(addr >> 16) << 48;
	}
	load_table32("idt", idt, sizeof(idt) - 1);
}

/* Return: the gate that was there. */
u64 set_gate32(u32 vector, u64 gate)
{
	u64 old = idt[vector];

	idt[vector] = gate;
	return old;
}

void trap32(struct regs32 *regs)
{
	struct cpu32 *cpu = this_cpu32();
	trap_hook32 hook = trap_hooks32[regs->vector];
	u32 cr2 = read_cr2();

	if (hook && hook(regs))
		return;
	if (!cpu->jump)
		check_failed("trap32", regs->vector, "unexpected trap: EIP == CR2", regs->eip,
			     cr2);
	if (regs->vector == VEC_SYSCALL) {
		cpu->value = regs->eax;
		unwind32(cpu->jump, 0);
	}
	cpu->vector = regs->vector;
	cpu->error = regs->error;
	cpu->cr2 = cr2;
	cpu->eip = regs->eip;
	unwind32(cpu->jump, TRAPPED(regs->vector));
}

static u32 enter_user(u32 eip, u32 esp)
{
	user_enter32(eip, esp);
	return 0;
}

/* Run @fn, part of the user text, at CPL 3. Its result is in cpu->value. */
u32 user_call32(u32 (*fn)(u32 arg), u32 arg)
{
	u32 offset = (u32)user_exit32 - (u32)user_text32, *user_stack = (u32 *)user_stack32;

	user_stack[1022] = USER32_CODE_VA + offset;
	user_stack[1023] = arg;
	offset = (u32)fn - (u32)user_text32;
	return guarded32(enter_user, USER32_CODE_VA + offset, USER32_STACK_VA + 4096 - 8);
}

static u32 do_read(u32 va, u32 unused)
{
	return *(volatile u32 *)va;
}

static u32 do_write(u32 va, u32 value)
{
	*(volatile u32 *)va = value;
	return 0;
}

static u32 do_call(u32 va, u32 unused)
{
	((void (*)(void))va)();
	return 0;
}

static USER32 u32 user_read(u32 va)
{
	return *(volatile u32 *)va;
}

static USER32 u32 user_write(u32 va)
{
	return *(volatile u32 *)va = 0xc3c3c3c3;
}

static USER32 u32 user_call(u32 va)
{
	((void (*)(void))va)();
	return 0;
}

u32 probe_read32(u32 va)
{
	return guarded32(do_read, va, 0);
}

u32 probe_write32(u32 va, u32 value)
{
	return guarded32(do_write, va, value);
}

u32 probe_call32(u32 va)
{
	return guarded32(do_call, va, 0);
}

u32 probe_user_read32(u32 va)
{
	return user_call32(user_read, va);
}

u32 probe_user_write32(u32 va)
{
	return user_call32(user_write, va);
}

u32 probe_user_call32(u32 va)
{
	return user_call32(user_call, va);
}

/* @got is a probe's result: it must be a #PF with this error code for @va. */
void check_fault32(u32 line, u32 got, u32 error, u32 va)
{
	const struct cpu32 *cpu = this_cpu32();

	if (got != TRAPPED(VEC_PF))
		check_failed("check_fault32", line, "want #PF; error code", got, error);
	if (cpu->error != error)
		check_failed("check_fault32", line, "error code", cpu->error, error);
	if (cpu->cr2 != va)
		check_failed("check_fault32", line, "CR2", cpu->cr2, va);
}
