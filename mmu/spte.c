// SPDX-License-Identifier: GPL-2.0
/*
 * The two entry formats as data.
 */
#include <linux/cache.h>
#include "spte.h"

const struct umbra_format umbra_format_ept = {
	/* All that map something are readable; those for MMIO are not. */
	.present = EPT_READ,
	.write = EPT_WRITE,
	.accessed = EPT_ACCESSED,
	.link = EPT_READ | EPT_WRITE | EPT_EXEC | EPT_ACCESSED,
	.levels = TABLE_LEVELS,
};

/*
 * Links allow everything: the rights that the guest's upper levels take away
 * are accumulated into the leaves, because the leaf of a supervisor write with
 * CR0.WP = 0 may need more than its path grants.
 */
struct umbra_format umbra_format_shadow __ro_after_init = {
	.present = PT_PRESENT,
	.write = PT_WRITE,
	.accessed = PT_ACCESSED,
	.link = PT_PRESENT | PT_WRITE | PT_USER | PT_ACCESSED,
	.levels = TABLE_LEVELS,
};

void umbra_spte_init(unsigned int addr_bits)
{
	umbra_format_shadow.absent = addr_bits <= 51 ? SPTE_ABSENT : 0;
	umbra_format_shadow.none = addr_bits <= 51 ? SPTE_ABSENT | PT_PRESENT : SPTE_NONE;
}
