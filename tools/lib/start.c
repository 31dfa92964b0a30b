// SPDX-License-Identifier: GPL-2.0
/* The states in which a vCPU can start: long mode, flat 32-bit mode, real mode. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "uvmm.h"

#define CR0_PE		BIT(0)
#define CR0_MP		BIT(1)
#define CR0_ET		BIT(4)
#define CR0_NE		BIT(5)
#define CR0_WP		BIT(16)
#define CR0_PG		BIT(31)
#define CR4_PAE		BIT(5)
#define EFER_LME	BIT(8)
#define EFER_LMA	BIT(10)
#define EFER_NX		BIT(11)

#define PTE_TABLE	0x67	/* present, writable, user, accessed, dirty */
#define PTE_LARGE	0xe3	/* present, writable, accessed, dirty, 2M; supervisor */

/* Flat segments; the type has the accessed bit, which VM entry insists on. */
static struct kvm_segment flat_segment(u16 selector, u8 type, bool l)
{
	return (struct kvm_segment){
		.base = 0, .limit = 0xffffffff, .selector = selector, .type = type,
		.present = 1, .dpl = 0, .db = !l, .s = 1, .l = l, .g = 1,
	};
}

static struct kvm_segment real_segment(u16 paragraph, u8 type)
{
	return (struct kvm_segment){
		.base = paragraph * 16, .limit = 0xffff, .selector = paragraph, .type = type,
		.present = 1, .s = 1,
	};
}

static int write_gdt(struct uvmm_vm *vm)
{
	static const u64 gdt[] = {
		0,
		0x00af9b000000ffffULL,	/* UVMM_SEL_CODE64 */
		0x00cf93000000ffffULL,	/* UVMM_SEL_DATA */
		0x00cf9b000000ffffULL,	/* UVMM_SEL_CODE32 */
	};

	return uvmm_load(vm, UVMM_BOOT_GDT, gdt, sizeof(gdt));
}

/* One PML4, one PDPT, four PDs of 512 2M pages each: 4 GiB, virtual = physical. */
static int write_page_tables(struct uvmm_vm *vm)
{
	u64 *pml4 = uvmm_hva(vm, UVMM_BOOT_CR3, UVMM_BOOT_END - UVMM_BOOT_CR3);
	u64 *pdpt, *pd;
	unsigned int i;

	if (!pml4)
		return -EFAULT;
	pdpt = pml4 + 512;
	pd = pdpt + 512;
	pml4[0] = (UVMM_BOOT_CR3 + 0x1000) | PTE_TABLE;
	for (i = 0; i < 4; i++)
		pdpt[i] = (UVMM_BOOT_CR3 + 0x2000 + i * 0x1000) | PTE_TABLE;
	for (i = 0; i < 4 * 512; i++)
		pd[i] = ((u64)i << 21) | PTE_LARGE;
	return 0;
}

static int write_boot_area(struct uvmm_vm *vm)
{
	int ret = write_gdt(vm);

	return ret ? ret : write_page_tables(vm);
}

static int set_regs(struct uvmm_vcpu *vcpu, u64 rip, u64 rsp, u64 arg)
{
	struct kvm_regs regs = { .rip = rip, .rsp = rsp, .rdi = arg, .rflags = 2 };

	return ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0 ? -errno : 0;
}

static void set_data_segments(struct kvm_sregs *sregs, struct kvm_segment data)
{
	sregs->ds = data;
	sregs->es = data;
	sregs->fs = data;
	sregs->gs = data;
	sregs->ss = data;
}

/* 64-bit mode on the boot page tables, interrupts off, arg in RDI. */
int uvmm_start_long(struct uvmm_vcpu *vcpu, u64 rip, u64 rsp, u64 arg)
{
	struct kvm_sregs sregs;
	int ret;

	/* Later CPUs join on the tables that are there, which may be in use. */
	ret = vcpu->id ? 0 : write_boot_area(vcpu->vm);
	if (ret)
		return ret;
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs = flat_segment(UVMM_SEL_CODE64, 11, true);
	set_data_segments(&sregs, flat_segment(UVMM_SEL_DATA, 3, false));
	sregs.gdt.base = UVMM_BOOT_GDT;
	sregs.gdt.limit = 4 * 8 - 1;
	sregs.idt.limit = 0;
	sregs.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	sregs.cr3 = UVMM_BOOT_CR3;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_LME | EFER_LMA | EFER_NX;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0)
		return -errno;
	return set_regs(vcpu, rip, rsp, arg);
}

/* Flat 32-bit protected mode without paging, arg in EDI. */
int uvmm_start_prot(struct uvmm_vcpu *vcpu, u32 eip, u32 esp, u32 arg)
{
	struct kvm_sregs sregs;
	int ret;

	ret = write_boot_area(vcpu->vm);
	if (ret)
		return ret;
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs = flat_segment(UVMM_SEL_CODE32, 11, false);
	set_data_segments(&sregs, flat_segment(UVMM_SEL_DATA, 3, false));
	sregs.gdt.base = UVMM_BOOT_GDT;
	sregs.gdt.limit = 4 * 8 - 1;
	sregs.idt.limit = 0;
	sregs.cr0 = CR0_PE | CR0_ET | CR0_NE;
	sregs.cr3 = 0;
	sregs.cr4 = 0;
	sregs.efer = 0;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0)
		return -errno;
	return set_regs(vcpu, eip, esp, arg);
}

/*
 * Real mode with CS:IP given, the other segments 0, stack below 0x1000, arg in
 * DI. The GDT and page tables are there for a guest that wants to leave it.
 */
int uvmm_start_real(struct uvmm_vcpu *vcpu, u16 cs, u16 ip, u16 arg)
{
	struct kvm_sregs sregs;
	int ret;

	ret = write_boot_area(vcpu->vm);
	if (ret)
		return ret;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs = real_segment(cs, 11);
	set_data_segments(&sregs, real_segment(0, 3));
	sregs.idt.base = 0;
	sregs.idt.limit = 0x3ff;
	sregs.cr0 = CR0_ET | CR0_NE;
	sregs.cr3 = 0;
	sregs.cr4 = 0;
	sregs.efer = 0;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0)
		return -errno;
	return set_regs(vcpu, ip, 0x1000, arg);
}
