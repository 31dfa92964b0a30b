// SPDX-License-Identifier: GPL-2.0
/* The 8259s, the IOAPIC, the 8254, and the routes to them. */
#include <linux/hrtimer.h>
#include <linux/errno.h>
#include <string.h>
#include "machine.h"
#include "tap.h"

/* As firmware does: vectors 0x20 and 0x28, everything unmasked. */
static void init_pics(struct umbra_vcpu *v, u8 icw4)
{
	static const u16 ports[] = { 0x20, 0xa0 };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		port_out(v, ports[i], 0x11);
		port_out(v, ports[i] + 1, 0x20 + 8 * i);
		port_out(v, ports[i] + 1, i ? 2 : 4);
		port_out(v, ports[i] + 1, icw4);
		port_out(v, ports[i] + 1, 0);
	}
}

static void pulse(struct umbra_vm *vm, u32 gsi)
{
	umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, gsi, 1);
	umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, gsi, 0);
}

static void pic(void)
{
	struct umbra_vm *vm = machine_new(1);
	struct umbra_vcpu *v = vm->vcpu[0];

	init_pics(v, 1);
	pulse(vm, 4);
	pulse(vm, 1);
	ok(v->notified, "the vCPU is told");
	ok(take(v) == 0x21, "lower pins come first");
	ok(take(v) == -1, "and hold the others back");
	port_out(v, 0x20, 0x20);
	ok(take(v) == 0x24, "until EOI");
	port_out(v, 0x20, 0x20);
	pulse(vm, 12);
	ok(take(v) == 0x2c, "the slave's");
	port_out(v, 0x20, 0x0b);
	ok(port_in(v, 0x20) == 4, "the master has the cascade in service");
	port_out(v, 0xa0, 0x0b);
	ok(port_in(v, 0xa0) == 0x10, "the slave its pin");
	port_out(v, 0xa0, 0x64);
	port_out(v, 0x20, 0x62);
	ok(take(v) == -1, "specific EOIs end it");

	port_out(v, 0x21, 0x10);
	pulse(vm, 4);
	ok(take(v) == -1, "a masked pin waits");
	port_out(v, 0x21, 0);
	ok(take(v) == 0x24, "and is heard when unmasked");
	port_out(v, 0x20, 0xa0);
	pulse(vm, 3);
	pulse(vm, 5);
	ok(take(v) == 0x25, "after rotation, the next pin is the highest");
	port_out(v, 0x20, 0x20);
	ok(take(v) == 0x23, "the others follow");
	port_out(v, 0x20, 0xc7);
	port_out(v, 0x20, 0x20);
	machine_free(vm);
}

static void pic_levels(void)
{
	struct umbra_vm *vm = machine_new(1);
	struct umbra_vcpu *v = vm->vcpu[0];

	init_pics(v, 1);
	port_out(v, 0x4d0, 0xff);
	ok(port_in(v, 0x4d0) == 0xf8, "some pins are always edges");
	umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, 5, 1);
	ok(take(v) == 0x25, "a level");
	port_out(v, 0x20, 0x20);
	ok(take(v) == 0x25, "comes again while it is high");
	umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, 5, 0);
	port_out(v, 0x20, 0x20);
	ok(take(v) == -1, "but no longer");
	umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, 5, 1);
	umbra_irq_line(vm, UMBRA_IRQ_SOURCE_IRQFD, 5, 1);
	umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, 5, 0);
	ok(take(v) == 0x25, "a shared line is high while one drives it");
	umbra_irq_line(vm, UMBRA_IRQ_SOURCE_IRQFD, 5, 0);
	port_out(v, 0x20, 0x20);

	port_out(v, 0x4d0, 0);
	init_pics(v, 3);
	pulse(vm, 3);
	ok(take(v) == 0x23 && (pulse(vm, 3), take(v) == 0x23), "automatic EOI");
	pulse(vm, 6);
	port_out(v, 0x20, 0x0c);
	ok(port_in(v, 0x20) == 0x86, "poll");
	ok(take(v) == -1, "takes it");
	machine_free(vm);
}

static void ioapic(void)
{
	struct umbra_vm *vm = machine_new(2);
	struct umbra_vcpu *v = vm->vcpu[1];

	port_out(v, 0x21, 0xff);
	ok(ioapic_read(v, 1) == 0x170011, "version");
	ioapic_write(v, 16 + 2 * 9 + 1, 1u << 24);
	ioapic_write(v, 16 + 2 * 9, 0x55);
	pulse(vm, 9);
	ok(take(v) == 0x55, "an edge");
	ok(umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, 9, 1) > 0, "is delivered");
	umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, 9, 0);
	ok(umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, 9, 1) == 0, "or coalesced");
	umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, 9, 0);
	apic_write(v, APIC_EOI, 0);
	ok(take(v) == 0x55, "to one more");
	apic_write(v, APIC_EOI, 0);

	ioapic_write(v, 16 + 2 * 9, 0x8055);
	umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, 9, 1);
	ok(take(v) == 0x55, "a level");
	ok(ioapic_read(v, 16 + 2 * 9) == 0xc055, "sets remote IRR");
	apic_write(v, APIC_EOI, 0);
	ok(take(v) == 0x55, "comes again after EOI");
	umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, 9, 0);
	apic_write(v, APIC_EOI, 0);
	ok(take(v) == -1 && ioapic_read(v, 16 + 2 * 9) == 0x8055, "until it is low");
	ioapic_write(v, 16 + 2 * 9, 0x18055);
	umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, 9, 1);
	ok(take(v) == -1, "masked");
	ioapic_write(v, 16 + 2 * 9, 0x8055);
	ok(take(v) == 0x55, "and unmasked");
	ioapic_write(v, 16 + 2 * 9, 0x10055);
	ioapic_write(v, 16 + 2 * 9, 0x18055);
	ok(!(ioapic_read(v, 16 + 2 * 9) & 0x4000), "an edge for a moment ends it");
	machine_free(vm);
}

static void pit(void)
{
	struct umbra_vm *vm = machine_new(1);
	struct umbra_vcpu *v = vm->vcpu[0];
	unsigned int n = 0, i;
	u16 count;

	init_pics(v, 3);
	port_out(v, 0x43, 0x34);
	port_out(v, 0x40, 11932 & 0xff);
	port_out(v, 0x40, 11932 >> 8);
	for (i = 0; i < 1000; i++) {
		machine_run(100000);
		n += take(v) == 0x20;
	}
	ok(n == 9 || n == 10, "100 Hz for a tenth of a second: %u", n);
	machine_run(50000000);
	for (n = 0; take(v) == 0x20; n++)
		;
	ok(n == 5, "missed ticks come later: %u", n);

	port_out(v, 0x43, 0xb0);
	port_out(v, 0x61, 1);
	port_out(v, 0x42, 0xff);
	port_out(v, 0x42, 0x0f);
	ok(!(port_in(v, 0x61) & 0x20), "channel 2 counts");
	port_out(v, 0x43, 0x80);
	count = port_in(v, 0x42);
	count |= port_in(v, 0x42) << 8;
	ok(count == 0xfff, "from the start: %#x", count);
	machine_run(3500000);
	ok(port_in(v, 0x61) & 0x20, "to the end");
	port_out(v, 0x43, 0xe8);
	ok((port_in(v, 0x42) & 0xbf) == 0xb0, "as its status says");
	port_out(v, 0x43, 0x38);
	while (take(v) >= 0)
		;
	port_out(v, 0x40, 0xa9);
	port_out(v, 0x40, 0x04);
	machine_run(900000);
	ok(take(v) == -1, "one shot is not early");
	machine_run(200000);
	ok(take(v) == 0x20, "and comes");
	machine_run(5000000);
	ok(take(v) == -1, "once");
	machine_free(vm);
}

static void routes(void)
{
	struct umbra_vm *vm = machine_new(2);
	struct kvm_irq_routing_entry entry[3] = {};

	entry[0] = (struct kvm_irq_routing_entry){
		.gsi = 24, .type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = 0xfee01000, .data = 0x66 },
	};
	ok(!umbra_irqchip_set_routing(vm, entry, 1), "a GSI for an MSI");
	ok(umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, 24, 1) == 1 && take(vm->vcpu[1]) == 0x66,
	   "reaches the vCPU");
	ok(umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, 4, 1) < 0, "others lead nowhere");
	ok(umbra_irq_line(vm, UMBRA_IRQ_SOURCE_USER, 0xffffffff, 1) < 0, "nor do wild ones");
	entry[1] = entry[0];
	ok(umbra_irqchip_set_routing(vm, entry, 2) == -EINVAL, "two MSIs for a GSI");
	entry[1].type = KVM_IRQ_ROUTING_IRQCHIP;
	entry[1].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
	entry[1].u.irqchip.pin = 24;
	ok(umbra_irqchip_set_routing(vm, entry, 2) == -EINVAL, "no such pin");
	entry[1].u.irqchip.pin = 5;
	entry[1].gsi = UMBRA_MAX_ROUTES;
	ok(umbra_irqchip_set_routing(vm, entry, 2) == -EINVAL, "no such GSI");
	entry[1].gsi = UMBRA_MAX_ROUTES - 1;
	ok(!umbra_irqchip_set_routing(vm, entry, 2), "the last GSI");
	ok(!umbra_irqchip_set_routing(vm, NULL, 0), "none at all");
	machine_free(vm);
}

int main(void)
{
	pic();
	pic_levels();
	ioapic();
	pit();
	routes();
	return tap_done();
}
