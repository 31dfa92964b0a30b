// SPDX-License-Identifier: GPL-2.0
/*
 * Writes of the guest to its page tables by the commonest instructions, without
 * the emulator.
 */
#include <linux/mm.h>
#include <umbra/emulate.h>
#include <umbra/hostmem.h>

#include "vmx.h"

/* The bytes at RIP, all in one page. */
static bool fetch(struct vmx_vcpu *vmx, u8 *bytes)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	u64 rip = vmx_rip(vmx);
	gpa_t gpa;

	if (offset_in_page(rip) > PAGE_SIZE - UMBRA_EMU_SIMPLE_BYTES)
		return false;
	if (umbra_mmu_translate(mv, rip, UMBRA_ACC_FETCH, &gpa, NULL))
		return false;
	return !umbra_guest_read(mv->mmu, gpa, bytes, UMBRA_EMU_SIMPLE_BYTES);
}

/*
 * A write to a tracked table that faulted. Return: false when nothing was done and
 * it is for the emulator.
 */
bool vmx_store(struct vmx_vcpu *vmx, const struct umbra_fault *fault)
{
	struct umbra_mmu_vcpu *mv = &vmx->vcpu.mmu;
	struct umbra_emu_store store;
	u8 bytes[UMBRA_EMU_SIMPLE_BYTES] __aligned(8);
	unsigned int len;

	if (!vmx_in_long64(vmx) || mv->state.cpl || !fetch(vmx, bytes))
		return false;
	vmx_rsp(vmx);
	len = umbra_emulate_simple_store(bytes, (const u64 *)vmx->vcpu.regs, vmx_rip(vmx), &store);
	/* Not some other part of an operand that crosses into the page. */
	if (!len || store.gva != fault->addr ||
	    offset_in_page(store.gva) + store.size > PAGE_SIZE)
		return false;
	if (umbra_mmu_guest_write(mv, fault->gpa, &store.value, store.size))
		return false;
	vmx->vcpu.stat.insn_emulation++;
	vmx_skip_bytes(vmx, len);
	return true;
}
