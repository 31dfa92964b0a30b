// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware tasks: by JMP, CALL, a task gate, INT, exceptions, interrupts and NMIs,
 * with 32-bit and 16-bit TSSs, and what they fault on.
 */
#include "rt32.h"

enum {
	SEL_A = 0x40,		/* a 32-bit task */
	SEL_16 = 0x48,		/* a 16-bit one */
	SEL_GATE = 0x50,	/* to A */
	SEL_LDT = 0x58,
	SEL_CODE_16 = 0x60,	/* 32-bit code that begins at the 16-bit task's */
	SEL_ERROR = 0x68,	/* a 32-bit task for exceptions */
	SEL_ABSENT = 0x70,	/* a TSS that is not present */
	SEL_SHORT = 0x78,	/* one that is too short */
	SEL_NO_DATA = 0x80,	/* a segment that is not present */
	SEL_UNMAPPED = 0x88,	/* a TSS in memory that is not there */
	NR_DESCS = 18,
};

#define SEL_IN_LDT	4	/* the LDT's first */

#define TSS_AVAILABLE	0x89
#define TSS_16		0x81
#define EFLAGS_NT	BIT(14)
#define EFLAGS_IF	BIT(9)
#define CR0_TS		BIT(3)
#define DR6_BT		BIT(15)
#define VEC_TASK	0x61
#define VEC_IRQ		0x62
#define TASK_GATE(sel)	((u64)(sel) << 16 | (u64)0xe500 << 32)

struct tss32 {
	u32 link, stacks[6], cr3, eip, eflags;
	u32 eax, ecx, edx, ebx, esp, ebp, esi, edi;
	u32 es, cs, ss, ds, fs, gs, ldt;
	u16 trap, iomap;
};

struct tss16 {
	u16 link, stacks[6], ip, flags, regs[8], es, cs, ss, ds, ldt;
};

/* What a task saw when it ran. */
struct seen {
	u32 runs, eflags, tr, ldt, cr0, cr3, dr7, main_busy, own_busy, error, word;
};

static u64 gdt[NR_DESCS], ldt[1];
static struct tss32 tss_a, tss_error;
static struct tss16 tss_b;
static struct seen seen;
static u32 skip_to, fixed;
/* The assembly's. */
static volatile u32 entry_regs[8], ran_16, has_code;

extern char task_entry[], task_16[], task_error[];

static u64 descriptor(u32 base, u32 limit, u32 type, bool flat)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)type << 40 |
	       (u64)(limit >> 16 & 15) << 48 | (flat ? 0xcull << 52 : 0) |
	       (u64)(base >> 24) << 56;
}

static u32 is_busy(u32 sel)
{
	return gdt[sel / 8] >> 41 & 1;
}

static void look(u32 sel)
{
	u16 tr, local;

	__asm__ volatile("pushfl; popl %0" : "=r"(seen.eflags));
	__asm__ volatile("str %0" : "=r"(tr));
	__asm__ volatile("sldt %0" : "=r"(local));
	__asm__ volatile("mov %%dr7, %0" : "=r"(seen.dr7));
	seen.runs++;
	seen.tr = tr;
	seen.ldt = local;
	seen.cr0 = read_cr0();
	seen.cr3 = read_cr3();
	seen.main_busy = is_busy(SEL_TSS);
	seen.own_busy = is_busy(sel);
	seen.word = 0;
	if (local)
		__asm__ volatile("mov %%fs:0, %0" : "=r"(seen.word));
}

/* The task A: look, and go back the way it came. */
__attribute__((used)) static void __noreturn run_task(void)
{
	for (;;) {
		look(SEL_A);
		if (seen.eflags & EFLAGS_NT)
			__asm__ volatile("iret" : : : "memory");
		else
			__asm__ volatile("ljmp %0, $0" : : "i"(SEL_TSS) : "memory");
	}
}

/* The task of exceptions: the old task is to go on elsewhere. */
__attribute__((used)) static void take_error(u32 code)
{
	struct tss32 *main = (struct tss32 *)this_cpu32()->tss;

	look(SEL_ERROR);
	seen.error = code;
	if (skip_to)
		main->eip = skip_to;
}

__asm__("_task_entry:\n"
	"	movl %eax, _entry_regs\n"
	"	movl %ecx, _entry_regs + 4\n"
	"	movl %edx, _entry_regs + 8\n"
	"	movl %ebx, _entry_regs + 12\n"
	"	movl %esp, _entry_regs + 16\n"
	"	movl %ebp, _entry_regs + 20\n"
	"	movl %esi, _entry_regs + 24\n"
	"	movl %edi, _entry_regs + 28\n"
	"	jmp _run_task\n"
	"_task_16:\n"
	"	incl _ran_16\n"
	"	iret\n"
	"	jmp _task_16\n"
	"_task_error:\n"
	"	cmpl $0, _has_code\n"
	"	jne 1f\n"
	"	pushl $-1\n"
	"1:	call _take_error\n"
	"	popl %eax\n"
	"	iret\n"
	"	jmp _task_error\n");

static void set_tss(struct tss32 *tss, const char *entry, u32 root, u32 esp)
{
	*tss = (struct tss32) {
		.cr3 = root, .eip = (u32)entry, .eflags = 2, .esp = esp, .cs = SEL_CODE32,
		.es = SEL_DATA, .ss = SEL_DATA, .ds = SEL_DATA, .fs = SEL_IN_LDT,
		.gs = SEL_DATA, .ldt = SEL_LDT, .iomap = sizeof(*tss),
		.eax = 0xa0, .ecx = 0xa1, .edx = 0xa2, .ebx = 0xa3, .ebp = 0xa5, .esi = 0xa6,
		.edi = 0xa7,
	};
}

static u32 tss_desc(u32 sel, const void *tss, u32 size, u32 type)
{
	gdt[sel / 8] = descriptor((u32)tss, size - 1, type, false);
	return sel;
}

static u32 ldt_word = 0x1dbeef;

static void tasks_init(u32 root)
{
	struct cpu32 *cpu = this_cpu32();
	u32 stack = (u32)cpu + STACK32_SIZE / 4, i;

	for (i = 0; i < ARRAY_SIZE(cpu->gdt); i++)
		gdt[i] = cpu->gdt[i];
	set_tss(&tss_a, task_entry, root, stack);
	set_tss(&tss_error, task_error, root, stack);
	tss_desc(SEL_A, &tss_a, sizeof(tss_a), TSS_AVAILABLE);
	tss_desc(SEL_ERROR, &tss_error, sizeof(tss_error), TSS_AVAILABLE);
	tss_desc(SEL_16, &tss_b, sizeof(tss_b), TSS_16);
	tss_desc(SEL_ABSENT, &tss_a, sizeof(tss_a), TSS_AVAILABLE & ~0x80);
	tss_desc(SEL_SHORT, &tss_a, sizeof(tss_a) - 1, TSS_AVAILABLE);
	gdt[SEL_GATE / 8] = TASK_GATE(SEL_A);
	gdt[SEL_LDT / 8] = descriptor((u32)ldt, sizeof(ldt) - 1, 0x82, false);
	gdt[SEL_CODE_16 / 8] = descriptor((u32)task_16, 0xfffff, 0x9b, true);
	gdt[SEL_NO_DATA / 8] = descriptor(0, 0xfffff, 0x13, true);
	/* Not yet accessed: the switch has to say that it is. */
	ldt[0] = descriptor((u32)&ldt_word, 0xfff, 0x92, false);
	load_table32("gdt", gdt, sizeof(gdt) - 1);
	tss_b = (struct tss16) {
		.flags = 2, .es = SEL_DATA, .cs = SEL_CODE_16, .ss = SEL_DATA, .ds = SEL_DATA,
	};
	/* What a switch back loads, and none saves. */
	cpu->tss[7] = read_cr3();
	cpu->tss[24] = 0;
	write_cr0(read_cr0() & ~CR0_TS);
}

static void check_seen(struct env32 *env, u32 sel, u32 root, bool nested)
{
	u16 tr;

	__asm__ volatile("str %0" : "=r"(tr));
	CHECK_EQ(tr, SEL_TSS);
	CHECK_EQ(seen.tr, sel);
	CHECK_EQ(!!(seen.eflags & EFLAGS_NT), nested);
	CHECK_EQ(seen.main_busy, nested);
	CHECK_EQ(seen.own_busy, 1);
	CHECK_EQ(is_busy(sel), 0);
	CHECK_EQ(is_busy(SEL_TSS), 1);
	CHECK_EQ(seen.ldt, SEL_LDT);
	CHECK_EQ(seen.word, 0x1dbeef);
	CHECK_EQ(seen.cr0 & CR0_TS, CR0_TS);
	CHECK_EQ(seen.cr3, root);
	CHECK_EQ(seen.dr7 & 1, 0);
	CHECK_EQ(read_cr3(), this_cpu32()->tss[7]);
	CHECK_EQ(ldt[0] >> 40 & 1, 1);
	note32(env, seen.runs);
	note32(env, seen.eflags & EFLAGS_NT);
	write_cr0(read_cr0() & ~CR0_TS);
}

/* All registers come back, and are in the old TSS meanwhile. */
static void switch_by_jump(void)
{
	struct tss32 *main = (struct tss32 *)this_cpu32()->tss;
	u32 a = 0xb0, b = 0xb3, c = 0xb1, d = 0xb2, S = 0xb6, D = 0xb7;

	/* A breakpoint of this task only. */
	__asm__ volatile("mov %0, %%dr7" : : "r"(0x401));
	__asm__ volatile("ljmp %6, $0"
			 : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+S"(S), "+D"(D)
			 : "i"(SEL_A) : "memory");
	CHECK_EQ(a, 0xb0);
	CHECK_EQ(b, 0xb3);
	CHECK_EQ(c, 0xb1);
	CHECK_EQ(d, 0xb2);
	CHECK_EQ(S, 0xb6);
	CHECK_EQ(D, 0xb7);
	CHECK_EQ(main->ebx, 0xb3);
	CHECK_EQ(main->edi, 0xb7);
	CHECK_EQ(main->cs, SEL_CODE32);
	CHECK_EQ(main->es, SEL_DATA);
}

static void check_entry(void)
{
	u32 i;

	for (i = 0; i < 8; i++)
		CHECK_EQ(entry_regs[i], i == 4 ? (u32)this_cpu32() + STACK32_SIZE / 4 : 0xa0 + i);
}

static void run_nested(struct env32 *env, u32 root, u32 i)
{
	switch (i % 3) {
	case 0:
		__asm__ volatile("lcall %0, $0" : : "i"(SEL_A) : "memory");
		break;
	case 1:
		__asm__ volatile("lcall %0, $0" : : "i"(SEL_GATE) : "memory");
		break;
	case 2:
		__asm__ volatile("int %0" : : "i"(VEC_TASK) : "memory");
		break;
	}
	CHECK_EQ(tss_a.link, SEL_TSS);
	CHECK_EQ(tss_a.eflags & EFLAGS_NT, 0);
	check_seen(env, SEL_A, root, true);
}

static void run_16(struct env32 *env)
{
	u32 before = ran_16;

	__asm__ volatile("lcall %0, $0" : : "i"(SEL_16) : "memory");
	CHECK_EQ(ran_16, before + 1);
	CHECK_EQ(tss_b.link, SEL_TSS);
	CHECK_EQ(tss_b.cs, SEL_CODE_16);
	CHECK_EQ(tss_b.flags & EFLAGS_NT, 0);
	CHECK(tss_b.ip && tss_b.ip < 0x20);
	CHECK_EQ(is_busy(SEL_16), 0);
	write_cr0(read_cr0() & ~CR0_TS);
	note32(env, ran_16);
}

static void check_error(struct env32 *env, u32 root, u32 error)
{
	CHECK_EQ(seen.error, error);
	check_seen(env, SEL_ERROR, root, true);
	note32(env, seen.error);
}

/* An exception is a task: with and without error code. */
static void run_exceptions(struct env32 *env, u32 root, u32 free_va)
{
	u64 gp = set_gate32(VEC_GP, TASK_GATE(SEL_ERROR)), de;
	u64 pf = set_gate32(VEC_PF, TASK_GATE(SEL_ERROR));

	has_code = 1;
	__asm__ volatile("movl $1f, %0; mov %1, %%fs; 1:"
			 : "=m"(skip_to) : "r"(0x7ff8) : "memory");
	check_error(env, root, 0x7ff8);
	__asm__ volatile("movl $1f, %0; movl $1, (%1); 1:"
			 : "=m"(skip_to) : "r"(free_va) : "memory");
	CHECK_EQ(read_cr2(), free_va);
	check_error(env, root, PF_W);
	set_gate32(VEC_GP, gp);
	set_gate32(VEC_PF, pf);

	has_code = 0;
	de = set_gate32(VEC_DE, TASK_GATE(SEL_ERROR));
	__asm__ volatile("movl $1f, %0; xorl %%eax, %%eax; divl %%eax; 1:"
			 : "=m"(skip_to) : : "eax", "edx", "memory");
	check_error(env, root, -1);
	set_gate32(VEC_DE, de);
}

/* So are an interrupt and an NMI, whose IRET lets the next one come. */
static void run_interrupts(struct env32 *env, u32 root)
{
	u64 irq = set_gate32(VEC_IRQ, TASK_GATE(SEL_ERROR));
	u64 nmi = set_gate32(VEC_NMI, TASK_GATE(SEL_ERROR));
	u32 runs, i;

	skip_to = 0;
	ctl->arg[0] = VEC_IRQ;
	runs = seen.runs;
	call32(CALL_IRQ);
	__asm__ volatile("sti; nop; nop; cli" : : : "memory");
	CHECK_EQ(seen.runs, runs + 1);
	check_error(env, root, -1);
	CHECK_EQ(seen.eflags & EFLAGS_IF, 0);
	for (i = 0; i < 2; i++) {
		runs = seen.runs;
		call32(CALL_NMI);
		__asm__ volatile("nop; nop" : : : "memory");
		CHECK_EQ(seen.runs, runs + 1);
		check_error(env, root, -1);
	}
	set_gate32(VEC_IRQ, irq);
	set_gate32(VEC_NMI, nmi);
}

#define DEFINE_JUMP(name, sel)						\
static u32 jump_##name(u32 a, u32 b)					\
{									\
	__asm__ volatile("ljmp %0, $0" : : "i"(sel) : "memory");	\
	return 0;							\
}

DEFINE_JUMP(busy, SEL_TSS)
DEFINE_JUMP(absent, SEL_ABSENT)
DEFINE_JUMP(short, SEL_SHORT)
DEFINE_JUMP(unmapped, SEL_UNMAPPED)

static void check_refused(u32 (*fn)(u32 a, u32 b), u32 vector, u32 error)
{
	u16 tr;

	CHECK_EQ(guarded32(fn, 0, 0), TRAPPED(vector));
	if (vector != VEC_PF)
		CHECK_EQ(this_cpu32()->error, error);
	__asm__ volatile("str %0" : "=r"(tr));
	CHECK_EQ(tr, SEL_TSS);
	CHECK_EQ(is_busy(SEL_TSS), 1);
}

/* The new task faults on a segment: it is in that task that the handler runs. */
static bool fix_segment(struct regs32 *regs)
{
	u16 tr;

	__asm__ volatile("str %0" : "=r"(tr));
	CHECK_EQ(tr, SEL_A);
	CHECK_EQ(regs->error, SEL_NO_DATA);
	CHECK_EQ(regs->eip, tss_a.eip);
	fixed++;
	return true;
}

static void run_faults(struct env32 *env, u32 root, u32 free_va)
{
	u32 runs = seen.runs;

	check_refused(jump_busy, VEC_GP, SEL_TSS);
	check_refused(jump_absent, VEC_NP, SEL_ABSENT);
	check_refused(jump_short, VEC_TS, SEL_SHORT);
	tss_desc(SEL_UNMAPPED, (void *)free_va, sizeof(tss_a), TSS_AVAILABLE);
	check_refused(jump_unmapped, VEC_PF, 0);
	CHECK_EQ(is_busy(SEL_UNMAPPED), 0);
	CHECK_EQ(seen.runs, runs);

	trap_hooks32[VEC_NP] = fix_segment;
	tss_a.gs = SEL_NO_DATA;
	__asm__ volatile("lcall %0, $0" : : "i"(SEL_A) : "memory");
	trap_hooks32[VEC_NP] = NULL;
	CHECK_EQ(fixed, 1);
	tss_a.gs = SEL_DATA;
	check_seen(env, SEL_A, root, true);
}

u32 task_calls32(struct env32 *env, u32 root)
{
	u64 gate;
	u32 i;

	init32();
	tasks_init(root);
	switch_by_jump();
	check_entry();
	check_seen(env, SEL_A, root, false);
	gate = set_gate32(VEC_TASK, TASK_GATE(SEL_A));
	for (i = 0; i < env->ops; i++) {
		run_nested(env, root, i);
		switch_by_jump();
		check_seen(env, SEL_A, root, false);
	}
	set_gate32(VEC_TASK, gate);
	call32(CALL_PAGED);
	return 0;
}

u32 task_16bit32(struct env32 *env, u32 root)
{
	u32 i;

	init32();
	tasks_init(root);
	for (i = 0; i < env->ops; i++)
		run_16(env);
	call32(CALL_PAGED);
	return 0;
}

/* At @free_va there is nothing. */
u32 task_events32(struct env32 *env, u32 root, u32 free_va)
{
	init32();
	tasks_init(root);
	run_exceptions(env, root, free_va);
	run_interrupts(env, root);
	call32(CALL_PAGED);
	return 0;
}

u32 task_faults32(struct env32 *env, u32 root, u32 free_va)
{
	init32();
	tasks_init(root);
	run_faults(env, root, free_va);
	call32(CALL_PAGED);
	return 0;
}

/* ---- the T flag: an exception before a task's first instruction ---- */

static u32 trap_dr6, trap_eip;

static bool task_trapped(struct regs32 *regs)
{
	__asm__ volatile("mov %%dr6, %0" : "=r"(trap_dr6));
	trap_eip = regs->eip;
	return true;
}

u32 task_trap32(struct env32 *env, u32 root)
{
	init32();
	tasks_init(root);
	trap_hooks32[VEC_DB] = task_trapped;
	tss_a.trap = 1;
	__asm__ volatile("lcall %0, $0" : : "i"(SEL_A) : "memory");
	trap_hooks32[VEC_DB] = NULL;
	check_seen(env, SEL_A, root, true);
	CHECK_EQ(trap_dr6 & DR6_BT, DR6_BT);
	CHECK_EQ(trap_eip, (u32)task_entry);
	call32(CALL_PAGED);
	return 0;
}
