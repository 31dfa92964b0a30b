/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_BITMAP_H
#define UNIT_LINUX_BITMAP_H

#include <linux/bitops.h>
#include <linux/string.h>

#define DECLARE_BITMAP(name, bits)	unsigned long name[BITS_TO_LONGS(bits)]
#define bitmap_zero(p, bits)	memset(p, 0, BITS_TO_LONGS(bits) * sizeof(long))
#define bitmap_empty(p, bits)	(find_first_bit(p, bits) >= (bits))

#endif
