// SPDX-License-Identifier: GPL-2.0
/*
 * Spans of guest memory.
 *
 *	operand --emu_span_map--> one or two pages --> accesses of at most 8 bytes
 *
 * All pages of an operand are translated, with write intent if it is written,
 * before any byte moves: so a fault leaves nothing half done. Each access that
 * has happened is remembered until the instruction commits, because after an
 * MMIO exit the instruction is executed again from its start.
 */
#include "emulate.h"

/* Is it the access that the caller has translated already? */
static bool is_known(struct umbra_emu *emu, u64 gva, bool write, u64 *gpa)
{
	struct umbra_emu_known *known = &emu->known;
	bool two = (emu->insn.dst == KIND_STRING && emu->insn.src == KIND_STRING) ||
		   (emu->insn.op >= OP_PUSH && emu->insn.op <= OP_CALL);

	if (!known->valid || (write && !known->write))
		return false;
	if (known->exact) {
		if ((gva ^ known->gva) / EMU_PAGE_SIZE)
			return false;
	} else {
		if (two || (gva ^ known->gpa) % EMU_PAGE_SIZE)
			return false;
		/* The same offset in another page would be taken for it, too. */
		known->valid = false;
	}
	*gpa = known->gpa - known->gpa % EMU_PAGE_SIZE + gva % EMU_PAGE_SIZE;
	return true;
}

static enum umbra_emu_result translate(struct umbra_emu *emu, u64 gva, bool write, u64 *gpa)
{
	struct umbra_emu_xlat *xlat = &emu->xlat[write];
	u64 offset = gva % EMU_PAGE_SIZE;
	enum umbra_emu_access access;

	if (!xlat->valid || xlat->page != gva - offset) {
		xlat->valid = false;
		if (!is_known(emu, gva, write, gpa)) {
			access = emu->ops->translate(emu, gva, write, gpa);
			if (access != UMBRA_EMU_ACC_OK)
				return emu_access_result(access);
		}
		xlat->page = gva - offset;
		xlat->gpa = *gpa - offset;
		xlat->valid = true;
	}
	*gpa = xlat->gpa + offset;
	return UMBRA_EMU_DONE;
}

/**
 * emu_span_map() - check and translate a memory operand
 * @emu: context
 * @mem: operand; its gva is set
 * @span: result
 */
enum umbra_emu_result emu_span_map(struct umbra_emu *emu, struct umbra_emu_operand *mem,
				   struct umbra_emu_span *span)
{
	enum umbra_emu_result ret;
	u64 next;

	ret = emu_linearize(emu, mem);
	if (ret)
		return ret;
	span->len[0] = min_t(u64, mem->size, EMU_PAGE_SIZE - mem->gva % EMU_PAGE_SIZE);
	span->len[1] = mem->size - span->len[0];
	ret = translate(emu, mem->gva, mem->write, &span->gpa[0]);
	if (ret || !span->len[1])
		return ret;
	next = mem->gva + span->len[0];
	if (emu->mode != UMBRA_EMU_LONG64)
		next = (u32)next;
	return translate(emu, next, mem->write, &span->gpa[1]);
}

/**
 * emu_map_operand() - find, check and translate the operand of an instruction
 *	with one
 * @emu: context; @emu->mem and @emu->span are set, and stay while the
 *	instruction is executed again
 */
enum umbra_emu_result emu_map_operand(struct umbra_emu *emu)
{
	enum umbra_emu_result ret;

	if (emu->mapped)
		return UMBRA_EMU_DONE;
	emu_resolve(emu);
	ret = emu_span_map(emu, &emu->mem, &emu->span);
	emu->mapped = !ret;
	return ret;
}

/* Was this access done by an earlier execution of the same instruction? */
static bool replay(struct umbra_emu *emu, const struct umbra_emu_mmio *access, u8 *data)
{
	const struct umbra_emu_mmio *done = &emu->done[emu->cursor];

	if (emu->cursor == emu->nr_done)
		return false;
	if (done->gpa != access->gpa || done->len != access->len ||
	    done->is_write != access->is_write) {
		/* The guest's memory has changed meanwhile: go another way. */
		emu->nr_done = emu->cursor;
		return false;
	}
	if (!access->is_write)
		memcpy(data, done->data, access->len);
	emu->cursor++;
	return true;
}

/* One access of at most 8 bytes; a read leaves its data in @data. */
static enum umbra_emu_result perform(struct umbra_emu *emu, struct umbra_emu_mmio *request,
				     u8 *data)
{
	enum umbra_emu_access access;

	if (replay(emu, request, data))
		return UMBRA_EMU_DONE;
	if (emu->cursor == UMBRA_EMU_MAX_PIECES)
		return UMBRA_EMU_UNKNOWN;
	if (request->is_write)
		access = emu->ops->write(emu, request->gpa, request->data, request->len);
	else
		access = emu->ops->read(emu, request->gpa, request->data, request->len);
	if (access == UMBRA_EMU_ACC_MMIO) {
		emu->mmio = *request;
		return UMBRA_EMU_MMIO;
	}
	if (access != UMBRA_EMU_ACC_OK)
		return emu_access_result(access);
	if (!request->is_write)
		memcpy(data, request->data, request->len);
	emu->done[emu->cursor++] = *request;
	emu->nr_done = emu->cursor;
	return UMBRA_EMU_DONE;
}

static enum umbra_emu_result transfer(struct umbra_emu *emu, const struct umbra_emu_span *span,
				      u8 *data, bool write)
{
	enum umbra_emu_result ret;
	unsigned int page, pos;

	for (page = 0; page < 2; page++) {
		for (pos = 0; pos < span->len[page]; pos += 8) {
			struct umbra_emu_mmio request = {
				.gpa = span->gpa[page] + pos,
				.len = min_t(unsigned int, span->len[page] - pos, 8),
				.is_write = write,
			};

			if (write)
				memcpy(request.data, data, request.len);
			ret = perform(emu, &request, data);
			if (ret)
				return ret;
			data += request.len;
		}
	}
	return UMBRA_EMU_DONE;
}

/**
 * emu_span_read() - read a whole operand
 * @emu: context
 * @span: mapped operand
 * @buf: its bytes
 */
enum umbra_emu_result emu_span_read(struct umbra_emu *emu, const struct umbra_emu_span *span,
				    void *buf)
{
	return transfer(emu, span, buf, false);
}

/**
 * emu_span_write() - write a whole operand
 * @emu: context
 * @span: operand, mapped for writing
 * @buf: its bytes
 */
enum umbra_emu_result emu_span_write(struct umbra_emu *emu, const struct umbra_emu_span *span,
				     const void *buf)
{
	/* transfer() writes to its buffer only when it reads memory. */
	return transfer(emu, span, (u8 *)buf, true);
}

/* Only naturally aligned operands can be exchanged atomically. */
static bool is_atomic(const struct umbra_emu_span *span)
{
	return !span->len[1] && !(span->gpa[0] & (span->len[0] - 1));
}

/**
 * emu_span_replace() - the write of a read-modify-write
 * @emu: context
 * @span: operand, mapped for writing
 * @old: what emu_span_read() gave
 * @new: new bytes
 * @raced: set when memory no longer holds @old: nothing was written, execute
 *	the instruction again
 *
 * A misaligned operand, or one in MMIO, is written plainly.
 */
enum umbra_emu_result emu_span_replace(struct umbra_emu *emu, const struct umbra_emu_span *span,
				       const void *old, const void *new, bool *raced)
{
	enum umbra_emu_access access;

	*raced = false;
	/* A remembered write is MMIO that has been performed. */
	if (!is_atomic(span) || emu->cursor < emu->nr_done)
		return emu_span_write(emu, span, new);
	access = emu->ops->cmpxchg(emu, span->gpa[0], old, new, span->len[0]);
	switch (access) {
	case UMBRA_EMU_ACC_MMIO:
		return emu_span_write(emu, span, new);
	case UMBRA_EMU_ACC_MISMATCH:
		*raced = true;
		/* What was read is stale. */
		emu->nr_done = 0;
		return UMBRA_EMU_DONE;
	default:
		return emu_access_result(access);
	}
}
