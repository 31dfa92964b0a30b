/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_LIST_H
#define UNIT_LINUX_LIST_H

#include <linux/kernel.h>

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD_INIT(name)	{ &(name), &(name) }
#define LIST_HEAD(name)		struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *h)
{
	h->next = h;
	h->prev = h;
}

static inline void unit_list_insert(struct list_head *e, struct list_head *prev,
				    struct list_head *next)
{
	e->prev = prev;
	e->next = next;
	prev->next = e;
	next->prev = e;
}

static inline void list_add(struct list_head *e, struct list_head *h)
{
	unit_list_insert(e, h, h->next);
}

static inline void list_add_tail(struct list_head *e, struct list_head *h)
{
	unit_list_insert(e, h->prev, h);
}

static inline void unit_list_unlink(struct list_head *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
}

/* As in the kernel, a deleted entry traps when it is followed. */
static inline void list_del(struct list_head *e)
{
	unit_list_unlink(e);
	e->next = (void *)0x100;
	e->prev = (void *)0x122;
}

static inline void list_del_init(struct list_head *e)
{
	unit_list_unlink(e);
	INIT_LIST_HEAD(e);
}

static inline void list_move(struct list_head *e, struct list_head *h)
{
	unit_list_unlink(e);
	list_add(e, h);
}

static inline void list_move_tail(struct list_head *e, struct list_head *h)
{
	unit_list_unlink(e);
	list_add_tail(e, h);
}

static inline bool list_empty(const struct list_head *h)
{
	return h->next == h;
}

static inline bool list_is_singular(const struct list_head *h)
{
	return !list_empty(h) && h->next == h->prev;
}

static inline void list_splice(struct list_head *from, struct list_head *h)
{
	if (list_empty(from))
		return;
	from->prev->next = h->next;
	h->next->prev = from->prev;
	h->next = from->next;
	from->next->prev = h;
}

static inline void list_splice_init(struct list_head *from, struct list_head *h)
{
	list_splice(from, h);
	INIT_LIST_HEAD(from);
}

static inline void list_splice_tail_init(struct list_head *from, struct list_head *h)
{
	list_splice(from, h->prev);
	INIT_LIST_HEAD(from);
}

#define list_entry(ptr, type, member)	container_of(ptr, type, member)
#define list_first_entry(h, type, m)	list_entry((h)->next, type, m)
#define list_last_entry(h, type, m)	list_entry((h)->prev, type, m)
#define list_first_entry_or_null(h, type, m) \
	(list_empty(h) ? NULL : list_first_entry(h, type, m))
#define list_next_entry(pos, m)		list_entry((pos)->m.next, __typeof__(*(pos)), m)
#define list_prev_entry(pos, m)		list_entry((pos)->m.prev, __typeof__(*(pos)), m)
#define list_for_each(pos, h)		for (pos = (h)->next; pos != (h); pos = pos->next)
#define list_for_each_safe(pos, n, h) \
	for (pos = (h)->next, n = pos->next; pos != (h); pos = n, n = pos->next)
#define list_for_each_entry(pos, h, m) \
	for (pos = list_first_entry(h, __typeof__(*pos), m); &pos->m != (h); \
	     pos = list_next_entry(pos, m))
#define list_for_each_entry_reverse(pos, h, m) \
	for (pos = list_last_entry(h, __typeof__(*pos), m); &pos->m != (h); \
	     pos = list_prev_entry(pos, m))
#define list_for_each_entry_safe(pos, n, h, m) \
	for (pos = list_first_entry(h, __typeof__(*pos), m), n = list_next_entry(pos, m); \
	     &pos->m != (h); pos = n, n = list_next_entry(n, m))
#define list_for_each_entry_safe_reverse(pos, n, h, m) \
	for (pos = list_last_entry(h, __typeof__(*pos), m), n = list_prev_entry(pos, m); \
	     &pos->m != (h); pos = n, n = list_prev_entry(n, m))

struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct hlist_head {
	struct hlist_node *first;
};

#define HLIST_HEAD_INIT		{ .first = NULL }
#define INIT_HLIST_HEAD(h)	((h)->first = NULL)

static inline void INIT_HLIST_NODE(struct hlist_node *n)
{
	n->next = NULL;
	n->pprev = NULL;
}

static inline bool hlist_unhashed(const struct hlist_node *n)
{
	return !n->pprev;
}

static inline bool hlist_empty(const struct hlist_head *h)
{
	return !h->first;
}

static inline void hlist_add_head(struct hlist_node *n, struct hlist_head *h)
{
	n->next = h->first;
	if (n->next)
		n->next->pprev = &n->next;
	h->first = n;
	n->pprev = &h->first;
}

static inline void unit_hlist_unlink(struct hlist_node *n)
{
	*n->pprev = n->next;
	if (n->next)
		n->next->pprev = n->pprev;
}

static inline void hlist_del(struct hlist_node *n)
{
	unit_hlist_unlink(n);
	n->next = (void *)0x100;
	n->pprev = (void *)0x122;
}

static inline void hlist_del_init(struct hlist_node *n)
{
	if (hlist_unhashed(n))
		return;
	unit_hlist_unlink(n);
	INIT_HLIST_NODE(n);
}

#define hlist_add_head_rcu	hlist_add_head
#define hlist_del_rcu		hlist_del
#define hlist_del_init_rcu	hlist_del_init

#define hlist_entry(ptr, type, member)	container_of(ptr, type, member)
#define hlist_entry_safe(ptr, type, member) ({ \
	struct hlist_node *unit_ptr = (ptr); \
	unit_ptr ? hlist_entry(unit_ptr, type, member) : NULL; })
#define hlist_for_each_entry(pos, h, m) \
	for (pos = hlist_entry_safe((h)->first, __typeof__(*pos), m); pos; \
	     pos = hlist_entry_safe(pos->m.next, __typeof__(*pos), m))
#define hlist_for_each_entry_rcu(pos, h, m, ...)	hlist_for_each_entry(pos, h, m)
#define hlist_for_each_entry_safe(pos, n, h, m) \
	for (pos = hlist_entry_safe((h)->first, __typeof__(*pos), m); \
	     pos && ({ n = pos->m.next; 1; }); \
	     pos = hlist_entry_safe(n, __typeof__(*pos), m))

#endif
