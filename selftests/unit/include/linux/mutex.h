/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_MUTEX_H
#define UNIT_LINUX_MUTEX_H

#include <linux/sched.h>

struct mutex {
	int readers;
	bool held;
};

static inline void mutex_init(struct mutex *m)
{
	*m = (struct mutex) {};
}

static inline void mutex_lock(struct mutex *m)
{
	might_sleep();
	WARN_ON(m->held);
	m->held = true;
}

static inline bool mutex_trylock(struct mutex *m)
{
	if (m->held)
		return false;
	m->held = true;
	return true;
}

static inline void mutex_unlock(struct mutex *m)
{
	WARN_ON(!m->held);
	m->held = false;
}

#define mutex_destroy(m)	((void)(m))
#define DEFINE_MUTEX(name)	struct mutex name

#endif
