// SPDX-License-Identifier: GPL-2.0
/*
 * Code between two instructions that exit, close together: whoever executes it for
 * the guest has to do so exactly.
 */
#include "rt.h"

#define MSR_GS_BASE	0xc0000101
#define RFLAGS_TF	0x100
#define RFLAGS_IF	0x200
#define RFLAGS_ARITH	0x8d5
#define VEC_IRQ		0x41

/* An instruction that exits; changes RAX, RCX, RDX. */
#define EXIT		"mov $0x1b, %%ecx; rdmsr; "

/* What a sequence of arithmetic makes of registers, memory and flags. */
struct values {
	u64 a, b, c, mem, flags;
};

#define COMPUTATION \
	"add %[b], %[a]; adc %k[a], %k[b]; setc %b[c]; imul %[a], %[c]; " \
	"lea 5(%[a],%[c],4), %%rax; cmovc %%rax, %[a]; ror $7, %[b]; " \
	"xor %[b], %[mem]; lock xadd %[a], %[mem]; bts $33, %[b]; " \
	"movsbq %b[a], %%rdx; push %%rdx; sub (%%rsp), %[c]; pop %%rcx; " \
	"sbb %w[c], %w[b]; pushfq; pop %[flags]; "

static void compute_between(struct values *v)
{
	__asm__ volatile(EXIT COMPUTATION EXIT
			 : [a] "+b" (v->a), [b] "+D" (v->b), [c] "+S" (v->c),
			   [mem] "+m" (v->mem), [flags] "=r" (v->flags)
			 : : "rax", "rcx", "rdx", "cc", "memory");
}

static void compute(struct values *v)
{
	__asm__ volatile(COMPUTATION
			 : [a] "+b" (v->a), [b] "+D" (v->b), [c] "+S" (v->c),
			   [mem] "+m" (v->mem), [flags] "=r" (v->flags)
			 : : "rax", "rcx", "rdx", "cc", "memory");
}

void payload_ahead_flags(void)
{
	u64 seed = 1, i;

	for (i = 0; i < ctl->ops; i++) {
		struct values with = { .a = next_random(&seed), .b = next_random(&seed),
				       .c = i, .mem = next_random(&seed) };
		struct values without = with;

		compute_between(&with);
		compute(&without);
		CHECK_EQ(with.a, without.a);
		CHECK_EQ(with.b, without.b);
		CHECK_EQ(with.c, without.c);
		CHECK_EQ(with.mem, without.mem);
		CHECK_EQ(with.flags & RFLAGS_ARITH, without.flags & RFLAGS_ARITH);
		note(with.a ^ with.b ^ with.c ^ with.mem);
		note(with.flags & RFLAGS_ARITH);
	}
}

static u64 fault_rip;

/* After an exit an instruction that faults; RDI is its address. */
#define FAULTING(insn) do { \
	fault_rip = 0; \
	__asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %1; " EXIT "nop; mov $5, %%esi; " \
			 "1: " insn \
			 : "+D" (va), "=m" (fault_rip) \
			 : : "rax", "rcx", "rdx", "rsi", "cc", "memory"); \
} while (0)

static u64 near_read(u64 va, u64 unused)
{
	FAULTING("mov (%%rdi), %%rax");
	return 0;
}

static u64 near_write(u64 va, u64 unused)
{
	FAULTING("movq $1, (%%rdi)");
	return 0;
}

static u64 near_add(u64 va, u64 unused)
{
	FAULTING("add %%rsi, (%%rdi)");
	return 0;
}

static u64 near_across(u64 va, u64 unused)
{
	FAULTING("mov %%rsi, 0xffc(%%rdi)");
	return 0;
}

static u64 near_jump(u64 va, u64 unused)
{
	FAULTING("jmp *%%rdi");
	return 0;
}

static u64 near_ud(u64 va, u64 unused)
{
	FAULTING("ud2");
	return 0;
}

static void expect(u64 (*fn)(u64 va, u64 unused), u64 va, u64 vector, u64 error, u64 cr2)
{
	CHECK_EQ(guarded(fn, va, 0), TRAPPED(vector));
	CHECK_EQ(this_cpu()->rip, fault_rip);
	CHECK_EQ(this_cpu()->error, error);
	if (vector == VEC_PF)
		CHECK_EQ(this_cpu()->cr2, cr2);
}

void payload_ahead_faults(void)
{
	u64 root = space_create(), page = data_alloc(1), i;
	u64 hole = TEST_VA + 2 * PAGE_SIZE, lost = 1UL << 62;

	pt_map(root, TEST_VA, page, PTE_KERNEL);
	pt_map(root, TEST_VA + PAGE_SIZE, page, PTE_READ);
	write_cr3(root);
	for (i = 0; i < ctl->ops; i++) {
		expect(near_read, hole + i, VEC_PF, 0, hole + i);
		expect(near_write, hole, VEC_PF, PF_W, hole);
		expect(near_add, TEST_VA + PAGE_SIZE, VEC_PF, PF_P | PF_W, TEST_VA + PAGE_SIZE);
		expect(near_across, TEST_VA, VEC_PF, PF_P | PF_W, TEST_VA + PAGE_SIZE);
		expect(near_read, lost, VEC_GP, 0, 0);
		expect(near_jump, lost, VEC_GP, 0, 0);
		expect(near_ud, 0, VEC_UD, 0, 0);
		CHECK_EQ(guarded(near_write, TEST_VA + 8, 0), 0);
		CHECK_EQ(*(u64 *)TEST_VA, 0);
	}
	CHECK_EQ(*(u64 *)(page + 8), 1);
	note(i);
}

static u64 traps, irqs;

static bool count_trap(struct regs *regs)
{
	traps++;
	note(regs->rflags & RFLAGS_TF);
	return true;
}

static bool count_irq(struct regs *regs)
{
	irqs++;
	return true;
}

/* Single steps through exits: one trap for each instruction. */
void payload_ahead_trap(void)
{
	u64 i;

	trap_set_hook(VEC_DB, count_trap);
	for (i = 0; i < ctl->ops; i++) {
		traps = 0;
		__asm__ volatile(EXIT "pushfq; orq $0x100, (%%rsp); popfq; "
				 "nop; " EXIT "nop; add $1, %%rcx; " EXIT
				 "pushfq; andq $~0x100, (%%rsp); popfq; " EXIT
				 : : : "rax", "rcx", "rdx", "cc", "memory");
		CHECK_EQ(traps, 10);
	}
	note(i);
}

/* An interrupt waits until POPF lets it in, at once then. */
void payload_ahead_irq(void)
{
	u64 i, flags;

	trap_set_hook(VEC_IRQ, count_irq);
	for (i = 0; i < ctl->ops; i++) {
		irqs = 0;
		call(CALL_IRQ, VEC_IRQ, 0);
		__asm__ volatile(EXIT "pushfq; pop %0; " EXIT
				 : "=r" (flags) : : "rax", "rcx", "rdx", "cc", "memory");
		CHECK_EQ(flags & RFLAGS_IF, 0);
		CHECK_EQ(READ_ONCE(irqs), 0);
		__asm__ volatile(EXIT "pushfq; orq $0x200, (%%rsp); popfq; mov %1, %%rax; "
				 "mov %%rax, %0; cli; " EXIT
				 : "=r" (flags) : "m" (irqs)
				 : "rax", "rcx", "rdx", "cc", "memory");
		CHECK_EQ(flags, 1);
		/* Without one, through STI, CLI and POPF. */
		__asm__ volatile("sti; nop; " EXIT "pushfq; cli; " EXIT "pop %0; push %0; popfq; "
				 EXIT "cli"
				 : "=r" (flags) : : "rax", "rcx", "rdx", "cc", "memory");
		CHECK_EQ(flags & RFLAGS_IF, RFLAGS_IF);
		CHECK_EQ(READ_ONCE(irqs), 1);
	}
	note(i);
}

/* mov $0x1b, %ecx; rdmsr; mov %edi, 1f+1(%rip); 1: mov $0, %eax; ret */
static const u8 patching[] = {
	0xb9, 0x1b, 0, 0, 0, 0x0f, 0x32, 0x89, 0x3d, 1, 0, 0, 0, 0xb8, 0, 0, 0, 0, 0xc3,
};

/* mov $0x1b, %ecx; rdmsr; mov $imm, %eax; ret: four bytes of it are in another page */
static const u8 crossing[] = {
	0xb9, 0x1b, 0, 0, 0, 0x0f, 0x32, 0xb8, 0x11, 0x22, 0x33, 0x44, 0xc3,
};

static u32 run(u64 code, u64 arg)
{
	u32 value;

	__asm__ volatile("call *%1" : "=a" (value) : "r" (code), "D" (arg)
			 : "rcx", "rdx", "cc", "memory");
	return value;
}

/* Code that changes itself, and an instruction across two pages. */
void payload_ahead_code(void)
{
	u64 root = space_create(), pages = data_alloc(3), i, at;

	memcpy((void *)pages, patching, sizeof(patching));
	at = PAGE_SIZE - sizeof(crossing) + 4;
	memcpy((void *)(pages + 2 * PAGE_SIZE + at), crossing, sizeof(crossing) - 4);
	memcpy((void *)(pages + PAGE_SIZE), crossing + sizeof(crossing) - 4, 4);
	/* The second half of it is in the frame before the first. */
	pt_map(root, TEST_VA, pages + 2 * PAGE_SIZE, PTE_KERNEL);
	pt_map(root, TEST_VA + PAGE_SIZE, pages + PAGE_SIZE, PTE_KERNEL);
	write_cr3(root);
	for (i = 0; i < ctl->ops; i++) {
		CHECK_EQ(run(pages, i * 0x10001), (u32)(i * 0x10001));
		CHECK_EQ(run(TEST_VA + at, 0), 0x44332211);
	}
	note(i);
}

/* Address spaces, entries and segment bases that change between loads. */
void payload_ahead_spaces(void)
{
	u64 root[2] = { space_create(), space_create() }, pages = data_alloc(2), got[3], i, frame;
	u64 *pte = pt_entry(root[0], TEST_VA, 1, true);

	*(u64 *)(pages + 8) = 1;
	*(u64 *)(pages + PAGE_SIZE + 8) = 2;
	*pte = pages | PTE_KERNEL;
	pt_map(root[1], TEST_VA, pages + PAGE_SIZE, PTE_KERNEL);
	for (i = 0; i < ctl->ops; i++) {
		__asm__ volatile("mov %[r1], %%cr3; mov 8(%[va]), %[b]; "
				 "mov %[r0], %%cr3; mov 8(%[va]), %[a]; mov %%cr3, %[c]"
				 : [a] "=&r" (got[0]), [b] "=&r" (got[1]), [c] "=&r" (got[2])
				 : [r0] "r" (root[0]), [r1] "r" (root[1]), [va] "r" (TEST_VA)
				 : "memory");
		CHECK_EQ(got[0], 1);
		CHECK_EQ(got[1], 2);
		CHECK_EQ(got[2], root[0]);

		frame = pages + PAGE_SIZE;
		__asm__ volatile("mov %[new], (%[pte]); invlpg (%[va]); mov 8(%[va]), %[a]; "
				 "mov %[old], (%[pte]); invlpg (%[va]); mov 8(%[va]), %[b]"
				 : [a] "=&r" (got[0]), [b] "=&r" (got[1])
				 : [pte] "r" (pte), [va] "r" (TEST_VA),
				   [new] "r" (frame | PTE_KERNEL), [old] "r" (pages | PTE_KERNEL)
				 : "memory");
		CHECK_EQ(got[0], 2);
		CHECK_EQ(got[1], 1);

		wrmsr(MSR_GS_BASE, pages + i % 2 * PAGE_SIZE);
		__asm__ volatile(EXIT "mov %%gs:8, %0; " EXIT : "=r" (got[0])
				 : : "rax", "rcx", "rdx", "memory");
		CHECK_EQ(got[0], 1 + i % 2);
	}
	note(i);
}

static u64 counter, tickets, done[GUEST_MAX_CPUS];

/* One CPU counts between exits, the other without any: nothing is lost. */
void payload_smp_ahead(void)
{
	u64 id = this_cpu()->id, i, ticket, last = 0;

	WRITE_ONCE(done[id], 1);
	spin_until(&done[1 - id], 1);
	for (i = 0; i < ctl->ops; i++) {
		ticket = 1;
		if (id == 0)
			__asm__ volatile(EXIT "lock incq %0; lock xadd %2, %1; " EXIT
					 : "+m" (counter), "+m" (tickets), "+r" (ticket)
					 : : "rax", "rcx", "rdx", "cc", "memory");
		else
			__asm__ volatile("lock incq %0; lock xadd %2, %1"
					 : "+m" (counter), "+m" (tickets), "+r" (ticket)
					 : : "cc", "memory");
		CHECK(i == 0 || ticket > last);
		last = ticket;
	}
	WRITE_ONCE(done[id], 2);
	if (id != 0)
		return;
	spin_until(&done[1], 2);
	CHECK_EQ(counter, 2 * ctl->ops);
	CHECK_EQ(tickets, 2 * ctl->ops);
	note(counter);
}
