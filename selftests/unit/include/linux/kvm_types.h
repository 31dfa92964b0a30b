/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_KVM_TYPES_H
#define UNIT_LINUX_KVM_TYPES_H

#include <linux/types.h>

typedef unsigned long hva_t;
typedef u64 kvm_pfn_t;

#endif
