/* SPDX-License-Identifier: GPL-2.0 */
/* Module-wide state of core/. */
#ifndef _UMBRA_CORE_CORE_H
#define _UMBRA_CORE_CORE_H

#include <umbra/mmu.h>

/* Filled by umbra_vmx_init(), constant afterwards. */
extern struct umbra_mmu_caps umbra_caps;

/* Parameter paging=: the policy of VMs that do not choose their own. */
enum umbra_policy umbra_default_policy(void);

#endif /* _UMBRA_CORE_CORE_H */
