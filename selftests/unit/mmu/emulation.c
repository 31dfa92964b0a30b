// SPDX-License-Identifier: GPL-2.0
/*
 * The real emulator at work for a simulated CPU: one write to a guest table, by
 * one of the instructions that operating systems use for it. What it computes
 * is tested elsewhere; here the question is whether the shadow follows.
 */
#include <asm/msr-index.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <string.h>
#include <umbra/emulate.h>
#include "machine.h"

/* With the address in RDI and values in RAX, RBX, RCX. */
struct form {
	u8 bytes[6];
	u8 len;
	bool sized;		/* the form for bytes is the opcode before */
	u8 opcode;		/* where the opcode is */
	bool repeats;
};

#define SIZED(at, ...)	{ .bytes = { __VA_ARGS__ }, .len = sizeof((u8[]) { __VA_ARGS__ }), \
			  .sized = true, .opcode = at }
#define WIDE(...)	{ .bytes = { __VA_ARGS__ }, .len = sizeof((u8[]) { __VA_ARGS__ }) }

static const struct form forms[] = {
	SIZED(0, 0x89, 0x07),			/* mov %eax, (%rdi) */
	SIZED(0, 0x89, 0x07),
	SIZED(0, 0x87, 0x07),			/* xchg */
	SIZED(1, 0xf0, 0x09, 0x07),		/* lock or */
	SIZED(0, 0x21, 0x07),			/* and */
	SIZED(1, 0xf0, 0x31, 0x07),		/* lock xor */
	SIZED(0, 0x01, 0x07),			/* add */
	SIZED(0, 0xff, 0x07),			/* inc */
	SIZED(1, 0xf0, 0xf7, 0x17),		/* lock not */
	SIZED(2, 0xf0, 0x0f, 0xb1, 0x1f),	/* lock cmpxchg %ebx, (%rdi) */
	SIZED(2, 0xf0, 0x0f, 0xc1, 0x07),	/* lock xadd */
	SIZED(0, 0xab),				/* stos */
	WIDE(0x0f, 0xc3, 0x07),			/* movnti */
	WIDE(0xf0, 0x0f, 0xba, 0x2f, 0x05),	/* lock bts $5 */
	WIDE(0xf0, 0x0f, 0xba, 0x37, 0x06),	/* lock btr $6 */
	WIDE(0x0f, 0xba, 0x3f, 0x01),		/* btc $1 */
	{ .bytes = { 0xf3, 0xab }, .len = 2, .repeats = true },	/* rep stos */
};

/* 16 bytes. */
static const struct form wide_forms[] = {
	WIDE(0x0f, 0x11, 0x07),			/* movups %xmm0, (%rdi) */
	WIDE(0x0f, 0x29, 0x07),			/* movaps */
	WIDE(0xf3, 0x0f, 0x7f, 0x07),		/* movdqu */
	WIDE(0xf0, 0x0f, 0xc7, 0x0f),		/* lock cmpxchg16b, or 8b */
};

/* On the stack: while one CPU's store is under way, another's may be emulated. */
struct emulated {
	struct umbra_emu emu;
	u64 regs[UMBRA_EMU_NR_REGS];
	struct cpu *cpu;
	u8 code[16];
	u64 xmm[2];
};

static struct emulated *of(struct umbra_emu *emu)
{
	return container_of(emu, struct emulated, emu);
}

static enum umbra_emu_access op_fetch(struct umbra_emu *emu, u64 gva, void *buf,
				      unsigned int len)
{
	memcpy(buf, of(emu)->code + gva, min_t(unsigned int, len, 16 - gva));
	return UMBRA_EMU_ACC_OK;
}

static enum umbra_emu_access op_translate(struct umbra_emu *emu, u64 gva, bool write, u64 *gpa)
{
	u32 access = (write ? UMBRA_ACC_WRITE : 0) | (emu->cpl == 3 ? UMBRA_ACC_USER : 0);
	struct umbra_exception exc;

	if (!umbra_mmu_translate(&of(emu)->cpu->v, gva, access, gpa, &exc))
		return UMBRA_EMU_ACC_OK;
	emu->exception.vector = exc.vector;
	emu->exception.error_code = exc.error_code;
	emu->exception.cr2 = exc.cr2;
	return UMBRA_EMU_ACC_FAULT;
}

static enum umbra_emu_access op_read(struct umbra_emu *emu, u64 gpa, void *buf, unsigned int len)
{
	return umbra_guest_read(&machine.mmu, gpa, buf, len) ? UMBRA_EMU_ACC_MMIO :
							       UMBRA_EMU_ACC_OK;
}

static enum umbra_emu_access op_write(struct umbra_emu *emu, u64 gpa, const void *buf,
				      unsigned int len)
{
	return umbra_mmu_guest_write(&of(emu)->cpu->v, gpa, buf, len) ? UMBRA_EMU_ACC_MMIO :
									   UMBRA_EMU_ACC_OK;
}

static enum umbra_emu_access op_cmpxchg(struct umbra_emu *emu, u64 gpa, const void *old,
					const void *new, unsigned int len)
{
	/* As in core/emulation.c. */
	if (len > 8) {
		umbra_mmu_unprotect(&machine.mmu, gpa >> 12);
		return UMBRA_EMU_ACC_RETRY;
	}
	switch (umbra_mmu_guest_cmpxchg(&of(emu)->cpu->v, gpa, old, new, len)) {
	case 0:
		return UMBRA_EMU_ACC_OK;
	case -EAGAIN:
		return UMBRA_EMU_ACC_MISMATCH;
	default:
		return UMBRA_EMU_ACC_MMIO;
	}
}

static void op_segment(struct umbra_emu *emu, enum umbra_emu_seg seg,
		       struct umbra_emu_segment *out)
{
	*out = (struct umbra_emu_segment) {
		.limit = ~0u,
		.ar = UMBRA_EMU_AR_PRESENT | UMBRA_EMU_AR_RW | UMBRA_EMU_AR_DB |
		      (seg == UMBRA_EMU_CS ? UMBRA_EMU_AR_CODE : 0),
	};
}

static enum umbra_emu_access op_xmm_read(struct umbra_emu *emu, unsigned int reg, void *buf,
					 bool vex)
{
	memcpy(buf, of(emu)->xmm, sizeof(of(emu)->xmm));
	return UMBRA_EMU_ACC_OK;
}

static enum umbra_emu_access op_xmm_write(struct umbra_emu *emu, unsigned int reg,
					  const void *buf, bool vex)
{
	return UMBRA_EMU_ACC_OK;
}

static const struct umbra_emu_ops ops = {
	.fetch = op_fetch,
	.translate = op_translate,
	.read = op_read,
	.write = op_write,
	.cmpxchg = op_cmpxchg,
	.segment = op_segment,
	.xmm_read = op_xmm_read,
	.xmm_write = op_xmm_write,
};

/* Prefixes for the operand's size, then the form. */
static void encode(const struct form *form, unsigned int size, u8 code[16])
{
	unsigned int i = 0, n = 0;

	memset(code, 0x90, 16);
	if (size == 2)
		code[n++] = 0x66;
	/* REX comes last of the prefixes, right before the opcode. */
	while (form->bytes[i] == 0xf0 || form->bytes[i] == 0xf3)
		code[n++] = form->bytes[i++];
	if (size == 8)
		code[n++] = 0x48;
	for (; i < form->len; i++)
		code[n++] = form->bytes[i] - (size == 1 && form->sized && i == form->opcode);
}

static const struct form *choose(unsigned int size)
{
	const struct form *form;

	do {
		form = &forms[rnd(ARRAY_SIZE(forms))];
	} while (size < 4 && !form->sized);
	return form;
}

/* The size that the instruction has, at most @len. */
static unsigned int operand_size(const struct cpu *cpu, unsigned int len)
{
	bool long_mode = cpu->v.state.efer & EFER_LMA;

	return len == 8 && !long_mode ? 4 : len;
}

/* Across an end of the page of @gva, or as the wide forms want it. */
static u64 place(u64 gva, unsigned int size)
{
	u64 page = gva & ~0xfffull;

	switch (rnd(4)) {
	case 0:
		return page - 1 - rnd(size);
	case 1:
		return page + 0xfff - rnd(size);
	default:
		return gva & ~0xfull;
	}
}

static void set_registers(struct emulated *it, const struct form *form, u64 gva, gpa_t gpa,
			  const void *data, unsigned int len)
{
	struct umbra_emu *emu = &it->emu;

	emu->regs[UMBRA_EMU_RDI] = gva;
	memcpy(&emu->regs[UMBRA_EMU_RAX], data, len);
	emu->regs[UMBRA_EMU_RBX] = rnd64();
	emu->regs[UMBRA_EMU_RCX] = 1 + rnd(3);
	/* For cmpxchg to succeed, mostly; others write something odd then. */
	if (form->bytes[2] == 0xb1 && chance(80)) {
		memcpy(&emu->regs[UMBRA_EMU_RBX], data, len);
		emu->regs[UMBRA_EMU_RAX] = read_now(NULL, gpa, operand_size(it->cpu, len));
	}
	/* The entry and the one after it. */
	memcpy(&it->xmm[0], data, len);
	it->xmm[1] = it->xmm[0] + rnd(2) * 0x1000;
}

int emulate_store(struct cpu *cpu, u64 gva, gpa_t gpa, const void *data, unsigned int len)
{
	struct emulated it = { .cpu = cpu };
	struct umbra_emu *emu = &it.emu;
	unsigned int size = operand_size(cpu, len);
	bool wide = size >= 4 && chance(15), elsewhere = wide || chance(10);
	const struct form *form = wide ? &wide_forms[rnd(ARRAY_SIZE(wide_forms))] : choose(size);

	emu->regs = it.regs;
	emu->ops = &ops;
	emu->mode = cpu->v.state.efer & EFER_LMA ? UMBRA_EMU_LONG64 : UMBRA_EMU_PROT32;
	emu->cpl = cpu->v.state.cpl;
	emu->va_bits = 48;
	emu->rflags = 2;
	set_registers(&it, form, elsewhere ? place(gva, wide ? 16 : size) : gva, gpa, data, len);
	encode(form, size, it.code);
	counts.wide += elsewhere;

	switch (umbra_emulate(emu)) {
	case UMBRA_EMU_DONE:
	case UMBRA_EMU_RETRY:
		return 0;
	case UMBRA_EMU_FAULT:
		/* There may be nothing on the next page. */
		return form->repeats || elsewhere ? 0 : -EFAULT;
	case UMBRA_EMU_MMIO:
		return form->repeats || elsewhere ? 0 : -EIO;
	default:
		violation("the emulator does not know %02x %02x %02x %02x %02x",
			  it.code[0], it.code[1], it.code[2], it.code[3], it.code[4]);
	}
}
