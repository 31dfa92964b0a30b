// SPDX-License-Identifier: GPL-2.0
/*
 *	STUB64, STUB32: save the C registers, load STATE, jump to the instruction
 *	code page:      instruction, jump to EPILOGUE
 *	EPILOGUE:       store STATE, restore the C registers, return
 *
 * A fault in the instruction goes to EPILOGUE as well, by way of the signal
 * handler, with the registers as the fault left them. 16- and 32-bit code runs
 * in compatibility mode, entered by a far jump.
 */
#define _GNU_SOURCE
#include <linux/kernel.h>
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "machine.h"
#include "native.h"

#define STUB64		0x0f000000ull
#define STUB32		(STUB64 + 1024)
#define EPILOGUE	(STUB64 + 2048)
#define STATE		0x0f010000ull

#define USER_CS		0x33
#define USER_CS32	0x23
#define USER_DS		0x2b
#define LDT(entry)	((entry) << 3 | 7)

/* What the stubs address absolutely. */
struct window {
	struct native_state state;
	u64 target;		/* near, or offset:selector */
	u64 saved_rsp;
	bool running;
};

#define ADDRESS(field) ((u32)(STATE + offsetof(struct window, field)))

static struct window *const shared = (struct window *)STATE;

#define AR_DATA		(UMBRA_EMU_AR_PRESENT | 0x71)
#define AR_CODE		(UMBRA_EMU_AR_PRESENT | 0x79)
#define AR_RW		UMBRA_EMU_AR_RW
#define AR_DOWN		UMBRA_EMU_AR_DOWN
#define AR_DB		UMBRA_EMU_AR_DB

const struct native_segment native_segments[] = {
	{ USER_DS, .stack = true, .hidden = { 0, 0xffffffff, AR_DATA | AR_RW | AR_DB } },
	{ LDT(0), .stack = true, .hidden = { DATA, 0x7fff, AR_DATA | AR_RW | AR_DB } },
	{ LDT(1), .hidden = { DATA, 0x7fff, AR_DATA | AR_RW } },
	{ LDT(2), .hidden = { DATA, 0x5fff, AR_DATA } },
	{ LDT(3), .hidden = { DATA, 0x1fff, AR_DATA | AR_RW | AR_DOWN } },
	{ LDT(4), .stack = true,
	  .hidden = { DATA, 0x1fff, AR_DATA | AR_RW | AR_DOWN | AR_DB } },
	{ 0, .hidden = { 0, 0, UMBRA_EMU_AR_UNUSABLE } },
	{ USER_CS32, .code = true, .hidden = { 0, 0xffffffff, AR_CODE | AR_RW | AR_DB } },
	{ LDT(5), .code = true, .hidden = { CODE, 0xffff, AR_CODE | AR_RW } },
	{ LDT(6), .code = true, .hidden = { CODE, 0xffff, AR_CODE } },
	{ LDT(7), .code = true, .hidden = { CODE, 0x1ffff, AR_CODE | AR_RW | AR_DB } },
};

const unsigned int nr_native_segments = ARRAY_SIZE(native_segments);

bool native_has_avx(void)
{
	return __builtin_cpu_supports("avx");
}

static u8 *out;

static void emit(const void *bytes, unsigned int len)
{
	memcpy(out, bytes, len);
	out += len;
}

#define EMIT(...) emit(CODE_BYTES(__VA_ARGS__), sizeof(CODE_BYTES(__VA_ARGS__)))

static void emit32(u32 value)
{
	emit(&value, sizeof(value));
}

/* opcode reg, [absolute] */
static void emit_move(u8 opcode, unsigned int reg, u32 address)
{
	EMIT(0x48 | (reg >> 3) << 2, opcode, 0x04 | (reg & 7) << 3, 0x25);
	emit32(address);
}

static void emit_xmm(u8 opcode, unsigned int reg, u32 address)
{
	if (native_has_avx())
		EMIT(0xc5, 0x7c | !(reg >> 3) << 7, opcode, 0x04 | (reg & 7) << 3, 0x25);
	else
		EMIT(0x40 | (reg >> 3) << 2, 0x0f, opcode, 0x04 | (reg & 7) << 3, 0x25);
	emit32(address);
}

static void emit_rsp(u32 value)
{
	EMIT(0x48, 0xc7, 0xc4);
	emit32(value);
}

/* mov sreg, [absolute] */
static void emit_segment(enum umbra_emu_seg seg)
{
	EMIT(0x8e, 0x04 | seg << 3, 0x25);
	emit32(ADDRESS(state.selectors) + 2 * seg);
}

static void emit_stub(u64 address, bool segments)
{
	unsigned int i;

	out = (u8 *)address;
	EMIT(0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x9c);
	emit_move(0x89, UMBRA_EMU_RSP, ADDRESS(saved_rsp));
	for (i = 0; i < 16; i++)
		emit_xmm(0x10, i, ADDRESS(state.xmm) + 32 * i);
	emit_rsp(ADDRESS(state.rflags));
	EMIT(0x9d);
	if (segments) {
		emit_segment(UMBRA_EMU_ES);
		emit_segment(UMBRA_EMU_DS);
		emit_segment(UMBRA_EMU_GS);
		emit_segment(UMBRA_EMU_SS);
	}
	for (i = 0; i < 16; i++)
		emit_move(0x8b, i, ADDRESS(state.regs) + 8 * i);
	EMIT(0xff, segments ? 0x2c : 0x24, 0x25);
	emit32(ADDRESS(target));
}

static void emit_epilogue(void)
{
	unsigned int i;

	out = (u8 *)EPILOGUE;
	for (i = 0; i < 16; i++)
		emit_move(0x89, i, ADDRESS(state.regs) + 8 * i);
	emit_rsp(ADDRESS(state.rflags) + 8);
	EMIT(0x9c);
	for (i = 0; i < 16; i++)
		emit_xmm(0x11, i, ADDRESS(state.xmm) + 32 * i);
	/* mov eax, USER_DS; mov ss, eax */
	EMIT(0xb8, USER_DS, 0, 0, 0, 0x8e, 0xd0);
	emit_move(0x8b, UMBRA_EMU_RSP, ADDRESS(saved_rsp));
	EMIT(0x9d, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	struct native_state *state = &shared->state;

	if (!shared->running) {
		/* Not ours: die of it. */
		sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
		return;
	}
	shared->running = false;
	state->vector = regs[REG_TRAPNO];
	state->error_code = regs[REG_ERR];
	state->cr2 = regs[REG_CR2];
	state->rip = regs[REG_RIP];
	regs[REG_RIP] = EPILOGUE;
	regs[REG_CSGSFS] = (regs[REG_CSGSFS] & ~0xffffll) | USER_CS;
}

/* Populated: error codes tell whether a page is present. */
static bool map(u64 address, unsigned int pages, int prot)
{
	void *p = mmap((void *)address, (size_t)pages * PAGE, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);

	return p == (void *)address;
}

static void catch_signals(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE };
	static u8 stack[64 * 1024];
	struct sigaction action = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	unsigned int i;

	sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) }, NULL);
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
}

bool native_init(void)
{
	const int rwx = PROT_READ | PROT_WRITE | PROT_EXEC;

	if (!map(STUB64, 1, rwx) || !map(STATE, 1, PROT_READ | PROT_WRITE) ||
	    !map(CODE, 2, rwx) || !map(DATA, DATA_PAGES, PROT_READ | PROT_WRITE) ||
	    !map(READONLY, 1, PROT_READ))
		return false;
	memset((void *)DATA, 0, (size_t)DATA_PAGES * PAGE);
	emit_stub(STUB64, false);
	emit_stub(STUB32, true);
	emit_epilogue();
	catch_signals();
	return true;
}

bool native_init_segments(void)
{
	unsigned int i;

	for (i = 0; i < nr_native_segments; i++) {
		const struct native_segment *seg = &native_segments[i];
		u32 ar = seg->hidden.ar;
		struct user_desc desc = {
			.entry_number = seg->selector >> 3,
			.base_addr = seg->hidden.base,
			.limit = seg->hidden.limit,
			.seg_32bit = !!(ar & AR_DB),
			.contents = seg->code ? 2 : !!(ar & AR_DOWN),
			.read_exec_only = !(ar & AR_RW),
		};

		if (!(seg->selector & 4))
			continue;
		if (syscall(SYS_modify_ldt, 1, &desc, sizeof(desc)))
			return false;
	}
	return true;
}

bool native_set_gs(u64 base)
{
	return syscall(SYS_arch_prctl, ARCH_SET_GS, base) == 0;
}

u64 native_fs(void)
{
	u64 base = 0;

	syscall(SYS_arch_prctl, ARCH_GET_FS, &base);
	return base;
}

void native_place(enum umbra_emu_mode mode, u64 gva, const u8 *code, unsigned int len)
{
	out = (u8 *)gva;
	emit(code, len);
	if (mode == UMBRA_EMU_LONG64) {
		EMIT(0xe9);
		emit32(EPILOGUE - (gva + len + 5));
		return;
	}
	if (mode == UMBRA_EMU_PROT16)
		EMIT(0x66);
	EMIT(0xea);
	emit32(EPILOGUE);
	EMIT(USER_CS, 0);
}

void native_run(struct native_state *state, enum umbra_emu_mode mode, u64 rip)
{
	bool is64 = mode == UMBRA_EMU_LONG64;

	shared->state = *state;
	shared->state.vector = -1;
	shared->target = is64 ? rip : rip | (u64)state->selectors[UMBRA_EMU_CS] << 32;
	shared->running = true;
	((void (*)(void))(is64 ? STUB64 : STUB32))();
	shared->running = false;
	*state = shared->state;
}
