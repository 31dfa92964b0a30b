/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_KTIME_H
#define UNIT_LINUX_KTIME_H

#include <linux/time64.h>
#include <linux/types.h>

typedef s64 ktime_t;

extern u64 unit_now;

#define ktime_get_ns()		unit_now
#define ns_to_ktime(ns)		((ktime_t)(ns))
#define ktime_to_ns(kt)		((s64)(kt))

#endif
