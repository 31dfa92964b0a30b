/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_LOCKDEP_H
#define UNIT_LINUX_LOCKDEP_H

#include <linux/bug.h>

#define lockdep_is_held(lock) \
	(READ_ONCE((lock)->readers) || READ_ONCE((lock)->held))
#define lockdep_assert_held(lock)		((void)WARN_ON(!lockdep_is_held(lock)))
#define lockdep_assert_held_write(lock)		((void)WARN_ON(!READ_ONCE((lock)->held)))
#define lockdep_assert_held_read(lock)		((void)WARN_ON(!READ_ONCE((lock)->readers)))
#define lockdep_assert_not_held(lock)		((void)WARN_ON(lockdep_is_held(lock)))
#define lockdep_assert_once(condition)		((void)WARN_ON(!(condition)))

#endif
