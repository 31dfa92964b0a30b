// SPDX-License-Identifier: GPL-2.0
/* Instructions that exit: CPUID, port and MMIO accesses. */
#include "rt.h"

void payload_null_exit(void)
{
	u32 first[4], out[4];
	u64 n = ctl->ops;

	cpuid(0, 0, first);
	timed_begin();
	__asm__ volatile("1: xor %%eax, %%eax; xor %%ecx, %%ecx; cpuid; dec %0; jnz 1b"
			 : "+r"(n) : : "rax", "rbx", "rcx", "rdx");
	timed_end();
	cpuid(0, 0, out);
	CHECK_EQ(out[0], first[0]);
	CHECK_EQ(out[1], first[1]);
	CHECK_EQ(out[2], first[2]);
	CHECK_EQ(out[3], first[3]);
	CHECK(first[0] > 0);
	note(out[1]);
	note(out[2]);
	note(out[3]);
}

void payload_pio_user(void)
{
	u64 i;

	timed_begin();
	for (i = 0; i < ctl->ops; i++)
		outl(GUEST_PORT_NULL, i);
	timed_end();
	note(i);
}

/* The host's MMIO page is a register file: what is written can be read back. */
void payload_mmio_user(void)
{
	u64 base = GUEST_MMIO_GPA;
	u64 i, value;
	u32 v32;
	u16 v16;
	u8 v8;

	__asm__ volatile("movq %1, (%0)" : : "r"(base), "r"(0x1122334455667788UL) : "memory");
	__asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(base) : "memory");
	CHECK_EQ(value, 0x1122334455667788);
	__asm__ volatile("movl %1, 4(%0)" : : "r"(base), "r"(0xcafef00d) : "memory");
	__asm__ volatile("movw %1, 2(%0)" : : "r"(base), "r"((u16)0xbeef) : "memory");
	__asm__ volatile("movb %1, 1(%0)" : : "r"(base), "q"((u8)0x5a) : "memory");
	__asm__ volatile("movl 4(%1), %0" : "=r"(v32) : "r"(base) : "memory");
	__asm__ volatile("movw 2(%1), %0" : "=r"(v16) : "r"(base) : "memory");
	__asm__ volatile("movb 1(%1), %0" : "=q"(v8) : "r"(base) : "memory");
	CHECK_EQ(v32, 0xcafef00d);
	CHECK_EQ(v16, 0xbeef);
	CHECK_EQ(v8, 0x5a);
	__asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(base) : "memory");
	CHECK_EQ(value, 0xcafef00dbeef5a88);
	note(value);

	timed_begin();
	for (i = 0; i < ctl->ops; i++)
		__asm__ volatile("movl (%1), %0" : "=r"(v32) : "r"(base) : "memory");
	timed_end();
	CHECK_EQ(v32, 0xbeef5a88);
}

/*
 * Buffers that cross a page and are not aligned. The host's string port remembers the
 * last OUT string and plays it back to IN.
 */
void payload_string_pio(void)
{
	u8 *out = (u8 *)data_alloc(2) + PAGE_SIZE - 500, *in = (u8 *)data_alloc(2) + 20;
	unsigned long len = 1024, count, i, round;
	u8 *p;

	for (round = 0; round < ctl->ops; round++) {
		for (i = 0; i < len; i++)
			out[i] = i * 7 + round;
		p = out;
		count = len;
		__asm__ volatile("rep outsb" : "+S"(p), "+c"(count) : "d"(GUEST_PORT_STR)
				 : "memory");
		CHECK_EQ((u64)p, (u64)out + len);
		CHECK_EQ(count, 0);
		p = in;
		count = len / 4;
		__asm__ volatile("rep insl" : "+D"(p), "+c"(count) : "d"(GUEST_PORT_STR)
				 : "memory");
		CHECK_EQ((u64)p, (u64)in + len);
		CHECK_EQ(count, 0);
		for (i = 0; i < len; i++)
			CHECK_EQ(in[i], out[i]);
	}
}
