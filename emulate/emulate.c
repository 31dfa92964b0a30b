// SPDX-License-Identifier: GPL-2.0
/* The public entry points and the life of one instruction. */
#include "emulate.h"

/* What umbra_emulate_resume() continues; 0: nothing. */
enum emu_state {
	STATE_IDLE,
	STATE_MMIO,
	STATE_PIO,
};

/**
 * emu_begin() - start (again) an instruction or an iteration
 * @emu: context
 */
void emu_begin(struct umbra_emu *emu)
{
	emu->written = 0;
	emu->new_rflags = emu->rflags;
	emu->cursor = 0;
}

/**
 * emu_commit() - make the new registers the guest's
 * @emu: context
 */
void emu_commit(struct umbra_emu *emu)
{
	unsigned int reg, left = emu->written;

	for (; left; left &= left - 1) {
		reg = __builtin_ctz(left);
		emu->regs[reg] = emu->new_regs[reg];
	}
	emu->rflags = emu->new_rflags;
	emu->nr_done = 0;
	emu->retired = true;
}

/**
 * emu_finish() - commit and go to the next instruction
 * @emu: context
 *
 * Return: UMBRA_EMU_DONE.
 */
enum umbra_emu_result emu_finish(struct umbra_emu *emu)
{
	emu_commit(emu);
	emu->tf_trap = emu->rflags & EMU_TF;
	emu->rflags &= ~EMU_RF;
	emu->rip += emu->insn.len;
	if (emu->mode != UMBRA_EMU_LONG64)
		emu->rip = (u32)emu->rip;
	return UMBRA_EMU_DONE;
}

static void begin_call(struct umbra_emu *emu)
{
	emu->state = STATE_IDLE;
	emu->retired = false;
	emu->tf_trap = false;
	emu->yield = false;
}

/* What is left of another instruction. */
static void begin_insn(struct umbra_emu *emu)
{
	umbra_emulate_cancel(emu);
	begin_call(emu);
	emu->mapped = false;
	emu->iterations = 0;
	emu->xlat[0].valid = false;
	emu->xlat[1].valid = false;
}

static enum umbra_emu_result run(struct umbra_emu *emu)
{
	enum umbra_emu_result ret = emu_execute(emu);

	if (ret == UMBRA_EMU_MMIO)
		emu->state = STATE_MMIO;
	else if (ret == UMBRA_EMU_PIO)
		emu->state = STATE_PIO;
	return ret;
}

enum umbra_emu_result umbra_emulate(struct umbra_emu *emu)
{
	enum umbra_emu_result ret;

	begin_insn(emu);
	ret = emu_decode(emu);
	return ret ? ret : run(emu);
}

enum umbra_emu_result umbra_emulate_resume(struct umbra_emu *emu)
{
	u8 state = emu->state;

	begin_call(emu);
	if (state == STATE_IDLE)
		return UMBRA_EMU_RETRY;
	if (state == STATE_PIO) {
		emu->pio_ready = true;
		/* Elements come one by one, over many pages maybe. */
		emu->xlat[1].valid = false;
	} else {
		emu->done[emu->nr_done++] = emu->mmio;
	}
	return run(emu);
}

enum umbra_emu_result umbra_emulate_decode_only(struct umbra_emu *emu)
{
	enum umbra_emu_result ret;

	begin_insn(emu);
	emu->mem = (struct umbra_emu_operand) {};
	ret = emu_decode(emu);
	if (ret || !emu_has_memory(&emu->insn))
		return ret;
	emu_resolve(emu);
	emu->mem.gva = emu_linear(emu, &emu->mem);
	return UMBRA_EMU_DONE;
}

void umbra_emulate_cancel(struct umbra_emu *emu)
{
	emu->state = STATE_IDLE;
	emu->nr_done = 0;
	emu->pio_ready = false;
	emu->pio.count = 0;
}
