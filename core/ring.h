/* SPDX-License-Identifier: GPL-2.0 */
/* Dirty rings, for the rest of core/. */
#ifndef _UMBRA_CORE_RING_H
#define _UMBRA_CORE_RING_H

#include <linux/types.h>
#include <umbra/types.h>

struct kvm_enable_cap;
struct page;
struct umbra_call;
struct umbra_memslot;
struct umbra_vcpu;
struct umbra_vm;

/* Most entries of one ring. */
#define UMBRA_RING_MAX	65536

long umbra_ring_enable(struct umbra_vm *vm, const struct kvm_enable_cap *cap);
long umbra_ring_reset(struct umbra_call *call);

int umbra_ring_create(struct umbra_vcpu *vcpu);
void umbra_ring_destroy(struct umbra_vcpu *vcpu);

/* The page at @pgoff of the vCPU's mapping, NULL when it is none of the ring's. */
struct page *umbra_ring_page(struct umbra_vcpu *vcpu, pgoff_t pgoff);

/* Must user space collect before the guest goes on? Context: vcpu->mutex. */
bool umbra_ring_full(struct umbra_vcpu *vcpu);

/* Context: the thread that has vcpu->mutex; any. */
void umbra_ring_push(struct umbra_vcpu *vcpu, const struct umbra_memslot *slot, gfn_t gfn);

#endif /* _UMBRA_CORE_RING_H */
