/* SPDX-License-Identifier: GPL-2.0 */
/* As much of a vCPU as the interrupt controllers look at. */
#ifndef UNIT_UMBRA_VCPU_H
#define UNIT_UMBRA_VCPU_H

#include <linux/kvm.h>
#include <umbra/types.h>

struct umbra_lapic;
struct umbra_vm;

struct umbra_vcpu {
	struct umbra_vm *vm;
	int id;
	struct umbra_lapic *lapic;
	u64 apic_base;
	/* What has arrived; the tests look at it. */
	unsigned int notified, nmis, inits, sipis;
	u8 sipi_vector;
};

struct kvm_cpuid_entry2 *umbra_vcpu_cpuid(struct umbra_vcpu *vcpu, u32 function, u32 index);

#endif
