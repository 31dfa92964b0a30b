/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupt controllers in the kernel: a local APIC per vCPU; two 8259s, an
 * IOAPIC and an 8254 per VM; GSI routing and MSI.
 *
 * Locks, inside all of the MMU's: the PIT's, then the irqchip's (PICs, IOAPIC),
 * raw spinlocks taken with interrupts off. Routing is under RCU. A local APIC's
 * IRR is set by any CPU with atomic bit operations; everything else of it is
 * changed only by the thread that runs or configures the vCPU (vcpu->mutex),
 * except its timer.
 */
#ifndef _UMBRA_IRQCHIP_H
#define _UMBRA_IRQCHIP_H

#include <linux/kvm.h>
#include <umbra/types.h>

/* GSIs, and routes of all GSIs together. */
#define UMBRA_MAX_ROUTES	4096

/* The PIT's. */
#define UMBRA_PIT_GSI		0

/* Who drives a line: @source of umbra_irq_line(). */
enum umbra_irq_source {
	UMBRA_IRQ_SOURCE_USER,
	UMBRA_IRQ_SOURCE_PIT,
	UMBRA_IRQ_SOURCE_IRQFD,
	UMBRA_IRQ_SOURCE_RESAMPLE,
};

struct umbra_irqchip;
struct umbra_lapic;
struct umbra_vcpu;
struct umbra_vm;

/**
 * umbra_irqchip_create() - KVM_CREATE_IRQCHIP
 * @vm: without an irqchip
 *
 * Sets vm->irqchip, with the default routing. Context: vm->lock.
 * Return: 0; -EEXIST; -EINVAL when a vCPU exists already; -ENOMEM.
 */
int umbra_irqchip_create(struct umbra_vm *vm);

/**
 * umbra_irqchip_quiesce() / umbra_irqchip_destroy() - the VM goes away
 *
 * quiesce ends what raises interrupts on its own (irqfds, PIT), as long as the
 * vCPUs are there; destroy comes when they are gone.
 */
void umbra_irqchip_quiesce(struct umbra_vm *vm);
void umbra_irqchip_destroy(struct umbra_vm *vm);

/**
 * umbra_lapic_create() - the local APIC of a new vCPU in a VM with an irqchip
 *
 * Sets vcpu->lapic. Context: vm->lock, may sleep. Return: 0 or -ENOMEM.
 */
int umbra_lapic_create(struct umbra_vcpu *vcpu);
void umbra_lapic_destroy(struct umbra_vcpu *vcpu);

/**
 * umbra_lapic_reset() - state after RESET (@init false) or INIT
 */
void umbra_lapic_reset(struct umbra_vcpu *vcpu, bool init);

/**
 * umbra_irq_pending() - is there an interrupt that the vCPU would take with IF=1?
 *
 * Looks at IRR against the processor priority, and at the 8259 when the vCPU
 * takes ExtINT. Context: any; lock-free for the local APIC.
 */
bool umbra_irq_pending(struct umbra_vcpu *vcpu);

/**
 * umbra_irq_ack() - take the interrupt that umbra_irq_pending() saw
 *
 * Moves it from IRR to ISR, or acknowledges the 8259.
 * Context: the vCPU's thread, interrupts on or off.
 * Return: the vector, or -1 when it has gone.
 */
int umbra_irq_ack(struct umbra_vcpu *vcpu);

/**
 * umbra_irq_needs_no_eoi() - does nothing wait for the end of this interrupt?
 * @vector: what umbra_irq_ack() returned
 *
 * True for an edge from the local APIC when no other interrupt is pending there.
 */
bool umbra_irq_needs_no_eoi(struct umbra_vcpu *vcpu, u8 vector);

/* The guest ends the interrupt that it serves. */
void umbra_irq_eoi(struct umbra_vcpu *vcpu);

/**
 * umbra_irqchip_mmio() - an access to an in-kernel device at @gpa
 * @data: @len bytes, read or written
 *
 * Local APIC (at its APIC base, xAPIC mode) or IOAPIC, if the VM has them in the
 * kernel; or an ioeventfd.
 * Context: the vCPU's thread, may sleep not.
 * Return: true when a device has the address.
 */
bool umbra_irqchip_mmio(struct umbra_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len,
			bool write);

/**
 * umbra_irqchip_pio() - the same for ports: 8259s, ELCR, 8254, port 0x61
 */
bool umbra_irqchip_pio(struct umbra_vcpu *vcpu, u16 port, void *data, unsigned int len,
		       bool write);

/**
 * umbra_lapic_get_msr() / umbra_lapic_set_msr() - x2APIC registers and
 *	MSR_IA32_TSC_DEADLINE
 *
 * Return: 0 or -EINVAL (#GP).
 */
int umbra_lapic_get_msr(struct umbra_vcpu *vcpu, u32 index, u64 *data);
int umbra_lapic_set_msr(struct umbra_vcpu *vcpu, u32 index, u64 data);

/**
 * umbra_lapic_set_base() - MSR_IA32_APICBASE with an APIC in the kernel, as user
 *	space sets it: any change of mode
 * umbra_lapic_write_base() - the same as the guest's WRMSR: changes between
 *	xAPIC, x2APIC and off go by the rules
 *
 * Both update vcpu->apic_base.
 * Return: 0 or -EINVAL.
 */
int umbra_lapic_set_base(struct umbra_vcpu *vcpu, u64 base);
int umbra_lapic_write_base(struct umbra_vcpu *vcpu, u64 base);

/**
 * umbra_lapic_set_cmci() - whether there is an LVT for corrected machine checks
 * umbra_lapic_cmci() - there was one: interrupt the guest as that LVT says
 *
 * Context: vcpu->mutex; the APIC is in the kernel.
 */
void umbra_lapic_set_cmci(struct umbra_vcpu *vcpu, bool on);
void umbra_lapic_cmci(struct umbra_vcpu *vcpu);

/* CR8 is TPR bits 7:4. */
u64 umbra_lapic_get_cr8(struct umbra_vcpu *vcpu);
void umbra_lapic_set_cr8(struct umbra_vcpu *vcpu, u64 cr8);

/**
 * umbra_lapic_vapic_word() - TPR, highest IRR and ISR as guests patched for
 *	KVM_SET_VAPIC_ADDR read them: bits 7:0, 15:12, 31:24
 */
u32 umbra_lapic_vapic_word(struct umbra_vcpu *vcpu);
void umbra_lapic_set_tpr(struct umbra_vcpu *vcpu, u8 tpr);

/**
 * umbra_irq_line() - KVM_IRQ_LINE and the in-kernel sources
 * @source: who drives the line, an index below 64; the levels of all are ORed
 *
 * Context: any but NMI. Return: > 0 delivered, 0 coalesced, < 0 masked/ignored.
 */
int umbra_irq_line(struct umbra_vm *vm, unsigned int source, u32 gsi, int level);

/* ioctl handlers' work; Return: 0 or -errno as KVM gives it. */
int umbra_irqchip_get(struct umbra_vm *vm, struct kvm_irqchip *chip);
int umbra_irqchip_set(struct umbra_vm *vm, const struct kvm_irqchip *chip);
int umbra_irqchip_set_routing(struct umbra_vm *vm, const struct kvm_irq_routing_entry *entries,
			      unsigned int nr);
int umbra_irqchip_signal_msi(struct umbra_vm *vm, const struct kvm_msi *msi);
int umbra_lapic_get_state(struct umbra_vcpu *vcpu, struct kvm_lapic_state *state);
int umbra_lapic_set_state(struct umbra_vcpu *vcpu, const struct kvm_lapic_state *state);
int umbra_pit_create(struct umbra_vm *vm, const struct kvm_pit_config *config);
bool umbra_vm_has_pit(struct umbra_vm *vm);
int umbra_pit_get(struct umbra_vm *vm, struct kvm_pit_state2 *state);
int umbra_pit_set(struct umbra_vm *vm, const struct kvm_pit_state2 *state);
void umbra_pit_set_reinject(struct umbra_vm *vm, bool reinject);
int umbra_irqfd_set(struct umbra_vm *vm, const struct kvm_irqfd *args);
int umbra_ioeventfd_set(struct umbra_vm *vm, const struct kvm_ioeventfd *args);
void umbra_ioeventfd_destroy(struct umbra_vm *vm);

/**
 * umbra_ioeventfd_signal() - the guest writes to a port (@pio) or an address
 *
 * umbra_irqchip_mmio() and _pio() call it for what no device takes.
 * Return: true when an eventfd was signalled, and that is all.
 */
bool umbra_ioeventfd_signal(struct umbra_vm *vm, bool pio, u64 addr, const void *data,
			    unsigned int len);

/*
 * What irqchip/ asks of the vCPU (core/wait.c).
 */

/*
 * An interrupt, NMI, INIT or SIPI may be there: wake the vCPU or kick it out.
 * Context: any, with raw spinlocks held and interrupts off.
 */
void umbra_vcpu_notify(struct umbra_vcpu *vcpu);

/**
 * umbra_vcpu_tpr_access() - the guest used the task priority register of its xAPIC
 * @write: it wrote to it
 *
 * With KVM_TPR_ACCESS_REPORTING user space hears of it when the instruction is over.
 * Context: the vCPU's thread in KVM_RUN, loaded.
 */
void umbra_vcpu_tpr_access(struct umbra_vcpu *vcpu, bool write);

/* Deliver an NMI; any context. */
void umbra_vcpu_nmi(struct umbra_vcpu *vcpu);

/* INIT, and the start-up vector of a SIPI, as the ICR sends them; any context. */
void umbra_vcpu_init_signal(struct umbra_vcpu *vcpu);
void umbra_vcpu_sipi(struct umbra_vcpu *vcpu, u8 vector);

/* The guest's TSC now, and its frequency in kHz. */
u64 umbra_vcpu_guest_tsc(struct umbra_vcpu *vcpu);
u32 umbra_vcpu_tsc_khz(struct umbra_vcpu *vcpu);

#endif /* _UMBRA_IRQCHIP_H */
