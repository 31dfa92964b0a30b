/* SPDX-License-Identifier: GPL-2.0 */
/* The word of KVM_SET_VAPIC_ADDR, around an entry into the guest. */
#ifndef _UMBRA_CORE_VAPIC_H
#define _UMBRA_CORE_VAPIC_H

struct umbra_vcpu;

/* Before the entry: task priority and pending interrupts to the guest's word. */
void umbra_vapic_publish(struct umbra_vcpu *vcpu);

/* After the exit: the task priority that the guest may have written. */
void umbra_vapic_collect(struct umbra_vcpu *vcpu);

/* The exit for which umbra_vcpu_tpr_access() has asked. */
void umbra_vapic_report(struct umbra_vcpu *vcpu);

#endif /* _UMBRA_CORE_VAPIC_H */
