/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_RANDOM_H
#define UNIT_LINUX_RANDOM_H

#include <linux/types.h>

/* Tests are repeatable. */
#define get_random_u64()	0x61c8864680b583ebull

#endif
