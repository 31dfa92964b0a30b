/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _UMBRA_CORE_CPUID_H
#define _UMBRA_CORE_CPUID_H

#include <linux/kvm.h>
#include <linux/types.h>

/* A growing list; @entry has room for UMBRA_MAX_CPUID. */
struct umbra_cpuid_list {
	struct kvm_cpuid_entry2 *entry;
	unsigned int nr;
};

/* Fill @list with what the host has and Umbra virtualises. */
void umbra_cpuid_host(struct umbra_cpuid_list *list);

#endif /* _UMBRA_CORE_CPUID_H */
