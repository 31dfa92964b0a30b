/* SPDX-License-Identifier: GPL-2.0 */
/* What 64-bit and 32-bit code of the image share; a word is a register of either. */
#ifndef GUEST_COMMON_H
#define GUEST_COMMON_H

#include "proto.h"

#define CR0_WP		BIT(16)
#define CR0_PG		BIT(31)
#define CR4_PGE		BIT(7)
#define CR4_SMEP	BIT(20)

#define PTE_P		BIT(0)
#define PTE_W		BIT(1)
#define PTE_U		BIT(2)
#define PTE_A		BIT(5)
#define PTE_D		BIT(6)
#define PTE_PS		BIT(7)
#define PTE_G		BIT(8)
#define PTE_KERNEL	(PTE_P | PTE_W | PTE_A | PTE_D)
#define PTE_USER	(PTE_KERNEL | PTE_U)

#define PF_P		BIT(0)
#define PF_W		BIT(1)
#define PF_U		BIT(2)
#define PF_RSVD		BIT(3)
#define PF_FETCH	BIT(4)

#define VEC_DE		0
#define VEC_DB		1
#define VEC_NMI		2
#define VEC_BP		3
#define VEC_UD		6
#define VEC_NM		7
#define VEC_DF		8
#define VEC_TS		10
#define VEC_NP		11
#define VEC_SS		12
#define VEC_GP		13
#define VEC_PF		14
#define VEC_AC		17
#define VEC_SYSCALL	0x80

/* What guarded calls and probes return for a trap. */
#define TRAPPED(vector)	((vector) + 1UL)

#define PAGE_SIZE	4096UL

#define READ_ONCE(x)	(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

#define __noreturn	__attribute__((noreturn))

#define ctl ((struct guest_ctl *)GUEST_CTL_GPA)

/* fail.c */
void __noreturn stop(enum guest_call nr);
void __noreturn check_failed(const char *file, u32 line, const char *expr, unsigned long got,
			     unsigned long want);

#define CHECK_EQ(got, want) do {						\
	unsigned long got_ = (got), want_ = (want);				\
	if (got_ != want_)							\
		check_failed(__FILE__, __LINE__, #got " == " #want, got_, want_); \
} while (0)

#define CHECK(cond) do {							\
	if (!(cond))								\
		check_failed(__FILE__, __LINE__, #cond, 0, 1);			\
} while (0)

static inline void outl(u16 port, u32 value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "d"(port) : "memory");
}

static inline void invlpg(unsigned long va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

#define DEFINE_CR(n)								\
static inline unsigned long read_cr##n(void)					\
{										\
	unsigned long value;							\
										\
	__asm__ volatile("mov %%cr" #n ", %0" : "=r"(value) : : "memory");	\
	return value;								\
}										\
static inline void write_cr##n(unsigned long value)				\
{										\
	__asm__ volatile("mov %0, %%cr" #n : : "r"(value) : "memory");		\
}

DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)

#endif
