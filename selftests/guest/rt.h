/* SPDX-License-Identifier: GPL-2.0 */
/* The runtime under the payloads: one bare machine, virtual = physical. */
#ifndef GUEST_RT_H
#define GUEST_RT_H

#include "common.h"

#define CR4_PCIDE	BIT(17)
#define CR4_SMAP	BIT(21)

#define MSR_EFER	0xc0000080
#define EFER_NX		BIT(11)

#define PTE_ANON	BIT(9)	/* software: the mapping owns one reference to the page */
#define PTE_RSVD	BIT(51)	/* above any MAXPHYADDR that we meet */
#define PTE_NX		BIT(63)
#define PTE_ADDR	0x000ffffffffff000UL
#define PTE_READ	(PTE_P | PTE_A)

#define SEL_CODE64	0x08
#define SEL_DATA	0x10
#define SEL_CODE32	0x18
#define SEL_UDATA	0x20
#define SEL_UCODE	0x28
#define SEL_TSS		0x30

#define LARGE_SIZE	(PAGE_SIZE * 512)

/* PML4 slot 0 is the kernel's identity map; slot 1 user code and stack; slot 2 tests. */
#define USER_CODE_VA	0x8080000000UL
#define USER_STACK_VA	0x80c0000000UL	/* entry.S knows it */
#define TEST_VA		0x10000000000UL
#define FIRST_USER_SLOT	1

#define USER		__section(".user")

struct regs {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error, rip, cs, rflags, rsp, ss;
};

/* Lies at the bottom of each CPU's stack; entry.S knows the first two fields. */
struct cpu {
	u64 jump;	/* stack pointer of the innermost guarded() */
	u64 value;	/* what the guarded function or the user code returned */
	u64 id;
	u64 vector;	/* the last trap */
	u64 error;
	u64 cr2;
	u64 rip;
	struct {
		u32 reserved0;
		u64 rsp0;
		u64 reserved1[11];
		u16 reserved2;
		u16 iomap;
	} __packed tss;
	u64 gdt[8];
};

typedef bool (*trap_hook)(struct regs *regs);

static inline struct cpu *this_cpu(void)
{
	u64 rsp;

	__asm__ volatile("mov %%rsp, %0" : "=r"(rsp));
	return (struct cpu *)(rsp & ~(BIT(GUEST_STACK_SHIFT) - 1));
}

/* main.c */
void guest_main(u64 id);

/* entry.S, guest.lds */
extern char trap_stubs[], guarded_out[];
extern char user_text[], user_text_end[], user_stack[], user_exit[];
u64 guarded(u64 (*fn)(u64 a, u64 b), u64 a, u64 b);
u64 user_enter(u64 rip, u64 arg);

/* trap.c */
void trap(struct regs *regs);
void trap_init(u64 id);
void trap_set_hook(unsigned int vector, trap_hook hook);
void trap_gate_present(unsigned int vector, bool present);
extern u64 user_rflags;

/* probe.c: one access each; 0 or TRAPPED(vector) */
u64 probe_read(u64 va, u64 *value);
u64 probe_write(u64 va, u64 value);
u64 probe_call(u64 va);
u64 probe_user_read(u64 va);
u64 probe_user_write(u64 va);
u64 probe_user_call(u64 va);
enum access { KERNEL_READ, KERNEL_WRITE, KERNEL_CALL, USER_READ, USER_WRITE, USER_CALL };

#define N_ACCESSES 6
/* One of them; the page begins with RETs, and still does afterwards. */
u64 probe_access(enum access access, u64 va);
u64 user_call(u64 (*fn)(u64 arg), u64 arg);
void check_fault(u64 got, u64 error, u64 va);

/* paging.c */
u64 pt_alloc(void);
void pt_free(u64 gpa);
u64 *pt_entry(u64 root, u64 va, int level, bool create);
void pt_map(u64 root, u64 va, u64 gpa, u64 flags);
u64 space_create(void);
void space_add_user_text(u64 root);
void space_clear(u64 root);
u64 data_alloc(unsigned long pages);
u64 data_alloc_large(void);
void data_get(u64 gpa);
void data_put(u64 gpa);
unsigned int data_refs(u64 gpa);
u64 data_end(void);
u64 user_text_gpa(u64 va);

/* lib.c */
void call(enum guest_call nr, u64 arg0, u64 arg1);
void puts(const char *s);
void spin_until(const u64 *word, u64 value);
void note(u64 value);
void timed_begin(void);
void timed_end(void);
void finish(void);
void skip(void);
void *memset(void *dst, int c, size_t len);
void *memcpy(void *dst, const void *src, size_t len);
void clear_page(u64 gpa);
void copy_page(u64 dst, u64 src);
u64 next_random(u64 *seed);

/* The CPU. */
static inline u64 rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return lo | (u64)hi << 32;
}

static inline void cpuid(u32 leaf, u32 sub, u32 out[4])
{
	__asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(sub));
}

/* @reg is 0 to 3 for EAX to EDX. */
static inline bool cpu_has(u32 leaf, unsigned int reg, unsigned int bit)
{
	u32 out[4];

	cpuid(leaf & 0x80000000, 0, out);
	if (out[0] < leaf)
		return false;
	cpuid(leaf, 0, out);
	return out[reg] >> bit & 1;
}

static inline void outb(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "d"(port) : "memory");
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return lo | (u64)hi << 32;
}

static inline void wrmsr(u32 msr, u64 value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32))
			 : "memory");
}

#endif
