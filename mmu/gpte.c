// SPDX-License-Identifier: GPL-2.0
/*
 * Reading entries of guest tables for their shadows.
 */
#include <umbra/hostmem.h>
#include "gpte.h"
#include "leaf.h"

static int read_short(struct umbra_mmu *mmu, gpa_t gpa, unsigned int nr, u64 *gpte)
{
	u32 entry[GPTE_READ_MAX] UMBRA_SCRATCH;
	int ret = umbra_guest_read_atomic(mmu, gpa, entry, nr * sizeof(u32));
	unsigned int i;

	for (i = 0; !ret && i < nr; i++)
		gpte[i] = entry[i];
	return ret;
}

int umbra_gpte_read(struct umbra_mmu *mmu, const struct umbra_shadow_page *sp,
		    unsigned int index, unsigned int nr, u64 *gpte)
{
	gpa_t gpa = umbra_gfn_to_gpa(sp->gfn) + umbra_gpte_offset(sp->role, index);

	BUILD_BUG_ON(FILL_RUN > GPTE_READ_MAX);
	if (sp->role.short_gptes)
		return read_short(mmu, gpa, nr, gpte);
	return umbra_guest_read_atomic(mmu, gpa, gpte, nr * sizeof(u64));
}
