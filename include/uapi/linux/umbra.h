/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What /dev/umbra has and <linux/kvm.h> lacks. Everything else is the KVM ABI.
 */
#ifndef _UAPI_LINUX_UMBRA_H
#define _UAPI_LINUX_UMBRA_H

/*
 * VM capability for KVM_ENABLE_CAP and KVM_CHECK_EXTENSION (which answers 1).
 * args[0] is one of UMBRA_PAGING_*, args[1..3] must be zero, flags must be
 * zero. Allowed until the first vCPU is created, -EBUSY afterwards.
 */
#define UMBRA_CAP_PAGING_MODE	0x756d0001

#define UMBRA_PAGING_EPT	0
#define UMBRA_PAGING_SHADOW	1

#endif /* _UAPI_LINUX_UMBRA_H */
