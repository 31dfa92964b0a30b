/* SPDX-License-Identifier: GPL-2.0 */
/* A VM that consists of interrupt controllers, and a clock. */
#ifndef UNIT_IRQCHIP_MACHINE_H
#define UNIT_IRQCHIP_MACHINE_H

#include <linux/kernel.h>
#include <umbra/irqchip.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include "../../../irqchip/chip.h"
#include "../../../irqchip/lapic.h"

/* The guest's TSC ticks so often in a nanosecond. */
#define TSC_PER_NS	2

/* A VM with @nr vCPUs, ids 0, 1, ...; their APICs are on, interrupts unmasked. */
struct umbra_vm *machine_new(unsigned int nr);
void machine_free(struct umbra_vm *vm);

/* Let time pass, timers included. */
void machine_run(u64 ns);

/* A register of a vCPU's local APIC, by MMIO. */
u32 apic_read(struct umbra_vcpu *vcpu, unsigned int offset);
void apic_write(struct umbra_vcpu *vcpu, unsigned int offset, u32 data);

/* Ports, and the IOAPIC's registers through its window. */
u8 port_in(struct umbra_vcpu *vcpu, u16 port);
void port_out(struct umbra_vcpu *vcpu, u16 port, u8 data);
u32 ioapic_read(struct umbra_vcpu *vcpu, u32 reg);
void ioapic_write(struct umbra_vcpu *vcpu, u32 reg, u32 data);

/* The vector that the vCPU takes now, or -1. */
int take(struct umbra_vcpu *vcpu);

#endif
