// SPDX-License-Identifier: GPL-2.0
/*
 * One channel of the 8254: what it counts and shows at a time. Nothing here
 * knows locks or timers. Times are in ns.
 */
#include <linux/bits.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/time64.h>
#include "pit.h"

#define PIT_HZ		1193182
#define FULL_COUNT	0x10000

/* Modes. */
#define TERMINAL_COUNT	0
#define ONE_SHOT	1
#define RATE		2
#define SQUARE		3
#define SOFT_STROBE	4
#define HARD_STROBE	5

/* rw_mode, and read_state and write_state, which also say which half is next. */
#define LOW		1
#define HIGH		2
#define BOTH		3
#define BOTH_HIGH	4

u64 pit_ticks_to_ns(u64 ticks)
{
	return mul_u64_u32_div(ticks, NSEC_PER_SEC, PIT_HZ);
}

static u64 elapsed(const struct kvm_pit_channel_state *c, u64 now)
{
	s64 ns = now - c->count_load_time;

	return ns < 0 ? 0 : mul_u64_u32_div(ns, PIT_HZ, NSEC_PER_SEC);
}

void pit_reset(struct kvm_pit_channel_state *c, bool gate, u64 now)
{
	memset(c, 0, sizeof(*c));
	c->mode = SQUARE;
	c->gate = gate;
	c->rw_mode = BOTH;
	c->read_state = BOTH;
	c->write_state = BOTH;
	pit_load(c, 0, now);
}

void pit_load(struct kvm_pit_channel_state *c, u32 count, u64 now)
{
	c->count = count ? count : FULL_COUNT;
	c->count_load_time = now;
}

bool pit_out(const struct kvm_pit_channel_state *c, u64 now)
{
	u64 ticks = elapsed(c, now);

	switch (c->mode) {
	case RATE:
		return ticks % c->count != c->count - 1;
	case SQUARE:
		return ticks % c->count < (c->count + 1) / 2;
	case SOFT_STROBE:
	case HARD_STROBE:
		return ticks != c->count;
	default:
		return ticks >= c->count;
	}
}

static u16 counter(const struct kvm_pit_channel_state *c, u64 now)
{
	u64 ticks = elapsed(c, now);

	switch (c->mode) {
	case RATE:
		return c->count - ticks % c->count;
	case SQUARE:
		/* Counts by two. */
		return c->count - 2 * ticks % c->count;
	default:
		return c->count - ticks;
	}
}

void pit_latch_count(struct kvm_pit_channel_state *c, u64 now)
{
	if (c->count_latched)
		return;
	c->latched_count = counter(c, now);
	c->count_latched = c->rw_mode;
}

void pit_latch_status(struct kvm_pit_channel_state *c, u64 now)
{
	if (c->status_latched)
		return;
	c->status = pit_out(c, now) << 7 | c->rw_mode << 4 | c->mode << 1 | c->bcd;
	c->status_latched = 1;
}

void pit_set_mode(struct kvm_pit_channel_state *c, u8 control)
{
	c->rw_mode = control >> 4 & 3;
	c->read_state = c->rw_mode;
	c->write_state = c->rw_mode;
	c->mode = control >> 1 & 7;
	/* Bit 2 of the mode counts only for 4 and 5. */
	if (c->mode > HARD_STROBE)
		c->mode -= 4;
	c->bcd = control & 1;
	c->count_latched = 0;
	c->status_latched = 0;
}

/* The rising gate starts these modes again. */
void pit_set_gate(struct kvm_pit_channel_state *c, bool gate, u64 now)
{
	bool restarts = c->mode == ONE_SHOT || c->mode == RATE || c->mode == SQUARE ||
			c->mode == HARD_STROBE;

	if (restarts && gate && !c->gate)
		c->count_load_time = now;
	c->gate = gate;
}

/* Return: has all of the count been written now? Then @count is it. */
bool pit_write(struct kvm_pit_channel_state *c, u8 data, u32 *count)
{
	switch (c->write_state) {
	case LOW:
		*count = data;
		return true;
	case HIGH:
		*count = data << 8;
		return true;
	case BOTH:
		c->write_latch = data;
		c->write_state = BOTH_HIGH;
		return false;
	case BOTH_HIGH:
		*count = c->write_latch | data << 8;
		c->write_state = BOTH;
		return true;
	default:
		return false;
	}
}

static u8 read_latched(struct kvm_pit_channel_state *c)
{
	switch (c->count_latched) {
	case LOW:
		c->count_latched = 0;
		return c->latched_count;
	case BOTH:
		c->count_latched = HIGH;
		return c->latched_count;
	default:
		c->count_latched = 0;
		return c->latched_count >> 8;
	}
}

u8 pit_read(struct kvm_pit_channel_state *c, u64 now)
{
	if (c->status_latched) {
		c->status_latched = 0;
		return c->status;
	}
	if (c->count_latched)
		return read_latched(c);
	switch (c->read_state) {
	case HIGH:
		return counter(c, now) >> 8;
	case BOTH:
		c->read_state = BOTH_HIGH;
		return counter(c, now);
	case BOTH_HIGH:
		c->read_state = BOTH;
		return counter(c, now) >> 8;
	default:
		return counter(c, now);
	}
}

/* State from user space: any values. The count starts again. */
void pit_sanitize(struct kvm_pit_channel_state *c, u64 now)
{
	c->count_latched &= 3;
	c->status_latched = !!c->status_latched;
	c->read_state = min_t(u8, c->read_state, BOTH_HIGH);
	c->write_state = min_t(u8, c->write_state, BOTH_HIGH);
	c->rw_mode &= 3;
	c->mode &= 7;
	if (c->mode > HARD_STROBE)
		c->mode -= 4;
	c->bcd &= 1;
	c->gate &= 1;
	pit_load(c, min_t(u32, c->count, FULL_COUNT), now);
}
