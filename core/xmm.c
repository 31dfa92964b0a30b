// SPDX-License-Identifier: GPL-2.0
/*
 * XMM registers for the emulator. While a vCPU runs its thread has the guest's
 * FPU state in the CPU, or saved with TIF_NEED_FPU_LOAD set.
 */
#include <asm/fpu/api.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include <linux/sched.h>
#include <umbra/emulate.h>
#include <umbra/vcpu.h>
#include "xmm.h"

struct xmm {
	u64 half[2];
};

#define STORE(n)	"movdqu %%xmm" #n ", %0"
#define LOAD(n)		"movdqu %0, %%xmm" #n

static void store(unsigned int reg, struct xmm *xmm)
{
	switch (reg) {
	case 0:
		asm volatile(STORE(0) : "=m" (*xmm));
		break;
	case 1:
		asm volatile(STORE(1) : "=m" (*xmm));
		break;
	case 2:
		asm volatile(STORE(2) : "=m" (*xmm));
		break;
	case 3:
		asm volatile(STORE(3) : "=m" (*xmm));
		break;
	case 4:
		asm volatile(STORE(4) : "=m" (*xmm));
		break;
	case 5:
		asm volatile(STORE(5) : "=m" (*xmm));
		break;
	case 6:
		asm volatile(STORE(6) : "=m" (*xmm));
		break;
	case 7:
		asm volatile(STORE(7) : "=m" (*xmm));
		break;
	case 8:
		asm volatile(STORE(8) : "=m" (*xmm));
		break;
	case 9:
		asm volatile(STORE(9) : "=m" (*xmm));
		break;
	case 10:
		asm volatile(STORE(10) : "=m" (*xmm));
		break;
	case 11:
		asm volatile(STORE(11) : "=m" (*xmm));
		break;
	case 12:
		asm volatile(STORE(12) : "=m" (*xmm));
		break;
	case 13:
		asm volatile(STORE(13) : "=m" (*xmm));
		break;
	case 14:
		asm volatile(STORE(14) : "=m" (*xmm));
		break;
	case 15:
		asm volatile(STORE(15) : "=m" (*xmm));
		break;
	}
}

static void load(unsigned int reg, const struct xmm *xmm)
{
	switch (reg) {
	case 0:
		asm volatile(LOAD(0) : : "m" (*xmm));
		break;
	case 1:
		asm volatile(LOAD(1) : : "m" (*xmm));
		break;
	case 2:
		asm volatile(LOAD(2) : : "m" (*xmm));
		break;
	case 3:
		asm volatile(LOAD(3) : : "m" (*xmm));
		break;
	case 4:
		asm volatile(LOAD(4) : : "m" (*xmm));
		break;
	case 5:
		asm volatile(LOAD(5) : : "m" (*xmm));
		break;
	case 6:
		asm volatile(LOAD(6) : : "m" (*xmm));
		break;
	case 7:
		asm volatile(LOAD(7) : : "m" (*xmm));
		break;
	case 8:
		asm volatile(LOAD(8) : : "m" (*xmm));
		break;
	case 9:
		asm volatile(LOAD(9) : : "m" (*xmm));
		break;
	case 10:
		asm volatile(LOAD(10) : : "m" (*xmm));
		break;
	case 11:
		asm volatile(LOAD(11) : : "m" (*xmm));
		break;
	case 12:
		asm volatile(LOAD(12) : : "m" (*xmm));
		break;
	case 13:
		asm volatile(LOAD(13) : : "m" (*xmm));
		break;
	case 14:
		asm volatile(LOAD(14) : : "m" (*xmm));
		break;
	case 15:
		asm volatile(LOAD(15) : : "m" (*xmm));
		break;
	}
}

static void state_lock(void)
{
	fpregs_lock();
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
}

/* May the guest use SSE now? */
static enum umbra_emu_access allowed(struct umbra_emu *emu)
{
	const struct umbra_paging_state *s =
		&container_of(emu, struct umbra_vcpu, emu)->mmu.state;
	u8 vector;

	if ((s->cr0 & X86_CR0_EM) || !(s->cr4 & X86_CR4_OSFXSR))
		vector = X86_TRAP_UD;
	else if (s->cr0 & X86_CR0_TS)
		vector = X86_TRAP_NM;
	else
		return UMBRA_EMU_ACC_OK;
	emu->exception = (struct umbra_emu_exception) { .vector = vector };
	return UMBRA_EMU_ACC_FAULT;
}

enum umbra_emu_access umbra_xmm_read(struct umbra_emu *emu, unsigned int reg, void *buf)
{
	enum umbra_emu_access access = allowed(emu);

	if (access != UMBRA_EMU_ACC_OK)
		return access;
	state_lock();
	store(reg, buf);
	fpregs_unlock();
	return access;
}

enum umbra_emu_access umbra_xmm_write(struct umbra_emu *emu, unsigned int reg, const void *buf)
{
	enum umbra_emu_access access = allowed(emu);

	if (access != UMBRA_EMU_ACC_OK || !buf)
		return access;
	state_lock();
	load(reg, buf);
	fpregs_unlock();
	return access;
}
