// SPDX-License-Identifier: GPL-2.0
/*
 * Exceptions that exit, and the debug registers.
 */
#include <linux/hw_breakpoint.h>
#include <asm/cpu.h>
#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "vmx.h"

#define DR6_BD			BIT(13)
#define DR6_VOLATILE		(DR_TRAP_BITS | DR6_BD | DR_STEP | DR_SWITCH)
#define DR7_GD			BIT(13)

static int reflect(struct vmx_vcpu *vmx, u32 info)
{
	bool has_error = info & INTR_INFO_DELIVER_CODE_MASK;

	vmx_queue_exception(vmx, info & INTR_INFO_VECTOR_MASK, has_error,
			    has_error ? vmcs_read32(VM_EXIT_INTR_ERROR_CODE) : 0);
	return VMX_RESUME_GUEST;
}

/*
 * In the shadow of STI or MOV SS with TF set, VM entry wants the single step
 * that is then due to be noted; an exit by #DB leaves that out.
 */
static void note_single_step(struct vmx_vcpu *vmx)
{
	if ((vmx_rflags(vmx) & X86_EFLAGS_TF) &&
	    (vmcs_read32(GUEST_INTERRUPTIBILITY_INFO) & INTERRUPT_SHADOW))
		vmcs_writel(GUEST_PENDING_DBG_EXCEPTIONS,
			    vmcs_readl(GUEST_PENDING_DBG_EXCEPTIONS) | DR_STEP);
}

void vmx_debug_hit(struct vmx_vcpu *vmx, unsigned long hit)
{
	vmx->dr6 = (vmx->dr6 & ~DR_TRAP_BITS) | (hit & DR6_VOLATILE);
	if (vmx->dr7 & DR7_GD) {
		vmx->dr7 &= ~DR7_GD;
		vmx_debug_update(vmx);
	}
}

/* The exit qualification has what DR6 would; delivery leaves DR6 to us. */
static int handle_db(struct vmx_vcpu *vmx, u32 info)
{
	unsigned long hit = vmcs_readl(EXIT_QUALIFICATION) & DR6_VOLATILE;
	bool int1 = (info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_PRIV_SW_EXCEPTION;

	if (unlikely(vmx_debug_takes_db(vmx)) && !int1)
		return vmx_debug_trap(vmx, hit);
	vmx_debug_hit(vmx, hit);
	/* INT1 is a trap: RIP is still at it. */
	if (int1)
		vmx_skip_insn(vmx);
	else
		note_single_step(vmx);
	return reflect(vmx, info);
}

/* The guest asked for alignment checks; otherwise it hit the host's split-lock check. */
static int handle_ac(struct vmx_vcpu *vmx, u32 info)
{
	vmx_sync_crs(vmx);
	if (vmx_cpl(vmx) == 3 && (vmx->vcpu.mmu.state.cr0 & X86_CR0_AM) &&
	    (vmx_rflags(vmx) & X86_EFLAGS_AC))
		return reflect(vmx, info);
	if (handle_guest_split_lock(vmx_rip(vmx)))
		return VMX_RESUME_GUEST;
	return reflect(vmx, info);
}

int vmx_handle_exception(struct vmx_vcpu *vmx)
{
	u32 info = vmcs_read32(VM_EXIT_INTR_INFO);

	if (unlikely(info & INTR_INFO_UNBLOCK_NMI) &&
	    (info & INTR_INFO_VECTOR_MASK) != X86_TRAP_DF)
		vmx_events_block_nmi(vmx);
	/* Reflected to the host right after the exit. */
	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR)
		return VMX_RESUME_GUEST;

	switch (info & INTR_INFO_VECTOR_MASK) {
	case X86_TRAP_PF:
		if (vmx->family == UMBRA_FAMILY_SHADOW)
			return vmx_handle_page_fault(vmx, vmcs_readl(EXIT_QUALIFICATION),
						     vmcs_read32(VM_EXIT_INTR_ERROR_CODE));
		return reflect(vmx, info);
	case X86_TRAP_DB:
		return handle_db(vmx, info);
	case X86_TRAP_BP:
		return vmx_debug_breakpoint(vmx);
	case X86_TRAP_UD:
		return vmx_handle_ud(vmx);
	case X86_TRAP_AC:
		return handle_ac(vmx, info);
	case X86_TRAP_MC:
		/* The host's own; its handler ran when the exit was taken. */
		return VMX_RESUME_GUEST;
	default:
		return reflect(vmx, info);
	}
}

static void write_dr(struct vmx_vcpu *vmx, unsigned int dr, unsigned long value)
{
	switch (dr) {
	case 0 ... 3:
		vmx->dr[dr] = value;
		break;
	case 4:
	case 6:
		vmx->dr6 = (value & DR6_VOLATILE) | DR6_RESERVED;
		break;
	default:
		vmx->dr7 = (value & DR7_EXISTING) | DR7_MUST_BE_1;
		vmx_debug_update(vmx);
		break;
	}
}

static unsigned long read_dr(struct vmx_vcpu *vmx, unsigned int dr)
{
	if (dr < 4)
		return vmx->dr[dr];
	return dr == 4 || dr == 6 ? vmx->dr6 : vmx->dr7;
}

int vmx_handle_dr(struct vmx_vcpu *vmx)
{
	unsigned long qual = vmcs_readl(EXIT_QUALIFICATION);
	unsigned int dr = qual & 7, reg = (qual >> 8) & 15;
	unsigned long value;

	vmx_sync_crs(vmx);
	if ((dr == 4 || dr == 5) && (vmx->vcpu.mmu.state.cr4 & X86_CR4_DE)) {
		vmx_queue_ud(vmx);
		return VMX_RESUME_GUEST;
	}
	if (vmx_cpl(vmx)) {
		vmx_queue_gp(vmx);
		return VMX_RESUME_GUEST;
	}
	if (vmx->hw_dr7 & DR7_GD) {
		if (vmx_debug_takes_db(vmx))
			return vmx_debug_trap(vmx, DR6_BD);
		vmx->dr6 |= DR6_BD;
		vmx->dr7 &= ~DR7_GD;
		vmx_debug_update(vmx);
		vmx_queue_exception(vmx, X86_TRAP_DB, false, 0);
		return VMX_RESUME_GUEST;
	}

	if (qual & BIT(4)) {
		vmx_set_reg(vmx, reg, read_dr(vmx, dr));
	} else {
		value = vmx_reg(vmx, reg);
		if (vmx_in_long64(vmx) && dr >= 4 && value >> 32) {
			vmx_queue_gp(vmx);
			return VMX_RESUME_GUEST;
		}
		write_dr(vmx, dr, value);
	}
	vmx_skip_insn(vmx);
	return VMX_RESUME_GUEST;
}

/* The guest is stepped, or has breakpoints, its own or user space's. */
void vmx_debug_load(struct vmx_vcpu *vmx)
{
	const unsigned long *dr = vmx->vcpu.guest_debug & KVM_GUESTDBG_USE_HW_BP ? vmx->user_dr :
										   vmx->dr;

	if (vmx->stepping)
		vmx_debug_shadow(vmx);
	if (!(vmx->hw_dr7 & DR7_ENABLED))
		return;
	set_debugreg(0, 7);
	set_debugreg(dr[0], 0);
	set_debugreg(dr[1], 1);
	set_debugreg(dr[2], 2);
	set_debugreg(dr[3], 3);
	set_debugreg(DR6_RESERVED, 6);
}

/* VM exit has cleared DR7: give the host its breakpoints back. */
void vmx_debug_unload(struct vmx_vcpu *vmx)
{
	if (hw_breakpoint_active())
		hw_breakpoint_restore();
}

void umbra_vmx_get_debugregs(struct umbra_vcpu *vcpu, struct kvm_debugregs *dr)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	int i;

	memset(dr, 0, sizeof(*dr));
	for (i = 0; i < 4; i++)
		dr->db[i] = vmx->dr[i];
	dr->dr6 = vmx->dr6;
	dr->dr7 = vmx->dr7;
}

int umbra_vmx_set_debugregs(struct umbra_vcpu *vcpu, const struct kvm_debugregs *dr)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	int i;

	if (dr->flags || dr->dr6 >> 32 || dr->dr7 >> 32)
		return -EINVAL;
	for (i = 0; i < 4; i++)
		vmx->dr[i] = dr->db[i];
	write_dr(vmx, 6, dr->dr6);
	write_dr(vmx, 7, dr->dr7);
	return 0;
}
