// SPDX-License-Identifier: GPL-2.0
/* Single accesses, from the kernel and from user code, that may fault. */
#include "rt.h"

#define RETS 0xc3c3c3c3c3c3c3c3UL	/* what is written can still be called */

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

/* The caller's CR3 must have the user code, see space_add_user_text(). */
static u64 enter_user(u64 rip, u64 arg)
{
	u64 *return_address = (u64 *)(user_stack + PAGE_SIZE - 8);

	*return_address = USER_CODE_VA + (user_exit - user_text);
	return guarded(user_enter, rip, arg);
}

/* Run a USER function at CPL 3; its value is in this_cpu()->value. */
u64 user_call(u64 (*fn)(u64 arg), u64 arg)
{
	return enter_user(USER_CODE_VA + ((u64)fn - (u64)user_text), arg);
}

static USER u64 user_read(u64 va)
{
	return READ_ONCE(*(u64 *)va);
}

static USER u64 user_write(u64 va)
{
	WRITE_ONCE(*(u64 *)va, RETS);
	return 0;
}

u64 probe_user_read(u64 va)
{
	return user_call(user_read, va);
}

u64 probe_user_write(u64 va)
{
	return user_call(user_write, va);
}

u64 probe_user_call(u64 va)
{
	return enter_user(va, 0);
}

u64 probe_access(enum access access, u64 va)
{
	switch (access) {
	case KERNEL_READ:
		return probe_read(va, NULL);
	case KERNEL_WRITE:
		return probe_write(va, RETS);
	case KERNEL_CALL:
		return probe_call(va);
	case USER_READ:
		return probe_user_read(va);
	case USER_WRITE:
		return probe_user_write(va);
	default:
		return probe_user_call(va);
	}
}

/* The probe that returned @got must have been a page fault with @error at @va. */
void check_fault(u64 got, u64 error, u64 va)
{
	CHECK_EQ(got, TRAPPED(VEC_PF));
	CHECK_EQ(this_cpu()->error, error);
	CHECK_EQ(this_cpu()->cr2, va);
}
