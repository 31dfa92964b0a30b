/* SPDX-License-Identifier: GPL-2.0 */
/* A small generator, so that a seed means the same run everywhere. */
#ifndef UNIT_MMU_RANDOM_H
#define UNIT_MMU_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef UNIT_THREADS
extern __thread uint64_t random_state;
#else
extern uint64_t random_state;
#endif

#ifdef UNIT_FUZZ
/* Where a fuzzer's input is left, its next two bytes decide. */
extern const uint8_t *random_input;
extern size_t random_left;
#endif

/* splitmix64 */
static inline uint64_t rnd64(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	z ^= z >> 31;
#ifdef UNIT_FUZZ
	if (random_left >= 2) {
		random_left -= 2;
		z = z >> 16 | (uint64_t)*random_input++ << 48;
		z |= (uint64_t)*random_input++ << 56;
	}
#endif
	return z;
}

/* 0 .. n - 1 */
static inline unsigned int rnd(unsigned int n)
{
	return (rnd64() >> 32) * n >> 32;
}

/* True in @percent of all calls. */
static inline bool chance(unsigned int percent)
{
	return rnd(100) < percent;
}

#endif
