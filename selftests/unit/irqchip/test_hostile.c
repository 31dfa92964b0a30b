// SPDX-License-Identifier: GPL-2.0
/*
 * Random state from user space and random accesses by the guest, in any order:
 * the sanitizers and the machine's own checks watch.
 */
#include <linux/hrtimer.h>
#include <stdlib.h>
#include <string.h>
#include "../mmu/random.h"
#include "machine.h"
#include "tap.h"

#define STEPS	200000

static void fill(void *p, size_t size)
{
	u8 *byte = p;

	while (size--)
		*byte++ = chance(30) ? 0xff : chance(30) ? 0 : rnd(256);
}

static void set_routing(struct umbra_vm *vm)
{
	struct kvm_irq_routing_entry entry[4];
	unsigned int i;

	fill(entry, sizeof(entry));
	for (i = 0; i < 4 && chance(90); i++) {
		entry[i].gsi %= 30;
		entry[i].type = 1 + rnd(2);
		entry[i].flags = 0;
		if (entry[i].type == KVM_IRQ_ROUTING_IRQCHIP) {
			entry[i].u.irqchip.irqchip %= 4;
			entry[i].u.irqchip.pin %= 25;
		}
	}
	umbra_irqchip_set_routing(vm, entry, rnd(5));
}

static void set_state(struct umbra_vm *vm, struct umbra_vcpu *v)
{
	struct kvm_lapic_state lapic;
	struct kvm_pit_state2 pit;
	struct kvm_irqchip chip;

	switch (rnd(4)) {
	case 0:
		fill(&lapic, sizeof(lapic));
		umbra_lapic_set_state(v, &lapic);
		umbra_lapic_get_state(v, &lapic);
		break;
	case 1:
		fill(&chip, sizeof(chip));
		chip.chip_id %= 4;
		if (chip.chip_id == KVM_IRQCHIP_IOAPIC && chance(90))
			chip.chip.ioapic.base_address = IOAPIC_BASE;
		umbra_irqchip_set(vm, &chip);
		umbra_irqchip_get(vm, &chip);
		break;
	case 2:
		fill(&pit, sizeof(pit));
		umbra_pit_set(vm, &pit);
		umbra_pit_get(vm, &pit);
		break;
	default:
		set_routing(vm);
	}
}

static void access_port(struct umbra_vcpu *v)
{
	static const u16 ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x42, 0x43, 0x61,
				     0x4d0, 0x4d1, 0xffff };
	u32 data = rnd64();

	umbra_irqchip_pio(v, ports[rnd(ARRAY_SIZE(ports))], &data, 1u << rnd(3), chance(60));
}

static void access_memory(struct umbra_vcpu *v)
{
	u64 data = rnd64();
	u64 gpa = chance(60) ? (v->apic_base & ~0xfffull) + rnd(0x1000) :
		  IOAPIC_BASE + (chance(90) ? 0x10 * rnd(2) : rnd(0x1000));

	if (chance(80))
		gpa &= ~0xfull;
	if (chance(30))
		data &= 0xff;
	umbra_irqchip_mmio(v, gpa, &data, chance(80) ? 4 : 1u << rnd(4), chance(70));
}

static void access_msr(struct umbra_vcpu *v)
{
	u32 index = chance(20) ? MSR_IA32_TSC_DEADLINE : APIC_BASE_MSR + rnd(0x110);
	u64 data = rnd64() >> rnd(64);

	if (chance(60))
		umbra_lapic_set_msr(v, index, data);
	else
		umbra_lapic_get_msr(v, index, &data);
}

static void set_base(struct umbra_vcpu *v)
{
	u64 base = rnd64() & 0xf00;

	if (chance(80))
		base |= APIC_DEFAULT_PHYS_BASE;
	if (chance(50))
		umbra_lapic_set_base(v, base);
	else
		umbra_lapic_write_base(v, base);
	if (chance(20))
		umbra_lapic_reset(v, chance(50));
}

static void step(struct umbra_vm *vm)
{
	struct umbra_vcpu *v = vm->vcpu[rnd(vm->nr_vcpus)];
	struct kvm_msi msi = { .address_lo = rnd64(), .data = rnd64() };

	switch (rnd(16)) {
	case 0:
		set_state(vm, v);
		break;
	case 1:
		set_base(v);
		break;
	case 2:
		umbra_irqchip_signal_msi(vm, &msi);
		break;
	case 3 ... 4:
		umbra_irq_line(vm, rnd(4), rnd(32), rnd(2));
		break;
	case 5 ... 6:
		access_msr(v);
		break;
	case 7 ... 8:
		access_port(v);
		break;
	case 9 ... 11:
		access_memory(v);
		break;
	case 12:
		umbra_lapic_set_cr8(v, rnd(16));
		break;
	case 13:
		machine_run(rnd(3000000));
		break;
	default:
		if (umbra_irq_pending(v)) {
			int vector = umbra_irq_ack(v);

			if (vector < 0 || vector > 255)
				abort();
		}
	}
}

int main(void)
{
	struct umbra_vm *vm = machine_new(5);
	unsigned int i;

	random_state = 1;
	for (i = 0; i < STEPS; i++)
		step(vm);
	ok(true, "%u steps", STEPS);
	machine_free(vm);
	return tap_done();
}
