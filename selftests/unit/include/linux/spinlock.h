/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Locks that know who holds them. Most tests run in one thread, so a lock that
 * is not free when it is taken is a deadlock. With UNIT_THREADS they are real.
 */
#ifndef UNIT_LINUX_SPINLOCK_H
#define UNIT_LINUX_SPINLOCK_H

#include <linux/bug.h>
#include <linux/lockdep.h>
#include <linux/types.h>

#ifdef UNIT_THREADS
#include <pthread.h>
#define UNIT_PER_THREAD		__thread
#else
#define UNIT_PER_THREAD
#endif

typedef struct {
	int readers;
	bool held;
#ifdef UNIT_THREADS
	pthread_rwlock_t lock;
#endif
} rwlock_t;

typedef rwlock_t spinlock_t;
typedef rwlock_t raw_spinlock_t;

/* How many spinning locks are held: sleeping is a bug then. */
extern UNIT_PER_THREAD int unit_atomic_depth;

/*
 * Called, when a test sets them: whenever a lock held for write is about to be given
 * up; and while one is free that was given up for those who wait.
 */
extern void (*unit_hold_ends)(void);
extern void (*unit_lock_free)(void);

#ifdef UNIT_THREADS

static inline void rwlock_init(rwlock_t *l)
{
	*l = (rwlock_t) {};
	pthread_rwlock_init(&l->lock, NULL);
}

static inline void write_lock(rwlock_t *l)
{
	pthread_rwlock_wrlock(&l->lock);
	__atomic_store_n(&l->held, true, __ATOMIC_RELAXED);
	unit_atomic_depth++;
}

static inline void write_unlock(rwlock_t *l)
{
	WARN_ON(!l->held);
	__atomic_store_n(&l->held, false, __ATOMIC_RELAXED);
	unit_atomic_depth--;
	pthread_rwlock_unlock(&l->lock);
}

static inline void read_lock(rwlock_t *l)
{
	pthread_rwlock_rdlock(&l->lock);
	__atomic_fetch_add(&l->readers, 1, __ATOMIC_RELAXED);
	unit_atomic_depth++;
}

static inline void read_unlock(rwlock_t *l)
{
	WARN_ON(__atomic_fetch_sub(&l->readers, 1, __ATOMIC_RELAXED) <= 0);
	unit_atomic_depth--;
	pthread_rwlock_unlock(&l->lock);
}

static inline bool write_trylock(rwlock_t *l)
{
	if (pthread_rwlock_trywrlock(&l->lock))
		return false;
	__atomic_store_n(&l->held, true, __ATOMIC_RELAXED);
	unit_atomic_depth++;
	return true;
}

/* Who waits cannot be asked for: give way now and then. */
static inline int cond_resched_rwlock_write(rwlock_t *l)
{
	write_unlock(l);
	write_lock(l);
	return 1;
}

#else

static inline void rwlock_init(rwlock_t *l)
{
	*l = (rwlock_t) {};
}

static inline void write_lock(rwlock_t *l)
{
	WARN_ON(l->readers || l->held);
	l->held = true;
	unit_atomic_depth++;
}

static inline void write_unlock(rwlock_t *l)
{
	WARN_ON(!l->held);
	if (unit_hold_ends)
		unit_hold_ends();
	l->held = false;
	unit_atomic_depth--;
}

static inline bool write_trylock(rwlock_t *l)
{
	if (l->readers || l->held)
		return false;
	write_lock(l);
	return true;
}

static inline void read_lock(rwlock_t *l)
{
	WARN_ON(l->held);
	l->readers++;
	unit_atomic_depth++;
}

static inline void read_unlock(rwlock_t *l)
{
	WARN_ON(!l->readers);
	l->readers--;
	unit_atomic_depth--;
}

static inline int cond_resched_rwlock_write(rwlock_t *l)
{
	/* It may see to it that it is called once. */
	void (*lock_free)(void) = unit_lock_free;

	write_unlock(l);
	if (lock_free)
		lock_free();
	write_lock(l);
	return !!lock_free;
}

#endif

/* Now and then, whether somebody waits or not: who asks has to cope with either. */
static inline bool rwlock_is_contended(rwlock_t *l)
{
	static UNIT_PER_THREAD unsigned int asked;

	return ++asked % 4 == 0;
}

#define rwlock_needbreak(l)		0
#define spin_needbreak(l)		0
#define DEFINE_SPINLOCK(name)		spinlock_t name
#define DEFINE_RWLOCK(name)		rwlock_t name
#define spin_lock_init(l)		rwlock_init(l)
#define spin_lock(l)			write_lock(l)
#define spin_unlock(l)			write_unlock(l)
#define spin_trylock(l)			write_trylock(l)
#define spin_lock_irqsave(l, f)		({ (void)(f); write_lock(l); })
#define spin_unlock_irqrestore(l, f)	({ (void)(f); write_unlock(l); })
#define raw_spin_lock_init(l)		rwlock_init(l)
#define raw_spin_lock_irqsave(l, f)	spin_lock_irqsave(l, (f) = 0)
#define raw_spin_unlock_irqrestore(l, f)	spin_unlock_irqrestore(l, f)
#define cond_resched_rwlock_read(l)	({ (void)(l); 0; })
#define cond_resched_lock(l)		({ (void)(l); 0; })

#endif
