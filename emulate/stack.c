// SPDX-License-Identifier: GPL-2.0
/* PUSH, POP and near CALL and JMP whose operand is in memory. */
#include "emulate.h"

/* Width of the stack pointer. */
static unsigned int stack_size(struct umbra_emu *emu)
{
	struct umbra_emu_segment ss = {};

	if (emu->mode == UMBRA_EMU_LONG64)
		return 8;
	emu->ops->segment(emu, UMBRA_EMU_SS, &ss);
	return ss.ar & UMBRA_EMU_AR_DB ? 4 : 2;
}

static enum umbra_emu_result map_top(struct umbra_emu *emu, u64 rsp, bool write,
				     struct umbra_emu_span *span)
{
	struct umbra_emu_operand mem = {
		.offset = rsp & emu_size_mask(stack_size(emu)),
		.size = emu->insn.opsize,
		.seg = UMBRA_EMU_SS,
		.write = write,
	};

	return emu_span_map(emu, &mem, span);
}

static enum umbra_emu_result push(struct umbra_emu *emu, u64 value)
{
	u64 rsp = emu->regs[UMBRA_EMU_RSP] - emu->insn.opsize;
	struct umbra_emu_span top;
	enum umbra_emu_result ret;

	ret = map_top(emu, rsp, true, &top);
	if (!ret)
		ret = emu_span_write(emu, &top, &value);
	if (!ret)
		emu_reg_write(emu, UMBRA_EMU_RSP, stack_size(emu), rsp);
	return ret;
}

/* The operand is found with the stack pointer that POP leaves: see emu_resolve(). */
static enum umbra_emu_result pop(struct umbra_emu *emu)
{
	u64 rsp = emu->regs[UMBRA_EMU_RSP];
	struct umbra_emu_span top;
	enum umbra_emu_result ret;
	u64 value = 0;

	ret = map_top(emu, rsp, false, &top);
	if (!ret)
		ret = emu_map_operand(emu);
	if (!ret)
		ret = emu_span_read(emu, &top, &value);
	if (!ret)
		ret = emu_span_write(emu, &emu->span, &value);
	if (!ret)
		emu_reg_write(emu, UMBRA_EMU_RSP, stack_size(emu), rsp + emu->insn.opsize);
	return ret;
}

/* May RIP go to @target? */
static enum umbra_emu_result check_target(struct umbra_emu *emu, u64 target)
{
	struct umbra_emu_segment cs = {};

	if (emu->mode == UMBRA_EMU_LONG64) {
		if (!emu_canonical(emu, target))
			return emu_fault(emu, EMU_VECTOR_GP, true);
		return UMBRA_EMU_DONE;
	}
	emu->ops->segment(emu, UMBRA_EMU_CS, &cs);
	return target > cs.limit ? emu_fault(emu, EMU_VECTOR_GP, true) : UMBRA_EMU_DONE;
}

static enum umbra_emu_result branch(struct umbra_emu *emu, u64 target)
{
	enum umbra_emu_result ret = check_target(emu, target);

	if (!ret && emu->insn.op == OP_CALL)
		ret = push(emu, emu->rip + emu->insn.len);
	if (ret)
		return ret;
	emu_finish(emu);
	emu->rip = target;
	return UMBRA_EMU_DONE;
}

/**
 * emu_stack() - execute PUSH, POP, CALL or JMP
 * @emu: context
 */
enum umbra_emu_result emu_stack(struct umbra_emu *emu)
{
	enum umbra_emu_result ret;
	u64 value = 0;

	if (!emu_has_memory(&emu->insn))
		return UMBRA_EMU_UNKNOWN;
	emu_begin(emu);
	if (emu->insn.op == OP_POP) {
		ret = pop(emu);
		return ret ? ret : emu_finish(emu);
	}
	ret = emu_map_operand(emu);
	if (!ret)
		ret = emu_span_read(emu, &emu->span, &value);
	if (ret)
		return ret;
	if (emu->insn.op != OP_PUSH)
		return branch(emu, value);
	ret = push(emu, value);
	return ret ? ret : emu_finish(emu);
}
