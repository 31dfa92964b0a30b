/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What /dev/umbra has and <linux/kvm.h> lacks. Everything else is the KVM ABI.
 */
#ifndef _UAPI_LINUX_UMBRA_H
#define _UAPI_LINUX_UMBRA_H

#include <linux/kvm.h>

/*
 * VM capability for KVM_ENABLE_CAP and KVM_CHECK_EXTENSION (which answers 1).
 * args[0] is one of UMBRA_PAGING_*, args[1..3] must be zero, flags must be
 * zero. Allowed until the first vCPU is created, -EBUSY afterwards.
 */
#define UMBRA_CAP_PAGING_MODE	0x756d0001

#define UMBRA_PAGING_EPT	0
#define UMBRA_PAGING_SHADOW	1

/*
 * From newer kernels: map guest-physical memory ahead of its use. An ioctl of
 * the vCPU; gpa and size are moved on by what was done.
 */
#ifndef KVM_PRE_FAULT_MEMORY
#define KVM_CAP_PRE_FAULT_MEMORY	236
#define KVM_PRE_FAULT_MEMORY	_IOWR(KVMIO, 0xd5, struct kvm_pre_fault_memory)

struct kvm_pre_fault_memory {
	__u64 gpa;
	__u64 size;
	__u64 flags;
	__u64 padding[5];
};
#endif

/*
 * KVM_RUN fails with EFAULT or EHWPOISON and this exit reason, which kernels before
 * 6.7 do not define, when memory behind a slot cannot be had. In struct kvm_run it
 * is where the union of all exits' data begins.
 */
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT		39
#endif
#ifndef KVM_CAP_MEMORY_FAULT_INFO
#define KVM_CAP_MEMORY_FAULT_INFO	232
#endif

struct umbra_memory_fault {
	__u64 flags;
	__u64 gpa;
	__u64 size;
};

#endif /* _UAPI_LINUX_UMBRA_H */
