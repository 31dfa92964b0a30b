/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _UMBRA_CORE_SYNC_REGS_H
#define _UMBRA_CORE_SYNC_REGS_H

#include <linux/kvm.h>
#include <linux/types.h>

struct umbra_vcpu;

/* Does user space ask for register sets that exist only? */
bool umbra_sync_regs_valid(const struct kvm_run *run);

/*
 * Registers that user space left in struct kvm_run, before the guest runs, and those
 * that it wants there, afterwards. The vCPU is loaded. take returns 0 or -EINVAL.
 */
int umbra_sync_regs_take(struct umbra_vcpu *vcpu);
void umbra_sync_regs_give(struct umbra_vcpu *vcpu);

#endif /* _UMBRA_CORE_SYNC_REGS_H */
