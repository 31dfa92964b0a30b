/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _UMBRA_MMU_SLOT_H
#define _UMBRA_MMU_SLOT_H

#include <umbra/mmu.h>

/* Pages in all published slots. Context: mmu->srcu or slots_lock held. */
u64 umbra_slots_pages(struct umbra_mmu *mmu);

/* Does the slot have all of @gfn's large page, with the host's frames in step? */
bool umbra_slot_fits(const struct umbra_memslot *slot, gfn_t gfn, unsigned int level);

#endif /* _UMBRA_MMU_SLOT_H */
