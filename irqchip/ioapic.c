// SPDX-License-Identifier: GPL-2.0
/* The IOAPIC: 24 pins, each with a redirection entry. Under chip->lock. */
#include <asm/apicdef.h>
#include <linux/bitops.h>
#include <linux/lockdep.h>
#include "chip.h"

#define IOAPIC_VERSION	(0x11 | (IOAPIC_PINS - 1) << 16)

/* Offsets in the page, and what IOREGSEL selects. */
#define IOREGSEL	0x00
#define IOWIN		0x10
#define REG_ID		0
#define REG_VERSION	1
#define REG_ARBITRATION	2
#define REG_REDIRECTION	16

#define ID_BITS		0x0f000000u

#define ENTRY_MODE	GENMASK_ULL(10, 8)
#define ENTRY_LOGICAL	BIT_ULL(11)
#define ENTRY_STATUS	BIT_ULL(12)
#define ENTRY_REMOTE	BIT_ULL(14)
#define ENTRY_LEVEL	BIT_ULL(15)
#define ENTRY_MASKED	BIT_ULL(16)
#define ENTRY_WRITABLE	(GENMASK_ULL(63, 56) | GENMASK_ULL(16, 15) | BIT_ULL(13) | \
			 GENMASK_ULL(11, 0))
#define ENTRY_READ_ONLY	(ENTRY_STATUS | ENTRY_REMOTE)

static u64 *entry_of(struct umbra_ioapic *ioapic, unsigned int pin)
{
	return &ioapic->state.redirtbl[pin].bits;
}

static u8 vector_of(u64 entry)
{
	return entry & 0xff;
}

void umbra_ioapic_reset(struct umbra_ioapic *ioapic)
{
	unsigned int pin;

	memset(&ioapic->state, 0, sizeof(ioapic->state));
	ioapic->state.base_address = IOAPIC_BASE;
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		*entry_of(ioapic, pin) = ENTRY_MASKED;
	ioapic->delivered = 0;
	bitmap_zero(ioapic->eoi_vectors, 256);
}

/*
 * Readers have no lock. Each word is replaced at once, so that a vector that
 * stays in the set does not disappear for a moment.
 */
static void update_eoi_vectors(struct umbra_ioapic *ioapic)
{
	DECLARE_BITMAP(wanted, 256) = {};
	unsigned int pin, i;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 entry = *entry_of(ioapic, pin);

		if (entry & ENTRY_LEVEL || ioapic->watched & BIT(pin))
			__set_bit(vector_of(entry), wanted);
	}
	for (i = 0; i < BITS_TO_LONGS(256); i++)
		WRITE_ONCE(ioapic->eoi_vectors[i], wanted[i]);
}

void umbra_ioapic_watch(struct umbra_irqchip *chip, u32 pins)
{
	lockdep_assert_held(&chip->lock);
	chip->ioapic.watched = pins;
	update_eoi_vectors(&chip->ioapic);
}

static int send(struct umbra_irqchip *chip, unsigned int pin)
{
	u64 *entry = entry_of(&chip->ioapic, pin);
	struct umbra_irq_msg msg = {
		.dest = *entry >> 56,
		.logical = *entry & ENTRY_LOGICAL,
		.mode = *entry & ENTRY_MODE,
		.vector = vector_of(*entry),
		.level = *entry & ENTRY_LEVEL,
	};
	int ret;

	if (*entry & ENTRY_MASKED || (msg.level && *entry & ENTRY_REMOTE))
		return -1;
	ret = umbra_irq_deliver(chip->vm, NULL, &msg);
	if (ret < 0)
		return ret;
	if (msg.level)
		*entry |= ENTRY_REMOTE;
	else
		chip->ioapic.delivered |= BIT(pin);
	return ret;
}

int umbra_ioapic_set_pin(struct umbra_irqchip *chip, unsigned int pin, bool level)
{
	struct umbra_ioapic *ioapic = &chip->ioapic;
	bool edge = !(*entry_of(ioapic, pin) & ENTRY_LEVEL);
	bool was = ioapic->state.irr & BIT(pin);

	lockdep_assert_held(&chip->lock);
	if (!level) {
		ioapic->state.irr &= ~BIT(pin);
		return 1;
	}
	ioapic->state.irr |= BIT(pin);
	if (edge) {
		if (was)
			return 0;
		ioapic->delivered &= ~BIT(pin);
	}
	return send(chip, pin);
}

/* Return: the pins that had waited for it. */
u32 umbra_ioapic_eoi(struct umbra_irqchip *chip, u8 vector)
{
	struct umbra_ioapic *ioapic = &chip->ioapic;
	unsigned int pin;
	u32 acked = 0;

	lockdep_assert_held(&chip->lock);
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 *entry = entry_of(ioapic, pin);

		if (vector_of(*entry) != vector)
			continue;
		if (!(*entry & ENTRY_LEVEL)) {
			acked |= ioapic->watched & BIT(pin);
			continue;
		}
		if (!(*entry & ENTRY_REMOTE))
			continue;
		*entry &= ~ENTRY_REMOTE;
		acked |= BIT(pin);
		if (ioapic->state.irr & BIT(pin))
			send(chip, pin);
	}
	return acked;
}

static u32 read_window(struct umbra_ioapic *ioapic)
{
	u32 reg = ioapic->state.ioregsel;
	unsigned int pin;

	switch (reg) {
	case REG_ID:
	case REG_ARBITRATION:
		return ioapic->state.id & ID_BITS;
	case REG_VERSION:
		return IOAPIC_VERSION;
	}
	pin = (reg - REG_REDIRECTION) / 2;
	if (reg < REG_REDIRECTION || pin >= IOAPIC_PINS)
		return 0;
	return reg & 1 ? *entry_of(ioapic, pin) >> 32 : *entry_of(ioapic, pin);
}

static void write_entry(struct umbra_irqchip *chip, unsigned int pin, bool upper, u32 data)
{
	u64 *entry = entry_of(&chip->ioapic, pin);
	u64 new;

	if (upper)
		new = (u64)data << 32 | (u32)*entry;
	else
		new = (*entry & GENMASK_ULL(63, 32)) | data;
	*entry = (new & ENTRY_WRITABLE) | (*entry & ENTRY_READ_ONLY);
	/* Systems end an interrupt by making its pin an edge for a moment. */
	if (!(*entry & ENTRY_LEVEL))
		*entry &= ~ENTRY_REMOTE;
	update_eoi_vectors(&chip->ioapic);

	if (*entry & ENTRY_LEVEL && chip->ioapic.state.irr & BIT(pin))
		send(chip, pin);
}

static void write_window(struct umbra_irqchip *chip, u32 data)
{
	u32 reg = chip->ioapic.state.ioregsel;
	unsigned int pin = (reg - REG_REDIRECTION) / 2;

	if (reg == REG_ID)
		chip->ioapic.state.id = data & ID_BITS;
	else if (reg >= REG_REDIRECTION && pin < IOAPIC_PINS)
		write_entry(chip, pin, reg & 1, data);
}

u32 umbra_ioapic_read(struct umbra_ioapic *ioapic, unsigned int offset)
{
	switch (offset) {
	case IOREGSEL:
		return ioapic->state.ioregsel;
	case IOWIN:
		return read_window(ioapic);
	default:
		return 0;
	}
}

void umbra_ioapic_write(struct umbra_irqchip *chip, unsigned int offset, u32 data)
{
	lockdep_assert_held(&chip->lock);
	switch (offset) {
	case IOREGSEL:
		chip->ioapic.state.ioregsel = data & 0xff;
		break;
	case IOWIN:
		write_window(chip, data);
		break;
	}
}

void umbra_ioapic_set_state(struct umbra_irqchip *chip, const struct kvm_ioapic_state *state)
{
	struct umbra_ioapic *ioapic = &chip->ioapic;
	unsigned int pin;

	lockdep_assert_held(&chip->lock);
	ioapic->state = *state;
	ioapic->state.ioregsel &= 0xff;
	ioapic->state.id &= ID_BITS;
	ioapic->state.irr = 0;
	ioapic->state.pad = 0;
	ioapic->delivered = 0;
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		*entry_of(ioapic, pin) &= ENTRY_WRITABLE | ENTRY_READ_ONLY;
	update_eoi_vectors(ioapic);
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		if (state->irr & BIT(pin))
			umbra_ioapic_set_pin(chip, pin, true);
}
