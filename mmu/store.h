/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writes to guest tables, one by one.
 */
#ifndef _UMBRA_MMU_STORE_H
#define _UMBRA_MMU_STORE_H

#include <umbra/mmu.h>

/**
 * umbra_store_pays() - is it better to emulate a write than to let the table go?
 * @gfn: a tracked table
 *
 * A guest that changes an entry of a process, uses it, and changes the next takes
 * one exit for each change while the table is tracked: its page faults and
 * invalidations need none then (direct.h). One that changes many in a row is better
 * off without, and so is one that changes entries of its own: those seldom fault,
 * and an invalidation exits in less time than a write is emulated.
 * Context: mmu_lock held for write.
 */
bool umbra_store_pays(struct umbra_mmu_vcpu *vcpu, gfn_t gfn);

/**
 * umbra_store_flags() - set accessed and dirty flags in an entry
 * @gpa: of the entry
 * @old: the entry as it was read
 * @new: with the flags
 * @len: its size
 *
 * All entries have the flags in the same place, and to set them takes nothing away,
 * so that shadows need not know. Not so where the second of two 4-byte entries is
 * the upper half of an 8-byte one, to a guest that uses the frame as such a table,
 * too: there they are bits of an address.
 *
 * Context: may sleep.
 * Return: 0; -EAGAIN when the entry has changed; or as umbra_hostpage_get().
 */
int umbra_store_flags(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, u64 *old, u64 new,
		      unsigned int len);

#endif /* _UMBRA_MMU_STORE_H */
