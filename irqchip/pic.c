// SPDX-License-Identifier: GPL-2.0
/*
 * Two 8259s: the slave's output is pin 2 of the master. Under chip->lock.
 *
 * Priorities rotate: priority 0, the highest, is pin priority_add.
 */
#include <linux/bitops.h>
#include <linux/string.h>
#include "chip.h"

#define MASTER		0
#define SLAVE		1
#define CASCADE		2
#define SPURIOUS	7

/* Bits of ICW1, ICW4, OCW2, OCW3. */
#define ICW1		BIT(4)
#define ICW1_ICW4	BIT(0)
#define ICW4_AUTO_EOI	BIT(1)
#define ICW4_NESTED	BIT(4)
#define OCW3		BIT(3)
#define OCW3_POLL	BIT(2)
#define OCW3_READ	BIT(1)
#define OCW3_READ_ISR	BIT(0)
#define OCW3_SET_MASK	BIT(6)
#define OCW3_MASK	BIT(5)

/* What init_state waits for. */
enum { READY, WAIT_ICW2, WAIT_ICW3, WAIT_ICW4 };

/* Pins that can be level-triggered: not the timer, keyboard, cascade, RTC, FPU. */
static const u8 elcr_masks[2] = { 0xf8, 0xde };

/* Distance of the first set bit from the highest priority; 8 for none. */
static unsigned int priority(const struct kvm_pic_state *s, u8 bits)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		if (bits & BIT((i + s->priority_add) & 7))
			return i;
	return 8;
}

/* The pin that the chip asks for, or -1. */
static int requested(const struct umbra_pic *pic, unsigned int which)
{
	const struct kvm_pic_state *s = &pic->chip[which];
	unsigned int wanted = priority(s, s->irr & ~s->imr);
	u8 in_service = s->isr;

	if (wanted == 8)
		return -1;
	if (s->special_mask)
		in_service &= ~s->imr;
	/* The slave may ask again for something more urgent. */
	if (s->special_fully_nested_mode && which == MASTER)
		in_service &= ~BIT(CASCADE);
	if (wanted >= priority(s, in_service))
		return -1;
	return (wanted + s->priority_add) & 7;
}

static int set_line(struct kvm_pic_state *s, unsigned int pin, bool level)
{
	u8 bit = BIT(pin);
	int ret = 1;

	if (s->elcr & bit) {
		if (level) {
			ret = !(s->irr & bit);
			s->irr |= bit;
		} else {
			s->irr &= ~bit;
		}
	} else if (level && !(s->last_irr & bit)) {
		ret = !(s->irr & bit);
		s->irr |= bit;
	}
	if (level)
		s->last_irr |= bit;
	else
		s->last_irr &= ~bit;
	return s->imr & bit ? -1 : ret;
}

static void update(struct umbra_pic *pic)
{
	struct kvm_pic_state *master = &pic->chip[MASTER];

	if (requested(pic, SLAVE) >= 0)
		master->irr |= BIT(CASCADE);
	else
		master->irr &= ~BIT(CASCADE);
	WRITE_ONCE(pic->output, requested(pic, MASTER) >= 0);
}

int umbra_pic_set_pin(struct umbra_pic *pic, unsigned int pin, bool level)
{
	int ret = set_line(&pic->chip[pin >> 3], pin & 7, level);

	update(pic);
	return ret;
}

/* Return: the pin's bit when that was the end of it, too. */
static u8 acknowledge(struct kvm_pic_state *s, unsigned int pin)
{
	if (!(s->elcr & BIT(pin)))
		s->irr &= ~BIT(pin);
	if (!s->auto_eoi) {
		s->isr |= BIT(pin);
		return 0;
	}
	if (s->rotate_on_auto_eoi)
		s->priority_add = (pin + 1) & 7;
	return BIT(pin);
}

/*
 * The two INTA cycles.
 * @acked: out: pins, of 16, whose service has ended at once
 * Return: the vector.
 */
int umbra_pic_ack(struct umbra_pic *pic, u32 *acked)
{
	struct kvm_pic_state *master = &pic->chip[MASTER], *slave = &pic->chip[SLAVE];
	int pin = requested(pic, MASTER), vector;

	*acked = 0;
	if (pin < 0) {
		vector = master->irq_base + SPURIOUS;
	} else if (pin != CASCADE) {
		*acked = acknowledge(master, pin);
		vector = master->irq_base + pin;
	} else {
		pin = requested(pic, SLAVE);
		acknowledge(master, CASCADE);
		if (pin >= 0)
			*acked = acknowledge(slave, pin) << 8;
		else
			pin = SPURIOUS;
		vector = slave->irq_base + pin;
	}
	update(pic);
	return vector & 0xff;
}

/* ICW1. Pins that are high must fall and rise again to be seen. */
static void begin_init(struct kvm_pic_state *s, u8 data)
{
	s->init4 = data & ICW1_ICW4;
	s->last_irr = 0;
	s->irr &= s->elcr;
	s->imr = 0;
	s->isr = 0;
	s->priority_add = 0;
	s->special_mask = 0;
	s->read_reg_select = 0;
	s->poll = 0;
	if (!s->init4) {
		s->special_fully_nested_mode = 0;
		s->auto_eoi = 0;
	}
	s->rotate_on_auto_eoi = 0;
	s->init_state = WAIT_ICW2;
}

/* OCW2: bits 7:5 are the command, 2:0 the pin of a specific one. */
static u8 end_of_interrupt(struct kvm_pic_state *s, u8 data)
{
	unsigned int pin = data & 7, command = data >> 5, first;

	switch (command) {
	case 0:
	case 4:
		s->rotate_on_auto_eoi = command >> 2;
		return 0;
	case 1:
	case 5:
		first = priority(s, s->isr);
		if (first == 8)
			return 0;
		pin = (first + s->priority_add) & 7;
		break;
	case 3:
	case 7:
		break;
	case 6:
		s->priority_add = (pin + 1) & 7;
		return 0;
	default:
		return 0;
	}
	s->isr &= ~BIT(pin);
	if (command & 4)
		s->priority_add = (pin + 1) & 7;
	return BIT(pin);
}

static u8 write_command(struct kvm_pic_state *s, u8 data)
{
	if (data & ICW1) {
		u8 served = s->isr;

		begin_init(s, data);
		return served;
	}
	if (!(data & OCW3))
		return end_of_interrupt(s, data);
	if (data & OCW3_POLL)
		s->poll = 1;
	if (data & OCW3_READ)
		s->read_reg_select = data & OCW3_READ_ISR;
	if (data & OCW3_SET_MASK)
		s->special_mask = !!(data & OCW3_MASK);
	return 0;
}

static void write_data(struct kvm_pic_state *s, u8 data)
{
	switch (s->init_state) {
	case WAIT_ICW2:
		s->irq_base = data & 0xf8;
		s->init_state = WAIT_ICW3;
		break;
	case WAIT_ICW3:
		/* How the chips are wired is known. */
		s->init_state = s->init4 ? WAIT_ICW4 : READY;
		break;
	case WAIT_ICW4:
		s->special_fully_nested_mode = !!(data & ICW4_NESTED);
		s->auto_eoi = !!(data & ICW4_AUTO_EOI);
		s->init_state = READY;
		break;
	default:
		s->imr = data;
	}
}

/* A read after a poll command acknowledges like INTA. */
static u8 poll(struct umbra_pic *pic, unsigned int which)
{
	int pin = requested(pic, which);

	pic->chip[which].poll = 0;
	if (pin < 0)
		return 0;
	if (which == SLAVE)
		acknowledge(&pic->chip[MASTER], CASCADE);
	acknowledge(&pic->chip[which], pin);
	return 0x80 | pin;
}

static u8 read_port(struct umbra_pic *pic, unsigned int which, bool data_port)
{
	struct kvm_pic_state *s = &pic->chip[which];

	if (s->poll)
		return poll(pic, which);
	if (data_port)
		return s->imr;
	return s->read_reg_select ? s->isr : s->irr;
}

/*
 * @acked: out: pins, of 16, whose service has ended
 * Return: is there such a port?
 */
bool umbra_pic_port(struct umbra_pic *pic, u16 port, u8 *data, bool write, u32 *acked)
{
	unsigned int which = port >> 7 & 1;
	struct kvm_pic_state *s;

	*acked = 0;
	switch (port) {
	case 0x20:
	case 0x21:
	case 0xa0:
	case 0xa1:
		s = &pic->chip[which];
		if (!write)
			*data = read_port(pic, which, port & 1);
		else if (port & 1)
			write_data(s, *data);
		else
			*acked = write_command(s, *data) << 8 * which;
		break;
	case 0x4d0:
	case 0x4d1:
		s = &pic->chip[port & 1];
		if (write)
			s->elcr = *data & s->elcr_mask;
		else
			*data = s->elcr;
		break;
	default:
		return false;
	}
	update(pic);
	return true;
}

void umbra_pic_reset(struct umbra_pic *pic)
{
	memset(pic, 0, sizeof(*pic));
	pic->chip[MASTER].elcr_mask = elcr_masks[MASTER];
	pic->chip[SLAVE].elcr_mask = elcr_masks[SLAVE];
}

void umbra_pic_set_state(struct umbra_pic *pic, unsigned int which,
			 const struct kvm_pic_state *state)
{
	struct kvm_pic_state *s = &pic->chip[which];

	*s = *state;
	s->priority_add &= 7;
	s->irq_base &= 0xf8;
	s->init_state &= 3;
	s->elcr_mask = elcr_masks[which];
	s->elcr &= s->elcr_mask;
	update(pic);
}
