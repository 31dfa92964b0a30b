// SPDX-License-Identifier: GPL-2.0
/*
 * GSI routing: what a GSI raises, up to one pin of each chip or one MSI. A table
 * is never changed: a new one replaces it, readers are under RCU.
 */
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <umbra/vm.h>
#include "chip.h"

#define DEFAULT_PIC_GSIS	16

/**
 * struct umbra_route - one thing that a GSI raises
 * @chip: KVM_IRQCHIP_*, or KVM_NR_IRQCHIPS for an MSI
 * @pin: of @chip
 * @address: of the MSI; the upper half says nothing about 8-bit destinations
 * @data: of the MSI
 */
struct umbra_route {
	u8 chip;
	u8 pin;
	u32 address;
	u32 data;
};

/**
 * struct umbra_routing - a table
 * @nr_gsis: GSIs from here on have no route
 * @first: index in @route of each GSI's routes; they end where the next begin
 * @route: by GSI
 */
struct umbra_routing {
	u32 nr_gsis;
	u32 *first;
	struct umbra_route *route;
};

static void table_free(struct umbra_routing *table)
{
	if (!table)
		return;
	kvfree(table->first);
	kvfree(table->route);
	kfree(table);
}

static struct umbra_routing *table_alloc(u32 nr_gsis, unsigned int nr)
{
	struct umbra_routing *table = kzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT);

	if (!table)
		return NULL;
	table->nr_gsis = nr_gsis;
	table->first = kvcalloc(nr_gsis + 1, sizeof(*table->first), GFP_KERNEL_ACCOUNT);
	table->route = kvcalloc(max(nr, 1u), sizeof(*table->route), GFP_KERNEL_ACCOUNT);
	if (!table->first || !table->route) {
		table_free(table);
		return NULL;
	}
	return table;
}

static int fill_route(struct umbra_route *route, const struct kvm_irq_routing_entry *entry)
{
	const struct kvm_irq_routing_irqchip *chip = &entry->u.irqchip;

	if (entry->flags)
		return -EINVAL;
	switch (entry->type) {
	case KVM_IRQ_ROUTING_IRQCHIP:
		if (chip->irqchip >= KVM_NR_IRQCHIPS ||
		    chip->pin >= (chip->irqchip == KVM_IRQCHIP_IOAPIC ? IOAPIC_PINS : 8))
			return -EINVAL;
		route->chip = chip->irqchip;
		route->pin = chip->pin;
		return 0;
	case KVM_IRQ_ROUTING_MSI:
		route->chip = KVM_NR_IRQCHIPS;
		route->address = entry->u.msi.address_lo;
		route->data = entry->u.msi.data;
		return 0;
	default:
		return -EINVAL;
	}
}

/* One pin of each chip at most, and an MSI goes alone. */
static int check_routes(const struct umbra_route *route, u32 nr)
{
	unsigned long chips = 0;
	u32 i;

	for (i = 0; i < nr; i++)
		if (__test_and_set_bit(route[i].chip, &chips))
			return -EINVAL;
	return nr > 1 && test_bit(KVM_NR_IRQCHIPS, &chips) ? -EINVAL : 0;
}

/* Count each GSI's entries, then put them in their places. */
static int fill_table(struct umbra_routing *table, const struct kvm_irq_routing_entry *entries,
		      unsigned int nr)
{
	u32 gsi, sum = 0, count;
	unsigned int i;
	int ret;

	for (i = 0; i < nr; i++)
		table->first[entries[i].gsi]++;
	for (gsi = 0; gsi <= table->nr_gsis; gsi++) {
		count = table->first[gsi];
		table->first[gsi] = sum;
		sum += count;
	}
	/* Advances each first[] to the next one's, so that they move by one. */
	for (i = 0; i < nr; i++) {
		ret = fill_route(&table->route[table->first[entries[i].gsi]++], &entries[i]);
		if (ret)
			return ret;
	}
	memmove(&table->first[1], &table->first[0], table->nr_gsis * sizeof(u32));
	table->first[0] = 0;

	for (gsi = 0; gsi < table->nr_gsis; gsi++) {
		u32 first = table->first[gsi];

		ret = check_routes(&table->route[first], table->first[gsi + 1] - first);
		if (ret)
			return ret;
	}
	return 0;
}

static struct umbra_routing *build_table(const struct kvm_irq_routing_entry *entries,
					 unsigned int nr)
{
	struct umbra_routing *table;
	u32 nr_gsis = 0;
	unsigned int i;
	int ret;

	for (i = 0; i < nr; i++) {
		if (entries[i].gsi >= UMBRA_MAX_ROUTES)
			return ERR_PTR(-EINVAL);
		nr_gsis = max(nr_gsis, entries[i].gsi + 1);
	}
	table = table_alloc(nr_gsis, nr);
	if (!table)
		return ERR_PTR(-ENOMEM);
	ret = fill_table(table, entries, nr);
	if (ret) {
		table_free(table);
		return ERR_PTR(ret);
	}
	return table;
}

int umbra_irqchip_set_routing(struct umbra_vm *vm, const struct kvm_irq_routing_entry *entries,
			      unsigned int nr)
{
	struct umbra_irqchip *chip = vm->irqchip;
	struct umbra_routing *table, *old;

	lockdep_assert_held(&vm->lock);
	table = build_table(entries, nr);
	if (IS_ERR(table))
		return PTR_ERR(table);
	old = rcu_replace_pointer(chip->routing, table, lockdep_is_held(&vm->lock));
	umbra_irqchip_watch_pit(chip);
	if (old)
		synchronize_rcu_expedited();
	table_free(old);
	return 0;
}

/* The table that a PC has: a GSI is the pin of that number. */
int umbra_routing_init(struct umbra_irqchip *chip)
{
	struct kvm_irq_routing_entry *entries;
	struct umbra_routing *table;
	unsigned int gsi, nr = 0;

	entries = kcalloc(DEFAULT_PIC_GSIS + IOAPIC_PINS, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;
	for (gsi = 0; gsi < IOAPIC_PINS; gsi++) {
		entries[nr++] = (struct kvm_irq_routing_entry){
			.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { KVM_IRQCHIP_IOAPIC, gsi },
		};
		if (gsi < DEFAULT_PIC_GSIS)
			entries[nr++] = (struct kvm_irq_routing_entry){
				.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP,
				.u.irqchip = { gsi / 8, gsi % 8 },
			};
	}
	table = build_table(entries, nr);
	kfree(entries);
	if (IS_ERR(table))
		return PTR_ERR(table);
	RCU_INIT_POINTER(chip->routing, table);
	return 0;
}

/* Nobody reads it any more. */
void umbra_routing_destroy(struct umbra_irqchip *chip)
{
	table_free(rcu_dereference_protected(chip->routing, 1));
}

static const struct umbra_route *routes_of(const struct umbra_routing *table, u32 gsi, u32 *nr)
{
	*nr = 0;
	if (gsi >= table->nr_gsis)
		return NULL;
	*nr = table->first[gsi + 1] - table->first[gsi];
	return &table->route[table->first[gsi]];
}

static int raise_route(struct umbra_irqchip *chip, const struct umbra_route *route,
		       unsigned int source, int level)
{
	struct umbra_irq_msg msg;

	if (route->chip < KVM_NR_IRQCHIPS)
		return umbra_pin_set(chip, route->chip, route->pin, source, level);
	/* A message is sent by the rising edge. */
	if (!level)
		return -1;
	umbra_msi_decode(route->address, route->data, &msg);
	return umbra_irq_deliver(chip->vm, NULL, &msg);
}

int umbra_irq_line(struct umbra_vm *vm, unsigned int source, u32 gsi, int level)
{
	struct umbra_irqchip *chip = vm->irqchip;
	const struct umbra_route *route;
	int ret = -1, one;
	u32 nr;

	rcu_read_lock();
	route = routes_of(rcu_dereference(chip->routing), gsi, &nr);
	for (; nr; nr--, route++) {
		one = raise_route(chip, route, source, level);
		if (one >= 0)
			ret = max(ret, 0) + one;
	}
	rcu_read_unlock();
	return ret;
}

/* The pins of chip @which that @gsi raises, as a mask. */
u32 umbra_routing_pins(struct umbra_irqchip *chip, u32 gsi, unsigned int which)
{
	const struct umbra_route *route;
	u32 nr, pins = 0;

	rcu_read_lock();
	route = routes_of(rcu_dereference(chip->routing), gsi, &nr);
	for (; nr; nr--, route++)
		if (route->chip == which)
			pins |= BIT(route->pin);
	rcu_read_unlock();
	return pins;
}

int umbra_irqchip_signal_msi(struct umbra_vm *vm, const struct kvm_msi *user)
{
	struct umbra_irq_msg msg;

	if (user->flags)
		return -EINVAL;
	umbra_msi_decode(user->address_lo, user->data, &msg);
	return max(umbra_irq_deliver(vm, NULL, &msg), 0);
}
