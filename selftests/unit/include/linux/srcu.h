/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_SRCU_H
#define UNIT_LINUX_SRCU_H

#include <linux/rcupdate.h>

#ifdef UNIT_THREADS
#include <sched.h>

/* Two counters of readers that take turns: synchronize_srcu() waits for both. */
struct srcu_struct {
	int turn;
	int readers[2];
};

/* Of all domains together: there is one. */
extern __thread int unit_srcu_depth;

static inline int init_srcu_struct(struct srcu_struct *s)
{
	*s = (struct srcu_struct) {};
	return 0;
}

static inline void cleanup_srcu_struct(struct srcu_struct *s)
{
	WARN_ON(s->readers[0] || s->readers[1]);
}

static inline int srcu_read_lock(struct srcu_struct *s)
{
	int idx = __atomic_load_n(&s->turn, __ATOMIC_SEQ_CST);

	__atomic_fetch_add(&s->readers[idx], 1, __ATOMIC_SEQ_CST);
	unit_srcu_depth++;
	return idx;
}

static inline void srcu_read_unlock(struct srcu_struct *s, int idx)
{
	unit_srcu_depth--;
	__atomic_fetch_sub(&s->readers[idx], 1, __ATOMIC_SEQ_CST);
}

static inline bool srcu_read_lock_held(const struct srcu_struct *s)
{
	return unit_srcu_depth > 0;
}

static inline void synchronize_srcu(struct srcu_struct *s)
{
	WARN_ON(unit_srcu_depth);
	for (int i = 0; i < 2; i++) {
		int idx = __atomic_fetch_xor(&s->turn, 1, __ATOMIC_SEQ_CST);

		while (__atomic_load_n(&s->readers[idx], __ATOMIC_SEQ_CST))
			sched_yield();
	}
}

#else

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

#endif

#define synchronize_srcu_expedited(s)	synchronize_srcu(s)
#define srcu_dereference(p, s)					\
({								\
	WARN_ON(!srcu_read_lock_held(s));			\
	rcu_dereference_raw(p);					\
})
#define srcu_dereference_check(p, s, c)	rcu_dereference_raw(p)

#endif
