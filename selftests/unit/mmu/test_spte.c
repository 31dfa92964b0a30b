// SPDX-License-Identifier: GPL-2.0
/*
 * Encoding of entries, in both formats.
 */
#include <linux/atomic.h>
#include <linux/kernel.h>
#include <tap.h>
#include "../../../mmu/spte.h"
#include "random.h"

static void check_format(const struct umbra_format *fmt, const char *name)
{
	u64 link = umbra_spte_link(fmt, 0x123456789000ull);
	u64 leaf = link | SPTE_LEAF;

	ok(!umbra_spte_present(fmt, SPTE_NONE), "%s: no entry is not present", name);
	ok(umbra_spte_present(fmt, link) && !umbra_spte_leaf(link), "%s: a link", name);
	ok(umbra_spte_present(fmt, leaf) && umbra_spte_leaf(leaf), "%s: a leaf", name);
	ok(!umbra_spte_present(fmt, SPTE_LEAF), "%s: software bits do not make it present", name);
	ok((link & SPTE_ADDR) == 0x123456789000ull && umbra_spte_pfn(leaf) == 0x123456789ull,
	   "%s: address and frame", name);
	ok((fmt->link & (fmt->write | fmt->accessed)) == (fmt->write | fmt->accessed),
	   "%s: links take no rights away and need no flag set", name);
	ok(!(fmt->present & SPTE_ADDR) && !(fmt->link & ~(SPTE_ADDR | 0xfff)) &&
	   !(fmt->link & SPTE_ADDR), "%s: rights and address do not overlap", name);
}

/* What the architecture says about the bits. */
static void check_architecture(void)
{
	ok(EPT_READ == 1 && EPT_WRITE == 2 && EPT_EXEC == 4 && EPT_MEMTYPE_WB == 0x30 &&
	   EPT_IGNORE_PAT == 0x40 && EPT_LARGE == 0x80 && EPT_ACCESSED == 0x100 &&
	   EPT_DIRTY == 0x200, "bits of EPT entries");
	ok(PT_PRESENT == 1 && PT_WRITE == 2 && PT_USER == 4 && PT_UNCACHED == 0x18 &&
	   PT_ACCESSED == 0x20 && PT_DIRTY == 0x40 && PT_LARGE == 0x80 &&
	   PT_NX == 1ull << 63, "bits of the CPU's page-table entries");
	/* Ignored in all present entries: PAE leaves 11:9, of which EPT takes 9. */
	ok(!((SPTE_LEAF | SPTE_HOST_WRITE) & ~0xc00ull), "software bits are ignored ones");
	ok(SPTE_1G >= 1ull << 52 && SPTE_1G < 1ull << 57, "also that of long mode and EPT");
	ok((umbra_format_ept.link & 0xf8) == 0, "EPT links have their reserved bits clear");
	ok((umbra_format_shadow.link & PT_LARGE) == 0, "shadow links are not large pages");
}

static void check_index(void)
{
	bool good = true;

	for (int i = 0; good && i < 100000; i++) {
		u64 frame = rnd64() & GENMASK_ULL(35, 0), again = 0;

		for (unsigned int level = 1; level <= TABLE_LEVELS; level++)
			again += umbra_table_index(frame, level) * umbra_level_frames(level);
		good = again == frame;
	}
	ok(good, "indices of all levels make up the frame");
	ok(umbra_level_frames(1) == 1 && umbra_level_frames(2) == 512 &&
	   umbra_level_frames(3) == 512 * 512, "frames of a level");
}

static void check_clear(void)
{
	u64 spte = PT_PRESENT | PT_WRITE | PT_DIRTY | PT_ACCESSED | SPTE_LEAF;

	ok(umbra_spte_clear(&spte, PT_WRITE, PT_WRITE | PT_DIRTY) &&
	   spte == (PT_PRESENT | PT_ACCESSED | SPTE_LEAF), "write protection takes dirty along");
	ok(!umbra_spte_clear(&spte, PT_WRITE, PT_WRITE | PT_ACCESSED) && spte & PT_ACCESSED,
	   "nothing to take, nothing changes");
	ok(umbra_spte_clear(&spte, PT_ACCESSED, 0) && spte & PT_ACCESSED, "only asking");
}

int main(void)
{
	check_format(&umbra_format_ept, "EPT");
	check_format(&umbra_format_shadow, "shadow");
	check_architecture();
	check_index();
	check_clear();
	return tap_done();
}
