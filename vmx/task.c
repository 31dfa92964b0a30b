// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware task switches, which exit before anything of them is done.
 *
 *	faults of the old task:  new descriptor, new TSS, both TSSs in memory
 *	commit:                  busy flags, old TSS, back link, TR, CR0.TS
 *	faults of the new task:  CR3, LDTR, segments, error code
 *
 * What fails in the new task does not undo the switch: the rest is loaded as far as
 * it can be, and then the first exception delivered there.
 */
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/stddef.h>
#include <umbra/hostmem.h>

#include "vmx.h"

/* Bits 31:30 of the exit qualification. */
enum task_source { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };

#define TASK_EFLAGS	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | \
			 X86_EFLAGS_SF | X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_DF | \
			 X86_EFLAGS_OF | X86_EFLAGS_IOPL | X86_EFLAGS_NT | X86_EFLAGS_RF | \
			 X86_EFLAGS_VM | X86_EFLAGS_AC | X86_EFLAGS_VIF | X86_EFLAGS_VIP | \
			 X86_EFLAGS_ID)
#define DR7_LOCAL	0x155ul		/* L0 to L3 and LE */
#define DR6_BT		BIT(15)
#define SEL_TI		4
#define SEL_RPL		3
#define DESC_ACCESSED	BIT(40)
#define DESC_BUSY	BIT(41)
#define TSS_32BIT	8		/* of the type */

struct tss32 {
	u32 link;
	u32 stacks[6];
	u32 cr3;
	u32 eip, eflags, regs[8];
	u32 seg[6];		/* as numbered by enum vmx_seg */
	u32 ldt;
	u16 trap, iomap;
};

struct tss16 {
	u16 link;
	u16 stacks[6];
	u16 ip, flags, regs[8];
	u16 seg[4];
	u16 ldt;
};

static_assert(sizeof(struct tss32) == 104);
static_assert(sizeof(struct tss16) == 44);

union tss {
	struct tss32 t32;
	struct tss16 t16;
};

/**
 * struct task - a task switch under way
 * @vmx: vCPU
 * @source: what asked for it
 * @selector: of the new TSS
 * @ext: error-code bit: the old task did not ask for it
 * @desc: new TSS's descriptor
 * @base: where the new TSS is
 * @is32: its format
 * @new: its contents
 * @exc: the first exception of the new task
 * @error: guest memory that cannot be had: -errno
 */
struct task {
	struct vmx_vcpu *vmx;
	enum task_source source;
	u16 selector;
	u16 ext;
	u64 desc;
	u32 base;
	bool is32;
	union tss new;
	struct umbra_exception exc;
	int error;
};

static u32 desc_base(u64 desc)
{
	return (desc >> 16 & 0xffffff) | (desc >> 32 & 0xff000000);
}

static u32 desc_limit(u64 desc)
{
	u32 limit = (desc & 0xffff) | (desc >> 32 & 0xf0000);

	return desc & BIT_ULL(55) ? limit << 12 | 0xfff : limit;
}

/* As the VMCS has them. */
static u32 desc_ar(u64 desc)
{
	return desc >> 40 & 0xf0ff;
}

static bool fault(struct task *t, u8 vector, u16 code)
{
	if (!t->exc.valid)
		t->exc = (struct umbra_exception) {
			.valid = true,
			.has_error_code = true,
			.vector = vector,
			.error_code = (code & ~SEL_RPL) | t->ext,
		};
	return false;
}

/* Guest-physical address of a linear one, for the supervisor. */
static bool translate(struct task *t, u32 gva, bool write, gpa_t *gpa)
{
	struct umbra_exception exc;

	if (!umbra_mmu_translate(&t->vmx->vcpu.mmu, gva, write ? UMBRA_ACC_WRITE : 0, gpa, &exc))
		return true;
	if (!t->exc.valid)
		t->exc = exc;
	return false;
}

static bool copy_part(struct task *t, gpa_t gpa, void *buf, unsigned int len, bool write)
{
	struct umbra_mmu_vcpu *mv = &t->vmx->vcpu.mmu;
	int ret;

	if (write)
		ret = umbra_mmu_guest_write(mv, gpa, buf, len);
	else
		ret = umbra_guest_read(mv->mmu, gpa, buf, len);
	if (ret && !t->error)
		t->error = ret;
	return !ret;
}

/* Read or write guest memory; false with an exception or an error in @t. */
static bool copy(struct task *t, u32 gva, void *buf, unsigned int len, bool write)
{
	unsigned int part;
	gpa_t gpa;

	for (; len; len -= part, gva += part, buf += part) {
		part = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(gva));
		if (!translate(t, gva, write, &gpa) || !copy_part(t, gpa, buf, part, write))
			return false;
	}
	return true;
}

/* Can all of it be written to? Nothing may fault once the switch is committed. */
static bool writable(struct task *t, u32 gva, unsigned int len)
{
	gpa_t gpa;

	return translate(t, gva, true, &gpa) && translate(t, gva + len - 1, true, &gpa);
}

/* Linear address of a descriptor, or a fault. */
static bool find_desc(struct task *t, u16 selector, u8 vector, u32 *gva)
{
	u32 base = vmcs_readl(GUEST_GDTR_BASE), limit = vmcs_read32(GUEST_GDTR_LIMIT);

	if (selector & SEL_TI) {
		if (vmcs_read32(GUEST_LDTR_AR_BYTES) & SEG_AR_UNUSABLE)
			return fault(t, vector, selector);
		base = vmcs_readl(GUEST_LDTR_BASE);
		limit = vmcs_read32(GUEST_LDTR_LIMIT);
	}
	if ((selector | 7) > limit)
		return fault(t, vector, selector);
	*gva = base + (selector & ~7);
	return true;
}

static bool read_desc(struct task *t, u16 selector, u8 vector, u64 *desc)
{
	u32 gva;

	return find_desc(t, selector, vector, &gva) && copy(t, gva, desc, sizeof(*desc), false);
}

/* Set or clear flags of a descriptor in the byte that has its type. */
static bool change_desc(struct task *t, u16 selector, u64 set, u64 clear)
{
	u8 type;
	u32 gva;

	if (!find_desc(t, selector, X86_TRAP_TS, &gva) || !copy(t, gva + 5, &type, 1, false))
		return false;
	type = (type & ~(clear >> 40)) | set >> 40;
	return copy(t, gva + 5, &type, 1, true);
}

/* The checks of the new TSS's descriptor. */
static bool check_new(struct task *t)
{
	u8 vector = t->source == TASK_IRET ? X86_TRAP_TS : X86_TRAP_GP;
	bool busy = t->source == TASK_IRET;
	u32 ar;

	if (t->selector & SEL_TI || !(t->selector & ~SEL_RPL))
		return fault(t, vector, t->selector);
	if (!read_desc(t, t->selector, vector, &t->desc))
		return false;
	ar = desc_ar(t->desc);
	t->is32 = ar & TSS_32BIT;
	t->base = desc_base(t->desc);
	/* Types 1 and 9, or 3 and 11 when busy. */
	if ((ar & (SEG_AR_S | 5)) != 1 || !!(ar & 2) != busy)
		return fault(t, vector, t->selector);
	if (!(ar & SEG_AR_P))
		return fault(t, X86_TRAP_NP, t->selector);
	if (desc_limit(t->desc) < (t->is32 ? sizeof(struct tss32) : sizeof(struct tss16)) - 1)
		return fault(t, X86_TRAP_TS, t->selector);
	return true;
}

static bool old_is32(void)
{
	return vmcs_read32(GUEST_TR_AR_BYTES) & TSS_32BIT;
}

/* Where a TSS has what a switch away from its task saves. */
static unsigned int saved_offset(bool is32)
{
	return is32 ? offsetof(struct tss32, eip) : offsetof(struct tss16, ip);
}

static unsigned int saved_size(bool is32)
{
	return (is32 ? offsetof(struct tss32, ldt) : offsetof(struct tss16, ldt)) -
	       saved_offset(is32);
}

static bool links(const struct task *t)
{
	return t->source == TASK_CALL || t->source == TASK_GATE;
}

/* Is everything in memory that the switch reads and writes? */
static bool check_memory(struct task *t)
{
	unsigned int size = t->is32 ? sizeof(struct tss32) : sizeof(struct tss16);
	u16 old = vmcs_read16(GUEST_TR_SELECTOR);
	bool is32 = old_is32();
	u32 gva;

	if (vmcs_read32(GUEST_TR_LIMIT) < saved_offset(is32) + saved_size(is32) - 1)
		return fault(t, X86_TRAP_TS, old);
	if (!writable(t, vmcs_readl(GUEST_TR_BASE) + saved_offset(is32), saved_size(is32)))
		return false;
	if (!find_desc(t, old, X86_TRAP_TS, &gva) || !writable(t, gva, sizeof(u64)) ||
	    !find_desc(t, t->selector, X86_TRAP_TS, &gva) || !writable(t, gva, sizeof(u64)))
		return false;
	if (links(t) && !writable(t, t->base, sizeof(t->new.t16.link)))
		return false;
	return copy(t, t->base, &t->new, size, false);
}

static void save32(struct vmx_vcpu *vmx, struct tss32 *tss, u32 eip, u32 eflags)
{
	int i;

	tss->eip = eip;
	tss->eflags = eflags;
	for (i = 0; i < ARRAY_SIZE(tss->regs); i++)
		tss->regs[i] = vmx_reg(vmx, i);
	for (i = 0; i < ARRAY_SIZE(tss->seg); i++)
		tss->seg[i] = vmcs_read16(vmcs_seg_selector(i));
}

static void save16(struct vmx_vcpu *vmx, struct tss16 *tss, u16 ip, u16 flags)
{
	int i;

	tss->ip = ip;
	tss->flags = flags;
	for (i = 0; i < ARRAY_SIZE(tss->regs); i++)
		tss->regs[i] = vmx_reg(vmx, i);
	for (i = 0; i < ARRAY_SIZE(tss->seg); i++)
		tss->seg[i] = vmcs_read16(vmcs_seg_selector(i));
}

/* Of a software interrupt or an instruction that switches the next one is saved. */
static u32 next_eip(const struct task *t)
{
	u32 type = t->vmx->vectoring & VECTORING_INFO_TYPE_MASK;
	u32 eip = vmx_rip(t->vmx);

	if (t->source == TASK_GATE && type != INTR_TYPE_SOFT_INTR &&
	    type != INTR_TYPE_SOFT_EXCEPTION && type != INTR_TYPE_PRIV_SW_EXCEPTION)
		return eip;
	return eip + vmcs_read32(VM_EXIT_INSTRUCTION_LEN);
}

/* The old task's state into its TSS. */
static bool save_old(struct task *t)
{
	unsigned long eflags = vmx_rflags(t->vmx);
	bool is32 = old_is32();
	union tss old = {};

	if (t->source == TASK_IRET)
		eflags &= ~X86_EFLAGS_NT;
	if (is32)
		save32(t->vmx, &old.t32, next_eip(t), eflags);
	else
		save16(t->vmx, &old.t16, next_eip(t), eflags);
	return copy(t, vmcs_readl(GUEST_TR_BASE) + saved_offset(is32),
		    (void *)&old + saved_offset(is32), saved_size(is32), true);
}

static void set_segment(int seg, u16 selector, u32 base, u32 limit, u32 ar)
{
	vmcs_write16(vmcs_seg_selector(seg), selector);
	vmcs_writel(vmcs_seg_base(seg), base);
	vmcs_write32(vmcs_seg_limit(seg), limit);
	vmcs_write32(vmcs_seg_ar(seg), ar);
}

static void set_from_desc(int seg, u16 selector, u64 desc)
{
	set_segment(seg, selector, desc_base(desc), desc_limit(desc), desc_ar(desc));
}

/* No way back from here. */
static bool commit(struct task *t)
{
	u16 old = vmcs_read16(GUEST_TR_SELECTOR);

	if (!links(t) && !change_desc(t, old, 0, DESC_BUSY))
		return false;
	if (!save_old(t))
		return false;
	if (links(t) && !copy(t, t->base, &old, sizeof(old), true))
		return false;
	if (t->source != TASK_IRET && !change_desc(t, t->selector, DESC_BUSY, 0))
		return false;
	set_from_desc(SEG_TR, t->selector, t->desc | DESC_BUSY);
	return true;
}

/* What the new TSS has, in one form. */
struct task_state {
	u32 cr3, eip, eflags, regs[8];
	u16 seg[6], ldt;
	bool trap;
};

static void read_state(const struct task *t, struct task_state *s)
{
	const struct tss32 *t32 = &t->new.t32;
	const struct tss16 *t16 = &t->new.t16;
	int i;

	*s = (struct task_state) {
		.cr3 = t32->cr3,
		.eip = t->is32 ? t32->eip : t16->ip,
		.eflags = t->is32 ? t32->eflags : t16->flags,
		.ldt = t->is32 ? t32->ldt : t16->ldt,
		.trap = t->is32 && (t32->trap & 1),
	};
	for (i = 0; i < ARRAY_SIZE(s->regs); i++)
		s->regs[i] = t->is32 ? t32->regs[i] : 0xffff0000 | t16->regs[i];
	for (i = 0; i < (t->is32 ? ARRAY_SIZE(t32->seg) : ARRAY_SIZE(t16->seg)); i++)
		s->seg[i] = t->is32 ? t32->seg[i] : t16->seg[i];
}

static void load_ldt(struct task *t, u16 selector)
{
	u64 desc;

	set_segment(SEG_LDTR, selector, 0, 0, SEG_AR_UNUSABLE);
	if (!(selector & ~SEL_RPL))
		return;
	if (selector & SEL_TI) {
		fault(t, X86_TRAP_TS, selector);
		return;
	}
	if (!read_desc(t, selector, X86_TRAP_TS, &desc))
		return;
	if ((desc_ar(desc) & (SEG_AR_P | SEG_AR_S | SEG_AR_TYPE_MASK)) != (SEG_AR_P | 2))
		fault(t, X86_TRAP_TS, selector);
	else
		set_from_desc(SEG_LDTR, selector, desc);
}

/* May a segment register of a task at @cpl hold it? */
static bool seg_allowed(int seg, u32 ar, unsigned int cpl, unsigned int rpl)
{
	unsigned int dpl = (ar & SEG_AR_DPL_MASK) >> SEG_AR_DPL_SHIFT;
	bool code = ar & 8, conforming = code && (ar & 4);

	if (!(ar & SEG_AR_S))
		return false;
	if (seg == SEG_CS)
		return code && (conforming ? dpl <= cpl : dpl == cpl);
	if (seg == SEG_SS)
		return !code && (ar & 2) && dpl == cpl && rpl == cpl;
	if (code && !(ar & 2))
		return false;
	return conforming || dpl >= max(cpl, rpl);
}

static void load_segment(struct task *t, int seg, u16 selector, unsigned int cpl)
{
	bool needed = seg == SEG_CS || seg == SEG_SS;
	u64 desc;
	u32 ar;

	/* What is there when it cannot be loaded: VM entry wants some code segment. */
	if (seg == SEG_CS)
		set_segment(seg, selector, 0, U32_MAX,
			    0xc09b | cpl << SEG_AR_DPL_SHIFT);
	else
		set_segment(seg, selector, 0, 0, SEG_AR_UNUSABLE | cpl << SEG_AR_DPL_SHIFT);
	if (!(selector & ~SEL_RPL)) {
		if (needed)
			fault(t, X86_TRAP_TS, selector);
		return;
	}
	if (!read_desc(t, selector, X86_TRAP_TS, &desc))
		return;
	ar = desc_ar(desc);
	if (!seg_allowed(seg, ar, cpl, selector & SEL_RPL)) {
		fault(t, X86_TRAP_TS, selector);
		return;
	}
	if (!(ar & SEG_AR_P)) {
		fault(t, seg == SEG_SS ? X86_TRAP_SS : X86_TRAP_NP, selector);
		return;
	}
	if (!(desc & DESC_ACCESSED) && !change_desc(t, selector, DESC_ACCESSED, 0))
		return;
	set_from_desc(seg, selector, desc | DESC_ACCESSED);
}

static void load_segments(struct task *t, const struct task_state *s)
{
	static const u8 order[] = { SEG_CS, SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	int i;

	for (i = 0; i < ARRAY_SIZE(order); i++) {
		u16 selector = s->seg[order[i]];

		if (s->eflags & X86_EFLAGS_VM)
			set_segment(order[i], selector, selector << 4, 0xffff, SEG_AR_VM86);
		else
			load_segment(t, order[i], selector, s->seg[SEG_CS] & SEL_RPL);
	}
}

/* The new task's registers; what it faults on is in @t->exc then. */
static void load_new(struct task *t, struct task_state *s)
{
	struct vmx_vcpu *vmx = t->vmx;
	int i;

	s->eflags &= TASK_EFLAGS;
	if (links(t))
		s->eflags |= X86_EFLAGS_NT;
	for (i = 0; i < ARRAY_SIZE(s->regs); i++)
		vmx_set_reg(vmx, i, s->regs[i]);
	vmx_set_rip(vmx, s->eip);
	vmx_set_rflags(vmx, s->eflags);
	vmx_set_cr0(vmx, vmx->vcpu.mmu.state.cr0 | X86_CR0_TS);
	if (t->is32 && (vmx->vcpu.mmu.state.cr0 & X86_CR0_PG) && vmx_switch_cr3(vmx, s->cr3))
		fault(t, X86_TRAP_TS, t->selector);
	load_ldt(t, s->ldt);
	load_segments(t, s);
	if (!t->exc.valid && s->eip > vmcs_read32(GUEST_CS_LIMIT))
		fault(t, X86_TRAP_GP, 0);
	vmx->dr7 &= ~DR7_LOCAL;
	vmx_debug_update(vmx);
}

/* The event whose gate it was has its error code on the new task's stack. */
static void push_error(struct task *t)
{
	bool big = vmcs_read32(GUEST_SS_AR_BYTES) & SEG_AR_DB;
	unsigned int size = t->is32 ? 4 : 2;
	u32 code = vmcs_read32(IDT_VECTORING_ERROR_CODE);
	u32 esp = vmx_rsp(t->vmx) - size;

	if (!big)
		esp = (vmx_rsp(t->vmx) & ~0xfffful) | (u16)esp;
	if ((big ? esp : (u16)esp) > vmcs_read32(GUEST_SS_LIMIT)) {
		fault(t, X86_TRAP_SS, 0);
		return;
	}
	if (copy(t, vmcs_readl(GUEST_SS_BASE) + (big ? esp : (u16)esp), &code, size, true))
		vmx_set_rsp(t->vmx, esp);
}

/* The event has been delivered: it is the switch. */
static void end_event(struct vmx_vcpu *vmx)
{
	struct vmx_events *ev = &vmx->ev;
	u32 blocking = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);

	switch (vmx->vectoring & VECTORING_INFO_TYPE_MASK) {
	case INTR_TYPE_NMI_INTR:
		ev->nmi_injected = false;
		vmcs_write32(GUEST_INTERRUPTIBILITY_INFO, blocking | GUEST_INTR_STATE_NMI);
		break;
	case INTR_TYPE_SOFT_INTR:
		ev->soft = false;
		break;
	case INTR_TYPE_EXT_INTR:
		ev->irq = false;
		ev->irq_injected = false;
		break;
	default:
		ev->exc.valid = false;
		ev->exc_injected = false;
		break;
	}
}

static bool by_event(const struct task *t)
{
	return t->source == TASK_GATE && (t->vmx->vectoring & VECTORING_INFO_VALID_MASK);
}

static void finish(struct task *t, const struct task_state *s)
{
	const u32 shadow = GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS;
	struct vmx_vcpu *vmx = t->vmx;
	u32 ended = t->source == TASK_IRET ? shadow | GUEST_INTR_STATE_NMI : shadow;

	vmcs_write32(GUEST_INTERRUPTIBILITY_INFO,
		     vmcs_read32(GUEST_INTERRUPTIBILITY_INFO) & ~ended);
	if (by_event(t)) {
		end_event(vmx);
		if ((vmx->vectoring & VECTORING_INFO_DELIVER_CODE_MASK) && !t->exc.valid)
			push_error(t);
	}
	vmx->segs_set = true;
	vmx_family_poll(vmx);
	if (t->exc.valid) {
		umbra_vmx_queue_exception(&vmx->vcpu, &t->exc);
	} else if (s->trap) {
		vmx->dr6 |= DR6_BT;
		vmx_queue_exception(vmx, X86_TRAP_DB, false, 0);
	}
}

/* Did an event start it that is not the old task's own instruction? */
static u16 is_external(const struct task *t)
{
	u32 type = t->vmx->vectoring & VECTORING_INFO_TYPE_MASK;

	return by_event(t) && type != INTR_TYPE_SOFT_INTR && type != INTR_TYPE_SOFT_EXCEPTION &&
	       type != INTR_TYPE_PRIV_SW_EXCEPTION;
}

static void switch_task(struct task *t)
{
	struct task_state state;

	if (!check_new(t) || !check_memory(t)) {
		if (t->exc.valid)
			umbra_vmx_queue_exception(&t->vmx->vcpu, &t->exc);
		return;
	}
	if (!commit(t))
		return;
	t->ext = 0;
	read_state(t, &state);
	load_new(t, &state);
	finish(t, &state);
}

int vmx_handle_task_switch(struct vmx_vcpu *vmx)
{
	unsigned long qual = vmcs_readl(EXIT_QUALIFICATION);
	struct task t = { .vmx = vmx, .source = qual >> 30 & 3, .selector = qual };
	struct umbra_mmu *mmu = vmx->vcpu.mmu.mmu;
	int idx;

	t.ext = is_external(&t);
	umbra_vmx_sync_paging(&vmx->vcpu);
	idx = srcu_read_lock(&mmu->srcu);
	switch_task(&t);
	srcu_read_unlock(&mmu->srcu, idx);
	/* A TSS or a descriptor table in a device, or in memory that cannot be had. */
	if (t.error)
		return vmx_exit_internal_error(vmx, KVM_INTERNAL_ERROR_EMULATION);
	return VMX_RESUME_GUEST;
}
