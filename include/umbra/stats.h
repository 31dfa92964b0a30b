/* SPDX-License-Identifier: GPL-2.0 */
/* KVM_GET_STATS_FD: the binary statistics of a VM or vCPU. */
#ifndef _UMBRA_STATS_H
#define _UMBRA_STATS_H

struct umbra_vm;
struct umbra_vcpu;

/**
 * umbra_stats_fd() - open a file that reads as KVM binary statistics
 * @vm: the VM; the file holds a reference
 * @vcpu: one of its vCPUs, or NULL for the VM's own statistics
 *
 * Return: the file descriptor or -errno.
 */
int umbra_stats_fd(struct umbra_vm *vm, struct umbra_vcpu *vcpu);

#endif /* _UMBRA_STATS_H */
