// SPDX-License-Identifier: GPL-2.0
/*
 * Translation on request: for the emulator, KVM_TRANSLATE and CR3 loads.
 */
#include <linux/errno.h>
#include <linux/string.h>
#include <umbra/hostmem.h>
#include "shadow.h"
#include "walk.h"

#define NR_PDPTES	4

static int translate(struct umbra_mmu_vcpu *vcpu, u64 gva, u32 access, bool set_ad, gpa_t *gpa,
		     struct umbra_exception *exc)
{
	struct umbra_walk walk;
	int ret;

	ret = umbra_walk(vcpu, gva, access, set_ad, &walk);
	if (!ret)
		*gpa = walk.gpa;
	else if (exc)
		*exc = walk.exc;
	return ret;
}

int umbra_mmu_translate(struct umbra_mmu_vcpu *vcpu, u64 gva, u32 access, gpa_t *gpa,
			struct umbra_exception *exc)
{
	if (umbra_shadow_translate(vcpu, gva, access, gpa, NULL))
		return 0;
	return translate(vcpu, gva, access, true, gpa, exc);
}

int umbra_mmu_translate_quiet(struct umbra_mmu_vcpu *vcpu, u64 gva, u32 access, gpa_t *gpa,
			      struct umbra_exception *exc)
{
	return translate(vcpu, gva, access, false, gpa, exc);
}

bool umbra_mmu_pdptrs_valid(const struct umbra_mmu_vcpu *vcpu, const u64 *pdptrs)
{
	unsigned int i;

	for (i = 0; i < NR_PDPTES; i++)
		if (pdptrs[i] & GPTE_PRESENT && umbra_pdpte_reserved(&vcpu->state, pdptrs[i]))
			return false;
	return true;
}

int umbra_mmu_load_pdptrs(struct umbra_mmu_vcpu *vcpu)
{
	u64 pdptrs[NR_PDPTES];

	if (umbra_guest_read(vcpu->mmu, vcpu->state.cr3 & GENMASK_ULL(31, 5), pdptrs,
			     sizeof(pdptrs)))
		return -EINVAL;

	if (!umbra_mmu_pdptrs_valid(vcpu, pdptrs))
		return -EINVAL;
	memcpy(vcpu->pdptrs, pdptrs, sizeof(pdptrs));
	return 0;
}
