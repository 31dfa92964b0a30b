// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_GET_FPU, KVM_GET_XSAVE and their like. The guest's state rests in vcpu->guest_fpu
 * whenever the vCPU is not inside KVM_RUN; its layout depends on the host, so
 * it is reached through the kernel's conversion to the standard XSAVE image.
 */
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>
#include <asm/processor.h>
#include <linux/kvm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <umbra/vcpu.h>
#include <umbra/vmx.h>
#include "ioctl.h"

/* The standard image: what a kvm_xsave holds, which has room for all components. */
union fpu_image {
	struct xregs_state xsave;
	u8 bytes[sizeof(struct kvm_xsave)];
};

/* What there is of a guest's state, and may be given to it. */
static u64 components(void)
{
	return umbra_vmx_xcr0() | XFEATURE_MASK_FPSSE;
}

/*
 * The kernel keeps PKRU apart from the rest, and takes what is in the image for it as it
 * finds it. Here it is always there, whatever its value.
 */
static void put_pkru(const struct umbra_vcpu *vcpu, void *image)
{
	struct xregs_state *xsave = image;
	u32 size, offset, ecx, edx;

	if (!(components() & XFEATURE_MASK_PKRU))
		return;
	cpuid_count(0xd, XFEATURE_PKRU, &size, &offset, &ecx, &edx);
	if (offset + sizeof(u32) > sizeof(union fpu_image))
		return;
	memcpy(image + offset, &vcpu->mmu.state.pkru, sizeof(u32));
	xsave->header.xfeatures |= XFEATURE_MASK_PKRU;
}

static void copy_image(struct umbra_vcpu *vcpu, void *image)
{
	fpu_copy_guest_fpstate_to_uabi(&vcpu->guest_fpu, image, sizeof(union fpu_image),
				       components(), vcpu->mmu.state.pkru);
	put_pkru(vcpu, image);
}

static int load_image(struct umbra_vcpu *vcpu, const void *image)
{
	return fpu_copy_uabi_to_guest_fpstate(&vcpu->guest_fpu, image, components(),
					      &vcpu->mmu.state.pkru);
}

static union fpu_image *image_get(struct umbra_vcpu *vcpu)
{
	union fpu_image *image = kzalloc(sizeof(*image), GFP_KERNEL_ACCOUNT);

	if (image)
		copy_image(vcpu, image);
	return image;
}

long umbra_fpu_get(struct umbra_call *call)
{
	union fpu_image *image = image_get(call->vcpu);
	struct kvm_fpu *fpu = call->data;
	const struct fxregs_state *fx;

	if (!image)
		return -ENOMEM;
	fx = &image->xsave.i387;
	memcpy(fpu->fpr, fx->st_space, sizeof(fpu->fpr));
	fpu->fcw = fx->cwd;
	fpu->fsw = fx->swd;
	fpu->ftwx = fx->twd;
	fpu->last_opcode = fx->fop;
	fpu->last_ip = fx->rip;
	fpu->last_dp = fx->rdp;
	memcpy(fpu->xmm, fx->xmm_space, sizeof(fpu->xmm));
	fpu->mxcsr = fx->mxcsr;
	kfree(image);
	return 0;
}

/* The kernel refuses an MXCSR with reserved bits: FXRSTOR would fault on it. */
long umbra_fpu_set(struct umbra_call *call)
{
	union fpu_image *image = image_get(call->vcpu);
	const struct kvm_fpu *fpu = call->data;
	struct fxregs_state *fx;
	int ret;

	if (!image)
		return -ENOMEM;
	fx = &image->xsave.i387;
	memcpy(fx->st_space, fpu->fpr, sizeof(fpu->fpr));
	fx->cwd = fpu->fcw;
	fx->swd = fpu->fsw;
	fx->twd = fpu->ftwx;
	fx->fop = fpu->last_opcode;
	fx->rip = fpu->last_ip;
	fx->rdp = fpu->last_dp;
	memcpy(fx->xmm_space, fpu->xmm, sizeof(fpu->xmm));
	fx->mxcsr = fpu->mxcsr;
	/* What is not named there would be reset. */
	image->xsave.header.xfeatures |= XFEATURE_MASK_FPSSE;
	ret = load_image(call->vcpu, image);
	kfree(image);
	return ret;
}

long umbra_fpu_get_xsave(struct umbra_call *call)
{
	copy_image(call->vcpu, call->data);
	return 0;
}

long umbra_fpu_set_xsave(struct umbra_call *call)
{
	return load_image(call->vcpu, call->data);
}

long umbra_fpu_get_xcrs(struct umbra_call *call)
{
	struct kvm_xcrs *xcrs = call->data;

	if (!umbra_vmx_xcr0())
		return -EINVAL;
	xcrs->nr_xcrs = 1;
	xcrs->xcrs[0].xcr = XCR_XFEATURE_ENABLED_MASK;
	xcrs->xcrs[0].value = call->vcpu->xcr0;
	return 0;
}

/* There is but XCR0; what else is named is left alone. */
long umbra_fpu_set_xcrs(struct umbra_call *call)
{
	const struct kvm_xcrs *xcrs = call->data;
	unsigned int i;

	if (!umbra_vmx_xcr0() || xcrs->nr_xcrs > KVM_MAX_XCRS || xcrs->flags)
		return -EINVAL;
	for (i = 0; i < xcrs->nr_xcrs; i++)
		if (xcrs->xcrs[i].xcr == XCR_XFEATURE_ENABLED_MASK)
			return umbra_vmx_set_xcr0(call->vcpu, xcrs->xcrs[i].value);
	return 0;
}
