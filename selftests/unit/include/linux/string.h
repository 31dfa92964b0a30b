/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_STRING_H
#define UNIT_LINUX_STRING_H

#include <linux/types.h>
#include <string.h>

static inline void memset64(u64 *p, u64 value, size_t n)
{
	while (n--)
		*p++ = value;
}

#endif
