/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _UMBRA_MMU_SLOT_H
#define _UMBRA_MMU_SLOT_H

#include <umbra/mmu.h>

/* Pages in all published slots. Context: mmu->srcu or slots_lock held. */
u64 umbra_slots_pages(struct umbra_mmu *mmu);

#endif /* _UMBRA_MMU_SLOT_H */
