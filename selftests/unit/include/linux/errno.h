/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_ERRNO_H
#define UNIT_LINUX_ERRNO_H

#include_next <linux/errno.h>

#endif
