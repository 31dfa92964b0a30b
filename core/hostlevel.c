// SPDX-License-Identifier: GPL-2.0
/*
 * How large the host maps a page: its own tables are read without a lock, as
 * get_user_pages_fast() does it. With interrupts off no table is freed, since
 * that waits for an interrupt to reach, or for RCU to pass, this CPU.
 */
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <umbra/hostmem.h>
#include <umbra/memslot.h>

/* Each entry is read once: it may change at any moment. */
static unsigned int level_of(struct mm_struct *mm, hva_t hva)
{
	pgd_t pgd = READ_ONCE(*pgd_offset(mm, hva));
	p4d_t p4d;
	pud_t pud;
	pmd_t pmd;

	if (!pgd_present(pgd))
		return 1;
	p4d = READ_ONCE(*p4d_offset(&pgd, hva));
	if (!p4d_present(p4d))
		return 1;
	pud = READ_ONCE(*pud_offset(&p4d, hva));
	if (!pud_present(pud))
		return 1;
	if (pud_leaf(pud))
		return 3;
	pmd = READ_ONCE(*pmd_offset(&pud, hva));
	return pmd_present(pmd) && pmd_leaf(pmd) ? 2 : 1;
}

unsigned int umbra_hostpage_level(const struct umbra_memslot *slot, gfn_t gfn)
{
	unsigned int level;
	unsigned long flags;

	local_irq_save(flags);
	level = level_of(current->mm, umbra_memslot_hva(slot, gfn));
	local_irq_restore(flags);
	return level;
}
