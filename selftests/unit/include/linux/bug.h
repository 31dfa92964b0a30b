/* SPDX-License-Identifier: GPL-2.0 */
/* In the unit tests a warning is a failure. */
#ifndef UNIT_LINUX_BUG_H
#define UNIT_LINUX_BUG_H

#include <linux/compiler.h>

void unit_bug(const char *what, const char *file, int line) __attribute__((__noreturn__));

#define WARN_ON(condition) ({							\
	bool unit_warn = !!(condition);						\
	if (unit_warn)								\
		unit_bug(#condition, __FILE__, __LINE__);			\
	unit_warn; })
#define WARN_ON_ONCE(condition)		WARN_ON(condition)
#define WARN(condition, ...)		WARN_ON(condition)
#define WARN_ONCE(condition, ...)	WARN_ON(condition)
#define BUG_ON(condition)		((void)WARN_ON(condition))

#endif
