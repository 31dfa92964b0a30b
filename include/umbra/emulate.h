/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The x86 instruction decoder and emulator.
 *
 * It executes one guest instruction that hardware could not: an access to an
 * address without memory (MMIO), a write to a tracked guest page table, or
 * string port I/O. It knows neither VMX nor the MMU: guest memory, segments
 * and SSE registers are reached through struct umbra_emu_ops only, so that the
 * same sources run in user space under the unit tests.
 *
 * How a caller uses it:
 *
 *	emu->regs = &vCPU registers; rip, rflags, mode, cpl, ... = vCPU state
 *	result = umbra_emulate(emu);
 *	vCPU's rip, rflags = emu->rip, rflags            (whatever the result)
 *
 *	while (result is UMBRA_EMU_MMIO or UMBRA_EMU_PIO) {
 *		device or user space performs emu->mmio or emu->pio
 *		result = umbra_emulate_resume(emu);
 *		vCPU's rip, rflags = emu->rip, rflags
 *	}
 *
 * emu->regs, rip and rflags are architecturally consistent after every return:
 * an instruction commits as a whole, a repeated string instruction commits
 * iteration by iteration.
 *
 * An instruction that needs several MMIO accesses (page crossing, more than 8
 * bytes, read-modify-write, memory-to-memory) is executed again from its start
 * on each resume. Accesses that are already done, to ordinary memory as well,
 * are kept in emu->done: reads take their data from there, writes are skipped.
 * So each access happens once.
 */
#ifndef UMBRA_EMULATE_H
#define UMBRA_EMULATE_H

#include <linux/types.h>

/* An instruction is at most this long; a longer one is #GP. */
#define UMBRA_EMU_MAX_INSN	15
/* The widest memory operand, in bytes. */
#define UMBRA_EMU_MAX_OPERAND	32
/* Memory accesses of one instruction (or one string iteration). */
#define UMBRA_EMU_MAX_PIECES	8

/**
 * enum umbra_emu_mode - how the guest CPU decodes instructions now
 * @UMBRA_EMU_REAL:   CR0.PE = 0
 * @UMBRA_EMU_VM86:   CR0.PE = 1 and RFLAGS.VM = 1
 * @UMBRA_EMU_PROT16: protected or compatibility mode, CS.D = 0
 * @UMBRA_EMU_PROT32: protected or compatibility mode, CS.D = 1
 * @UMBRA_EMU_LONG64: EFER.LMA = 1 and CS.L = 1
 */
enum umbra_emu_mode {
	UMBRA_EMU_REAL,
	UMBRA_EMU_VM86,
	UMBRA_EMU_PROT16,
	UMBRA_EMU_PROT32,
	UMBRA_EMU_LONG64,
};

/**
 * enum umbra_emu_result - what became of the instruction
 * @UMBRA_EMU_DONE:    Executed. Also one iteration of a repeated string
 *                     instruction under RFLAGS.TF: then rip still points at it.
 * @UMBRA_EMU_FAULT:   Inject emu->exception. Registers are those of the
 *                     instruction's start (string: of the faulting iteration).
 * @UMBRA_EMU_MMIO:    Perform emu->mmio, then call umbra_emulate_resume().
 * @UMBRA_EMU_PIO:     Perform emu->pio, then call umbra_emulate_resume().
 * @UMBRA_EMU_UNKNOWN: The decoder does not know it; nothing has changed.
 *                     emu->insn.bytes holds what was fetched.
 * @UMBRA_EMU_RETRY:   Enter the guest again at emu->rip: a fetch failed for
 *                     now, a compare-exchange lost too often, or a long string
 *                     instruction has made bounded progress.
 */
enum umbra_emu_result {
	UMBRA_EMU_DONE,
	UMBRA_EMU_FAULT,
	UMBRA_EMU_MMIO,
	UMBRA_EMU_PIO,
	UMBRA_EMU_UNKNOWN,
	UMBRA_EMU_RETRY,
};

/**
 * enum umbra_emu_access - result of one memory or register op
 * @UMBRA_EMU_ACC_OK:       done
 * @UMBRA_EMU_ACC_FAULT:    the guest faults; the op has filled emu->exception
 * @UMBRA_EMU_ACC_MMIO:     no memory there (or read-only memory, for a write)
 * @UMBRA_EMU_ACC_RETRY:    cannot be done now, enter the guest again
 * @UMBRA_EMU_ACC_MISMATCH: cmpxchg only: memory did not hold the old value
 */
enum umbra_emu_access {
	UMBRA_EMU_ACC_OK,
	UMBRA_EMU_ACC_FAULT,
	UMBRA_EMU_ACC_MMIO,
	UMBRA_EMU_ACC_RETRY,
	UMBRA_EMU_ACC_MISMATCH,
};

/* Indices into umbra_emu.regs: the numbers of the instruction encoding. */
enum umbra_emu_reg {
	UMBRA_EMU_RAX, UMBRA_EMU_RCX, UMBRA_EMU_RDX, UMBRA_EMU_RBX,
	UMBRA_EMU_RSP, UMBRA_EMU_RBP, UMBRA_EMU_RSI, UMBRA_EMU_RDI,
	UMBRA_EMU_R8, UMBRA_EMU_R9, UMBRA_EMU_R10, UMBRA_EMU_R11,
	UMBRA_EMU_R12, UMBRA_EMU_R13, UMBRA_EMU_R14, UMBRA_EMU_R15,
	UMBRA_EMU_NR_REGS
};

/* Segment registers, in the order of the instruction encoding. */
enum umbra_emu_seg {
	UMBRA_EMU_ES, UMBRA_EMU_CS, UMBRA_EMU_SS,
	UMBRA_EMU_DS, UMBRA_EMU_FS, UMBRA_EMU_GS,
};

/* Bits of umbra_emu_segment.ar, the layout of the VMCS access-rights field. */
#define UMBRA_EMU_AR_CODE	0x0008u		/* executable */
#define UMBRA_EMU_AR_DOWN	0x0004u		/* data: expands down */
#define UMBRA_EMU_AR_RW		0x0002u		/* data: writable, code: readable */
#define UMBRA_EMU_AR_PRESENT	0x0080u
#define UMBRA_EMU_AR_DB		0x4000u		/* 32-bit */
#define UMBRA_EMU_AR_UNUSABLE	0x10000u

/**
 * struct umbra_emu_segment - a segment register's hidden part
 * @base:  linear base address
 * @limit: last valid offset, in bytes (granularity already applied)
 * @ar:    access rights, laid out as in the VMCS
 */
struct umbra_emu_segment {
	u64 base;
	u32 limit;
	u32 ar;
};

struct umbra_emu;

/**
 * struct umbra_emu_ops - what the emulator needs from the vCPU it works for
 * @fetch: Read @len instruction bytes at linear address @gva, with the rights
 *	of a fetch at emu->cpl. Never crosses a page. MMIO means no code there.
 * @translate: Walk the guest's page tables for a data access to @gva at
 *	emu->cpl (@write: with write intent; A/D bits are set accordingly) and
 *	give the guest-physical address. FAULT fills emu->exception with #PF.
 *	With guest paging off, @gpa = @gva. Called for every page of an operand
 *	before any byte of it is written. May be answered from the emulator's
 *	own small cache within one instruction, and from emu->known.
 * @read: Copy @len (1 to 8) bytes of guest-physical memory. Never crosses a
 *	page.
 * @write: The same, to memory. It does the dirty logging and tells the write
 *	tracking.
 * @cmpxchg: Atomically replace @old by @new; @len is 1, 2, 4, 8 or 16 and @gpa
 *	is aligned to it. Else as @write. MISMATCH: nothing was written.
 * @segment: Give the hidden part of segment register @seg.
 * @xmm_read: Give the low 16 bytes of XMM register @reg; with @vex the 32 of the
 *	YMM register. May be NULL: then SSE instructions are UNKNOWN. Fills
 *	emu->exception and answers FAULT when SSE, or with @vex AVX, is off (#UD)
 *	or the FPU state is not the guest's yet (#NM).
 * @xmm_write: Set the low 16 bytes of XMM register @reg, bits above stay; with
 *	@vex set the 32 of the YMM register and clear what is above. When @buf
 *	is NULL only check that it may be used.
 *
 * All but @segment return enum umbra_emu_access.
 */
struct umbra_emu_ops {
	enum umbra_emu_access (*fetch)(struct umbra_emu *emu, u64 gva, void *buf,
				       unsigned int len);
	enum umbra_emu_access (*translate)(struct umbra_emu *emu, u64 gva,
					   bool write, u64 *gpa);
	enum umbra_emu_access (*read)(struct umbra_emu *emu, u64 gpa, void *buf,
				      unsigned int len);
	enum umbra_emu_access (*write)(struct umbra_emu *emu, u64 gpa,
				       const void *buf, unsigned int len);
	enum umbra_emu_access (*cmpxchg)(struct umbra_emu *emu, u64 gpa,
					 const void *old, const void *new,
					 unsigned int len);
	void (*segment)(struct umbra_emu *emu, enum umbra_emu_seg seg,
			struct umbra_emu_segment *out);
	enum umbra_emu_access (*xmm_read)(struct umbra_emu *emu, unsigned int reg,
					  void *buf, bool vex);
	enum umbra_emu_access (*xmm_write)(struct umbra_emu *emu, unsigned int reg,
					   const void *buf, bool vex);
};

/**
 * struct umbra_emu_exception - the exception to inject
 * @vector:         exception vector
 * @has_error_code: the vector carries an error code (never in real mode)
 * @error_code:     that code
 * @cr2:            faulting linear address, for #PF only
 */
struct umbra_emu_exception {
	u8 vector;
	bool has_error_code;
	u32 error_code;
	u64 cr2;
};

/**
 * struct umbra_emu_mmio - one access that user space or a device performs
 * @gpa:      guest-physical address; the access does not cross a page
 * @len:      1 to 8 bytes
 * @is_write: direction
 * @data:     to write; for a read, filled in before umbra_emulate_resume()
 */
struct umbra_emu_mmio {
	u64 gpa;
	u8 len;
	bool is_write;
	u8 data[8];
};

/**
 * struct umbra_emu_pio - string port I/O that user space or a device performs
 * @data:     caller's buffer, set before umbra_emulate(); NULL: INS and OUTS
 *            are UNKNOWN
 * @capacity: its size in bytes
 * @port:     I/O port
 * @size:     1, 2 or 4 bytes per element
 * @in:       INS: fill @data with @count elements before umbra_emulate_resume()
 * @count:    elements in @data, in the order of the transfers
 */
struct umbra_emu_pio {
	void *data;
	u32 capacity;
	u16 port;
	u8 size;
	bool in;
	u32 count;
};

/**
 * struct umbra_emu_operand - a memory operand
 * @offset: effective address, before the segment base
 * @gva:    linear address, valid after umbra_emulate_decode_only()
 * @size:   bytes; 0: no memory operand
 * @seg:    segment register
 * @write:  the instruction writes it
 */
struct umbra_emu_operand {
	u64 offset;
	u64 gva;
	u8 size;
	u8 seg;
	bool write;
};

/**
 * struct umbra_emu_insn - the decoded instruction (private but for bytes, len)
 * @bytes:    what was fetched
 * @fetched:  how many bytes of it are valid
 * @len:      instruction length
 * @opcode:   last opcode byte
 * @map:      opcode map: 0 one-byte, 1 0F, 2 0F 38
 * @prefixes: set of legacy prefixes
 * @rex:      REX prefix or 0; of a VEX prefix what means the same
 * @vex:      there is a VEX prefix
 * @wide:     its L: 32 bytes
 * @vvvv:     its register
 * @seg:      segment override, or -1
 * @op:       operation
 * @dst:      destination operand kind
 * @src:      source operand kind
 * @flags:    properties of the opcode
 * @opsize:   operand size in bytes
 * @adsize:   address size in bytes
 * @modrm:    ModRM byte
 * @reg:      ModRM.reg with REX.R
 * @rm:       ModRM.rm with REX.B
 * @base:     base register, or -1
 * @index:    index register, or -1
 * @scale:    log2 of the index scale
 * @riprel:   displacement is relative to the next instruction
 * @disp:     displacement or moffs
 * @imm:      immediate, sign-extended
 */
struct umbra_emu_insn {
	u8 bytes[UMBRA_EMU_MAX_INSN];
	u8 fetched;
	u8 len;
	u8 opcode;
	u8 map;
	u8 prefixes;
	u8 rex;
	bool vex;
	bool wide;
	u8 vvvv;
	s8 seg;
	u8 op;
	u8 dst;
	u8 src;
	u32 flags;
	u8 opsize;
	u8 adsize;
	u8 modrm;
	u8 reg;
	u8 rm;
	s8 base;
	s8 index;
	u8 scale;
	bool riprel;
	u64 disp;
	u64 imm;
};

/**
 * struct umbra_emu_xlat - last translation of one operand (private)
 * @page:  linear page address
 * @gpa:   its guest-physical page address
 * @valid: the entry may be used
 */
struct umbra_emu_xlat {
	u64 page;
	u64 gpa;
	bool valid;
};

/**
 * struct umbra_emu_known - what is known of an operand's translation
 * @valid: something is
 * @exact: @gva is known; otherwise it is the operand with @gpa's offset in its
 *	page, unless there are two that it could be
 * @write: it is good for a write, too
 * @gva: linear address
 * @gpa: its guest-physical address
 */
struct umbra_emu_known {
	bool valid;
	bool exact;
	bool write;
	u64 gva;
	u64 gpa;
};

/**
 * struct umbra_emu_span - a memory operand after segmentation and paging (private)
 * @gpa: where it begins in each of its pages, two at most
 * @len: how much of it is there
 */
struct umbra_emu_span {
	u64 gpa[2];
	u8 len[2];
};

/**
 * struct umbra_emu - one instruction under emulation; embed it in the vCPU
 *
 * Set by the caller before umbra_emulate():
 * @ops:         callbacks
 * @regs:        the vCPU's general registers, by enum umbra_emu_reg; changed as
 *               instructions commit
 * @rip:         instruction pointer
 * @rflags:      flags
 * @mode:        decoding mode
 * @cpl:         current privilege level (3 in VM86)
 * @va_bits:     linear address width, 48 or 57
 * @align_check: CR0.AM = 1, RFLAGS.AC = 1 and CPL = 3
 * @pio:         data and capacity only
 * @known:       translation of the access that the instruction is emulated for
 * @steps:       decode for umbra_step_decode(), which knows more
 *
 * Set by an op while it runs, cleared by umbra_emulate():
 * @yield: after this iteration of a string instruction go on in the guest
 *
 * Results, besides regs, rip and rflags:
 * @exception: for UMBRA_EMU_FAULT
 * @mmio:      for UMBRA_EMU_MMIO
 * @pio:       for UMBRA_EMU_PIO
 * @mem:       memory operand (destination, if it is one), for decode_only
 * @retired:   the instruction, or an iteration of it, has completed: blocking
 *             by STI and MOV SS ends. RFLAGS.RF is already cleared on DONE.
 * @tf_trap:   RFLAGS.TF was set and @retired: a single-step #DB is due
 *
 * Private:
 * @insn:       the decoded instruction
 * @done:       memory accesses that have been performed
 * @nr_done:    their number
 * @cursor:     position in @done during one execution
 * @state:      what umbra_emulate_resume() has to continue
 * @iterations: of a string instruction, since umbra_emulate()
 * @pio_ready:  @pio has been performed
 * @pio_pos:    elements of @pio that are committed
 * @mapped:     @mem and @span are the memory operand's
 * @span:       the translated memory operand
 * @written:    set of registers in @new_regs
 * @new_regs:   registers that the instruction writes while it executes
 * @new_rflags: flags while the instruction executes
 * @xlat:       translation of the last page, for reads and for writes; an
 *              instruction keeps it over its MMIO and PIO
 */
struct umbra_emu {
	const struct umbra_emu_ops *ops;
	u64 *regs;
	u64 rip;
	u64 rflags;
	enum umbra_emu_mode mode;
	u8 cpl;
	u8 va_bits;
	bool align_check;
	bool steps;
	struct umbra_emu_known known;

	struct umbra_emu_exception exception;
	struct umbra_emu_mmio mmio;
	struct umbra_emu_pio pio;
	struct umbra_emu_operand mem;
	bool retired;
	bool tf_trap;
	bool yield;

	struct umbra_emu_insn insn;
	struct umbra_emu_mmio done[UMBRA_EMU_MAX_PIECES];
	u8 nr_done;
	u8 cursor;
	u8 state;
	u16 iterations;
	bool pio_ready;
	u32 pio_pos;
	bool mapped;
	struct umbra_emu_span span;
	u16 written;
	u64 new_regs[UMBRA_EMU_NR_REGS];
	u64 new_rflags;
	struct umbra_emu_xlat xlat[2];
};

/**
 * umbra_emulate() - fetch, decode and execute the instruction at emu->rip
 * @emu: context, with the caller's part filled in; a pending MMIO or PIO of an
 *	earlier instruction is forgotten
 *
 * Bounded: at most 1024 iterations of a string instruction.
 *
 * Return: what became of it.
 */
enum umbra_emu_result umbra_emulate(struct umbra_emu *emu);

/**
 * umbra_emulate_resume() - continue after UMBRA_EMU_MMIO or UMBRA_EMU_PIO
 * @emu: context, emu->mmio or emu->pio performed, the rest as it was left.
 *	Continues the instruction that was decoded, even if the caller has
 *	changed emu->rip or the code bytes since.
 *
 * Return: what became of it; UMBRA_EMU_RETRY if nothing is pending.
 */
enum umbra_emu_result umbra_emulate_resume(struct umbra_emu *emu);

/**
 * umbra_emulate_decode_only() - decode the instruction at emu->rip
 * @emu: context, with the caller's part filled in
 *
 * Gives emu->insn.len and emu->mem: linear address, size and direction of the
 * memory operand. Executes nothing and checks no rights to the operand.
 *
 * Return: DONE, FAULT (fetch), UNKNOWN or RETRY.
 */
enum umbra_emu_result umbra_emulate_decode_only(struct umbra_emu *emu);

/**
 * umbra_emulate_cancel() - forget what umbra_emulate_resume() would continue
 * @emu: context
 */
void umbra_emulate_cancel(struct umbra_emu *emu);

/**
 * umbra_emulate_pending() - is an instruction waiting for its MMIO or PIO?
 * @emu: context
 */
static inline bool umbra_emulate_pending(const struct umbra_emu *emu)
{
	return emu->state != 0;
}

/**
 * struct umbra_emu_store - what a simple instruction writes
 * @gva: where
 * @value: the low @size bytes count
 * @size: 4 or 8
 */
struct umbra_emu_store {
	u64 gva;
	u64 value;
	unsigned int size;
};

/* Bytes that umbra_emulate_simple_store() may look at. */
#define UMBRA_EMU_SIMPLE_BYTES	16

/**
 * umbra_emulate_simple_store() - decode a MOV to memory
 * @bytes: the instruction, UMBRA_EMU_SIMPLE_BYTES of them whatever its length
 * @regs: general registers, by number
 * @rip: where the instruction is
 * @store: out
 *
 * For 64-bit mode and flat segments, without checks of the address.
 * Return: length of the instruction; 0 when it is another, which is for
 * umbra_emulate().
 */
unsigned int umbra_emulate_simple_store(const u8 *bytes, const u64 *regs, u64 rip,
					struct umbra_emu_store *store);

#endif
