/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_SRCU_H
#define UNIT_LINUX_SRCU_H

#include <linux/rcupdate.h>

struct srcu_struct {
	int readers;
};

static inline int init_srcu_struct(struct srcu_struct *s)
{
	s->readers = 0;
	return 0;
}

static inline void cleanup_srcu_struct(struct srcu_struct *s)
{
	WARN_ON(s->readers);
}

static inline int srcu_read_lock(struct srcu_struct *s)
{
	s->readers++;
	return 0;
}

static inline void srcu_read_unlock(struct srcu_struct *s, int idx)
{
	s->readers--;
}

static inline bool srcu_read_lock_held(const struct srcu_struct *s)
{
	return s->readers > 0;
}

/* One thread: waiting for a reader would never end. */
static inline void synchronize_srcu(struct srcu_struct *s)
{
	WARN_ON(s->readers);
}

#define synchronize_srcu_expedited(s)	synchronize_srcu(s)
#define srcu_dereference(p, s)		({ WARN_ON(!srcu_read_lock_held(s)); READ_ONCE(p); })
#define srcu_dereference_check(p, s, c)	READ_ONCE(p)

#endif
