// SPDX-License-Identifier: GPL-2.0
/*
 * The 8254. Counts are computed from the time since they were loaded; channel 0
 * has a timer that raises GSI 0, channel 2 is behind port 0x61.
 *
 * pit->lock is taken outside of the irqchip's. The timer's function does not
 * take it, so the timer can be cancelled under it. BCD counting is not done, as
 * no system has used it.
 */
#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/math64.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <umbra/vm.h>
#include "chip.h"
#include "pit.h"

#define PORT_CHANNEL	0x40
#define PORT_CONTROL	0x43
#define PORT_SPEAKER	0x61

/* Control word: channel or read-back, access, mode. */
#define READ_BACK	3
#define BACK_NO_COUNT	BIT(5)
#define BACK_NO_STATUS	BIT(4)

/* Port 0x61. */
#define SPEAKER_GATE	BIT(0)
#define SPEAKER_DATA	BIT(1)
#define SPEAKER_REFRESH	BIT(4)
#define SPEAKER_OUT	BIT(5)

/* A guest that asks for more must not keep the host busy. */
#define MIN_PERIOD_NS	(200 * NSEC_PER_USEC)

/* Interrupts that the guest missed and will get later; ten seconds of them. */
#define MAX_PENDING	10000

/**
 * struct umbra_pit - the 8254
 * @chip: whose it is
 * @lock: @state and the starting and stopping of @timer
 * @state: registers, as user space sees them
 * @timer: of channel 0
 * @period: of channel 0 in ns, 0 for one shot; constant while the timer runs
 * @pending: ticks that came while the one before was still waiting
 * @reinject: give the guest @pending, so that it counts all ticks
 * @speaker: there is a port 0x61
 */
struct umbra_pit {
	struct umbra_irqchip *chip;
	raw_spinlock_t lock;	/* see above */
	struct kvm_pit_state2 state;
	struct hrtimer timer;
	u64 period;
	atomic_t pending;
	bool reinject;
	bool speaker;
};

static void add_pending(struct umbra_pit *pit, u64 ticks)
{
	if (!READ_ONCE(pit->reinject))
		return;
	if (atomic_add_return(min_t(u64, ticks, MAX_PENDING), &pit->pending) > MAX_PENDING)
		atomic_set(&pit->pending, MAX_PENDING);
}

static void pulse(struct umbra_pit *pit)
{
	struct umbra_vm *vm = pit->chip->vm;

	if (!umbra_irq_line(vm, UMBRA_IRQ_SOURCE_PIT, UMBRA_PIT_GSI, 1))
		add_pending(pit, 1);
	umbra_irq_line(vm, UMBRA_IRQ_SOURCE_PIT, UMBRA_PIT_GSI, 0);
}

/* The guest has finished an interrupt of ours. */
void umbra_pit_acked(struct umbra_irqchip *chip)
{
	struct umbra_pit *pit = READ_ONCE(chip->pit);

	if (pit && atomic_dec_if_positive(&pit->pending) >= 0)
		pulse(pit);
}

static enum hrtimer_restart pit_fires(struct hrtimer *timer)
{
	struct umbra_pit *pit = container_of(timer, struct umbra_pit, timer);
	u64 passed;

	pulse(pit);
	if (!pit->period)
		return HRTIMER_NORESTART;
	passed = hrtimer_forward_now(timer, ns_to_ktime(pit->period));
	if (passed > 1)
		add_pending(pit, passed - 1);
	return HRTIMER_RESTART;
}

static void stop(struct umbra_pit *pit)
{
	hrtimer_cancel(&pit->timer);
	atomic_set(&pit->pending, 0);
}

static void start(struct umbra_pit *pit)
{
	struct kvm_pit_channel_state *c = &pit->state.channels[0];
	u64 ns = pit_ticks_to_ns(c->count);

	lockdep_assert_held(&pit->lock);
	stop(pit);
	if (pit->state.flags & KVM_PIT_FLAGS_HPET_LEGACY)
		return;
	switch (c->mode) {
	case 0:
	case 1:
	case 4:
		pit->period = 0;
		break;
	case 2:
	case 3:
		ns = max_t(u64, ns, MIN_PERIOD_NS);
		pit->period = ns;
		break;
	default:
		return;
	}
	hrtimer_start(&pit->timer, ns_to_ktime(c->count_load_time + ns), HRTIMER_MODE_ABS_HARD);
}

static void load(struct umbra_pit *pit, unsigned int channel, u32 count)
{
	pit_load(&pit->state.channels[channel], count, ktime_get_ns());
	if (!channel)
		start(pit);
}

static void read_back(struct umbra_pit *pit, u8 data)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		if (!(data & BIT(i + 1)))
			continue;
		if (!(data & BACK_NO_COUNT))
			pit_latch_count(&pit->state.channels[i], ktime_get_ns());
		if (!(data & BACK_NO_STATUS))
			pit_latch_status(&pit->state.channels[i], ktime_get_ns());
	}
}

static void write_control(struct umbra_pit *pit, u8 data)
{
	unsigned int channel = data >> 6;

	if (channel == READ_BACK) {
		read_back(pit, data);
		return;
	}
	if (!(data >> 4 & 3)) {
		pit_latch_count(&pit->state.channels[channel], ktime_get_ns());
		return;
	}
	pit_set_mode(&pit->state.channels[channel], data);
	/* Counting begins with the count. */
	if (!channel)
		stop(pit);
}

static void write_channel(struct umbra_pit *pit, unsigned int channel, u8 data)
{
	u32 count;

	if (pit_write(&pit->state.channels[channel], data, &count))
		load(pit, channel, count);
}

static u8 read_speaker(struct umbra_pit *pit)
{
	struct kvm_pit_channel_state *c = &pit->state.channels[2];
	u64 now = ktime_get_ns();
	u8 data = 0;

	if (c->gate)
		data |= SPEAKER_GATE;
	if (pit->state.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON)
		data |= SPEAKER_DATA;
	/* Memory is refreshed about every 15 us. */
	if (now >> 14 & 1)
		data |= SPEAKER_REFRESH;
	if (pit_out(c, now))
		data |= SPEAKER_OUT;
	return data;
}

static void write_speaker(struct umbra_pit *pit, u8 data)
{
	pit->state.flags &= ~KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	if (data & SPEAKER_DATA)
		pit->state.flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	pit_set_gate(&pit->state.channels[2], data & SPEAKER_GATE, ktime_get_ns());
}

static void access(struct umbra_pit *pit, u16 port, u8 *data, bool write)
{
	if (port == PORT_SPEAKER) {
		if (write)
			write_speaker(pit, *data);
		else
			*data = read_speaker(pit);
	} else if (port == PORT_CONTROL) {
		if (write)
			write_control(pit, *data);
		else
			*data = 0;
	} else if (write) {
		write_channel(pit, port - PORT_CHANNEL, *data);
	} else {
		*data = pit_read(&pit->state.channels[port - PORT_CHANNEL], ktime_get_ns());
	}
}

/* One of the ports 0x40 to 0x43 and 0x61. Return: is it here? */
bool umbra_pit_io(struct umbra_irqchip *chip, u16 port, u8 *data, bool write)
{
	struct umbra_pit *pit = READ_ONCE(chip->pit);
	unsigned long flags;

	if (!pit || (port == PORT_SPEAKER && !pit->speaker))
		return false;
	raw_spin_lock_irqsave(&pit->lock, flags);
	access(pit, port, data, write);
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return true;
}

int umbra_pit_create(struct umbra_vm *vm, const struct kvm_pit_config *config)
{
	struct umbra_irqchip *chip = vm->irqchip;
	struct umbra_pit *pit;
	unsigned int i;

	lockdep_assert_held(&vm->lock);
	if (chip->pit)
		return -EEXIST;
	pit = kzalloc(sizeof(*pit), GFP_KERNEL_ACCOUNT);
	if (!pit)
		return -ENOMEM;
	pit->chip = chip;
	pit->reinject = true;
	pit->speaker = config->flags & KVM_PIT_SPEAKER_DUMMY;
	raw_spin_lock_init(&pit->lock);
	hrtimer_init(&pit->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_HARD);
	pit->timer.function = pit_fires;
	for (i = 0; i < 3; i++)
		pit_reset(&pit->state.channels[i], i != 2, ktime_get_ns());
	/* Readers that have no lock: vCPUs, and the end of an interrupt. */
	smp_store_release(&chip->pit, pit);
	umbra_irqchip_watch_pit(chip);
	return 0;
}

/* Nothing raises or ends interrupts any more. */
void umbra_pit_destroy(struct umbra_irqchip *chip)
{
	struct umbra_pit *pit = chip->pit;

	if (!pit)
		return;
	hrtimer_cancel(&pit->timer);
	chip->pit = NULL;
	kfree(pit);
}

bool umbra_vm_has_pit(struct umbra_vm *vm)
{
	lockdep_assert_held(&vm->lock);
	return vm->irqchip && vm->irqchip->pit;
}

int umbra_pit_get(struct umbra_vm *vm, struct kvm_pit_state2 *state)
{
	struct umbra_pit *pit = vm->irqchip->pit;
	unsigned long flags;

	raw_spin_lock_irqsave(&pit->lock, flags);
	*state = pit->state;
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

int umbra_pit_set(struct umbra_vm *vm, const struct kvm_pit_state2 *state)
{
	struct umbra_pit *pit = vm->irqchip->pit;
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&pit->lock, flags);
	memcpy(pit->state.channels, state->channels, sizeof(pit->state.channels));
	pit->state.flags = state->flags & (KVM_PIT_FLAGS_HPET_LEGACY |
					   KVM_PIT_FLAGS_SPEAKER_DATA_ON);
	for (i = 0; i < 3; i++)
		pit_sanitize(&pit->state.channels[i], ktime_get_ns());
	start(pit);
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

void umbra_pit_set_reinject(struct umbra_vm *vm, bool reinject)
{
	struct umbra_pit *pit = vm->irqchip->pit;

	WRITE_ONCE(pit->reinject, reinject);
	atomic_set(&pit->pending, 0);
}
