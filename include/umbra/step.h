/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Steps: a few instructions of 64-bit supervisor code, executed one after another
 * at little cost each.
 *
 * The emulator proper executes what hardware could not, with every detail, exit to
 * user space and fault. Steps are for instructions that the CPU could execute as
 * well: decoded once, a piece of straight code at a time, kept as long as the bytes
 * are the same. Whatever is not plain (a fault, a device, an operand that crosses a
 * page, an instruction that is not known) is left to the guest: the step has not
 * begun, and all state is as before it.
 *
 *	bytes --umbra_piece_decode()--> steps --umbra_step_execute()--> registers, memory
 *
 * Knows neither VMX nor the MMU: memory is reached through struct umbra_step_ops.
 */
#ifndef _UMBRA_STEP_H
#define _UMBRA_STEP_H

#include <linux/types.h>
#include <umbra/emulate.h>

/* Steps of a piece, and the bytes that they are made from. */
#define UMBRA_PIECE_STEPS	16
#define UMBRA_PIECE_BYTES	64

/**
 * enum umbra_step_result - what became of a step
 * @UMBRA_STEP_NEXT: done; the next instruction follows this one
 * @UMBRA_STEP_JUMP: done; rip is where to go on
 * @UMBRA_STEP_STOP: not done, nothing has changed: it is for the guest
 * @UMBRA_STEP_EXIT: not done, it is one that exits: see umbra_step.exit
 */
enum umbra_step_result {
	UMBRA_STEP_NEXT,
	UMBRA_STEP_JUMP,
	UMBRA_STEP_STOP,
	UMBRA_STEP_EXIT,
};

/**
 * enum umbra_step_exit - instructions that a hypervisor executes for its guest
 * @UMBRA_STEP_NO_EXIT: none of them
 * @UMBRA_STEP_INVLPG: umbra_step_address() is invalidated
 * @UMBRA_STEP_FROM_CR: control register @umbra_step.number to register @umbra_step.dst
 * @UMBRA_STEP_TO_CR: and from register @umbra_step.src
 * @UMBRA_STEP_IN: @umbra_step.size bytes from umbra_step_port()
 * @UMBRA_STEP_OUT: to it
 * @UMBRA_STEP_CPUID: CPUID
 * @UMBRA_STEP_RDMSR: RDMSR
 * @UMBRA_STEP_WRMSR: WRMSR
 */
enum umbra_step_exit {
	UMBRA_STEP_NO_EXIT,
	UMBRA_STEP_INVLPG,
	UMBRA_STEP_FROM_CR,
	UMBRA_STEP_TO_CR,
	UMBRA_STEP_IN,
	UMBRA_STEP_OUT,
	UMBRA_STEP_CPUID,
	UMBRA_STEP_RDMSR,
	UMBRA_STEP_WRMSR,
};

/**
 * struct umbra_step - a decoded instruction
 * @imm: immediate, sign-extended; distance of a jump
 * @disp: displacement of the memory operand
 * @op: operation (private)
 * @class: how to go about it (private)
 * @exit: enum umbra_step_exit
 * @size: operand size in bytes
 * @src_size: of the source
 * @dst: where the destination is: a register by number, or private
 * @src: the source
 * @number: condition, control register or count, by operation
 * @base: register, or 16 for none
 * @index: register, or 16 for none
 * @scale: log2 of the index scale
 * @seg: 0, UMBRA_EMU_FS or UMBRA_EMU_GS
 * @relative: the operand is relative to the next instruction
 * @lock: the operand is exchanged atomically
 * @len: bytes of the instruction
 */
struct umbra_step {
	u64 imm;
	s32 disp;
	u8 op;
	u8 class;
	u8 exit;
	u8 size;
	u8 src_size;
	u8 dst;
	u8 src;
	u8 number;
	u8 base;
	u8 index;
	u8 scale;
	u8 seg;
	bool relative;
	bool lock;
	u8 len;
};

/**
 * struct umbra_piece - straight code, decoded
 * @rip: where it begins
 * @nr: steps
 * @len: bytes that they take
 * @bytes: those bytes
 * @step: the steps
 */
struct umbra_piece {
	u64 rip;
	u8 nr;
	u8 len;
	u8 bytes[UMBRA_PIECE_BYTES];
	struct umbra_step step[UMBRA_PIECE_STEPS];
};

struct umbra_stepper;

/**
 * struct umbra_step_ops - what steps need from the vCPU
 * @load: read @size bytes (1, 2, 4, 8) at linear address @gva, zero-extended
 * @store: write them
 * @replace: write them if @old is there, atomically
 * @base: base address of FS or GS
 *
 * All but @base return false when it cannot be done, plainly and now; then nothing
 * has been written.
 */
struct umbra_step_ops {
	bool (*load)(struct umbra_stepper *s, u64 gva, unsigned int size, u64 *value);
	bool (*store)(struct umbra_stepper *s, u64 gva, unsigned int size, u64 value);
	bool (*replace)(struct umbra_stepper *s, u64 gva, unsigned int size, u64 old, u64 new);
	u64 (*base)(struct umbra_stepper *s, enum umbra_emu_seg seg);
};

/**
 * struct umbra_stepper - the vCPU as steps see it
 * @ops: callbacks
 * @regs: general registers by enum umbra_emu_reg
 * @rip: instruction pointer
 * @rflags: flags; TF, RF and VM are clear
 *
 * The vCPU is in 64-bit mode at CPL 0, linear addresses have 48 bits.
 */
struct umbra_stepper {
	const struct umbra_step_ops *ops;
	u64 *regs;
	u64 rip;
	u64 rflags;
};

/**
 * umbra_piece_decode() - decode straight code
 * @piece: out; rip is set by the caller
 * @emu: scratch memory
 * @bytes: what is at @piece->rip
 * @nr: how many bytes, at most UMBRA_PIECE_BYTES
 *
 * Up to a jump, an instruction that exits, or one that is not known or not whole.
 * @piece->nr is 0 when that is the first.
 */
void umbra_piece_decode(struct umbra_piece *piece, struct umbra_emu *emu, const u8 *bytes,
			unsigned int nr);

/**
 * umbra_step_execute() - execute a step
 * @s: the vCPU; rip is where the step was decoded
 * @step: the step
 *
 * Return: what became of it. On NEXT and JUMP registers, flags and rip are changed.
 */
enum umbra_step_result umbra_step_execute(struct umbra_stepper *s, const struct umbra_step *step);

/**
 * umbra_step_address() - the linear address of a step's memory operand
 */
u64 umbra_step_address(struct umbra_stepper *s, const struct umbra_step *step);

/**
 * umbra_step_port() - the port of IN and OUT
 */
u16 umbra_step_port(const struct umbra_stepper *s, const struct umbra_step *step);

#endif
