/* SPDX-License-Identifier: GPL-2.0 */
/* The runtime under 32-bit code: flat, kernel addresses = physical ones. */
#ifndef GUEST_RT32_H
#define GUEST_RT32_H

#include "common.h"
#include "mode32.h"

#define BIT_ULL(n)	(1ull << (n))

#define CR0_CD		BIT(30)
#define CR4_PSE		BIT(4)
#define CR4_PAE		BIT(5)

#define SEL_DATA	0x10
#define SEL_CODE32	0x18
#define SEL_TSS		0x30

#define USER32_CODE_VA	0x50000000u
#define USER32_STACK_VA	0x50100000u
#define STACK32_SIZE	(1u << GUEST_STACK_SHIFT)

#define USER32		__section(".user32")

struct regs32 {
	u32 es, ds, edi, esi, ebp, unused, ebx, edx, ecx, eax;
	u32 vector, error, eip, cs, eflags, esp, ss;
};

/* At the bottom of each CPU's 32-bit stack; mode32.S knows the first two. */
struct cpu32 {
	u32 jump;
	u32 value;
	u32 vector, error, cr2, eip;
	u32 tss[26];
	u64 gdt[8];
};

static inline struct cpu32 *this_cpu32(void)
{
	u32 esp;

	__asm__ volatile("mov %%esp, %0" : "=r"(esp));
	return (struct cpu32 *)(unsigned long)(esp & ~(STACK32_SIZE - 1));
}

/* mode32.S */
u32 guarded32(u32 (*fn)(u32 a, u32 b), u32 a, u32 b);
void __noreturn unwind32(u32 esp, u32 result);
void user_enter32(u32 eip, u32 esp);
extern char trap_stubs32[], user_exit32[], user_text32[], user_text32_end[], user_stack32[];

/* rt32.c */
typedef bool (*trap_hook32)(struct regs32 *regs);
extern trap_hook32 trap_hooks32[256];

void init32(void);
void load_table32(const char *what, const void *base, u16 limit);
u64 set_gate32(u32 vector, u64 gate);
void trap32(struct regs32 *regs);
void call32(enum guest_call nr);
void note32(struct env32 *env, u32 value);
void spin_until32(const u32 *word, u32 value);
u32 user_call32(u32 (*fn)(u32 arg), u32 arg);

/* task32.c; @root: other tables with the same memory */
u32 task_calls32(struct env32 *env, u32 root);
u32 task_16bit32(struct env32 *env, u32 root);
u32 task_events32(struct env32 *env, u32 root, u32 free_va);
u32 task_faults32(struct env32 *env, u32 root, u32 free_va);
u32 task_trap32(struct env32 *env, u32 root);

/* One access each; 0 or TRAPPED(vector). The user ones run at CPL 3. */
u32 probe_read32(u32 va);
u32 probe_write32(u32 va, u32 value);
u32 probe_call32(u32 va);
u32 probe_user_read32(u32 va);
u32 probe_user_write32(u32 va);
u32 probe_user_call32(u32 va);
void check_fault32(u32 line, u32 got, u32 error, u32 va);

#endif
