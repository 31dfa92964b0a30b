/* SPDX-License-Identifier: GPL-2.0 */
/* As much of a VM as the interrupt controllers look at. */
#ifndef UNIT_UMBRA_VM_H
#define UNIT_UMBRA_VM_H

#include <linux/atomic.h>
#include <linux/kernel.h>
#include <linux/spinlock.h>
#include <umbra/types.h>

struct umbra_irqchip;
struct umbra_vcpu;

struct umbra_vm {
	rwlock_t lock;
	struct umbra_vcpu *vcpu[UMBRA_MAX_VCPUS];
	unsigned int nr_vcpus;
	struct umbra_irqchip *irqchip;
	u32 boot_cpu_id;
};

static inline struct umbra_vcpu *umbra_vm_vcpu(struct umbra_vm *vm, unsigned int i)
{
	return i < vm->nr_vcpus ? vm->vcpu[i] : NULL;
}

#endif
