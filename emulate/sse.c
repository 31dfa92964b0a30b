// SPDX-License-Identifier: GPL-2.0
/* Loads and stores of XMM and YMM registers; forms without memory never get here. */
#include "emulate.h"

/* Read the register that a load leaves partly as it is; VEX names another. */
static enum umbra_emu_result read_base(struct umbra_emu *emu, u8 *value)
{
	const struct umbra_emu_insn *insn = &emu->insn;
	enum umbra_emu_access access;

	access = emu->ops->xmm_read(emu, insn->vex ? insn->vvvv : insn->reg, value, insn->vex);
	/* What is above 16 bytes VEX clears. */
	memset(value + 16, 0, 16);
	return emu_access_result(access);
}

static enum umbra_emu_result sse_load(struct umbra_emu *emu)
{
	const struct umbra_emu_insn *insn = &emu->insn;
	u8 value[UMBRA_EMU_MAX_OPERAND] = {}, *dst = value;
	enum umbra_emu_result ret = UMBRA_EMU_DONE;

	if (insn->op != OP_SSE_LOAD)
		ret = read_base(emu, value);
	if (insn->op == OP_SSE_LOAD_HIGH)
		dst += 8;
	if (!ret)
		ret = emu_span_read(emu, &emu->span, dst);
	if (ret)
		return ret;
	return emu_access_result(emu->ops->xmm_write(emu, insn->reg, value, insn->vex));
}

static enum umbra_emu_result sse_store(struct umbra_emu *emu)
{
	const struct umbra_emu_insn *insn = &emu->insn;
	u8 value[UMBRA_EMU_MAX_OPERAND];
	enum umbra_emu_result ret;

	ret = emu_access_result(emu->ops->xmm_read(emu, insn->reg, value, insn->vex));
	if (ret)
		return ret;
	return emu_span_write(emu, &emu->span,
			      insn->op == OP_SSE_STORE_HIGH ? value + 8 : value);
}

/**
 * emu_sse() - execute an SSE or AVX move between memory and a register
 * @emu: context
 */
enum umbra_emu_result emu_sse(struct umbra_emu *emu)
{
	bool is_store = emu->insn.op == OP_SSE_STORE || emu->insn.op == OP_SSE_STORE_HIGH;
	enum umbra_emu_result ret;

	if (!emu_has_memory(&emu->insn) || !emu->ops->xmm_read || !emu->ops->xmm_write)
		return UMBRA_EMU_UNKNOWN;
	emu_begin(emu);
	/* That they are off counts more than what is wrong with the operand. */
	ret = emu_access_result(emu->ops->xmm_write(emu, emu->insn.reg, NULL, emu->insn.vex));
	if (!ret)
		ret = emu_map_operand(emu);
	if (!ret)
		ret = is_store ? sse_store(emu) : sse_load(emu);
	return ret ? ret : emu_finish(emu);
}
