// SPDX-License-Identifier: GPL-2.0
/*
 * INS and OUTS: many elements per exit, through the caller's buffer.
 *
 *	OUTS: read memory --> exit --> commit
 *	INS:  check memory --> exit --> write memory, committing element by element
 *
 * One exit carries the elements of one page, so that the only fault that can
 * hit INS after the device was read is one of a page table changed meanwhile.
 */
#include "emulate.h"

static u8 *element(const struct umbra_emu *emu, u32 index)
{
	return (u8 *)emu->pio.data + (size_t)index * emu->insn.opsize;
}

/* Elements that one exit may carry at most. */
static u32 batch(const struct umbra_emu *emu)
{
	if (emu->rflags & EMU_TF)
		return 1;
	return min_t(u64, emu_string_count(emu), emu->pio.capacity / emu->insn.opsize);
}

static enum umbra_emu_result exit_to_device(struct umbra_emu *emu, u32 count)
{
	emu->pio.port = emu->regs[UMBRA_EMU_RDX];
	emu->pio.size = emu->insn.opsize;
	emu->pio.in = emu->insn.op == OP_INS;
	emu->pio.count = count;
	emu->pio_pos = 0;
	return UMBRA_EMU_PIO;
}

/* Is the element wholly in the page of @first? */
static bool same_page(const struct umbra_emu_operand *mem, u64 first)
{
	u64 last = mem->gva + mem->size - 1;

	return mem->gva / EMU_PAGE_SIZE == first / EMU_PAGE_SIZE &&
	       last / EMU_PAGE_SIZE == first / EMU_PAGE_SIZE;
}

static enum umbra_emu_result gather_one(struct umbra_emu *emu, u32 index, u64 *first)
{
	enum umbra_emu_result ret;
	struct umbra_emu_span span;

	emu_string_operand(emu, UMBRA_EMU_RSI, index, &emu->mem);
	ret = emu_span_map(emu, &emu->mem, &span);
	if (ret)
		return ret;
	if (!index)
		*first = emu->mem.gva;
	else if (!same_page(&emu->mem, *first))
		return UMBRA_EMU_RETRY;
	return emu_span_read(emu, &span, element(emu, index));
}

static enum umbra_emu_result gather(struct umbra_emu *emu)
{
	u32 max = batch(emu);
	enum umbra_emu_result ret;
	u64 first = 0;
	u32 i;

	for (i = 0; i < max; i++) {
		emu_begin(emu);
		ret = gather_one(emu, i, &first);
		if (ret && !i)
			return ret;
		if (ret)
			break;
		/* It is in the buffer now, an MMIO source is not read again. */
		emu->nr_done = 0;
	}
	return exit_to_device(emu, i);
}

static enum umbra_emu_result check_room(struct umbra_emu *emu)
{
	u32 max = batch(emu);
	enum umbra_emu_result ret;
	struct umbra_emu_span span;
	u64 first;
	u32 i;

	emu_begin(emu);
	emu_string_operand(emu, UMBRA_EMU_RDI, 0, &emu->mem);
	ret = emu_span_map(emu, &emu->mem, &span);
	if (ret)
		return ret;
	first = emu->mem.gva;
	for (i = 1; i < max && !span.len[1]; i++) {
		emu_string_operand(emu, UMBRA_EMU_RDI, i, &emu->mem);
		if (emu_linearize(emu, &emu->mem) || !same_page(&emu->mem, first))
			break;
	}
	return exit_to_device(emu, i);
}

static bool repeats(const struct umbra_emu *emu, u32 count)
{
	return emu_string_count(emu) > count;
}

/* The device has taken the elements. */
static enum umbra_emu_result finish_outs(struct umbra_emu *emu)
{
	u32 count = min_t(u64, emu->pio.count, emu_string_count(emu));

	emu_begin(emu);
	emu_string_advance(emu, count);
	return emu_string_retire(emu, repeats(emu, count));
}

/* The device has given the elements. */
static enum umbra_emu_result scatter(struct umbra_emu *emu)
{
	enum umbra_emu_result ret = UMBRA_EMU_RETRY;
	struct umbra_emu_span span;

	/* User space may have made the count smaller meanwhile. */
	if (!emu_string_count(emu)) {
		emu_begin(emu);
		return emu_finish(emu);
	}
	while (emu->pio_pos < emu->pio.count && emu_string_count(emu)) {
		emu_begin(emu);
		emu_string_operand(emu, UMBRA_EMU_RDI, 0, &emu->mem);
		ret = emu_span_map(emu, &emu->mem, &span);
		if (!ret)
			ret = emu_span_write(emu, &span, element(emu, emu->pio_pos));
		if (ret)
			return ret;
		emu->pio_pos++;
		emu_string_advance(emu, 1);
		ret = emu_string_retire(emu, repeats(emu, 1));
	}
	return ret;
}

/**
 * emu_string_io() - execute INS or OUTS
 * @emu: context
 */
enum umbra_emu_result emu_string_io(struct umbra_emu *emu)
{
	bool in = emu->insn.op == OP_INS;

	if (emu->pio_ready)
		return in ? scatter(emu) : finish_outs(emu);
	if (!emu->pio.data || emu->pio.capacity < emu->insn.opsize)
		return UMBRA_EMU_UNKNOWN;
	if (!emu_string_count(emu)) {
		emu_begin(emu);
		return emu_finish(emu);
	}
	return in ? check_room(emu) : gather(emu);
}
