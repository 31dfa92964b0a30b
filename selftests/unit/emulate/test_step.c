// SPDX-License-Identifier: GPL-2.0
/*
 * Steps where test_native cannot look: jumps, flags of a supervisor, instructions
 * that exit, where a piece of code ends, and that a step which fails has not begun.
 */
#include <linux/kernel.h>
#include <string.h>
#include "steps.h"
#include "tap.h"

#define IF		0x200u
#define NOWHERE		(1ull << 47)

static struct steps st;

static unsigned int decode(const u8 *code, unsigned int len)
{
	memcpy(machine_at(&st.m, st.s.rip), code, len);
	return steps_decode(&st);
}

#define DECODE(...)	decode(CODE_BYTES(__VA_ARGS__), sizeof(CODE_BYTES(__VA_ARGS__)))

static void begin(u64 rip)
{
	steps_init(&st);
	memset(machine_at(&st.m, CODE), 0xcc, 2 * PAGE);
	st.s.rip = rip;
	st.s.rflags = 2 | IF;
	st.s.regs[UMBRA_EMU_RSP] = DATA + PAGE;
}

/* Every condition with every combination of flags, told by SETcc, which is compared. */
static void branches(void)
{
	static const u32 flag[] = { CF, PF, ZF, SF, OF };
	unsigned int code, set, i, bad = 0;
	enum umbra_step_result r;
	u64 rflags, far;
	bool taken;

	for (code = 0; code < 16; code++) {
		for (set = 0; set < 32; set++) {
			for (rflags = 2, i = 0; i < 5; i++)
				rflags |= set >> i & 1 ? flag[i] : 0;
			begin(CODE);
			st.s.rflags = rflags;
			bad += DECODE(0x0f, 0x90 | code, 0xc0, 0x70 | code, 0x80) != 2;
			r = steps_run(&st);
			taken = st.s.regs[UMBRA_EMU_RAX] & 1;
			bad += r != (taken ? UMBRA_STEP_JUMP : UMBRA_STEP_NEXT);
			bad += st.s.rip != CODE + 5 - (taken ? 128 : 0);

			begin(CODE);
			st.s.rflags = rflags;
			bad += DECODE(0x0f, 0x80 | code, 0x00, 0x01, 0x00, 0xff) != 1;
			steps_run(&st);
			far = CODE + 6 - 0xffff00;
			bad += st.s.rip != (taken ? far : CODE + 6);
		}
	}
	ok(!bad, "jumps by condition, %u wrong", bad);
}

static void calls(void)
{
	begin(CODE);
	ok(DECODE(0xe8, 0x10, 0x00, 0x00, 0x00) == 1 && steps_run(&st) == UMBRA_STEP_JUMP &&
	   st.s.rip == CODE + 0x15 && st.s.regs[UMBRA_EMU_RSP] == DATA + PAGE - 8 &&
	   machine_get(&st.m, DATA + PAGE - 8, 8) == CODE + 5, "call");
	ok(DECODE(0xf3, 0xc3) == 1 && steps_run(&st) == UMBRA_STEP_JUMP && st.s.rip == CODE + 5 &&
	   st.s.regs[UMBRA_EMU_RSP] == DATA + PAGE, "ret");
	st.s.regs[UMBRA_EMU_RBX] = CODE + 0x100;
	ok(DECODE(0xff, 0xe3) == 1 && steps_run(&st) == UMBRA_STEP_JUMP &&
	   st.s.rip == CODE + 0x100, "jmp *%%rbx");
	ok(DECODE(0xeb, 0xfe) == 1 && steps_run(&st) == UMBRA_STEP_JUMP &&
	   st.s.rip == CODE + 0x100, "jmp to itself");

	st.stores = 0;
	st.s.regs[UMBRA_EMU_RBX] = NOWHERE;
	ok(DECODE(0xff, 0xd3) == 1 && steps_run(&st) == UMBRA_STEP_STOP &&
	   st.s.rip == CODE + 0x100 && !st.stores, "a call to nowhere is not taken");
	machine_set(&st.m, DATA + PAGE, 8, NOWHERE);
	ok(DECODE(0xc3) == 1 && steps_run(&st) == UMBRA_STEP_STOP && st.s.rip == CODE + 0x100 &&
	   st.s.regs[UMBRA_EMU_RSP] == DATA + PAGE, "nor is such a return");
	st.s.regs[UMBRA_EMU_RSP] = READONLY + 64;
	ok(DECODE(0xe8, 0x10, 0x00, 0x00, 0x00) == 1 && steps_run(&st) == UMBRA_STEP_STOP &&
	   st.s.rip == CODE + 0x100 && st.s.regs[UMBRA_EMU_RSP] == READONLY + 64,
	   "nor a call without a stack");
}

/* What PUSHF, CLI and POPF make of a supervisor's flags. */
static void flags(void)
{
	u64 on = 2 | IF | ZF | OF, rsp = DATA + PAGE - 8;

	begin(CODE);
	st.s.rflags = on;
	ok(DECODE(0x9c, 0xfa) == 2 && steps_run(&st) == UMBRA_STEP_NEXT &&
	   machine_get(&st.m, rsp, 8) == on && st.s.rflags == (on & ~IF), "pushf, cli");
	st.s.rflags = 2 | CF | DF;
	ok(DECODE(0x9d) == 1 && steps_run(&st) == UMBRA_STEP_NEXT && st.s.rflags == on &&
	   st.s.regs[UMBRA_EMU_RSP] == rsp + 8, "popf");
	machine_set(&st.m, rsp, 8, on | TF);
	st.s.regs[UMBRA_EMU_RSP] = rsp;
	ok(DECODE(0x9d) == 1 && steps_run(&st) == UMBRA_STEP_STOP && st.s.rflags == on &&
	   st.s.regs[UMBRA_EMU_RSP] == rsp, "popf of TF is not taken");
	ok(!DECODE(0xfb), "sti is no step");
}

static const struct {
	const char *name;
	u8 code[8];
	u8 len;
	u8 exit;
	u8 size;
	u8 number;
} exits[] = {
	{ "invlpg 0x10(%rbx)", { 0x0f, 0x01, 0x7b, 0x10 }, 4, UMBRA_STEP_INVLPG, 4, 7 },
	{ "mov %cr3, %rbx", { 0x0f, 0x20, 0xdb }, 3, UMBRA_STEP_FROM_CR, 4, 3 },
	{ "mov %rbx, %cr3", { 0x0f, 0x22, 0xdb }, 3, UMBRA_STEP_TO_CR, 4, 3 },
	{ "mov %rbx, %cr8", { 0x44, 0x0f, 0x22, 0xc3 }, 4, UMBRA_STEP_TO_CR, 4, 8 },
	{ "in $0x40, %al", { 0xe4, 0x40 }, 2, UMBRA_STEP_IN, 1, 0 },
	{ "in (%dx), %ax", { 0x66, 0xed }, 2, UMBRA_STEP_IN, 2, 0 },
	{ "out %eax, (%dx)", { 0x48, 0xef }, 2, UMBRA_STEP_OUT, 4, 0 },
	{ "out %al, $0x80", { 0xe6, 0x80 }, 2, UMBRA_STEP_OUT, 1, 0 },
	{ "cpuid", { 0x0f, 0xa2 }, 2, UMBRA_STEP_CPUID, 4, 0 },
	{ "rdmsr", { 0x0f, 0x32 }, 2, UMBRA_STEP_RDMSR, 4, 0 },
	{ "wrmsr", { 0x0f, 0x30 }, 2, UMBRA_STEP_WRMSR, 4, 0 },
};

static void exiting(void)
{
	const struct umbra_step *step = &st.piece.step[0];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(exits); i++) {
		begin(CODE);
		ok(decode(exits[i].code, sizeof(exits[i].code)) == 1 &&
		   steps_run(&st) == UMBRA_STEP_EXIT && st.s.rip == CODE &&
		   step->exit == exits[i].exit && step->len == exits[i].len &&
		   step->size == exits[i].size && step->number == exits[i].number,
		   "%s", exits[i].name);
	}
	begin(CODE);
	st.s.regs[UMBRA_EMU_RBX] = DATA;
	st.s.regs[UMBRA_EMU_RDX] = 0x55aa03f8;
	st.m.segs[UMBRA_EMU_GS].base = 0x1000;
	DECODE(0x65, 0x0f, 0x01, 0x7b, 0x10);
	ok(umbra_step_address(&st.s, step) == DATA + 0x1010, "address of invlpg, through GS");
	DECODE(0xe6, 0x80);
	ok(umbra_step_port(&st.s, step) == 0x80, "port of out");
	DECODE(0xec);
	ok(umbra_step_port(&st.s, step) == 0x3f8, "port of in");
	DECODE(0x0f, 0x22, 0xdb);
	ok(step->src == UMBRA_EMU_RBX, "source of mov to CR3");
	DECODE(0x41, 0x0f, 0x20, 0xdb);
	ok(step->dst == UMBRA_EMU_R11, "destination of mov from CR3");
}

/* Bytes that are no step, or not as it seems. */
static void unknown(void)
{
	static const u8 codes[][16] = {
		{ 0xf3, 0x90 },				/* pause */
		{ 0x49, 0x90 },				/* xchg %rax, %r8 */
		{ 0xfb },				/* sti */
		{ 0xf4 },				/* hlt */
		{ 0xf3, 0x48, 0xab },			/* rep stos */
		{ 0x0f, 0x01, 0xf8 },			/* swapgs */
		{ 0x0f, 0x22, 0x1b },			/* mov to CR3, ModRM.mod = 0 */
		{ 0x66, 0xe8, 0x00, 0x00 },		/* 16-bit call */
		{ 0x66, 0x50 },				/* 16-bit push */
		{ 0x67, 0x8b, 0x03 },			/* 32-bit address */
		{ 0xfe, 0xd0 },				/* FF /2 with a byte */
		{ 0xff, 0x1b },				/* far call */
		{ 0x0f, 0xab, 0x03 },			/* bts %eax, mem */
		{ 0x0f, 0xae, 0x38 },			/* clflush */
		{ 0x0f, 0xc7, 0x0b },			/* cmpxchg8b */
		{ 0xf3, 0x0f, 0xbc, 0xc0 },		/* tzcnt */
		{ 0xf0, 0x01, 0xc0 },			/* lock with a register */
		{ 0xcc }, { 0xcf }, { 0x0f, 0x05 }, { 0x0f, 0x0b }, { 0x8e, 0xd0 },
	};
	unsigned int i, bad = 0;

	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		begin(CODE);
		if (decode(codes[i], sizeof(codes[i]))) {
			printf("# %02x %02x %02x is a step\n", codes[i][0], codes[i][1],
			       codes[i][2]);
			bad++;
		}
	}
	ok(!bad, "what is left to the guest");
}

static void pieces(void)
{
	unsigned int i;

	begin(CODE);
	memset(machine_at(&st.m, CODE), 0x90, 100);
	ok(steps_decode(&st) == UMBRA_PIECE_STEPS && st.piece.len == UMBRA_PIECE_STEPS,
	   "a piece has a limit");
	ok(DECODE(0x90, 0x90, 0xf4) == 2 && st.piece.len == 2, "it ends before what is no step");
	ok(DECODE(0x90, 0x0f, 0x01, 0x3b, 0x90) == 2, "after what exits");
	ok(DECODE(0x90, 0xeb, 0x00, 0x90) == 2, "after a jump");
	ok(DECODE(0x74, 0x00, 0x90, 0xf4) == 2, "not after a branch");

	for (i = 1; i < 7; i++) {
		begin(CODE + PAGE - i);
		memcpy(machine_at(&st.m, CODE + PAGE - 8), "\x90\x90\x90\x90\x90\x90\x90\x48", 8);
		memcpy(machine_at(&st.m, CODE + PAGE), "\x89\xc3", 2);
		if (steps_decode(&st) != i - 1)
			break;
	}
	ok(i == 7, "an instruction across pages is no step");
	begin(CODE);
	for (i = 0; i < 64; i += 7)
		memcpy(machine_at(&st.m, CODE + i), "\x48\xc7\xc0\x01\x02\x03\x04", 7);
	ok(steps_decode(&st) == 9 && st.piece.len == 63, "bytes have a limit, too");
}

/* Whatever access fails, nothing of the step has happened. */
static void failing(void)
{
	static const u8 codes[][8] = {
		{ 0x48, 0x8b, 0x03 }, { 0x48, 0x89, 0x03 }, { 0x48, 0x01, 0x03 },
		{ 0xf0, 0x48, 0x01, 0x03 }, { 0x48, 0x87, 0x03 }, { 0xf0, 0x48, 0x0f, 0xb1, 0x03 },
		{ 0xf0, 0x48, 0x0f, 0xc1, 0x03 }, { 0x48, 0xff, 0x03 }, { 0x50 }, { 0x58 },
		{ 0x9c }, { 0xe8 }, { 0xc3 }, { 0xc9 }, { 0xff, 0x13 }, { 0xff, 0x33 },
		{ 0x0f, 0x94, 0x03 }, { 0x48, 0x0f, 0x44, 0x03 }, { 0x48, 0x3b, 0x03 },
	};
	u64 regs[16];
	unsigned int i, nth, bad = 0;

	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		for (nth = 1; nth <= 2; nth++) {
			begin(CODE);
			st.s.regs[UMBRA_EMU_RBX] = DATA + 64;
			st.s.regs[UMBRA_EMU_RBP] = DATA + 128;
			/* The second of two accesses fails where memory cannot be written. */
			if (nth == 2)
				st.s.regs[UMBRA_EMU_RBX] = READONLY + 64;
			memcpy(regs, st.s.regs, sizeof(regs));
			decode(codes[i], sizeof(codes[i]));
			st.fail = nth == 1;
			if (umbra_step_execute(&st.s, &st.piece.step[0]) != UMBRA_STEP_STOP)
				bad += nth == 1;
			else
				bad += memcmp(regs, st.s.regs, sizeof(regs)) || st.stores ||
				       st.s.rip != CODE || st.s.rflags != (2 | IF);
		}
	}
	ok(!bad, "a step that fails has not begun, %u wrong", bad);
}

/* Random bytes: bounded, and a step that is not taken changes nothing. */
static void fuzz(void)
{
	unsigned int round, i, taken = 0, bad = 0;
	u64 regs[16], rip, rflags;

	begin(CODE);
	for (round = 0; round < 200000; round++) {
		st.s.rip = CODE + (rnd_below(4) ? rnd_below(PAGE) : PAGE - 1 - rnd_below(70));
		for (i = 0; i < 80; i++)
			*machine_at(&st.m, st.s.rip + i) = rnd();
		for (i = 0; i < 16; i++)
			st.s.regs[i] = rnd_below(3) ? DATA + rnd_below(DATA_PAGES * PAGE) : rnd();
		st.s.rflags = 2 | (rnd() & (ARITH | DF | IF));
		if (!steps_decode(&st))
			continue;
		bad += st.piece.len > UMBRA_PIECE_BYTES || st.piece.nr > UMBRA_PIECE_STEPS ||
		       (st.s.rip + st.piece.len - 1) / PAGE != st.s.rip / PAGE;
		for (i = 0; i < st.piece.nr; i++) {
			enum umbra_step_result r;

			rip = st.s.rip;
			rflags = st.s.rflags;
			memcpy(regs, st.s.regs, sizeof(regs));
			st.stores = 0;
			r = umbra_step_execute(&st.s, &st.piece.step[i]);
			bad += st.stores > 1 || (st.s.rflags & (TF | RF));
			if (r == UMBRA_STEP_NEXT) {
				taken++;
				continue;
			}
			if (r != UMBRA_STEP_JUMP)
				bad += memcmp(regs, st.s.regs, sizeof(regs)) || st.stores ||
				       st.s.rip != rip || st.s.rflags != rflags;
			break;
		}
	}
	ok(!bad && taken > 10000, "random code, %u steps taken, %u wrong", taken, bad);
}

int main(void)
{
	rnd_seed(1);
	branches();
	calls();
	flags();
	exiting();
	unknown();
	pieces();
	failing();
	fuzz();
	return tap_done();
}
