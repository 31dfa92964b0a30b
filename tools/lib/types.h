/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's short integer names, for the host programs and for guest code alike. */
#ifndef UVMM_TYPES_H
#define UVMM_TYPES_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#define BIT(n) (1UL << (n))
#define __packed __attribute__((packed))
#define __section(name) __attribute__((section(name)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
