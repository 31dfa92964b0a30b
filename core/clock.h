/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _UMBRA_CORE_CLOCK_H
#define _UMBRA_CORE_CLOCK_H

#include <linux/types.h>

/* TSC ticks to nanoseconds: ((ticks << @shift) * @mul) >> 32, a negative shift to the right. */
void umbra_clock_scale(u32 khz, u32 *mul, s8 *shift);

#endif /* _UMBRA_CORE_CLOCK_H */
