/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Addresses and small constants that every folder uses.
 *
 * gva_t, gpa_t, gfn_t, hva_t, hpa_t and kvm_pfn_t are the kernel's own.
 */
#ifndef _UMBRA_TYPES_H
#define _UMBRA_TYPES_H

#include <linux/types.h>
#include <linux/kvm_types.h>

#define UMBRA_MAX_VCPUS		64
#define UMBRA_MAX_VCPU_ID	255
#define UMBRA_MAX_SLOTS		32764
#define UMBRA_MAX_MCE_BANKS	32

#define UMBRA_PAGE_SHIFT	12

/* No table, no page. */
#ifndef INVALID_PAGE
#define INVALID_PAGE		(~(hpa_t)0)
#endif

/* What a page walk or a fault wants, in the layout of the #PF error code. */
#define UMBRA_ACC_PRESENT	(1u << 0)
#define UMBRA_ACC_WRITE		(1u << 1)
#define UMBRA_ACC_USER		(1u << 2)
#define UMBRA_ACC_RSVD		(1u << 3)
#define UMBRA_ACC_FETCH		(1u << 4)
#define UMBRA_ACC_PK		(1u << 5)

/**
 * struct umbra_exception - an exception to be delivered to the guest
 * @valid: something is recorded here
 * @has_error_code: @error_code is pushed
 * @vector: 0..31
 * @error_code: as the architecture defines it for @vector
 * @cr2: the faulting linear address; only for vector 14
 */
struct umbra_exception {
	bool valid;
	bool has_error_code;
	u8 vector;
	u32 error_code;
	u64 cr2;
};

static inline gfn_t umbra_gpa_to_gfn(gpa_t gpa)
{
	return gpa >> UMBRA_PAGE_SHIFT;
}

static inline gpa_t umbra_gfn_to_gpa(gfn_t gfn)
{
	return (gpa_t)gfn << UMBRA_PAGE_SHIFT;
}

#endif /* _UMBRA_TYPES_H */
