// SPDX-License-Identifier: GPL-2.0
/*
 * VMCALL, and the other vendor's VMMCALL, which the CPU does not know: guests that
 * were built for one CPU and run on another get theirs replaced.
 */
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <asm/trapnr.h>
#include <umbra/emulation.h>
#include <umbra/options.h>
#include <umbra/pv.h>
#include <umbra/vm.h>

#include "vmx.h"

#define INSN_LEN	3

static const u8 vmcall[INSN_LEN] = { 0x0f, 0x01, 0xc1 };
static const u8 vmmcall[INSN_LEN] = { 0x0f, 0x01, 0xd9 };

static unsigned long hypercall(struct umbra_vcpu *vcpu, unsigned long nr)
{
	switch (nr) {
	case KVM_HC_SCHED_YIELD:
		if (!umbra_pv_offers(vcpu, KVM_FEATURE_PV_SCHED_YIELD))
			return -KVM_ENOSYS;
		umbra_vcpu_yield(vcpu);
		return 0;
	default:
		return -KVM_ENOSYS;
	}
}

int vmx_handle_vmcall(struct vmx_vcpu *vmx)
{
	unsigned long *rax = &vmx->vcpu.regs[UMBRA_RAX];
	bool wide = vmx_in_long64(vmx);
	unsigned long ret;

	vmx->vcpu.stat.hypercalls++;
	ret = vmx_cpl(vmx) ? -KVM_EPERM : hypercall(&vmx->vcpu, wide ? *rax : (u32)*rax);
	*rax = wide ? ret : (u32)ret;
	vmx_skip_insn(vmx);
	return VMX_RESUME_GUEST;
}

/* Write VMCALL over VMMCALL at @gva, as a write by the guest would. */
static bool patch(struct vmx_vcpu *vmx, u64 gva)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	struct umbra_exception exc;
	u8 insn[INSN_LEN];
	gpa_t first, last;
	unsigned int here;

	umbra_vmx_sync_paging(&vmx->vcpu);
	if (umbra_emulation_read(&vmx->vcpu, gva, insn, INSN_LEN, &exc) ||
	    memcmp(insn, vmmcall, INSN_LEN))
		return false;
	if (umbra_mmu_translate(mv, gva, UMBRA_ACC_WRITE, &first, &exc) ||
	    umbra_mmu_translate(mv, gva + INSN_LEN - 1, UMBRA_ACC_WRITE, &last, &exc))
		return false;
	here = min_t(unsigned int, INSN_LEN, PAGE_SIZE - offset_in_page(first));
	if (umbra_mmu_guest_write(mv, first, vmcall, here))
		return false;
	return here == INSN_LEN ||
	       !umbra_mmu_guest_write(mv, last & PAGE_MASK, vmcall + here, INSN_LEN - here);
}

/* Invalid opcodes are the guest's, but for the other vendor's hypercall. */
int vmx_handle_ud(struct vmx_vcpu *vmx)
{
	struct umbra_vm *vm = vmx->vcpu.vm;
	bool patched = false;
	u64 gva = vmx_linear_rip(vmx);
	int idx;

	if (!(READ_ONCE(vm->opt.quirks_off) & KVM_X86_QUIRK_FIX_HYPERCALL_INSN)) {
		idx = srcu_read_lock(&vm->mmu.srcu);
		patched = patch(vmx, gva);
		srcu_read_unlock(&vm->mmu.srcu, idx);
	}
	if (!patched)
		vmx_queue_ud(vmx);
	return VMX_RESUME_GUEST;
}
