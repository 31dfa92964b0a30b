// SPDX-License-Identifier: GPL-2.0
/*
 * Going ahead of the guest: after an instruction that exited, execute what follows
 * here as long as that leads to the next one soon, which then needs no exit.
 *
 *	INVLPG	exits, handled
 *	  ...	a few steps		loads and stores through the guest's tables
 *	INVLPG	handled, no exit
 *	  ...	a few steps
 *	any other: enter the guest	what it does not need help with, it does itself
 *
 * It is tried where an instruction that exited has ended, and at each such address
 * ever less often while it leads nowhere. Where it leads to exits, a share of them is
 * spared: an instruction takes a hundred times as many here as in the guest, which is
 * about what an exit costs a CPU, but much more than the path of an exit has.
 */
#include <linux/entry-kvm.h>
#include <linux/kvm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/trapnr.h>

#include "ahead.h"

static unsigned int ahead = 24;
module_param(ahead, uint, 0644);
MODULE_PARM_DESC(ahead, "Instructions to execute for the guest from an exit to the next; 0: none");

static unsigned int ahead_share = 8;
module_param(ahead_share, uint, 0644);
MODULE_PARM_DESC(ahead_share, "Spare one in so many exits by that; 1: all");

/* After an index register's OUT comes the IN or OUT of its data, and user space. */
static unsigned int ahead_port = 8;
module_param(ahead_port, uint, 0644);
MODULE_PARM_DESC(ahead_port, "The same after a port access that user space has completed, each time");

/* How often to pass an address before the first try, and log2 of the waits after. */
#define FIRST_WAIT	8
#define FIRST_DOUBT	5
#define MAX_DOUBT	15
#define MAX_SHARE	1024

/* Is something to be done before the vCPU goes on? */
static bool is_due(struct vmx_vcpu *vmx)
{
	return vmx->event_pending || vmx->await_legal || READ_ONCE(vmx->vcpu.requests) ||
	       vmx->vcpu.mp_state != KVM_MP_STATE_RUNNABLE ||
	       __xfer_to_guest_mode_work_pending();
}

/* No event, and nobody, watches single instructions of this vCPU. */
static bool is_quiet(struct vmx_vcpu *vmx)
{
	const u32 windows = CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING;
	const unsigned long flags = X86_EFLAGS_RF | X86_EFLAGS_VM;

	return !is_due(vmx) && vmx->vcpu.mmu.root != INVALID_PAGE &&
	       !(vmx->cpu_ctl & windows) && !vmx_debugged(vmx) && !vmx->vcpu.guest_debug &&
	       !(vmx_rflags(vmx) & flags) && !vmx->vcpu.ring && !vmx->vcpu.vapic_addr;
}

/* The only kind of code that steps know. Brings what translation depends on up to date. */
static bool is_supervisor64(struct vmx_vcpu *vmx)
{
	umbra_vmx_sync_paging(&vmx->vcpu);
	return !vmx->vcpu.mmu.state.cpl && vmx_in_long64(vmx);
}

static void begin(struct vmx_ahead *a, unsigned int limit)
{
	struct vmx_vcpu *vmx = a->vmx;

	a->limit = limit;
	a->left = limit;
	a->turns = 0;
	a->spared = 0;
	vmx_rsp(vmx);
	a->s.rip = vmx_rip(vmx);
	a->s.rflags = vmx_rflags(vmx);
	a->from = a->s.rip;
	a->loops = false;
	vmx_ahead_forget_all(a);
}

/* Give the vCPU what steps have changed. */
static void settle(struct vmx_ahead *a)
{
	struct vmx_vcpu *vmx = a->vmx;

	vmx_set_rip(vmx, a->s.rip);
	vmx_set_rsp(vmx, vmx->vcpu.regs[UMBRA_RSP]);
	vmx_set_rflags(vmx, a->s.rflags);
}

static const struct umbra_step *walk_pieces(struct vmx_ahead *a)
{
	const struct umbra_piece *piece;
	const struct umbra_step *step;
	enum umbra_step_result r;

	while (!is_due(a->vmx)) {
		piece = vmx_ahead_piece(a);
		if (!piece)
			return NULL;
		for (step = piece->step; step < piece->step + piece->nr; step++) {
			r = umbra_step_execute(&a->s, step);
			if (r == UMBRA_STEP_EXIT)
				return step;
			if (r == UMBRA_STEP_STOP)
				return NULL;
			a->vmx->vcpu.stat.ahead_insns++;
			/* It leads nowhere near, or has led far enough. */
			if (!--a->left || a->turns >= AHEAD_TURNS)
				return NULL;
			if (r == UMBRA_STEP_JUMP || a->code_written)
				break;
		}
	}
	return NULL;
}

/*
 * Take steps up to one that exits, which is returned, or NULL. What the host has to bring
 * in first is for the guest, whose own fault waits for it better.
 */
static const struct umbra_step *walk(struct vmx_ahead *a)
{
	const struct umbra_step *step;

	pagefault_disable();
	step = walk_pieces(a);
	pagefault_enable();
	return step;
}

static int port_io(struct vmx_ahead *a, const struct umbra_step *step)
{
	unsigned long qual = (step->size - 1) | (unsigned long)umbra_step_port(&a->s, step) << 16;

	if (step->exit == UMBRA_STEP_IN)
		qual |= BIT(3);
	return vmx_io_access(a->vmx, qual);
}

/* An instruction as if it had exited. */
static int handle(struct vmx_ahead *a, const struct umbra_step *step)
{
	struct vmx_vcpu *vmx = a->vmx;
	u64 gva;
	int r;

	settle(a);
	vmx->insn_len = step->len;
	vmx->cached |= CACHED_INSN_LEN;
	switch (step->exit) {
	case UMBRA_STEP_INVLPG:
		gva = umbra_step_address(&a->s, step);
		r = vmx_invlpg(vmx, gva);
		vmx_ahead_forget(a, gva);
		return r;
	case UMBRA_STEP_FROM_CR:
		return vmx_cr_access(vmx, step->number | BIT(4) | step->dst << 8);
	case UMBRA_STEP_TO_CR:
		r = vmx_cr_access(vmx, step->number | step->src << 8);
		break;
	case UMBRA_STEP_IN:
	case UMBRA_STEP_OUT:
		return port_io(a, step);
	case UMBRA_STEP_RDMSR:
		return vmx_handle_rdmsr(vmx);
	case UMBRA_STEP_WRMSR:
		r = vmx_handle_wrmsr(vmx);
		break;
	default:	/* CPUID */
		vmx_cpuid_emulate(vmx);
		return VMX_RESUME_GUEST;
	}
	vmx_ahead_forget_all(a);
	return r;
}

/*
 * Would the guest exit for it? If not it does it itself, as only the CPU can. Of CR0 and
 * CR4 it writes most bits without an exit; in another address space, after MOV to CR3,
 * nothing is known, and an exit is cheaper than finding it.
 */
static bool exits(struct vmx_ahead *a, const struct umbra_step *step)
{
	struct vmx_vcpu *vmx = a->vmx;
	bool shadow = vmx->family == UMBRA_FAMILY_SHADOW;

	switch (step->exit) {
	case UMBRA_STEP_INVLPG:
		return shadow && !(vmx->direct & UMBRA_DIRECT_INVLPG);
	case UMBRA_STEP_FROM_CR:
		return step->number == 8 || (step->number == 3 && shadow);
	case UMBRA_STEP_TO_CR:
		return step->number == 8;
	case UMBRA_STEP_RDMSR:
		return vmx_msr_exits(vmx, vmx->vcpu.regs[UMBRA_RCX], KVM_MSR_FILTER_READ);
	case UMBRA_STEP_WRMSR:
		return vmx_msr_exits(vmx, vmx->vcpu.regs[UMBRA_RCX], KVM_MSR_FILTER_WRITE);
	default:
		return true;
	}
}

/* Return: as a handler of exits. */
static int go(struct vmx_ahead *a)
{
	struct vmx_vcpu *vmx = a->vmx;
	const struct umbra_step *step;
	int r = VMX_RESUME_GUEST;
	u8 exit;

	while (a->turns < AHEAD_TURNS && (step = walk(a)) && exits(a, step)) {
		exit = step->exit;
		a->loops |= a->s.rip + step->len == a->from;
		r = handle(a, step);
		vmx_ahead_spared(a);
		if (r != VMX_RESUME_GUEST)
			return r;
		/* Other registers may mean other rules. */
		if (exit == UMBRA_STEP_WRMSR && !is_supervisor64(vmx))
			return r;
		a->s.rip = vmx_rip(vmx);
		a->s.rflags = vmx_rflags(vmx);
	}
	settle(a);
	return r;
}

static struct vmx_ahead *get(struct vmx_vcpu *vmx)
{
	if (unlikely(!vmx->ahead)) {
		vmx->ahead = kzalloc(sizeof(*vmx->ahead), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!vmx->ahead)
			return NULL;
		vmx->ahead->vmx = vmx;
		vmx->ahead->s.ops = &vmx_ahead_ops;
		vmx->ahead->s.regs = (u64 *)vmx->vcpu.regs;
	}
	return vmx->ahead;
}

/*
 * How many exits were spared that count. Where the guest loops over one access that
 * user space gets each time, an exit is the least of it.
 */
static unsigned int paid(const struct vmx_ahead *a, bool port)
{
	return port && a->loops ? 0 : a->spared;
}

/* Where it has paid, it pays for a while; where it has not it is tried ever less often. */
static void learn(struct vmx_ahead_spot *spot, unsigned int spared, unsigned int share)
{
	if (spared) {
		spot->doubt = max(spot->doubt - 1, FIRST_DOUBT);
		spot->wait = min_t(unsigned int, spared * (share - 1), U16_MAX);
		return;
	}
	spot->wait = 1 << spot->doubt;
	spot->doubt = min(spot->doubt + 1, MAX_DOUBT);
}

static int try(struct vmx_vcpu *vmx, unsigned int limit, bool port)
{
	struct vmx_ahead_spot *spot;
	struct vmx_ahead *a;
	int idx, r;
	u64 rip;

	if (unlikely(!limit))
		return VMX_RESUME_GUEST;
	rip = vmx_rip(vmx);
	spot = &vmx->ahead_spot[(rip ^ rip >> 6) % VMX_AHEAD_SPOTS];
	if (spot->rip != (u32)rip) {
		spot->rip = rip;
		spot->wait = FIRST_WAIT;
		spot->doubt = FIRST_DOUBT;
		return VMX_RESUME_GUEST;
	}
	if (spot->wait) {
		spot->wait--;
		return VMX_RESUME_GUEST;
	}
	if (!is_quiet(vmx) || !is_supervisor64(vmx))
		return VMX_RESUME_GUEST;
	a = get(vmx);
	if (!a)
		return VMX_RESUME_GUEST;
	idx = srcu_read_lock(&vmx->vcpu.mmu.mmu->srcu);
	begin(a, limit);
	r = go(a);
	srcu_read_unlock(&vmx->vcpu.mmu.mmu->srcu, idx);
	vmx->vcpu.stat.ahead_exits += a->spared;
	learn(spot, paid(a, port), port ? 1 : clamp(READ_ONCE(ahead_share), 1U, MAX_SHARE));
	return r;
}

/* An instruction that exited is behind the guest. Return: as a handler of exits. */
int vmx_ahead(struct vmx_vcpu *vmx)
{
	return try(vmx, READ_ONCE(ahead), false);
}

/* So is an access to a port that user space has completed; a pair of them goes on. */
int vmx_ahead_of_port(struct vmx_vcpu *vmx)
{
	return try(vmx, READ_ONCE(ahead_port), true);
}

void vmx_ahead_free(struct vmx_vcpu *vmx)
{
	kfree(vmx->ahead);
}
