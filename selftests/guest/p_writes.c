// SPDX-License-Identifier: GPL-2.0
/*
 * Every way in which kernels write page tables: random instructions at random
 * offsets, done once to a page table in use and once to a plain page. Memory,
 * registers and flags must come out alike, and the table must be obeyed.
 */
#include "rt.h"

#define CF	(1UL << 0)
#define ZF	(1UL << 6)
#define FLAGS	0x8c5UL		/* CF PF ZF SF OF; AF is often undefined */

#define TABLE_BYTES (2 * PAGE_SIZE)	/* the table and what lies behind it */

struct operands {
	u64 addr;
	u64 rax, rbx, rcx, rdx;		/* in and out */
	u64 flags;
};

#define FORM(name, text) \
static void form_##name(struct operands *o) \
{ \
	u64 rdi = o->addr, rsi = (u64)&o->rcx; \
\
	__asm__ volatile("xor %%r8d, %%r8d; " text "; pushfq; popq %0" \
			 : "=&r"(o->flags), "+a"(o->rax), "+b"(o->rbx), "+c"(o->rcx), \
			   "+d"(o->rdx), "+D"(rdi), "+S"(rsi) \
			 : : "r8", "cc", "memory"); \
	o->addr = rdi; \
}

FORM(movb, "movb %%cl, (%%rdi)")
FORM(movw, "movw %%cx, (%%rdi)")
FORM(movl, "movl %%ecx, (%%rdi)")
FORM(movq, "movq %%rcx, (%%rdi)")
FORM(movb_high, "movb %%ch, (%%rdi)")
FORM(movb_imm, "movb $0x27, (%%rdi)")
FORM(movw_imm, "movw $0x1027, (%%rdi)")
FORM(movl_imm, "movl $0x800027, (%%rdi)")
FORM(movq_imm, "movq $-0x7ffffd9, (%%rdi)")
FORM(mov_sib, "movq %%rcx, -16(%%rdi,%%r8,8); movq %%rcx, 8(%%rdi)")
FORM(xchgb, "xchgb %%cl, (%%rdi)")
FORM(xchgl, "xchgl %%ecx, (%%rdi)")
FORM(xchgq, "xchgq %%rcx, (%%rdi)")
FORM(cmpxchg_miss, "cmpxchgq %%rcx, (%%rdi)")
FORM(cmpxchg_hit, "movq (%%rdi), %%rax; lock cmpxchgq %%rcx, (%%rdi)")
FORM(cmpxchgl_hit, "movl (%%rdi), %%eax; lock cmpxchgl %%ecx, (%%rdi)")
FORM(cmpxchg8b_miss, "lock cmpxchg8b (%%rdi)")
FORM(cmpxchg8b_hit, "movl (%%rdi), %%eax; movl 4(%%rdi), %%edx; cmpxchg8b (%%rdi)")
FORM(andb, "lock andb %%cl, (%%rdi)")
FORM(andl, "andl %%ecx, (%%rdi)")
FORM(andq, "lock andq %%rcx, (%%rdi)")
FORM(andq_imm, "andq $-3, (%%rdi)")
FORM(orw, "orw %%cx, (%%rdi)")
FORM(orq, "lock orq %%rcx, (%%rdi)")
FORM(orb_imm, "lock orb $0x22, (%%rdi)")
FORM(xorl, "xorl %%ecx, (%%rdi)")
FORM(xorq_imm, "lock xorq $0x1003, (%%rdi)")
FORM(addq, "addq %%rcx, (%%rdi)")
FORM(addl_imm, "lock addl $0x1000, (%%rdi)")
FORM(adcq, "stc; adcq %%rcx, (%%rdi)")
FORM(subq, "lock subq %%rcx, (%%rdi)")
FORM(sbbq, "stc; sbbq %%rcx, (%%rdi)")
FORM(incq, "incq (%%rdi)")
FORM(decl, "lock decl (%%rdi)")
FORM(notq, "notq (%%rdi)")
FORM(negq, "lock negq (%%rdi)")
FORM(xaddq, "lock xaddq %%rcx, (%%rdi)")
FORM(stosq, "movq %%rcx, %%rax; stosq")
FORM(stosb, "movq %%rcx, %%rax; stosb")
FORM(rep_stosq, "movq %%rcx, %%rax; movl $3, %%ecx; rep stosq")
FORM(movsq, "movsq; subq %%rsi, %%rcx; addq %%rsi, %%rcx")
FORM(movntiq, "movntiq %%rcx, (%%rdi)")

FORM(btsq_imm, "lock btsq $5, (%%rdi)")
FORM(btrq_imm, "lock btrq $6, (%%rdi)")
FORM(btcq_imm, "btcq $1, (%%rdi)")
FORM(btsl_reg, "andl $31, %%ecx; lock btsl %%ecx, (%%rdi)")
FORM(btrq_reg, "andl $63, %%ecx; lock btrq %%rcx, (%%rdi)")
FORM(cmpxchg16b, "andq $-16, %%rdi; movq (%%rdi), %%rax; movq 8(%%rdi), %%rdx; "
		 "lock cmpxchg16b (%%rdi)")

struct form {
	void (*fn)(struct operands *o);
	u64 flags;	/* the defined ones */
};

static const struct form forms[] = {
	{ form_movb, FLAGS }, { form_movw, FLAGS }, { form_movl, FLAGS }, { form_movq, FLAGS },
	{ form_movb_high, FLAGS }, { form_movb_imm, FLAGS }, { form_movw_imm, FLAGS },
	{ form_movl_imm, FLAGS }, { form_movq_imm, FLAGS }, { form_mov_sib, FLAGS },
	{ form_xchgb, FLAGS }, { form_xchgl, FLAGS }, { form_xchgq, FLAGS },
	{ form_cmpxchg_miss, FLAGS }, { form_cmpxchg_hit, FLAGS }, { form_cmpxchgl_hit, FLAGS },
	{ form_cmpxchg8b_miss, ZF }, { form_cmpxchg8b_hit, ZF },
	{ form_andb, FLAGS }, { form_andl, FLAGS }, { form_andq, FLAGS }, { form_andq_imm, FLAGS },
	{ form_orw, FLAGS }, { form_orq, FLAGS }, { form_orb_imm, FLAGS },
	{ form_xorl, FLAGS }, { form_xorq_imm, FLAGS },
	{ form_addq, FLAGS }, { form_addl_imm, FLAGS }, { form_adcq, FLAGS },
	{ form_subq, FLAGS }, { form_sbbq, FLAGS }, { form_incq, FLAGS }, { form_decl, FLAGS },
	{ form_notq, FLAGS }, { form_negq, FLAGS }, { form_xaddq, FLAGS },
	{ form_stosq, FLAGS }, { form_stosb, FLAGS }, { form_rep_stosq, FLAGS },
	{ form_movsq, 0 }, { form_movntiq, FLAGS },
	{ form_btsq_imm, CF }, { form_btrq_imm, CF }, { form_btcq_imm, CF },
	{ form_btsl_reg, CF }, { form_btrq_reg, CF }, { form_cmpxchg16b, ZF },
};

/* Do one form to the table and to the plain copy. */
static void do_both(u64 table, u64 plain, u64 *seed)
{
	const struct form *form = &forms[next_random(seed) % ARRAY_SIZE(forms)];
	struct operands a, b;

	a.addr = 16 + next_random(seed) % (PAGE_SIZE - 16);
	a.rax = next_random(seed);
	a.rbx = next_random(seed);
	a.rcx = next_random(seed);
	a.rdx = next_random(seed);
	if (next_random(seed) % 4)		/* mostly whole entries, as kernels do */
		a.addr &= ~7UL;
	b = a;
	a.addr += table;
	b.addr += plain;
	form->fn(&a);
	form->fn(&b);
	CHECK_EQ(a.addr - table, b.addr - plain);
	CHECK_EQ(a.rax, b.rax);
	CHECK_EQ(a.rbx, b.rbx);
	CHECK_EQ(a.rcx, b.rcx);
	CHECK_EQ(a.rdx, b.rdx);
	CHECK_EQ(a.flags & form->flags, b.flags & form->flags);
}

void payload_table_writes(void)
{
	u64 root = space_create(), table = data_alloc(2), plain = data_alloc(2);
	u64 frame = data_alloc(2), seed = 0x9d2c5680, i, j, slot;

	*(u64 *)frame = 0;
	*(u64 *)(frame + PAGE_SIZE) = 1;
	WRITE_ONCE(*pt_entry(root, TEST_VA, 2, true), table | PTE_USER);
	write_cr3(root);

	for (i = 0; i < ctl->ops; i++) {
		/* Make it a table in use: one of its entries translates an address. */
		slot = next_random(&seed) % 512;
		*(u64 *)(table + slot * 8) = (frame + i % 2 * PAGE_SIZE) | PTE_KERNEL;
		*(u64 *)(plain + slot * 8) = (frame + i % 2 * PAGE_SIZE) | PTE_KERNEL;
		invlpg(TEST_VA + slot * PAGE_SIZE);
		CHECK_EQ(*(u64 *)(TEST_VA + slot * PAGE_SIZE), i % 2);

		do_both(table, plain, &seed);
		for (j = 0; j < TABLE_BYTES; j += 8)
			CHECK_EQ(*(u64 *)(table + j), *(u64 *)(plain + j));
		write_cr3(root);
	}
}
