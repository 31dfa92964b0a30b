// SPDX-License-Identifier: GPL-2.0
/*
 * Events: exceptions, interrupts and NMIs on their way into the guest.
 *
 * What is to be delivered stays in vmx->ev until it is written into the VMCS
 * right before an entry. If the entry does not happen, or an exit interrupts
 * the delivery, it comes back from the VMCS into vmx->ev and is delivered again
 * at the next entry.
 */
#include <linux/kvm.h>
#include <asm/trapnr.h>

#include <umbra/irqchip.h>
#include <umbra/options.h>
#include <umbra/pv.h>

#include "vmx.h"

/* Divide error and the segment faults: two of them in a row are a double fault. */
static bool contributory(u8 vector)
{
	return vector == X86_TRAP_DE || (vector >= X86_TRAP_TS && vector <= X86_TRAP_GP);
}

static bool makes_double_fault(u8 first, u8 second)
{
	if (contributory(first))
		return contributory(second);
	return first == X86_TRAP_PF && (contributory(second) || second == X86_TRAP_PF);
}

/* Faults push RF = 1, so that the instruction's breakpoints do not hit twice. */
static bool is_fault(u8 vector)
{
	return vector != X86_TRAP_DB && vector != X86_TRAP_BP && vector != X86_TRAP_OF &&
	       vector != X86_TRAP_DF && vector != X86_TRAP_MC && vector != X86_TRAP_NMI;
}

static void set_exception(struct vmx_vcpu *vmx, u8 vector, bool has_error, u32 error)
{
	vmx->ev.exc = (struct umbra_exception) {
		.valid = true,
		.has_error_code = has_error,
		.vector = vector,
		.error_code = error,
	};
	vmx->ev.exc_injected = false;
	vmx->ev.exc_soft_len = 1;
	vmx->ev.exc_user = false;
	vmx->event_pending = true;
}

void vmx_queue_exception(struct vmx_vcpu *vmx, u8 vector, bool has_error, u32 error)
{
	struct umbra_exception *exc = &vmx->ev.exc;

	if (exc->valid && exc->vector == X86_TRAP_DF) {
		umbra_make_request(&vmx->vcpu, UMBRA_REQ_TRIPLE_FAULT);
		return;
	}
	if (is_fault(vector))
		vmx_set_rflags(vmx, vmx_rflags(vmx) | X86_EFLAGS_RF);
	if (exc->valid && makes_double_fault(exc->vector, vector))
		set_exception(vmx, X86_TRAP_DF, true, 0);
	else
		set_exception(vmx, vector, has_error, error);
}

void vmx_queue_pf(struct vmx_vcpu *vmx, const struct umbra_exception *exc)
{
	vmx->cr2 = exc->cr2;
	vmx_queue_exception(vmx, X86_TRAP_PF, true, exc->error_code);
}

bool vmx_interrupt_allowed(struct vmx_vcpu *vmx)
{
	return (vmx_rflags(vmx) & X86_EFLAGS_IF) &&
	       !(vmcs_read32(GUEST_INTERRUPTIBILITY_INFO) & INTERRUPT_SHADOW);
}

static bool nmi_allowed(void)
{
	return !(vmcs_read32(GUEST_INTERRUPTIBILITY_INFO) &
		 (INTERRUPT_SHADOW | GUEST_INTR_STATE_NMI));
}

static void write_entry_info(struct vmx_vcpu *vmx, u32 info, u8 insn_len)
{
	vmx_end_hlt(vmx);
	vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, info | INTR_INFO_VALID_MASK);
	if (insn_len)
		vmcs_write32(VM_ENTRY_INSTRUCTION_LEN, insn_len);
}

/* What a fault of the guest's own does when it is queued. */
static void begin_delivery(struct vmx_vcpu *vmx)
{
	const struct vmx_events *ev = &vmx->ev;

	if (is_fault(ev->exc.vector))
		vmx_set_rflags(vmx, vmx_rflags(vmx) | X86_EFLAGS_RF);
	if (!ev->has_payload)
		return;
	if (ev->exc.vector == X86_TRAP_PF)
		vmx->cr2 = ev->payload;
	else if (ev->exc.vector == X86_TRAP_DB)
		vmx_debug_hit(vmx, ev->payload);
}

static void inject_exception(struct vmx_vcpu *vmx)
{
	struct umbra_exception *exc = &vmx->ev.exc;
	bool soft = exc->vector == X86_TRAP_BP || exc->vector == X86_TRAP_OF;
	u32 info = exc->vector;

	if (vmx->ev.exc_user)
		begin_delivery(vmx);
	/* Real mode has no error codes. */
	if (exc->has_error_code && (vmx->vcpu.mmu.state.cr0 & X86_CR0_PE)) {
		vmcs_write32(VM_ENTRY_EXCEPTION_ERROR_CODE, exc->error_code);
		info |= INTR_INFO_DELIVER_CODE_MASK;
	}
	info |= soft ? INTR_TYPE_SOFT_EXCEPTION : INTR_TYPE_HARD_EXCEPTION;
	write_entry_info(vmx, info, soft ? vmx->ev.exc_soft_len : 0);
	exc->valid = false;
	vmx->ev.exc_injected = false;
	vmx->ev.exc_user = false;
}

/* An exception goes first: what was being delivered becomes pending again. */
static void defer_interrupted(struct vmx_events *ev)
{
	if (ev->nmi_injected) {
		ev->nmi_injected = false;
		ev->nmi_pending = min(ev->nmi_pending + 1, 2);
	}
	ev->irq_injected = false;
	/* INT n has not been executed: it will be, after the handler. */
	ev->soft = false;
}

static void inject_nmi(struct vmx_vcpu *vmx)
{
	write_entry_info(vmx, INTR_TYPE_NMI_INTR | X86_TRAP_NMI, 0);
	vmx->vcpu.stat.nmi_injections++;
}

static void inject_irq(struct vmx_vcpu *vmx)
{
	struct vmx_events *ev = &vmx->ev;

	write_entry_info(vmx, INTR_TYPE_EXT_INTR | ev->irq_vector, 0);
	ev->irq = false;
	ev->irq_injected = false;
	vmx->vcpu.stat.irq_injections++;
}

static void inject_soft(struct vmx_vcpu *vmx)
{
	struct vmx_events *ev = &vmx->ev;

	write_entry_info(vmx, INTR_TYPE_SOFT_INTR | ev->soft_vector, ev->soft_len);
	ev->soft = false;
}

/* Does the local APIC have an interrupt for this vCPU? */
static bool irq_waits(struct vmx_vcpu *vmx)
{
	return vmx->vcpu.lapic && umbra_irq_pending(&vmx->vcpu);
}

/* An interrupt that is the vCPU's to deliver, and no longer anybody else's. */
void vmx_hold_irq(struct vmx_vcpu *vmx, u8 vector)
{
	vmx->ev.irq = true;
	vmx->ev.irq_injected = false;
	vmx->ev.irq_vector = vector;
}

/* Take it over from there. */
static bool take_irq(struct vmx_vcpu *vmx)
{
	int vector = umbra_irq_ack(&vmx->vcpu);

	if (vector < 0)
		return false;
	vmx_hold_irq(vmx, vector);
	umbra_pv_eoi_arm(&vmx->vcpu, vector);
	return true;
}

/* User space steps the guest and wants no interrupt in between. */
static bool held_back(const struct vmx_vcpu *vmx)
{
	return vmx->vcpu.guest_debug & KVM_GUESTDBG_BLOCKIRQ;
}

/* Ask for an exit as soon as what still waits can be delivered. */
static void open_windows(struct vmx_vcpu *vmx)
{
	const u32 windows = CPU_BASED_NMI_WINDOW_EXITING | CPU_BASED_INTR_WINDOW_EXITING;
	struct vmx_events *ev = &vmx->ev;
	bool sti;

	if (unlikely(held_back(vmx))) {
		/* The window of NMIs may have been opened for another purpose. */
		vmx_cpu_ctl_clear(vmx, vmx->desc_pass ? CPU_BASED_INTR_WINDOW_EXITING : windows);
		return;
	}
	sti = ev->nmi_pending &&
	      (vmcs_read32(GUEST_INTERRUPTIBILITY_INFO) & GUEST_INTR_STATE_STI);

	/*
	 * Some CPUs see the NMI window open in the shadow of STI, where an NMI
	 * cannot be injected: wait for the interrupt window, which is not.
	 */
	if ((ev->nmi_pending && !sti) || vmx->desc_pass)
		vmx_cpu_ctl_set(vmx, CPU_BASED_NMI_WINDOW_EXITING);
	else
		vmx_cpu_ctl_clear(vmx, CPU_BASED_NMI_WINDOW_EXITING);
	if (sti || ev->irq || irq_waits(vmx) ||
	    (!vmx->vcpu.lapic && READ_ONCE(vmx->vcpu.run->request_interrupt_window)))
		vmx_cpu_ctl_set(vmx, CPU_BASED_INTR_WINDOW_EXITING);
	else
		vmx_cpu_ctl_clear(vmx, CPU_BASED_INTR_WINDOW_EXITING);
}

/* Before an entry: write the most urgent event into the VMCS. */
void vmx_events_inject(struct vmx_vcpu *vmx)
{
	struct vmx_events *ev = &vmx->ev;

	vmx->vcpu.stat.req_event++;
	vmx->event_pending = false;
	if (ev->exc.valid) {
		defer_interrupted(ev);
		inject_exception(vmx);
	} else if (ev->nmi_injected) {
		ev->nmi_injected = false;
		inject_nmi(vmx);
	} else if (ev->soft) {
		inject_soft(vmx);
	} else if (ev->irq_injected) {
		inject_irq(vmx);
	} else if (unlikely(held_back(vmx))) {
		/* Until KVM_SET_GUEST_DEBUG says otherwise. */
	} else if (ev->nmi_pending && nmi_allowed()) {
		ev->nmi_pending--;
		inject_nmi(vmx);
	} else if ((ev->irq || irq_waits(vmx)) && vmx_interrupt_allowed(vmx)) {
		if (ev->irq || take_irq(vmx))
			inject_irq(vmx);
	}
	open_windows(vmx);
}

/* Take an event back: @info in the layout of the interruption-information. */
static void take_back(struct vmx_vcpu *vmx, u32 info, u32 error, u32 insn_len)
{
	struct vmx_events *ev = &vmx->ev;
	u8 vector = info & INTR_INFO_VECTOR_MASK;

	switch (info & INTR_INFO_INTR_TYPE_MASK) {
	case INTR_TYPE_NMI_INTR:
		ev->nmi_injected = true;
		/* Delivery set the blocking; re-injection must not find it. */
		vmcs_write32(GUEST_INTERRUPTIBILITY_INFO,
			     vmcs_read32(GUEST_INTERRUPTIBILITY_INFO) & ~GUEST_INTR_STATE_NMI);
		break;
	case INTR_TYPE_SOFT_INTR:
		ev->soft = true;
		ev->soft_len = insn_len;
		ev->soft_vector = vector;
		break;
	case INTR_TYPE_EXT_INTR:
		ev->irq = true;
		ev->irq_injected = true;
		ev->irq_vector = vector;
		break;
	default:
		set_exception(vmx, vector, info & INTR_INFO_DELIVER_CODE_MASK, error);
		ev->exc_injected = true;
		ev->exc_soft_len = insn_len;
		break;
	}
	vmx->event_pending = true;
}

/* The exit interrupted the delivery of an event. */
void vmx_events_recover(struct vmx_vcpu *vmx)
{
	take_back(vmx, vmx->vectoring, vmcs_read32(IDT_VECTORING_ERROR_CODE),
		  vmcs_read32(VM_EXIT_INSTRUCTION_LEN));
}

/* The exit interrupted IRET, which had ended blocking by NMI: IRET runs again. */
void vmx_events_block_nmi(struct vmx_vcpu *vmx)
{
	if (vmx->vectoring & VECTORING_INFO_VALID_MASK)
		return;
	vmcs_write32(GUEST_INTERRUPTIBILITY_INFO,
		     vmcs_read32(GUEST_INTERRUPTIBILITY_INFO) | GUEST_INTR_STATE_NMI);
}

/* The entry that was to deliver an event does not happen. */
void vmx_events_cancel(struct vmx_vcpu *vmx)
{
	u32 info = vmcs_read32(VM_ENTRY_INTR_INFO_FIELD);

	if (!(info & INTR_INFO_VALID_MASK))
		return;
	vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, 0);
	take_back(vmx, info, vmcs_read32(VM_ENTRY_EXCEPTION_ERROR_CODE),
		  vmcs_read32(VM_ENTRY_INSTRUCTION_LEN));
}

int vmx_handle_interrupt_window(struct vmx_vcpu *vmx)
{
	vmx_cpu_ctl_clear(vmx, CPU_BASED_INTR_WINDOW_EXITING);
	vmx->vcpu.stat.irq_window_exits++;
	vmx->event_pending = true;
	return VMX_RESUME_GUEST;
}

int vmx_handle_nmi_window(struct vmx_vcpu *vmx)
{
	vmx_cpu_ctl_clear(vmx, CPU_BASED_NMI_WINDOW_EXITING);
	vmx_desc_passed(vmx);
	vmx->vcpu.stat.nmi_window_exits++;
	vmx->event_pending = true;
	return VMX_RESUME_GUEST;
}

bool umbra_vmx_ready_for_interrupt(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	return !vmx->ev.irq && !vmx->ev.soft && !vmx->ev.exc.valid && !vmx->ev.nmi_injected &&
	       vmx_interrupt_allowed(vmx);
}

void umbra_vmx_request_window(struct umbra_vcpu *vcpu)
{
	to_vmx(vcpu)->event_pending = true;
}

bool umbra_vmx_nmi_pending(struct umbra_vcpu *vcpu)
{
	return to_vmx(vcpu)->ev.nmi_pending;
}

bool umbra_vmx_exception_pending(struct umbra_vcpu *vcpu)
{
	return to_vmx(vcpu)->ev.exc.valid;
}

int umbra_vmx_queue_interrupt(struct umbra_vcpu *vcpu, u32 vector)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (vector > 255)
		return -EINVAL;
	if (vcpu->lapic)
		return -ENXIO;
	if (vmx->ev.irq)
		return -EEXIST;
	vmx_hold_irq(vmx, vector);
	vmx->event_pending = true;
	return 0;
}

int umbra_vmx_queue_nmi(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->ev.nmi_pending = min(vmx->ev.nmi_pending + 1, 2);
	vmx->event_pending = true;
	return 0;
}

void umbra_vmx_queue_exception(struct umbra_vcpu *vcpu, const struct umbra_exception *exc)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (exc->vector == X86_TRAP_PF)
		vmx_queue_pf(vmx, exc);
	else
		vmx_queue_exception(vmx, exc->vector, exc->has_error_code, exc->error_code);
}

/* What KVM_CAP_EXCEPTION_PAYLOAD adds. CR2 and DR6 have what the guest's own left there. */
static void get_payload(const struct vmx_events *ev, struct kvm_vcpu_events *out)
{
	out->flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	if (!ev->exc.valid || ev->exc_injected)
		return;
	out->exception.injected = 0;
	out->exception.pending = 1;
	out->exception_has_payload = ev->exc_user && ev->has_payload;
	if (out->exception_has_payload)
		out->exception_payload = ev->payload;
}

void umbra_vmx_get_events(struct umbra_vcpu *vcpu, struct kvm_vcpu_events *out)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	struct vmx_events *ev = &vmx->ev;
	const struct umbra_options *opt = &vcpu->vm->opt;
	u32 blocking = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);

	memset(out, 0, sizeof(*out));
	out->exception.injected = ev->exc.valid;
	out->exception.nr = ev->exc.vector;
	out->exception.has_error_code = ev->exc.has_error_code;
	out->exception.error_code = ev->exc.error_code;
	/* INT n is left out: RIP is at it still, it is executed again. */
	out->interrupt.injected = ev->irq;
	out->interrupt.nr = ev->irq_vector;
	if (blocking & GUEST_INTR_STATE_STI)
		out->interrupt.shadow |= KVM_X86_SHADOW_INT_STI;
	if (blocking & GUEST_INTR_STATE_MOV_SS)
		out->interrupt.shadow |= KVM_X86_SHADOW_INT_MOV_SS;
	out->nmi.injected = ev->nmi_injected;
	out->nmi.pending = ev->nmi_pending;
	out->nmi.masked = !!(blocking & GUEST_INTR_STATE_NMI);
	out->flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	if (opt->payloads)
		get_payload(ev, out);
	if (opt->triple_faults) {
		out->flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
		out->triple_fault.pending = test_bit(UMBRA_REQ_TRIPLE_FAULT, &vcpu->requests);
	}
}

/* What VM entry wants of blocking by STI and MOV SS: not both, STI needs IF. */
static u32 shadow_to_blocking(struct vmx_vcpu *vmx, u8 shadow)
{
	if (shadow & KVM_X86_SHADOW_INT_MOV_SS)
		return GUEST_INTR_STATE_MOV_SS;
	if ((shadow & KVM_X86_SHADOW_INT_STI) && (vmx_rflags(vmx) & X86_EFLAGS_IF))
		return GUEST_INTR_STATE_STI;
	return 0;
}

static int check_events(const struct umbra_options *opt, const struct kvm_vcpu_events *in,
			bool pending)
{
	u32 known = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |
		    KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM;

	if (opt->payloads)
		known |= KVM_VCPUEVENT_VALID_PAYLOAD;
	if (opt->triple_faults)
		known |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	if (in->flags & ~known)
		return -EINVAL;
	if ((in->exception.injected || pending) &&
	    (in->exception.nr > 31 || in->exception.nr == X86_TRAP_NMI))
		return -EINVAL;
	if ((in->flags & KVM_VCPUEVENT_VALID_SMM) &&
	    (in->smi.smm || in->smi.pending || in->smi.smm_inside_nmi))
		return -EINVAL;
	return 0;
}

static void set_user_exception(struct vmx_vcpu *vmx, const struct kvm_vcpu_events *in,
			       bool pending)
{
	struct vmx_events *ev = &vmx->ev;

	set_exception(vmx, in->exception.nr, in->exception.has_error_code,
		      in->exception.error_code);
	if (!vmx->vcpu.vm->opt.payloads)
		return;
	ev->exc_injected = !pending;
	ev->exc_user = pending;
	ev->has_payload = pending && in->exception_has_payload;
	ev->payload = in->exception_payload;
}

int umbra_vmx_set_events(struct umbra_vcpu *vcpu, const struct kvm_vcpu_events *in)
{
	bool pending = (in->flags & KVM_VCPUEVENT_VALID_PAYLOAD) && in->exception.pending;
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	struct vmx_events *ev = &vmx->ev;
	u32 blocking = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);
	int ret;

	ret = check_events(&vcpu->vm->opt, in, pending);
	if (ret)
		return ret;

	memset(ev, 0, sizeof(*ev));
	if (in->exception.injected || pending)
		set_user_exception(vmx, in, pending);
	if (in->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) {
		if (in->triple_fault.pending)
			umbra_make_request(vcpu, UMBRA_REQ_TRIPLE_FAULT);
		else
			clear_bit(UMBRA_REQ_TRIPLE_FAULT, &vcpu->requests);
	}
	ev->irq = in->interrupt.injected && !in->interrupt.soft;
	ev->irq_vector = in->interrupt.nr;
	ev->nmi_injected = in->nmi.injected;
	if (in->flags & KVM_VCPUEVENT_VALID_NMI_PENDING)
		ev->nmi_pending = min_t(u8, in->nmi.pending, 2);
	if (in->flags & KVM_VCPUEVENT_VALID_SHADOW) {
		blocking &= ~INTERRUPT_SHADOW;
		blocking |= shadow_to_blocking(vmx, in->interrupt.shadow);
	}
	blocking &= ~GUEST_INTR_STATE_NMI;
	if (in->nmi.masked)
		blocking |= GUEST_INTR_STATE_NMI;
	vmcs_write32(GUEST_INTERRUPTIBILITY_INFO, blocking);
	vmx_end_hlt(vmx);
	vmx_debug_shadow(vmx);
	vmx->event_pending = true;
	return 0;
}
