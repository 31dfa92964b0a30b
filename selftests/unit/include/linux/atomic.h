/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_ATOMIC_H
#define UNIT_LINUX_ATOMIC_H

#include <linux/compiler.h>
#include <linux/types.h>

typedef struct { int counter; } atomic_t;
typedef struct { s64 counter; } atomic64_t;
typedef struct { long counter; } atomic_long_t;

#define ATOMIC_INIT(i)		{ (i) }
#define ATOMIC64_INIT(i)	{ (i) }
#define ATOMIC_LONG_INIT(i)	{ (i) }

#define UNIT_ATOMIC(pre, var_t, type)						\
static inline type pre##_read(const var_t *v)					\
{ return __atomic_load_n(&v->counter, __ATOMIC_RELAXED); }			\
static inline type pre##_read_acquire(const var_t *v)				\
{ return __atomic_load_n(&v->counter, __ATOMIC_ACQUIRE); }			\
static inline void pre##_set(var_t *v, type i)					\
{ __atomic_store_n(&v->counter, i, __ATOMIC_RELAXED); }				\
static inline void pre##_set_release(var_t *v, type i)				\
{ __atomic_store_n(&v->counter, i, __ATOMIC_RELEASE); }				\
static inline void pre##_add(type i, var_t *v)					\
{ __atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED); }			\
static inline void pre##_sub(type i, var_t *v)					\
{ __atomic_fetch_sub(&v->counter, i, __ATOMIC_RELAXED); }			\
static inline void pre##_inc(var_t *v) { pre##_add(1, v); }			\
static inline void pre##_dec(var_t *v) { pre##_sub(1, v); }			\
static inline type pre##_add_return(type i, var_t *v)				\
{ return __atomic_add_fetch(&v->counter, i, __ATOMIC_SEQ_CST); }		\
static inline type pre##_sub_return(type i, var_t *v)				\
{ return __atomic_sub_fetch(&v->counter, i, __ATOMIC_SEQ_CST); }		\
static inline type pre##_inc_return(var_t *v) { return pre##_add_return(1, v); }	\
static inline type pre##_dec_return(var_t *v) { return pre##_sub_return(1, v); }	\
static inline void pre##_andnot(type i, var_t *v)				\
{ __atomic_fetch_and(&v->counter, ~i, __ATOMIC_RELAXED); }			\
static inline bool pre##_dec_and_test(var_t *v) { return !pre##_sub_return(1, v); }	\
static inline bool pre##_try_cmpxchg(var_t *v, type *old, type new)		\
{ return __atomic_compare_exchange_n(&v->counter, old, new, false,		\
				     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); }	\
static inline type pre##_cmpxchg(var_t *v, type old, type new)			\
{ pre##_try_cmpxchg(v, &old, new); return old; }				\
static inline type pre##_xchg(var_t *v, type new)				\
{ return __atomic_exchange_n(&v->counter, new, __ATOMIC_SEQ_CST); }

UNIT_ATOMIC(atomic, atomic_t, int)
UNIT_ATOMIC(atomic64, atomic64_t, s64)
UNIT_ATOMIC(atomic_long, atomic_long_t, long)

static inline int atomic_dec_if_positive(atomic_t *v)
{
	int i = atomic_read(v);

	while (i > 0 && !atomic_try_cmpxchg(v, &i, i - 1))
		;
	return i - 1;
}

#define xchg(ptr, v)		__atomic_exchange_n((ptr), (v), __ATOMIC_SEQ_CST)
/* Who wants to lose a race does something here. */
__attribute__((__weak__)) void unit_race_point(void);

#define try_cmpxchg(ptr, oldp, new) ({						\
	if (unit_race_point)							\
		unit_race_point();						\
	__atomic_compare_exchange_n((ptr), (oldp), (new), false,		\
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); })
#define cmpxchg(ptr, old, new) ({						\
	__typeof__(*(ptr)) unit_old = (old);					\
	try_cmpxchg(ptr, &unit_old, new);					\
	unit_old; })
#define try_cmpxchg64		try_cmpxchg
#define cmpxchg64		cmpxchg

#define smp_mb()		__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb()		__atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb()		__atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_mb__before_atomic()	smp_mb()
#define smp_mb__after_atomic()	smp_mb()
#define smp_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

#endif
