/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_RCULIST_H
#define UNIT_LINUX_RCULIST_H

#include <linux/list.h>
#include <linux/rcupdate.h>

#endif
