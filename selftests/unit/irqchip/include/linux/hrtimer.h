/* SPDX-License-Identifier: GPL-2.0 */
/* Timers on a clock that only the test moves: see machine.c. */
#ifndef UNIT_LINUX_HRTIMER_H
#define UNIT_LINUX_HRTIMER_H

#include <linux/ktime.h>

enum hrtimer_restart { HRTIMER_NORESTART, HRTIMER_RESTART };

struct hrtimer {
	enum hrtimer_restart (*function)(struct hrtimer *timer);
	ktime_t expires;
	bool active;
	struct hrtimer *next;
};

#define CLOCK_MONOTONIC		1
#define HRTIMER_MODE_ABS_HARD	0

void hrtimer_init(struct hrtimer *timer, int clock, int mode);
void hrtimer_start(struct hrtimer *timer, ktime_t expires, int mode);
int hrtimer_cancel(struct hrtimer *timer);
u64 hrtimer_forward_now(struct hrtimer *timer, ktime_t interval);

#define hrtimer_get_expires(timer)	((timer)->expires)

#endif
