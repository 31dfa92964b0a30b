/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_MINMAX_H
#define UNIT_LINUX_MINMAX_H

#define min(a, b) ({				\
	__typeof__(a) min_a = (a);		\
	__typeof__(b) min_b = (b);		\
	min_a < min_b ? min_a : min_b; })
#define max(a, b) ({				\
	__typeof__(a) max_a = (a);		\
	__typeof__(b) max_b = (b);		\
	max_a > max_b ? max_a : max_b; })
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))
#define clamp_t(type, v, lo, hi)	clamp((type)(v), (type)(lo), (type)(hi))
#define swap(a, b) ({				\
	__typeof__(a) swap_a = (a);		\
	(a) = (b);				\
	(b) = swap_a; })
#define clamp(v, lo, hi)	min((__typeof__(v))max(v, lo), hi)

#endif
