// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's timer: one-shot and periodic, which count cycles of a bus of
 * 1 GHz, so one count is one nanosecond before the divider; and TSC deadline.
 *
 * The timer's function runs in a hard interrupt, anywhere. Whoever changes the
 * period or the kind of timer stops it first.
 */
#include <linux/hrtimer.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include "lapic.h"

/* A guest that asks for more must not keep the host busy. */
#define MIN_PERIOD_NS	(200 * NSEC_PER_USEC)

/* No deadline is farther away; keeps the products below 64 bits. */
#define MAX_SECONDS	(100000000ull)

#define LVT_MODE	(APIC_LVT_TIMER_PERIODIC | APIC_LVT_TIMER_TSCDEADLINE)

static u32 timer_mode(const struct umbra_lapic *lapic)
{
	return lapic_reg(lapic, APIC_LVTT) & LVT_MODE;
}

static bool is_deadline(u32 lvt)
{
	return lvt & APIC_LVT_TIMER_TSCDEADLINE;
}

/* Divide configuration: bits 3, 1, 0 select 2, 4, ... 128, 1. */
static unsigned int divide_shift(const struct umbra_lapic *lapic)
{
	u32 tdcr = lapic_reg(lapic, APIC_TDCR);

	return (((tdcr & 3) | (tdcr >> 1 & 4)) + 1) & 7;
}

static enum hrtimer_restart timer_fires(struct hrtimer *timer)
{
	struct umbra_lapic *lapic = container_of(timer, struct umbra_lapic, timer);
	u32 mode = timer_mode(lapic);

	if (is_deadline(mode))
		WRITE_ONCE(lapic->deadline, 0);
	umbra_lapic_local(lapic, APIC_LVTT);
	if (mode != APIC_LVT_TIMER_PERIODIC)
		return HRTIMER_NORESTART;

	/* Periods that the host missed are lost. */
	hrtimer_forward_now(timer, ns_to_ktime(max_t(u64, lapic->period, MIN_PERIOD_NS)));
	WRITE_ONCE(lapic->target, ktime_to_ns(hrtimer_get_expires(timer)));
	return HRTIMER_RESTART;
}

void umbra_timer_init(struct umbra_lapic *lapic)
{
	hrtimer_init(&lapic->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_HARD);
	lapic->timer.function = timer_fires;
}

void umbra_timer_stop(struct umbra_lapic *lapic)
{
	hrtimer_cancel(&lapic->timer);
}

static void start_after(struct umbra_lapic *lapic, u64 ns)
{
	s64 target = ktime_get_ns() + ns;

	WRITE_ONCE(lapic->target, target);
	hrtimer_start(&lapic->timer, ns_to_ktime(target), HRTIMER_MODE_ABS_HARD);
}

static void start_deadline(struct umbra_lapic *lapic)
{
	u32 khz = max_t(u32, umbra_vcpu_tsc_khz(lapic->vcpu), 1);
	u64 tsc = umbra_vcpu_guest_tsc(lapic->vcpu);
	u64 deadline = lapic->deadline;

	if (!deadline)
		return;
	if (deadline <= tsc) {
		WRITE_ONCE(lapic->deadline, 0);
		umbra_lapic_local(lapic, APIC_LVTT);
		return;
	}
	deadline = min_t(u64, deadline - tsc, khz * MAX_SECONDS * 1000);
	/* Rounded up: never early. */
	start_after(lapic, mul_u64_u32_div(deadline, NSEC_PER_MSEC, khz) + 1);
}

/* Start with @remaining counts to go. */
static void start_counting(struct umbra_lapic *lapic, u32 remaining)
{
	unsigned int shift = divide_shift(lapic);
	u64 ns = (u64)remaining << shift;

	lapic->period = (u64)lapic_reg(lapic, APIC_TMICT) << shift;
	if (!lapic->period)
		return;
	if (timer_mode(lapic) == APIC_LVT_TIMER_PERIODIC) {
		lapic->period = max_t(u64, lapic->period, MIN_PERIOD_NS);
		ns = min(ns, lapic->period);
	}
	start_after(lapic, ns);
}

/* The timer is stopped. Count from the beginning, or wait for the deadline. */
void umbra_timer_start(struct umbra_lapic *lapic)
{
	if (is_deadline(timer_mode(lapic)))
		start_deadline(lapic);
	else
		start_counting(lapic, lapic_reg(lapic, APIC_TMICT));
}

/* The timer is stopped, and had @remaining counts to go when it was. */
void umbra_timer_restore(struct umbra_lapic *lapic, u32 remaining)
{
	if (is_deadline(timer_mode(lapic)))
		start_deadline(lapic);
	else if (remaining)
		start_counting(lapic, min(remaining, lapic_reg(lapic, APIC_TMICT)));
	else if (timer_mode(lapic) == APIC_LVT_TIMER_PERIODIC)
		start_counting(lapic, lapic_reg(lapic, APIC_TMICT));
}

u32 umbra_timer_count(struct umbra_lapic *lapic)
{
	s64 left;

	if (is_deadline(timer_mode(lapic)) || !lapic_reg(lapic, APIC_TMICT))
		return 0;
	left = READ_ONCE(lapic->target) - ktime_get_ns();
	/* A period has ended, and the timer's interrupt is late. */
	if (left < 0 && timer_mode(lapic) == APIC_LVT_TIMER_PERIODIC && lapic->period)
		left = lapic->period - (u64)-left % lapic->period;
	if (left <= 0)
		return 0;
	return min_t(u64, left >> divide_shift(lapic), lapic_reg(lapic, APIC_TMICT));
}

void umbra_timer_set_divide(struct umbra_lapic *lapic, u32 tdcr)
{
	u32 remaining = umbra_timer_count(lapic);

	if (is_deadline(timer_mode(lapic))) {
		lapic_set_reg(lapic, APIC_TDCR, tdcr);
		return;
	}
	umbra_timer_stop(lapic);
	lapic_set_reg(lapic, APIC_TDCR, tdcr);
	umbra_timer_restore(lapic, remaining);
}

void umbra_timer_set_lvt(struct umbra_lapic *lapic, u32 lvt)
{
	u32 old = timer_mode(lapic);
	u32 remaining;

	if (old == (lvt & LVT_MODE)) {
		lapic_set_reg(lapic, APIC_LVTT, lvt);
		return;
	}
	remaining = umbra_timer_count(lapic);
	umbra_timer_stop(lapic);
	lapic_set_reg(lapic, APIC_LVTT, lvt);
	if (is_deadline(old) || is_deadline(lvt)) {
		/* Either kind starts afresh. */
		lapic_set_reg(lapic, APIC_TMICT, 0);
		WRITE_ONCE(lapic->deadline, 0);
		return;
	}
	umbra_timer_restore(lapic, remaining);
}

void umbra_timer_set_deadline(struct umbra_lapic *lapic, u64 deadline)
{
	if (!is_deadline(timer_mode(lapic)))
		return;
	umbra_timer_stop(lapic);
	WRITE_ONCE(lapic->deadline, deadline);
	start_deadline(lapic);
}
