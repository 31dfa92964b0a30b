// SPDX-License-Identifier: GPL-2.0
/* Talking to the host, checksums, and the two functions that the compiler wants. */
#include <assert.h>
#include "rt.h"

static_assert(offsetof(struct guest_ctl, checksum) == GUEST_CTL_SUM, "real.S relies on it");

#define SPINS_PER_YIELD 1000

void call(enum guest_call nr, u64 arg0, u64 arg1)
{
	ctl->arg[0] = arg0;
	ctl->arg[1] = arg1;
	outl(GUEST_PORT_CALL, nr);
}

void puts(const char *s)
{
	while (*s)
		outb(GUEST_PORT_CHAR, *s++);
}

/* The vCPUs may share one host CPU, so do not spin through a whole time slice. */
void spin_until(const u64 *word, u64 value)
{
	unsigned int spins = 0;

	while (READ_ONCE(*word) != value) {
		__asm__ volatile("pause");
		if (++spins % SPINS_PER_YIELD == 0)
			outl(GUEST_PORT_CALL, CALL_YIELD);
	}
}

/* Make a value part of the payload's checksum. */
void note(u64 value)
{
	ctl->checksum = guest_mix(ctl->checksum, value);
}

void timed_begin(void)
{
	outl(GUEST_PORT_CALL, CALL_MARK_BEGIN);
	ctl->ticks = rdtsc();
}

void timed_end(void)
{
	ctl->ticks = rdtsc() - ctl->ticks;
	outl(GUEST_PORT_CALL, CALL_MARK_END);
}

void finish(void)
{
	const u64 *p, *end = (const u64 *)data_end();
	u64 sum = 0;

	for (p = (const u64 *)GUEST_DATA_GPA; p < end; p++)
		sum = guest_mix(sum, *p);
	ctl->data_sum = sum;
	ctl->data_end = (u64)end;
	stop(CALL_DONE);
}

void skip(void)
{
	stop(CALL_SKIP);
}

void *memset(void *dst, int c, size_t len)
{
	void *d = dst;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(len) : "a"(c) : "memory");
	return dst;
}

void *memcpy(void *dst, const void *src, size_t len)
{
	void *d = dst;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(len) : : "memory");
	return dst;
}

void clear_page(u64 gpa)
{
	u64 words = PAGE_SIZE / 8;

	__asm__ volatile("rep stosq" : "+D"(gpa), "+c"(words) : "a"(0) : "memory");
}

void copy_page(u64 dst, u64 src)
{
	u64 words = PAGE_SIZE / 8;

	__asm__ volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(words) : : "memory");
}

/* xorshift: the same numbers on each run, or checksums could not be compared. */
u64 next_random(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}
