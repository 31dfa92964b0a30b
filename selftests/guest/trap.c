// SPDX-License-Identifier: GPL-2.0
/* Descriptor tables and trap dispatch. */
#include "rt.h"

u64 user_rflags = 2;

static u64 idt[256][2];
static trap_hook hooks[256];

static void idt_init(void)
{
	u64 addr, type;
	unsigned int i;

	for (i = 0; i < 256; i++) {
		addr = (u64)trap_stubs + i * 16;
		type = i == VEC_SYSCALL || i == VEC_BP ? 0xee : 0x8e;
		idt[i][0] = (addr & 0xffff) | SEL_CODE64 << 16 | type << 40 |
			    (addr >> 16 & 0xffff) << 48;
		idt[i][1] = addr >> 32;
	}
}

static void load_table(const char *what, u64 base, u16 limit)
{
	struct {
		u16 limit;
		u64 base;
	} __packed desc = { limit, base };

	if (*what == 'g')
		__asm__ volatile("lgdt %0" : : "m"(desc));
	else
		__asm__ volatile("lidt %0" : : "m"(desc));
}

static void gdt_init(struct cpu *cpu)
{
	u64 tss = (u64)&cpu->tss;

	cpu->tss.rsp0 = (u64)cpu + (1UL << GUEST_STACK_SHIFT) - 2048;
	cpu->tss.iomap = sizeof(cpu->tss);
	cpu->gdt[SEL_CODE64 / 8] = 0x00af9b000000ffff;
	cpu->gdt[SEL_DATA / 8] = 0x00cf93000000ffff;
	cpu->gdt[SEL_CODE32 / 8] = 0x00cf9b000000ffff;
	cpu->gdt[SEL_UDATA / 8] = 0x00cff3000000ffff;
	cpu->gdt[SEL_UCODE / 8] = 0x00affb000000ffff;
	cpu->gdt[SEL_TSS / 8] = (sizeof(cpu->tss) - 1) | (tss & 0xffffff) << 16 |
				0x89UL << 40 | (tss >> 24 & 0xff) << 56;
	cpu->gdt[SEL_TSS / 8 + 1] = tss >> 32;
	load_table("gdt", (u64)cpu->gdt, sizeof(cpu->gdt) - 1);
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss" : : "r"(SEL_DATA));
	__asm__ volatile("pushq %0; lea 1f(%%rip), %%rax; pushq %%rax; lretq; 1:"
			 : : "i"(SEL_CODE64) : "rax", "memory");
	__asm__ volatile("ltr %0" : : "r"((u16)SEL_TSS));
}

void trap_init(u64 id)
{
	struct cpu *cpu = this_cpu();

	cpu->id = id;
	gdt_init(cpu);
	if (id == 0)
		idt_init();
	load_table("idt", (u64)idt, sizeof(idt) - 1);
}

/* A hook returns true when the interrupted code shall go on. */
void trap_set_hook(unsigned int vector, trap_hook hook)
{
	hooks[vector] = hook;
}

void trap_gate_present(unsigned int vector, bool present)
{
	u64 bit = 1UL << 47;

	idt[vector][0] = present ? idt[vector][0] | bit : idt[vector][0] & ~bit;
}

/* End the innermost guarded() with the given result. */
static void unwind(struct regs *regs, u64 result)
{
	regs->rip = (u64)guarded_out;
	regs->rsp = this_cpu()->jump;
	regs->cs = SEL_CODE64;
	regs->ss = SEL_DATA;
	regs->rflags = 2;
	regs->rax = result;
}

void trap(struct regs *regs)
{
	struct cpu *cpu = this_cpu();
	u64 cr2 = regs->vector == VEC_PF ? read_cr2() : 0;

	if (regs->vector != VEC_SYSCALL) {
		cpu->vector = regs->vector;
		cpu->error = regs->error;
		cpu->cr2 = cr2;
		cpu->rip = regs->rip;
	}
	if (hooks[regs->vector] && hooks[regs->vector](regs))
		return;
	if (!cpu->jump) {
		check_failed("trap", regs->vector, "unexpected trap: RIP == CR2", regs->rip, cr2);
	} else if (regs->vector == VEC_SYSCALL) {
		cpu->value = regs->rdi;
		unwind(regs, 0);
	} else {
		unwind(regs, regs->vector + 1);
	}
}
