/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_BITOPS_H
#define UNIT_LINUX_BITOPS_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/types.h>

#define BIT_WORD(nr)		((nr) / BITS_PER_LONG)
#define BIT_MASK(nr)		(1UL << ((nr) % BITS_PER_LONG))
#define BITS_TO_LONGS(nr)	(((nr) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define __ffs(x)		((unsigned long)__builtin_ctzl(x))
#define __ffs64(x)		((unsigned long)__builtin_ctzll(x))
#define __fls(x)		((unsigned long)(63 - __builtin_clzl(x)))
#define ffz(x)			__ffs(~(x))
#define fls64(x)		((x) ? 64 - __builtin_clzll(x) : 0)
#define hweight64(x)		((unsigned long)__builtin_popcountll(x))
#define hweight_long(x)		((unsigned long)__builtin_popcountl(x))

static inline bool test_bit(unsigned long nr, const unsigned long *p)
{
	return __atomic_load_n(&p[BIT_WORD(nr)], __ATOMIC_RELAXED) & BIT_MASK(nr);
}

static inline bool test_and_set_bit(unsigned long nr, unsigned long *p)
{
	return __atomic_fetch_or(&p[BIT_WORD(nr)], BIT_MASK(nr), __ATOMIC_SEQ_CST) &
	       BIT_MASK(nr);
}

static inline bool test_and_clear_bit(unsigned long nr, unsigned long *p)
{
	return __atomic_fetch_and(&p[BIT_WORD(nr)], ~BIT_MASK(nr), __ATOMIC_SEQ_CST) &
	       BIT_MASK(nr);
}

#define set_bit(nr, p)			((void)test_and_set_bit(nr, p))
#define clear_bit(nr, p)		((void)test_and_clear_bit(nr, p))
#define __set_bit(nr, p)		set_bit(nr, p)
#define __clear_bit(nr, p)		clear_bit(nr, p)
#define __test_and_set_bit(nr, p)	test_and_set_bit(nr, p)
#define __test_and_clear_bit(nr, p)	test_and_clear_bit(nr, p)

static inline unsigned long find_next_bit(const unsigned long *p, unsigned long size,
					  unsigned long from)
{
	while (from < size && !test_bit(from, p))
		from++;
	return from;
}

#define find_first_bit(p, size)		find_next_bit(p, size, 0)
#define for_each_set_bit(bit, p, size) \
	for (bit = find_first_bit(p, size); bit < (size); bit = find_next_bit(p, size, bit + 1))

#endif
