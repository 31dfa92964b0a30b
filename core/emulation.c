// SPDX-License-Identifier: GPL-2.0
/*
 * The emulator at work for a vCPU: guest memory and registers for it, and what
 * becomes of the instruction afterwards, over an exit to user space if need be.
 */
#include <linux/kvm.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <umbra/coalesced.h>
#include <umbra/emulate.h>
#include <umbra/emulation.h>
#include <umbra/hostmem.h>
#include <umbra/irqchip.h>
#include <umbra/vcpu.h>
#include <umbra/vmx.h>
#include <asm/trapnr.h>
#include "ring.h"
#include "xmm.h"

static int finish(struct umbra_vcpu *vcpu, enum umbra_emu_result result,
		  const struct umbra_fault *fault);

static struct umbra_vcpu *emu_to_vcpu(struct umbra_emu *emu)
{
	return container_of(emu, struct umbra_vcpu, emu);
}

static enum umbra_emu_access walk(struct umbra_emu *emu, u64 gva, u32 access, u64 *gpa)
{
	struct umbra_vcpu *vcpu = emu_to_vcpu(emu);
	struct umbra_exception exc;
	int ret;

	if (vcpu->emu_stale) {
		vcpu->emu_stale = false;
		umbra_vmx_sync_paging(vcpu);
	}
	if (emu->cpl == 3)
		access |= UMBRA_ACC_USER;
	if (access & UMBRA_ACC_FETCH)
		ret = umbra_mmu_translate_fetch(&vcpu->mmu, gva, access, gpa, &exc);
	else
		ret = umbra_mmu_translate(&vcpu->mmu, gva, access, gpa, &exc);
	if (!ret)
		return UMBRA_EMU_ACC_OK;
	emu->exception.vector = exc.vector;
	emu->exception.has_error_code = exc.has_error_code;
	emu->exception.error_code = exc.error_code;
	emu->exception.cr2 = exc.cr2;
	return UMBRA_EMU_ACC_FAULT;
}

static enum umbra_emu_access op_translate(struct umbra_emu *emu, u64 gva, bool write, u64 *gpa)
{
	return walk(emu, gva, write ? UMBRA_ACC_WRITE : 0, gpa);
}

/* The memory behind a slot cannot be had: KVM_RUN reports it. */
static enum umbra_emu_access broken(struct umbra_emu *emu, u64 gpa, int error)
{
	struct umbra_vcpu *vcpu = emu_to_vcpu(emu);

	vcpu->emu_error = umbra_vcpu_memory_fault(vcpu, gpa, error);
	return UMBRA_EMU_ACC_RETRY;
}

static enum umbra_emu_access op_read(struct umbra_emu *emu, u64 gpa, void *buf,
				     unsigned int len)
{
	struct umbra_mmu *mmu = emu_to_vcpu(emu)->mmu.mmu;

	if (!umbra_gfn_to_slot(mmu, umbra_gpa_to_gfn(gpa)))
		return UMBRA_EMU_ACC_MMIO;
	return umbra_guest_read(mmu, gpa, buf, len) ? broken(emu, gpa, -EFAULT) : UMBRA_EMU_ACC_OK;
}

static enum umbra_emu_access op_fetch(struct umbra_emu *emu, u64 gva, void *buf,
				      unsigned int len)
{
	enum umbra_emu_access r;
	u64 gpa;

	r = walk(emu, gva, UMBRA_ACC_FETCH, &gpa);
	return r == UMBRA_EMU_ACC_OK ? op_read(emu, gpa, buf, len) : r;
}

static bool is_writable(struct umbra_mmu *mmu, u64 gpa)
{
	struct umbra_memslot *slot = umbra_gfn_to_slot(mmu, umbra_gpa_to_gfn(gpa));

	return slot && !(slot->flags & KVM_MEM_READONLY);
}

static enum umbra_emu_access op_write(struct umbra_emu *emu, u64 gpa, const void *buf,
				      unsigned int len)
{
	struct umbra_vcpu *vcpu = emu_to_vcpu(emu);
	struct umbra_mmu_vcpu *mv = &vcpu->mmu;
	int ret;

	if (!is_writable(mv->mmu, gpa))
		return UMBRA_EMU_ACC_MMIO;
	ret = umbra_mmu_guest_write(mv, gpa, buf, len);
	if (ret)
		return broken(emu, gpa, ret);
	/*
	 * A table that is being overwritten is let go; the guest can do the rest. A ring
	 * that is full has to be seen to before there is more to push.
	 */
	emu->yield = (vcpu->emu_tracked &&
		      !umbra_mmu_tracked(mv->mmu, umbra_gpa_to_gfn(gpa))) ||
		     (vcpu->ring && umbra_ring_full(vcpu));
	return UMBRA_EMU_ACC_OK;
}

static enum umbra_emu_access op_cmpxchg(struct umbra_emu *emu, u64 gpa, const void *old,
					const void *new, unsigned int len)
{
	struct umbra_mmu_vcpu *mv = &emu_to_vcpu(emu)->mmu;
	int ret;

	if (!is_writable(mv->mmu, gpa))
		return UMBRA_EMU_ACC_MMIO;
	ret = umbra_mmu_guest_cmpxchg(mv, gpa, old, new, len);
	if (ret == -EAGAIN)
		return UMBRA_EMU_ACC_MISMATCH;
	return ret ? broken(emu, gpa, ret) : UMBRA_EMU_ACC_OK;
}

static void op_segment(struct umbra_emu *emu, enum umbra_emu_seg seg,
		       struct umbra_emu_segment *out)
{
	umbra_vmx_emu_segment(emu_to_vcpu(emu), seg, out);
}

static const struct umbra_emu_ops emu_ops = {
	.fetch = op_fetch,
	.translate = op_translate,
	.read = op_read,
	.write = op_write,
	.cmpxchg = op_cmpxchg,
	.segment = op_segment,
	.xmm_read = umbra_xmm_read,
	.xmm_write = umbra_xmm_write,
};

static void deliver(struct umbra_vcpu *vcpu)
{
	const struct umbra_emu_exception *e = &vcpu->emu.exception;
	const struct umbra_exception exc = {
		.valid = true,
		.has_error_code = e->has_error_code,
		.vector = e->vector,
		.error_code = e->error_code,
		.cr2 = e->cr2,
	};

	umbra_vmx_queue_exception(vcpu, &exc);
}

/* Go on with an instruction whose device access user space has done. */
static int resume(struct umbra_vcpu *vcpu)
{
	struct umbra_emu *emu = &vcpu->emu;
	int idx, r;

	vcpu->emu_stale = true;
	if (!umbra_vmx_emu_reload(vcpu, emu)) {
		/* User space moved on: the instruction is abandoned. */
		umbra_emulate_cancel(emu);
		return 1;
	}
	idx = srcu_read_lock(&vcpu->mmu.mmu->srcu);
	r = finish(vcpu, umbra_emulate_resume(emu), NULL);
	srcu_read_unlock(&vcpu->mmu.mmu->srcu, idx);
	return r;
}

static int complete_mmio(struct umbra_vcpu *vcpu)
{
	struct umbra_emu_mmio *mmio = &vcpu->emu.mmio;

	if (!mmio->is_write)
		memcpy(mmio->data, vcpu->run->mmio.data, sizeof(mmio->data));
	return resume(vcpu);
}

static int exit_mmio(struct umbra_vcpu *vcpu)
{
	const struct umbra_emu_mmio *mmio = &vcpu->emu.mmio;
	struct kvm_run *run = vcpu->run;

	vcpu->stat.mmio_exits++;
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = mmio->gpa;
	run->mmio.len = mmio->len;
	run->mmio.is_write = mmio->is_write;
	memset(run->mmio.data, 0, sizeof(run->mmio.data));
	if (mmio->is_write)
		memcpy(run->mmio.data, mmio->data, mmio->len);
	vcpu->complete = complete_mmio;
	return 0;
}

static int exit_pio(struct umbra_vcpu *vcpu)
{
	const struct umbra_emu_pio *pio = &vcpu->emu.pio;
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = pio->in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = pio->size;
	run->io.port = pio->port;
	run->io.count = pio->count;
	run->io.data_offset = UMBRA_VCPU_PIO_PAGE * PAGE_SIZE;
	vcpu->complete = resume;
	return 0;
}

/* An instruction that is not known, with no other way to get past it. */
static int exit_unknown(struct umbra_vcpu *vcpu)
{
	const struct umbra_emu_insn *insn = &vcpu->emu.insn;
	struct kvm_run *run = vcpu->run;

	vcpu->stat.insn_emulation_fail++;
	if (vcpu->emu.cpl) {
		const struct umbra_exception ud = { .valid = true, .vector = X86_TRAP_UD };

		umbra_vmx_queue_exception(vcpu, &ud);
		return 1;
	}
	memset(&run->emulation_failure, 0, sizeof(run->emulation_failure));
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.ndata = 3;
	run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run->emulation_failure.insn_size = insn->fetched;
	memcpy(run->emulation_failure.insn_bytes, insn->bytes,
	       min_t(size_t, insn->fetched, sizeof(run->emulation_failure.insn_bytes)));
	return 0;
}

static int unknown(struct umbra_vcpu *vcpu, const struct umbra_fault *fault)
{
	/* Another vCPU may have untracked it already: either way the write can be tried. */
	if (fault && fault->tracked && !fault->self_map) {
		umbra_mmu_unprotect(vcpu->mmu.mmu, umbra_gpa_to_gfn(fault->gpa));
		return 1;
	}
	return exit_unknown(vcpu);
}

static bool kernel_mmio(struct umbra_vcpu *vcpu)
{
	struct umbra_emu_mmio *mmio = &vcpu->emu.mmio;

	return umbra_irqchip_mmio(vcpu, mmio->gpa, mmio->data, mmio->len, mmio->is_write) ||
	       (mmio->is_write && umbra_coalesced_write(vcpu->vm, false, mmio->gpa, mmio->data,
							mmio->len, 1));
}

/* Elements of a string instruction, one by one, to a device in the kernel. */
static bool kernel_pio(struct umbra_vcpu *vcpu)
{
	struct umbra_emu_pio *pio = &vcpu->emu.pio;
	u32 i;

	if (!pio->in && umbra_coalesced_write(vcpu->vm, true, pio->port, pio->data, pio->size,
					      pio->count))
		return true;
	for (i = 0; i < pio->count; i++) {
		if (!umbra_irqchip_pio(vcpu, pio->port, pio->data + i * pio->size, pio->size,
				       !pio->in))
			return false;
	}
	return true;
}

/* Did a device in the kernel do the access? */
static bool kernel_device(struct umbra_vcpu *vcpu, enum umbra_emu_result result)
{
	bool done = false;

	if (result == UMBRA_EMU_MMIO)
		done = kernel_mmio(vcpu);
	else if (result == UMBRA_EMU_PIO)
		done = kernel_pio(vcpu);
	if (done)
		umbra_vmx_request_window(vcpu);
	return done;
}

static int finish(struct umbra_vcpu *vcpu, enum umbra_emu_result result,
		  const struct umbra_fault *fault)
{
	while (kernel_device(vcpu, result))
		result = umbra_emulate_resume(&vcpu->emu);
	umbra_vmx_emu_store(vcpu, &vcpu->emu);
	if (vcpu->emu_error)
		return vcpu->emu_error;
	switch (result) {
	case UMBRA_EMU_DONE:
	case UMBRA_EMU_RETRY:
		return 1;
	case UMBRA_EMU_FAULT:
		deliver(vcpu);
		return 1;
	case UMBRA_EMU_MMIO:
		return exit_mmio(vcpu);
	case UMBRA_EMU_PIO:
		return exit_pio(vcpu);
	default:
		return unknown(vcpu, fault);
	}
}

/*
 * The CPU has translated the access that exited. From an EPT exit the linear
 * address is not to be had for sure, nor is whether it was a write: good enough
 * for the kernel, while user code could have changed the instruction since.
 */
static void note_known(struct umbra_vcpu *vcpu, const struct umbra_fault *fault)
{
	bool exact = vcpu->mmu.family == UMBRA_FAMILY_SHADOW;
	struct umbra_emu *emu = &vcpu->emu;

	emu->known.valid = fault && !fault->walk && (exact || !emu->cpl);
	if (!emu->known.valid)
		return;
	emu->known.exact = exact;
	emu->known.write = !exact || (fault->access & UMBRA_ACC_WRITE);
	emu->known.gva = fault->addr;
	emu->known.gpa = fault->gpa;
}

int umbra_emulate_insn(struct umbra_vcpu *vcpu, const struct umbra_fault *fault)
{
	struct umbra_emu *emu = &vcpu->emu;

	vcpu->stat.insn_emulation++;
	vcpu->emu_error = 0;
	vcpu->emu_tracked = fault && fault->tracked;
	emu->ops = &emu_ops;
	emu->pio.data = vcpu->pio_page;
	emu->pio.capacity = PAGE_SIZE;
	vcpu->emu_stale = false;
	umbra_vmx_emu_load(vcpu, emu);
	note_known(vcpu, fault);
	return finish(vcpu, umbra_emulate(emu), fault);
}

int umbra_emulation_read(struct umbra_vcpu *vcpu, u64 gva, void *buf, unsigned int len,
			 struct umbra_exception *exc)
{
	u32 access = vcpu->mmu.state.cpl == 3 ? UMBRA_ACC_USER : 0;

	while (len) {
		unsigned int part = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(gva));
		gpa_t gpa;

		if (umbra_mmu_translate(&vcpu->mmu, gva, access, &gpa, exc))
			return -EFAULT;
		if (umbra_guest_read(vcpu->mmu.mmu, gpa, buf, part)) {
			*exc = (struct umbra_exception) {
				.valid = true,
				.has_error_code = true,
				.vector = X86_TRAP_GP,
			};
			return -EFAULT;
		}
		gva += part;
		buf += part;
		len -= part;
	}
	return 0;
}
