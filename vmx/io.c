// SPDX-License-Identifier: GPL-2.0
/*
 * Port I/O. IN and OUT go to user space straight from the exit information;
 * string forms need the emulator.
 */
#include <linux/kvm.h>
#include <linux/string.h>
#include <umbra/coalesced.h>
#include <umbra/emulation.h>
#include <umbra/irqchip.h>

#include "vmx.h"

#define IO_QUAL_SIZE	7
#define IO_QUAL_IN	BIT(3)
#define IO_QUAL_STRING	BIT(4)

/* Of QEMU's option ROM for the task priority. */
#define VAPIC_PORT	0x7e

/* User space has done the access; unless it moved RIP, the instruction is over. */
static int complete_out(struct umbra_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (vmx_linear_rip(vmx) != vcpu->complete_rip)
		return VMX_RESUME_GUEST;
	vmx_skip_insn(vmx);
	vmx->completed = true;
	return VMX_RESUME_GUEST;
}

/* The result of IN is in the shared page. */
static void load_rax(struct vmx_vcpu *vmx)
{
	struct umbra_vcpu *vcpu = &vmx->vcpu;
	unsigned long *rax = &vcpu->regs[UMBRA_RAX];

	switch (vmx->io_size) {
	case 1:
		*rax = (*rax & ~0xfful) | *(u8 *)vcpu->pio_page;
		break;
	case 2:
		*rax = (*rax & ~0xfffful) | *(u16 *)vcpu->pio_page;
		break;
	default:
		*rax = *(u32 *)vcpu->pio_page;
		break;
	}
}

static int complete_in(struct umbra_vcpu *vcpu)
{
	load_rax(to_vmx(vcpu));
	return complete_out(vcpu);
}

static int string_io(struct vmx_vcpu *vmx)
{
	struct umbra_mmu *mmu = vmx->vcpu.mmu.mmu;
	int idx = srcu_read_lock(&mmu->srcu);
	int r = umbra_emulate_insn(&vmx->vcpu, NULL);

	srcu_read_unlock(&mmu->srcu, idx);
	return r;
}

/* A port of the interrupt controllers or the timer: done on the spot. */
static bool kernel_port(struct vmx_vcpu *vmx, u16 port, bool in)
{
	struct umbra_vcpu *vcpu = &vmx->vcpu;

	if (!in)
		memcpy(vcpu->pio_page, &vcpu->regs[UMBRA_RAX], 4);
	if (!umbra_irqchip_pio(vcpu, port, vcpu->pio_page, vmx->io_size, !in) &&
	    (in || !umbra_coalesced_write(vcpu->vm, true, port, vcpu->pio_page, vmx->io_size, 1)))
		return false;
	vmx->event_pending = true;
	if (in)
		load_rax(vmx);
	vmx_skip_insn(vmx);
	return true;
}

/* QEMU changes the instruction before RIP when it sees this OUT: RIP is behind it. */
static bool rip_moves_first(struct vmx_vcpu *vmx, u16 port)
{
	return unlikely(port == VAPIC_PORT) &&
	       !(READ_ONCE(vmx->vcpu.vm->opt.quirks_off) & KVM_X86_QUIRK_OUT_7E_INC_RIP);
}

int vmx_handle_io(struct vmx_vcpu *vmx)
{
	return vmx_io_access(vmx, vmcs_readl(EXIT_QUALIFICATION));
}

/* @qual: as in the exit qualification. */
int vmx_io_access(struct vmx_vcpu *vmx, unsigned long qual)
{
	struct umbra_vcpu *vcpu = &vmx->vcpu;
	struct kvm_run *run = vcpu->run;

	vcpu->stat.io_exits++;
	if (unlikely(qual & IO_QUAL_STRING))
		return string_io(vmx);

	vmx->io_size = (qual & IO_QUAL_SIZE) + 1;
	if (kernel_port(vmx, qual >> 16, qual & IO_QUAL_IN))
		return VMX_RESUME_GUEST;
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = (qual & IO_QUAL_IN) ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = vmx->io_size;
	run->io.port = qual >> 16;
	run->io.count = 1;
	run->io.data_offset = UMBRA_VCPU_PIO_PAGE * PAGE_SIZE;
	vcpu->complete_rip = vmx_linear_rip(vmx);
	if (qual & IO_QUAL_IN) {
		vcpu->complete = complete_in;
	} else {
		memcpy(vcpu->pio_page, &vcpu->regs[UMBRA_RAX], 4);
		if (rip_moves_first(vmx, run->io.port))
			vmx_skip_insn(vmx);
		else
			vcpu->complete = complete_out;
	}
	return VMX_EXIT_TO_USER;
}
