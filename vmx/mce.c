// SPDX-License-Identifier: GPL-2.0
/*
 * The machine-check registers of a guest: banks that only user space fills.
 */
#include <linux/kvm.h>
#include <asm/mce.h>
#include <asm/msr-index.h>
#include <asm/trapnr.h>
#include <umbra/irqchip.h>

#include "vmx.h"

#define MCE_SUPPORTED	(MCG_CTL_P | MCG_SER_P | MCG_CMCI_P)

#define CTL2_BITS	(MCI_CTL2_CMCI_EN | MCI_CTL2_CMCI_THRESHOLD_MASK)

enum { BANK_CTL, BANK_STATUS, BANK_ADDR, BANK_MISC };

u64 umbra_vmx_mce_supported(void)
{
	return MCE_SUPPORTED | UMBRA_MAX_MCE_BANKS;
}

/* What a vCPU has until user space says otherwise. */
void vmx_mce_reset(struct vmx_vcpu *vmx)
{
	memset(&vmx->mce, 0, sizeof(vmx->mce));
	vmx->mce.cap = UMBRA_MAX_MCE_BANKS;
}

int umbra_vmx_mce_setup(struct umbra_vcpu *vcpu, u64 cap)
{
	struct vmx_mce *mce = &to_vmx(vcpu)->mce;
	unsigned int i, banks = cap & MCG_BANKCNT_MASK;

	if (!banks || banks > UMBRA_MAX_MCE_BANKS)
		return -EINVAL;
	if (cap & ~(MCE_SUPPORTED | MCG_BANKCNT_MASK | MCG_EXT_CNT_MASK))
		return -EINVAL;
	mce->cap = cap;
	if (cap & MCG_CTL_P)
		mce->ctl = ~0ull;
	for (i = 0; i < banks; i++)
		mce->bank[i][BANK_CTL] = ~0ull;
	if (vcpu->lapic)
		umbra_lapic_set_cmci(vcpu, cap & MCG_CMCI_P);
	return 0;
}

static void store(u64 *bank, const struct kvm_x86_mce *in, u64 extra)
{
	bank[BANK_STATUS] = in->status | extra;
	bank[BANK_ADDR] = in->addr;
	bank[BANK_MISC] = in->misc;
}

/* Uncorrected, but nothing needs to be done. */
static bool is_ucna(const struct kvm_x86_mce *in)
{
	return !in->mcg_status &&
	       !(in->status & (MCI_STATUS_PCC | MCI_STATUS_S | MCI_STATUS_AR));
}

/* Nothing was lost: the guest is interrupted if it wants to know. */
static void signal(struct vmx_vcpu *vmx, unsigned int bank)
{
	const struct vmx_mce *mce = &vmx->mce;

	if ((mce->cap & MCG_CMCI_P) && (mce->ctl2[bank] & MCI_CTL2_CMCI_EN) && vmx->vcpu.lapic)
		umbra_lapic_cmci(&vmx->vcpu);
}

/* KVM_X86_SET_MCE: an error happens. */
int umbra_vmx_mce_inject(struct umbra_vcpu *vcpu, const struct kvm_x86_mce *in)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	struct vmx_mce *mce = &vmx->mce;
	unsigned int nr = array_index_nospec(in->bank, UMBRA_MAX_MCE_BANKS);
	u64 *bank;

	if (in->bank >= (mce->cap & MCG_BANKCNT_MASK) || !(in->status & MCI_STATUS_VAL))
		return -EINVAL;
	bank = mce->bank[nr];
	if ((in->status & MCI_STATUS_UC) && is_ucna(in)) {
		store(bank, in, 0);
		signal(vmx, nr);
		return 0;
	}
	if (in->status & MCI_STATUS_UC) {
		/* Reporting that is off ignores it. */
		if (((mce->cap & MCG_CTL_P) && mce->ctl != ~0ull) || bank[BANK_CTL] != ~0ull)
			return 0;
		vmx_sync_crs(vmx);
		if ((mce->status & MCG_STATUS_MCIP) ||
		    !(vcpu->mmu.state.cr4 & X86_CR4_MCE)) {
			umbra_make_request(vcpu, UMBRA_REQ_TRIPLE_FAULT);
			return 0;
		}
		store(bank, in, bank[BANK_STATUS] & MCI_STATUS_VAL ? MCI_STATUS_OVER : 0);
		mce->status = in->mcg_status;
		vmx_queue_exception(vmx, X86_TRAP_MC, false, 0);
	} else if (!(bank[BANK_STATUS] & MCI_STATUS_VAL) ||
		   !(bank[BANK_STATUS] & MCI_STATUS_UC)) {
		store(bank, in, bank[BANK_STATUS] & MCI_STATUS_VAL ? MCI_STATUS_OVER : 0);
		signal(vmx, nr);
	} else {
		bank[BANK_STATUS] |= MCI_STATUS_OVER;
	}
	return 0;
}

/*
 * The value behind a machine-check MSR, or NULL when there is none. User space may
 * save and restore what the lists name, whether or not the guest has it.
 */
u64 *vmx_mce_msr(struct vmx_vcpu *vmx, u32 index, bool host)
{
	struct vmx_mce *mce = &vmx->mce;
	u32 offset = index - MSR_IA32_MC0_CTL, bank = index - MSR_IA32_MC0_CTL2;

	if (bank < (mce->cap & MCG_BANKCNT_MASK)) {
		bank = array_index_nospec(bank, UMBRA_MAX_MCE_BANKS);
		return host || mce->cap & MCG_CMCI_P ? &mce->ctl2[bank] : NULL;
	}
	switch (index) {
	case MSR_IA32_MCG_CAP:
		return &mce->cap;
	case MSR_IA32_MCG_STATUS:
		return &mce->status;
	case MSR_IA32_MCG_CTL:
		return host || mce->cap & MCG_CTL_P ? &mce->ctl : NULL;
	}
	if (offset >= 4 * (mce->cap & MCG_BANKCNT_MASK))
		return NULL;
	offset = array_index_nospec(offset, 4 * UMBRA_MAX_MCE_BANKS);
	return &mce->bank[offset / 4][offset % 4];
}

/* Return 0, or -EINVAL for a value that WRMSR refuses. */
int vmx_mce_set_msr(struct vmx_vcpu *vmx, u32 index, u64 data, bool host)
{
	const struct vmx_mce *mce = &vmx->mce;
	u64 *slot = vmx_mce_msr(vmx, index, host);
	bool all_or_none = !data || data == ~0ull;

	if (!slot || index == MSR_IA32_MCG_CAP)
		return -EINVAL;
	if (index == MSR_IA32_MCG_CTL && !all_or_none)
		return -EINVAL;
	if (index >= MSR_IA32_MC0_CTL2 && index < MSR_IA32_MC0_CTL) {
		if (data & ~CTL2_BITS || (data && !(mce->cap & MCG_CMCI_P)))
			return -EINVAL;
	} else if (index >= MSR_IA32_MC0_CTL) {
		u32 reg = (index - MSR_IA32_MC0_CTL) % 4;

		/* Some guests clear bit 10 or bit 0 of a control register. */
		if (reg == BANK_CTL && data && (data | BIT_ULL(10) | 1) != ~0ull)
			return -EINVAL;
		if (reg == BANK_STATUS && data && !host)
			return -EINVAL;
	}
	*slot = data;
	return 0;
}
