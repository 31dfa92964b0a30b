// SPDX-License-Identifier: GPL-2.0
/*
 * A slot whose writes are logged: what is written is in the log, once, and nothing
 * else. One payload for each step that a benchmark times.
 */
#include "rt.h"

static enum guest_log timed_step;

static void write_pages(u64 step)
{
	u64 end = GUEST_LOG_GPA + ctl->ops * PAGE_SIZE, gpa;

	for (gpa = GUEST_LOG_GPA; gpa < end; gpa += step * PAGE_SIZE)
		(*(volatile u64 *)gpa)++;
}

/* Return: the pages that the host found in the log. */
static u64 log_step(enum guest_log step)
{
	if (step == timed_step)
		timed_begin();
	call(CALL_LOG, step, ctl->ops);
	if (step == timed_step)
		timed_end();
	return ctl->arg[1];
}

static void rewrite(void)
{
	if (timed_step == GUEST_LOG_NONE)
		timed_begin();
	write_pages(1);
	if (timed_step == GUEST_LOG_NONE)
		timed_end();
}

static void run(enum guest_log step)
{
	u64 n = ctl->ops, i;

	/* All but one step are done twice; only the first time counts. */
	timed_step = step;
	log_step(GUEST_LOG_CREATE);
	write_pages(1);
	log_step(GUEST_LOG_ARM);
	write_pages(1);
	CHECK_EQ(log_step(GUEST_LOG_GET), n);
	if (timed_step == GUEST_LOG_GET)
		timed_step = GUEST_LOG_CREATE;
	CHECK_EQ(log_step(GUEST_LOG_GET), 0);
	rewrite();
	log_step(GUEST_LOG_CLEAR);
	CHECK_EQ(log_step(GUEST_LOG_GET), 0);
	write_pages(3);
	CHECK_EQ(log_step(GUEST_LOG_GET), (n + 2) / 3);
	for (i = 0; i < n; i++)
		CHECK_EQ(*(u64 *)(GUEST_LOG_GPA + i * PAGE_SIZE), 3 + !(i % 3));
	CHECK_EQ(log_step(GUEST_LOG_GET), 0);
	log_step(GUEST_LOG_DISARM);
	write_pages(1);
	note(n);
}

void payload_dirty_arm(void)
{
	run(GUEST_LOG_ARM);
}

void payload_dirty_get(void)
{
	run(GUEST_LOG_GET);
}

void payload_dirty_clear(void)
{
	run(GUEST_LOG_CLEAR);
}

void payload_dirty_rewrite(void)
{
	run(GUEST_LOG_NONE);
}

void payload_dirty_disarm(void)
{
	run(GUEST_LOG_DISARM);
}
