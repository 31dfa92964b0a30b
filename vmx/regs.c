// SPDX-License-Identifier: GPL-2.0
/*
 * The register ioctls' view of the VMCS: general and special registers, the
 * reset state, and the copy that the emulator works on.
 */
#include <linux/kvm.h>
#include <linux/string.h>
#include <umbra/emulate.h>
#include <umbra/irqchip.h>

#include "vmx.h"

#define RESET_CS_SELECTOR	0xf000
#define RESET_CS_BASE		0xffff0000ul
#define RESET_RIP		0xfff0
#define RESET_RDX		0x600		/* family 6 */
#define RESET_DR6		0xffff0ff0ul
#define RESET_DR7		0x400ul
#define RESET_CR0		(X86_CR0_CD | X86_CR0_NW | X86_CR0_ET)

#define SEG_AR_CODE_16		(SEG_AR_P | SEG_AR_S | 11)
#define SEG_AR_DATA_16		(SEG_AR_P | SEG_AR_S | 3)
#define SEG_AR_LDT			(SEG_AR_P | 2)
#define SEG_AR_BUSY_TSS		(SEG_AR_P | 11)

/* struct kvm_regs has them in another order than the encoding. */
static const u8 kvm_reg_order[] = {
	UMBRA_RAX, UMBRA_RBX, UMBRA_RCX, UMBRA_RDX, UMBRA_RSI, UMBRA_RDI, UMBRA_RSP, UMBRA_RBP,
	UMBRA_R8, UMBRA_R9, UMBRA_R10, UMBRA_R11, UMBRA_R12, UMBRA_R13, UMBRA_R14, UMBRA_R15,
};

void umbra_vmx_get_regs(struct umbra_vcpu *vcpu, struct kvm_regs *regs)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	__u64 *out = &regs->rax;
	int i;

	for (i = 0; i < ARRAY_SIZE(kvm_reg_order); i++)
		out[i] = vmx_reg(vmx, kvm_reg_order[i]);
	regs->rip = vmx_rip(vmx);
	regs->rflags = vmx_rflags(vmx);
}

void umbra_vmx_set_regs(struct umbra_vcpu *vcpu, const struct kvm_regs *regs)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	const __u64 *in = &regs->rax;
	int i;

	for (i = 0; i < ARRAY_SIZE(kvm_reg_order); i++)
		vmx_set_reg(vmx, kvm_reg_order[i], in[i]);
	vmx_set_rip(vmx, regs->rip);
	vmx_set_rflags(vmx, regs->rflags);
	/* An exception that waits belongs to the old registers. */
	if (!vmx->ev.exc_injected)
		vmx->ev.exc.valid = false;
	vmx_end_hlt(vmx);
	vmx_debug_shadow(vmx);
	vmx_debug_moved(vmx);
}

u64 umbra_vmx_rip(struct umbra_vcpu *vcpu)
{
	return vmx_rip(to_vmx(vcpu));
}

bool umbra_vmx_if_flag(struct umbra_vcpu *vcpu)
{
	return vmx_rflags(to_vmx(vcpu)) & X86_EFLAGS_IF;
}

void vmx_segment_get(int seg, struct kvm_segment *out)
{
	u32 ar = vmcs_read32(vmcs_seg_ar(seg));

	memset(out, 0, sizeof(*out));
	out->base = vmcs_readl(vmcs_seg_base(seg));
	out->limit = vmcs_read32(vmcs_seg_limit(seg));
	out->selector = vmcs_read16(vmcs_seg_selector(seg));
	out->type = ar & SEG_AR_TYPE_MASK;
	out->s = !!(ar & SEG_AR_S);
	out->dpl = (ar & SEG_AR_DPL_MASK) >> SEG_AR_DPL_SHIFT;
	out->unusable = !!(ar & SEG_AR_UNUSABLE);
	out->present = !out->unusable;
	out->avl = !!(ar & SEG_AR_AVL);
	out->l = !!(ar & SEG_AR_L);
	out->db = !!(ar & SEG_AR_DB);
	out->g = !!(ar & SEG_AR_G);
}

/* Real-mode loads leave the accessed bit out; VM entry wants it. */
static u32 segment_ar(int seg, const struct kvm_segment *in)
{
	u32 ar = (in->type & SEG_AR_TYPE_MASK) | (in->s ? SEG_AR_S : 0) |
		 ((in->dpl << SEG_AR_DPL_SHIFT) & SEG_AR_DPL_MASK) | (in->present ? SEG_AR_P : 0) |
		 (in->avl ? SEG_AR_AVL : 0) | (in->l ? SEG_AR_L : 0) | (in->db ? SEG_AR_DB : 0) |
		 (in->g ? SEG_AR_G : 0);

	if (in->unusable || !in->present)
		ar |= SEG_AR_UNUSABLE;
	if (seg != SEG_LDTR)
		ar |= 1;
	return ar;
}

static void segment_set(int seg, const struct kvm_segment *in)
{
	vmcs_writel(vmcs_seg_base(seg), in->base);
	vmcs_write32(vmcs_seg_limit(seg), in->limit);
	vmcs_write16(vmcs_seg_selector(seg), in->selector);
	vmcs_write32(vmcs_seg_ar(seg), segment_ar(seg, in));
}

void umbra_vmx_get_sregs(struct umbra_vcpu *vcpu, struct kvm_sregs *sregs)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	const struct umbra_paging_state *s = &vcpu->mmu.state;

	memset(sregs, 0, sizeof(*sregs));
	vmx_sync_crs(vmx);
	vmx_segment_get(SEG_ES, &sregs->es);
	vmx_segment_get(SEG_CS, &sregs->cs);
	vmx_segment_get(SEG_SS, &sregs->ss);
	vmx_segment_get(SEG_DS, &sregs->ds);
	vmx_segment_get(SEG_FS, &sregs->fs);
	vmx_segment_get(SEG_GS, &sregs->gs);
	vmx_segment_get(SEG_LDTR, &sregs->ldt);
	vmx_segment_get(SEG_TR, &sregs->tr);
	sregs->gdt.base = vmcs_readl(GUEST_GDTR_BASE);
	sregs->gdt.limit = vmcs_read32(GUEST_GDTR_LIMIT);
	sregs->idt.base = vmcs_readl(GUEST_IDTR_BASE);
	sregs->idt.limit = vmcs_read32(GUEST_IDTR_LIMIT);
	sregs->cr0 = s->cr0;
	sregs->cr2 = vmx->cr2;
	sregs->cr3 = s->cr3;
	sregs->cr4 = s->cr4;
	sregs->cr8 = umbra_vcpu_cr8(vcpu);
	sregs->efer = s->efer;
	sregs->apic_base = vcpu->apic_base;
	if (vmx->ev.irq)
		__set_bit(vmx->ev.irq_vector, (unsigned long *)sregs->interrupt_bitmap);
}

/* What no sequence of instructions could reach, VM entry would refuse. */
static bool sregs_valid(struct vmx_vcpu *vmx, const struct kvm_sregs *in)
{
	bool paged = in->cr0 & X86_CR0_PG;

	if (!vmx_cr0_valid(in->cr0) || !vmx_cr4_valid(vmx, in->cr4) || in->cr8 > 15)
		return false;
	if (in->efer & ~vmx->efer_allowed)
		return false;
	if (paged && (in->efer & EFER_LME)) {
		if (!(in->cr4 & X86_CR4_PAE) || !(in->efer & EFER_LMA))
			return false;
		if (in->cr3 >> vmx->vcpu.mmu.state.maxphyaddr)
			return false;
	} else if ((in->efer & EFER_LMA) || in->cs.l) {
		return false;
	}
	return !vmx_noncanonical(in->gdt.base) && !vmx_noncanonical(in->idt.base);
}

static void set_segments(const struct kvm_sregs *in)
{
	segment_set(SEG_ES, &in->es);
	segment_set(SEG_CS, &in->cs);
	segment_set(SEG_SS, &in->ss);
	segment_set(SEG_DS, &in->ds);
	segment_set(SEG_FS, &in->fs);
	segment_set(SEG_GS, &in->gs);
	segment_set(SEG_LDTR, &in->ldt);
	segment_set(SEG_TR, &in->tr);
	vmcs_writel(GUEST_GDTR_BASE, in->gdt.base);
	vmcs_write32(GUEST_GDTR_LIMIT, in->gdt.limit);
	vmcs_writel(GUEST_IDTR_BASE, in->idt.base);
	vmcs_write32(GUEST_IDTR_LIMIT, in->idt.limit);
}

/* The control registers as one: no state between the old and the new exists. */
static int set_crs(struct vmx_vcpu *vmx, const struct kvm_sregs *in, const u64 *pdptrs)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	int idx, r;

	mv->state.cr0 = in->cr0 | X86_CR0_ET;
	mv->state.cr4 = in->cr4;
	mv->state.cr3 = in->cr3;
	mv->state.efer = in->efer;
	if (in->efer & EFER_SCE)
		vmx_host_use_umsrs(vmx);
	if (pdptrs) {
		memcpy(mv->pdptrs, pdptrs, sizeof(mv->pdptrs));
		r = 0;
	} else {
		r = vmx_load_pdptrs(vmx);
	}

	if (vmx->family == UMBRA_FAMILY_EPT) {
		vmcs_writel(GUEST_CR3, in->cr3);
		vmx_write_pdptrs(vmx);
	}
	vmx->segs_set = true;
	vmx_family_update(vmx);
	idx = srcu_read_lock(&mv->mmu->srcu);
	umbra_mmu_set_cr3(mv, false);
	srcu_read_unlock(&mv->mmu->srcu, idx);
	mv->flush_guest = true;
	return r;
}

static void set_pending_irq(struct vmx_vcpu *vmx, const struct kvm_sregs *in)
{
	unsigned int vector = find_first_bit((const unsigned long *)in->interrupt_bitmap, 256);

	/* One that has left a local APIC in the kernel is among them, too. */
	if (vector < 256) {
		vmx_hold_irq(vmx, vector);
		vmx->event_pending = true;
	}
}

static int set_sregs(struct umbra_vcpu *vcpu, const struct kvm_sregs *in, const u64 *pdptrs)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (!sregs_valid(vmx, in) || umbra_vmx_set_apic_base(vcpu, in->apic_base))
		return -EINVAL;
	set_segments(in);
	vmx->cr2 = in->cr2;
	if (vcpu->lapic)
		umbra_lapic_set_cr8(vcpu, in->cr8);
	else
		vcpu->cr8 = in->cr8;
	set_pending_irq(vmx, in);
	/* PDPTEs that cannot be loaded are the guest's problem at its first access. */
	vmx_end_hlt(vmx);
	set_crs(vmx, in, pdptrs);
	vmx_debug_moved(vmx);
	return 0;
}

int umbra_vmx_set_sregs(struct umbra_vcpu *vcpu, const struct kvm_sregs *in)
{
	return set_sregs(vcpu, in, NULL);
}

/* The newer struct has PDPTEs where the older has an interrupt. */
#define SREGS_COMMON	offsetof(struct kvm_sregs, interrupt_bitmap)
static_assert(offsetof(struct kvm_sregs2, flags) == SREGS_COMMON);

static bool pae_paging(u64 cr0, u64 cr4, u64 efer)
{
	return (cr0 & X86_CR0_PG) && (cr4 & X86_CR4_PAE) && !(efer & EFER_LMA);
}

void umbra_vmx_get_sregs2(struct umbra_vcpu *vcpu, struct kvm_sregs2 *sregs2)
{
	struct kvm_sregs sregs;

	umbra_vmx_get_sregs(vcpu, &sregs);
	memset(sregs2, 0, sizeof(*sregs2));
	memcpy(sregs2, &sregs, SREGS_COMMON);
	if (!pae_paging(sregs.cr0, sregs.cr4, sregs.efer))
		return;
	memcpy(sregs2->pdptrs, vcpu->mmu.pdptrs, sizeof(sregs2->pdptrs));
	sregs2->flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
}

int umbra_vmx_set_sregs2(struct umbra_vcpu *vcpu, const struct kvm_sregs2 *sregs2)
{
	bool pdptrs = sregs2->flags & KVM_SREGS2_FLAGS_PDPTRS_VALID;
	struct kvm_sregs sregs = {};

	if (sregs2->flags & ~(u64)KVM_SREGS2_FLAGS_PDPTRS_VALID)
		return -EINVAL;
	if (pdptrs && !pae_paging(sregs2->cr0, sregs2->cr4, sregs2->efer))
		return -EINVAL;
	if (pdptrs && !umbra_mmu_pdptrs_valid(&vcpu->mmu, sregs2->pdptrs))
		return -EINVAL;
	memcpy(&sregs, sregs2, SREGS_COMMON);
	return set_sregs(vcpu, &sregs, pdptrs ? sregs2->pdptrs : NULL);
}

static void reset_segment(int seg, u16 selector, unsigned long base, u32 ar)
{
	vmcs_write16(vmcs_seg_selector(seg), selector);
	vmcs_writel(vmcs_seg_base(seg), base);
	vmcs_write32(vmcs_seg_limit(seg), 0xffff);
	vmcs_write32(vmcs_seg_ar(seg), ar);
}

/* The state after RESET; the vCPU is loaded, its controls are set up. */
void vmx_regs_reset(struct vmx_vcpu *vmx)
{
	struct umbra_paging_state *s = &vmx->vcpu.mmu.state;
	int seg;

	for (seg = SEG_ES; seg <= SEG_GS; seg++)
		reset_segment(seg, 0, 0, SEG_AR_DATA_16);
	reset_segment(SEG_CS, RESET_CS_SELECTOR, RESET_CS_BASE, SEG_AR_CODE_16);
	reset_segment(SEG_LDTR, 0, 0, SEG_AR_LDT);
	reset_segment(SEG_TR, 0, 0, SEG_AR_BUSY_TSS);
	vmcs_writel(GUEST_GDTR_BASE, 0);
	vmcs_write32(GUEST_GDTR_LIMIT, 0xffff);
	vmcs_writel(GUEST_IDTR_BASE, 0);
	vmcs_write32(GUEST_IDTR_LIMIT, 0xffff);
	vmcs_write32(GUEST_INTERRUPTIBILITY_INFO, 0);
	vmcs_write32(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	vmcs_writel(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, 0);

	memset(vmx->vcpu.regs, 0, sizeof(vmx->vcpu.regs));
	vmx->vcpu.regs[UMBRA_RDX] = RESET_RDX;
	vmx_set_rsp(vmx, 0);
	vmx_set_rip(vmx, RESET_RIP);
	vmx_set_rflags(vmx, 0);
	vmx->dr6 = RESET_DR6;
	vmx->dr7 = RESET_DR7;
	vmx_debug_update(vmx);
	s->cr0 = RESET_CR0;
	s->cr3 = 0;
	s->cr4 = 0;
	s->efer = 0;
	vmx->cr2 = 0;
	vmx_cpuid_derive(vmx);
	vmx->vcpu.mmu.family = UMBRA_FAMILY_EPT;
	vmx_family_apply(vmx);
	vmx_family_update(vmx);
}

static enum umbra_emu_mode emu_mode(struct vmx_vcpu *vmx)
{
	const struct umbra_paging_state *s = &vmx->vcpu.mmu.state;
	u32 cs = vmcs_read32(GUEST_CS_AR_BYTES);

	if (!(s->cr0 & X86_CR0_PE))
		return UMBRA_EMU_REAL;
	if (vmx_rflags(vmx) & X86_EFLAGS_VM)
		return UMBRA_EMU_VM86;
	if ((s->efer & EFER_LMA) && (cs & SEG_AR_L))
		return UMBRA_EMU_LONG64;
	return (cs & SEG_AR_DB) ? UMBRA_EMU_PROT32 : UMBRA_EMU_PROT16;
}

void umbra_vmx_emu_load(struct umbra_vcpu *vcpu, struct umbra_emu *emu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	umbra_vmx_sync_paging(vcpu);
	vmx_rsp(vmx);
	BUILD_BUG_ON(sizeof(vcpu->regs) != UMBRA_EMU_NR_REGS * sizeof(*emu->regs));
	emu->regs = (u64 *)vcpu->regs;
	emu->rip = vmx_rip(vmx);
	emu->rflags = vmx_rflags(vmx);
	emu->mode = emu_mode(vmx);
	emu->cpl = vcpu->mmu.state.cpl;
	emu->va_bits = 48;
	emu->align_check = emu->cpl == 3 && (vcpu->mmu.state.cr0 & X86_CR0_AM) &&
			   (emu->rflags & X86_EFLAGS_AC);
}

bool umbra_vmx_emu_reload(struct umbra_vcpu *vcpu, struct umbra_emu *emu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx_rsp(vmx);
	emu->rflags = vmx_rflags(vmx);
	return vmx_rip(vmx) == emu->rip;
}

void umbra_vmx_emu_store(struct umbra_vcpu *vcpu, const struct umbra_emu *emu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (!emu->retired)
		return;
	vmx_set_rsp(vmx, emu->regs[UMBRA_RSP]);
	vmx_set_rip(vmx, emu->rip);
	vmx_set_rflags(vmx, emu->rflags);
	vmx_insn_retired(vmx, emu->tf_trap);
}

/* Segment numbers of the emulator are those of the VMCS. */
void umbra_vmx_emu_segment(struct umbra_vcpu *vcpu, int seg, struct umbra_emu_segment *out)
{
	out->base = vmcs_readl(vmcs_seg_base(seg));
	out->limit = vmcs_read32(vmcs_seg_limit(seg));
	out->ar = vmcs_read32(vmcs_seg_ar(seg));
}
