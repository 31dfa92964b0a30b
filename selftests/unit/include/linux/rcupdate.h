/* SPDX-License-Identifier: GPL-2.0 */
/*
 * RCU whose grace periods end when the test says so: call_rcu() queues, and
 * unit_rcu_barrier() runs what is queued.
 */
#ifndef UNIT_LINUX_RCUPDATE_H
#define UNIT_LINUX_RCUPDATE_H

#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/lockdep.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

extern UNIT_PER_THREAD int unit_rcu_depth;

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
void unit_rcu_barrier(void);

#define rcu_read_lock()			((void)unit_rcu_depth++)
#define rcu_read_unlock()		((void)WARN_ON(--unit_rcu_depth < 0))
#define rcu_read_lock_held()		(unit_rcu_depth > 0)
#define synchronize_rcu()		unit_rcu_barrier()
#define synchronize_rcu_expedited()	synchronize_rcu()
#define rcu_barrier()			unit_rcu_barrier()

#define __rcu
#define RCU_INIT_POINTER(p, v)		((p) = (v))
#define rcu_replace_pointer(p, v, c)	({				\
	__typeof__(p) unit_was = rcu_dereference_protected(p, c);	\
	rcu_assign_pointer(p, v);					\
	unit_was; })
#define rcu_assign_pointer(p, v)	__atomic_store_n(&(p), (v), __ATOMIC_RELEASE)
#define rcu_access_pointer(p)		READ_ONCE(p)
/* TSan knows of no order by dependency. */
#define rcu_dereference_raw(p)		__atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define rcu_dereference(p)		({ WARN_ON(!unit_rcu_depth); rcu_dereference_raw(p); })
#define rcu_dereference_check(p, c)	\
	({ WARN_ON(!unit_rcu_depth && !(c)); rcu_dereference_raw(p); })
#define rcu_dereference_protected(p, c)	({ WARN_ON(!(c)); (p); })

#endif
