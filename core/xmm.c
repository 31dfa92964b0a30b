// SPDX-License-Identifier: GPL-2.0
/*
 * XMM and YMM registers for the emulator. While a vCPU runs its thread has the
 * guest's FPU state in the CPU, or saved with TIF_NEED_FPU_LOAD set.
 */
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include <linux/sched.h>
#include <umbra/emulate.h>
#include <umbra/vcpu.h>
#include "xmm.h"

struct xmm {
	u64 part[2];
};

struct ymm {
	u64 part[4];
};

/* The number of a register is part of the instruction. */
#define STORE(n, size, insn, value) do {					\
	if (reg == (n))								\
		asm volatile(insn " %%" #size "mm" #n ", %0" : "=m" (value));	\
} while (0)

#define LOAD(n, size, insn, value) do {						\
	if (reg == (n))								\
		asm volatile(insn " %0, %%" #size "mm" #n : : "m" (value));	\
} while (0)

#define EACH(move, size, insn, value) do {					\
	move(0, size, insn, value);						\
	move(1, size, insn, value);						\
	move(2, size, insn, value);						\
	move(3, size, insn, value);						\
	move(4, size, insn, value);						\
	move(5, size, insn, value);						\
	move(6, size, insn, value);						\
	move(7, size, insn, value);						\
	move(8, size, insn, value);						\
	move(9, size, insn, value);						\
	move(10, size, insn, value);						\
	move(11, size, insn, value);						\
	move(12, size, insn, value);						\
	move(13, size, insn, value);						\
	move(14, size, insn, value);						\
	move(15, size, insn, value);						\
} while (0)

static void store_xmm(unsigned int reg, struct xmm *xmm)
{
	EACH(STORE, x, "movdqu", *xmm);
}

static void load_xmm(unsigned int reg, const struct xmm *xmm)
{
	EACH(LOAD, x, "movdqu", *xmm);
}

static void store_ymm(unsigned int reg, struct ymm *ymm)
{
	EACH(STORE, y, "vmovdqu", *ymm);
}

static void load_ymm(unsigned int reg, const struct ymm *ymm)
{
	EACH(LOAD, y, "vmovdqu", *ymm);
}

static void state_lock(void)
{
	fpregs_lock();
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
}

/* Is SSE on for the guest now, or with @vex AVX? */
static bool is_on(const struct umbra_vcpu *vcpu, bool vex)
{
	const struct umbra_paging_state *s = &vcpu->mmu.state;

	/* The instruction has faulted in the guest, so XCR0 allows it. */
	if (vex)
		return (s->cr4 & X86_CR4_OSXSAVE) && boot_cpu_has(X86_FEATURE_AVX);
	return !(s->cr0 & X86_CR0_EM) && (s->cr4 & X86_CR4_OSFXSR);
}

/* May the guest use it? */
static enum umbra_emu_access allowed(struct umbra_emu *emu, bool vex)
{
	const struct umbra_vcpu *vcpu = container_of(emu, struct umbra_vcpu, emu);
	u8 vector;

	if (!is_on(vcpu, vex))
		vector = X86_TRAP_UD;
	else if (vcpu->mmu.state.cr0 & X86_CR0_TS)
		vector = X86_TRAP_NM;
	else
		return UMBRA_EMU_ACC_OK;
	emu->exception = (struct umbra_emu_exception) { .vector = vector };
	return UMBRA_EMU_ACC_FAULT;
}

enum umbra_emu_access umbra_xmm_read(struct umbra_emu *emu, unsigned int reg, void *buf, bool vex)
{
	enum umbra_emu_access access = allowed(emu, vex);

	if (access != UMBRA_EMU_ACC_OK)
		return access;
	state_lock();
	if (vex)
		store_ymm(reg, buf);
	else
		store_xmm(reg, buf);
	fpregs_unlock();
	return access;
}

enum umbra_emu_access umbra_xmm_write(struct umbra_emu *emu, unsigned int reg, const void *buf,
				      bool vex)
{
	enum umbra_emu_access access = allowed(emu, vex);

	if (access != UMBRA_EMU_ACC_OK || !buf)
		return access;
	state_lock();
	if (vex)
		load_ymm(reg, buf);
	else
		load_xmm(reg, buf);
	fpregs_unlock();
	return access;
}
