/* SPDX-License-Identifier: GPL-2.0 */
/* Module-wide state of core/. */
#ifndef _UMBRA_CORE_CORE_H
#define _UMBRA_CORE_CORE_H

#include <umbra/mmu.h>

struct umbra_vm;

/* Filled by umbra_vmx_init(), constant afterwards. */
extern struct umbra_mmu_caps umbra_caps;

/* Parameter paging=: the policy of VMs that do not choose their own. */
enum umbra_policy umbra_default_policy(void);

/*
 * nx.c: parameter nx_huge_pages=. A VM joins when it is complete and leaves before
 * anything of it goes. umbra_nx_disable() exempts it; a vCPU must not exist yet.
 * Context: may sleep; takes mmu->lock.
 */
void umbra_nx_init(void);
void umbra_nx_join(struct umbra_vm *vm);
void umbra_nx_leave(struct umbra_vm *vm);
void umbra_nx_disable(struct umbra_vm *vm);

/* shadow_pages.c: the host may ask for their memory. Return: 0 or -ENOMEM. */
int umbra_shadow_pages_init(void);
void umbra_shadow_pages_exit(void);

#endif /* _UMBRA_CORE_CORE_H */
