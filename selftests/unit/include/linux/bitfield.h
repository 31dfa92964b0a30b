/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_BITFIELD_H
#define UNIT_LINUX_BITFIELD_H

#define FIELD_SHIFT(mask)	__builtin_ctzll(mask)
#define FIELD_GET(mask, value)	((__typeof__(mask))(((value) & (mask)) >> FIELD_SHIFT(mask)))
#define FIELD_PREP(mask, value)	((__typeof__(mask))(value) << FIELD_SHIFT(mask) & (mask))

#endif
