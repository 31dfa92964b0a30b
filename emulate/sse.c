// SPDX-License-Identifier: GPL-2.0
/* Loads and stores of XMM registers; forms without memory never get here. */
#include "emulate.h"

static enum umbra_emu_result sse_load(struct umbra_emu *emu, const struct umbra_emu_span *span)
{
	enum umbra_emu_result ret;
	u8 xmm[16] = {};

	/* MMIO may have side effects: be sure first that SSE is on. */
	ret = emu_access_result(emu->ops->xmm_write(emu, emu->insn.reg, NULL));
	if (!ret)
		ret = emu_span_read(emu, span, xmm);
	if (ret)
		return ret;
	return emu_access_result(emu->ops->xmm_write(emu, emu->insn.reg, xmm));
}

static enum umbra_emu_result sse_store(struct umbra_emu *emu, const struct umbra_emu_span *span)
{
	enum umbra_emu_result ret;
	u8 xmm[16];

	ret = emu_access_result(emu->ops->xmm_read(emu, emu->insn.reg, xmm));
	if (ret)
		return ret;
	return emu_span_write(emu, span, xmm);
}

/**
 * emu_sse() - execute an SSE move between memory and a register
 * @emu: context
 */
enum umbra_emu_result emu_sse(struct umbra_emu *emu)
{
	bool is_load = emu->insn.op == OP_SSE_LOAD;
	enum umbra_emu_result ret;

	if (!emu_has_memory(&emu->insn) || !emu->ops->xmm_read || !emu->ops->xmm_write)
		return UMBRA_EMU_UNKNOWN;
	emu_begin(emu);
	ret = emu_map_operand(emu);
	if (!ret)
		ret = is_load ? sse_load(emu, &emu->span) : sse_store(emu, &emu->span);
	return ret ? ret : emu_finish(emu);
}
