/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_SCHED_H
#define UNIT_LINUX_SCHED_H

#include <linux/spinlock.h>

#define might_sleep()		((void)WARN_ON(unit_atomic_depth))
#define cond_resched()		({ might_sleep(); 0; })
#define need_resched()		0
#define cpu_relax()		((void)0)

#endif
