// SPDX-License-Identifier: GPL-2.0
/* Events from outside: interrupts, their window, NMIs, and faults amid delivery. */
#include "rt.h"

#define VEC_IRQ		0x41
#define RFLAGS_IF	0x200

static u64 irqs, nmis;

static bool count_irq(struct regs *regs)
{
	irqs++;
	note(regs->cs & 3);
	return true;
}

static bool count_nmi(struct regs *regs)
{
	nmis++;
	CHECK_EQ(regs->error, 0);
	return true;
}

static void want_irq(void)
{
	call(CALL_IRQ, VEC_IRQ, 0);
}

/* Taken at once with interrupts on; held back while off; after STI's shadow; in HLT. */
void payload_irq(void)
{
	u64 i, before;

	trap_set_hook(VEC_IRQ, count_irq);
	for (i = 0; i < ctl->ops; i++) {
		before = irqs;
		__asm__ volatile("sti; nop" : : : "memory");
		want_irq();
		__asm__ volatile("nop; nop; cli" : : : "memory");
		CHECK_EQ(READ_ONCE(irqs), before + 1);

		want_irq();
		CHECK_EQ(READ_ONCE(irqs), before + 1);
		__asm__ volatile("sti; nop; nop; cli" : : : "memory");
		CHECK_EQ(READ_ONCE(irqs), before + 2);

		want_irq();
		__asm__ volatile("sti; hlt; cli" : : : "memory");
		CHECK_EQ(READ_ONCE(irqs), before + 3);
	}
	note(irqs);
}

static bool irq_wants_irq(struct regs *regs)
{
	irqs++;
	CHECK(!(regs->rflags & RFLAGS_IF) == 0);
	if (irqs < ctl->ops) {
		want_irq();
		/* Off in here, so it must wait for the IRET. */
		CHECK(READ_ONCE(this_cpu()->vector) == VEC_IRQ);
	}
	return true;
}

/* Each handler asks for the next interrupt. */
void payload_irq_chain(void)
{
	trap_set_hook(VEC_IRQ, irq_wants_irq);
	want_irq();
	__asm__ volatile("sti" : : : "memory");
	while (READ_ONCE(irqs) < ctl->ops)
		__asm__ volatile("pause");
	__asm__ volatile("cli" : : : "memory");
	CHECK_EQ(irqs, ctl->ops);
	note(irqs);
}

void payload_nmi(void)
{
	u64 i;

	trap_set_hook(VEC_NMI, count_nmi);
	for (i = 0; i < ctl->ops; i++) {
		call(CALL_NMI, 0, 0);
		__asm__ volatile("nop");
		CHECK_EQ(READ_ONCE(nmis), i + 1);
	}
	/* An IRET must not be needed twice, nor interrupts be off for good. */
	trap_set_hook(VEC_IRQ, count_irq);
	__asm__ volatile("sti; nop" : : : "memory");
	want_irq();
	__asm__ volatile("nop; cli" : : : "memory");
	CHECK_EQ(irqs, 1);
	note(nmis);
}

static USER u64 user_loop(u64 flag)
{
	u64 turns = 0;

	while (!READ_ONCE(*(u64 *)flag))
		turns++;
	return turns > 0;
}

static bool end_user_loop(struct regs *regs)
{
	irqs++;
	CHECK_EQ(regs->cs & 3, 3);
	*(u64 *)ctl->arg[1] = 1;
	return true;
}

/* The host takes the page away that the next trap from user mode pushes to. */
static void drop_trap_stack(void)
{
	u64 page = (u64)this_cpu() + PAGE_SIZE;

	this_cpu()->tss.rsp0 = page + PAGE_SIZE;
	call(CALL_DONTNEED, page, PAGE_SIZE);
}

static USER u64 user_nothing(u64 arg)
{
	return arg;
}

static USER u64 user_divide(u64 arg)
{
	__asm__ volatile("xor %%edx, %%edx; divq %1" : "+a"(arg) : "r"(0UL) : "rdx");
	return arg;
}

/*
 * The stack of a trap is not mapped by the host when the trap is delivered: the
 * exit comes amid delivery, and the event must be delivered again, once.
 */
void payload_vectoring(void)
{
	u64 root = space_create(), page = data_alloc(1), i;

	space_add_user_text(root);
	pt_map(root, TEST_VA, page, PTE_USER);
	write_cr3(root);
	trap_set_hook(VEC_IRQ, end_user_loop);
	for (i = 0; i < ctl->ops; i++) {
		drop_trap_stack();
		CHECK_EQ(user_call(user_nothing, i), 0);	/* software interrupt */
		CHECK_EQ(this_cpu()->value, i);
		drop_trap_stack();
		CHECK_EQ(user_call(user_divide, 1), TRAPPED(VEC_DE));
		drop_trap_stack();
		check_fault(probe_user_read(TEST_VA + PAGE_SIZE), PF_U, TEST_VA + PAGE_SIZE);

		drop_trap_stack();
		*(u64 *)page = 0;
		call(CALL_IRQ, VEC_IRQ, page);
		user_rflags |= RFLAGS_IF;
		CHECK_EQ(user_call(user_loop, TEST_VA), 0);	/* external interrupt */
		user_rflags &= ~RFLAGS_IF;
		CHECK_EQ(irqs, i + 1);
	}
	note(irqs);
}
