// SPDX-License-Identifier: GPL-2.0
/* Single accesses, from the kernel and from user code, that may fault. */
#include "rt.h"

extern char user_text[];
u64 user_exit(void);

static u64 do_read(u64 va, u64 unused)
{
	u64 value;

	__asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(va), "r"(unused) : "memory");
	return value;
}

static u64 do_write(u64 va, u64 value)
{
	__asm__ volatile("movq %1, (%0)" : : "r"(va), "r"(value) : "memory");
	return 0;
}

static u64 do_call(u64 va, u64 unused)
{
	u64 value;

	__asm__ volatile("call *%1" : "=a"(value) : "r"(va), "r"(unused)
			 : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
	return value;
}

u64 probe_read(u64 va, u64 *value)
{
	u64 vector = guarded(do_read, va, 0);

	if (!vector && value)
		*value = this_cpu()->value;
	return vector;
}

u64 probe_write(u64 va, u64 value)
{
	return guarded(do_write, va, value);
}

/* Call @va, where a RET must be. */
u64 probe_call(u64 va)
{
	return guarded(do_call, va, 0);
}
