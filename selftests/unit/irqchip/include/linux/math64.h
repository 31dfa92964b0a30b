/* SPDX-License-Identifier: GPL-2.0 */
/* The real one is one instruction, which traps when the result does not fit. */
#ifndef UNIT_LINUX_MATH64_H
#define UNIT_LINUX_MATH64_H

#include <linux/bug.h>
#include <linux/types.h>

static inline u64 mul_u64_u32_div(u64 a, u32 b, u32 divisor)
{
	unsigned __int128 result = (unsigned __int128)a * b / divisor;

	WARN_ON(result >> 64);
	return result;
}

#endif
