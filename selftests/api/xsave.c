// SPDX-License-Identifier: GPL-2.0
/*
 * XSAVE, XCR0 and the registers of AVX: what a guest can turn on, what it keeps, what
 * user space saves and restores, and that the host's own are untouched.
 */
#include <cpuid.h>
#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include "api.h"
#include <kselftest_harness.h>

#define CR4_OSXSAVE	(1ULL << 18)
#define CR4_SSE		(3ULL << 9)
#define CPUID_XSAVE	(1U << 26)
#define CPUID_OSXSAVE	(1U << 27)
#define GP		13
#define X87		1
#define SSE		2
#define AVX		4
#define AVX512		0xe0

/* Places in the standard form of the area. */
#define AREA_MXCSR	24
#define AREA_XMM0	160
#define AREA_FEATURES	512
#define AREA_COMPACT	520
#define AREA_RESERVED	528
#define AREA_YMM0	576

#define IDT		(MACHINE_DATA + 0x1000)
#define HANDLER		(MACHINE_CODE + 0x800)

/* RSI: what to write to XCR0. Out: R8 CPUID, R9 XCR0. */
static const u8 guest_begin[] = {
	0xb8, 0x01, 0x00, 0x00, 0x00,	/* mov $1, %eax */
	0x0f, 0xa2,			/* cpuid */
	0x49, 0x89, 0xc8,		/* mov %rcx, %r8 */
	0x31, 0xc9,			/* xor %ecx, %ecx */
	0x48, 0x89, 0xf0,		/* mov %rsi, %rax */
	0x48, 0x89, 0xf2,		/* mov %rsi, %rdx */
	0x48, 0xc1, 0xea, 0x20,		/* shr $32, %rdx */
	0x0f, 0x01, 0xd1,		/* xsetbv */
	0x0f, 0x01, 0xd0,		/* xgetbv */
	0x49, 0x89, 0xc1,		/* mov %rax, %r9 */
	0xf4,				/* hlt */
};

/* vmovdqu (%rdi), %ymm0; hlt, and the other way round. */
static const u8 guest_load[] = { 0xc5, 0xfe, 0x6f, 0x07, 0xf4 };
static const u8 guest_store[] = { 0xc5, 0xfe, 0x7f, 0x07, 0xf4 };

/* For ever: vpcmpeqd %ymm1, %ymm1, %ymm1; hlt; jmp */
static const u8 guest_clobber[] = { 0xc5, 0xf5, 0x76, 0xc9, 0xf4, 0xeb, 0xf9 };

static u64 own_xcr0(void)
{
	u32 eax, edx;

	asm volatile("xgetbv" : "=a" (eax), "=d" (edx) : "c" (0));
	return eax | (u64)edx << 32;
}

static bool has_avx(void)
{
	u32 eax, ebx, ecx, edx;

	__cpuid(1, eax, ebx, ecx, edx);
	return (ecx & CPUID_OSXSAVE) && (own_xcr0() & AVX);
}

struct xstate {
	struct kvm_xsave area;
	struct kvm_xcrs xcrs;
};

FIXTURE(xsave) {
	struct machine m;
};

/* A guest with XSAVE on; #GP has a handler that halts. */
static int start(struct machine *m)
{
	u32 gate[] = { UVMM_SEL_CODE64 << 16 | HANDLER, 0x8e00, 0, 0 };
	struct kvm_sregs sregs;
	int ret = machine_start(m, true);

	if (ret)
		return ret;
	memcpy(m->mem + IDT + GP * 16, gate, sizeof(gate));
	m->mem[HANDLER] = 0xf4;
	ret = TRY(m->vcpu.fd, KVM_GET_SREGS, &sregs);
	sregs.idt.base = IDT;
	sregs.idt.limit = 0xfff;
	sregs.cr4 |= CR4_OSXSAVE | CR4_SSE;
	return ret ? ret : TRY(m->vcpu.fd, KVM_SET_SREGS, &sregs);
}

FIXTURE_SETUP(xsave)
{
	if (!has_avx())
		SKIP(return, "the CPU has no AVX");
	ASSERT_EQ(0, start(&self->m));
}

FIXTURE_TEARDOWN(xsave)
{
	if (self->m.mem)
		machine_stop(&self->m);
}

/* Run code with RSI and RDI; give the registers. */
static struct kvm_regs run_code(struct machine *m, const u8 *code, size_t len, u64 rsi, u64 rdi)
{
	struct kvm_regs regs = {};

	machine_code(m, code, len);
	TRY(m->vcpu.fd, KVM_GET_REGS, &regs);
	regs.rip = MACHINE_CODE;
	regs.rsp = MACHINE_STACK;
	regs.rsi = rsi;
	regs.rdi = rdi;
	TRY(m->vcpu.fd, KVM_SET_REGS, &regs);
	memset(&regs, 0xff, sizeof(regs));
	if (!machine_run(m) && m->vcpu.run->exit_reason == KVM_EXIT_HLT)
		TRY(m->vcpu.fd, KVM_GET_REGS, &regs);
	return regs;
}

#define run(m, code, rsi, rdi)	run_code(m, code, sizeof(code), rsi, rdi)

static bool faults(struct machine *m, u64 xcr0)
{
	return run(m, guest_begin, xcr0, 0).rip == HANDLER + 1;
}

static void fill(u8 *data, unsigned int seed)
{
	unsigned int i;

	for (i = 0; i < 32; i++)
		data[i] = seed + i * 5;
}

TEST_F(xsave, capabilities)
{
	int sys = self->m.vm.node_fd;

	EXPECT_EQ(1, TRY(sys, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE));
	EXPECT_EQ(1, TRY(sys, KVM_CHECK_EXTENSION, KVM_CAP_XCRS));
	EXPECT_EQ(sizeof(struct kvm_xsave), TRY(sys, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2));
}

TEST_F(xsave, xcr0_of_user_space)
{
	static const u64 wrong[] = {
		0, SSE, SSE | AVX, X87 | AVX, X87 | SSE | AVX512, X87 | SSE | AVX | 0x20,
		X87 | SSE | AVX | 0xc0, X87 | 0x100, X87 | 1ULL << 62, ~0ULL,
	};
	struct kvm_xcrs xcrs;
	unsigned int i;
	int fd = self->m.vcpu.fd;

	ASSERT_EQ(0, TRY(fd, KVM_GET_XCRS, &xcrs));
	EXPECT_EQ(1, xcrs.nr_xcrs);
	EXPECT_EQ(0, xcrs.xcrs[0].xcr);
	EXPECT_EQ(X87, xcrs.xcrs[0].value);
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		xcrs.xcrs[0].value = wrong[i];
		EXPECT_EQ(-EINVAL, TRY(fd, KVM_SET_XCRS, &xcrs));
	}
	xcrs.xcrs[0].value = X87 | SSE | AVX;
	EXPECT_EQ(0, TRY(fd, KVM_SET_XCRS, &xcrs));
	memset(&xcrs, 0, sizeof(xcrs));
	ASSERT_EQ(0, TRY(fd, KVM_GET_XCRS, &xcrs));
	EXPECT_EQ(X87 | SSE | AVX, xcrs.xcrs[0].value);
	xcrs.flags = 1;
	EXPECT_EQ(-EINVAL, TRY(fd, KVM_SET_XCRS, &xcrs));
	xcrs.flags = 0;
	xcrs.nr_xcrs = KVM_MAX_XCRS + 1;
	EXPECT_EQ(-EINVAL, TRY(fd, KVM_SET_XCRS, &xcrs));
}

TEST_F(xsave, xcr0_of_the_guest)
{
	static const u64 wrong[] = { 0, SSE, X87 | AVX, X87 | SSE | AVX | 0x40, X87 | 1ULL << 40 };
	struct machine *m = &self->m;
	u64 before = own_xcr0();
	struct kvm_regs regs;
	unsigned int i;

	regs = run(m, guest_begin, X87 | SSE | AVX, 0);
	EXPECT_NE(0, regs.r8 & CPUID_XSAVE);
	EXPECT_NE(0, regs.r8 & CPUID_OSXSAVE);
	EXPECT_EQ(X87 | SSE | AVX, regs.r9);
	EXPECT_EQ(before, own_xcr0());
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_TRUE(faults(m, wrong[i]));
	EXPECT_EQ(X87, run(m, guest_begin, X87, 0).r9);
	EXPECT_EQ(before, own_xcr0());
}

/* The size of the area follows XCR0, CPUID's OSXSAVE follows CR4. */
TEST_F(xsave, cpuid_follows)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[100];
	} list = { .head.nent = 100 };
	struct machine *m = &self->m;
	struct kvm_sregs sregs;
	unsigned int i, seen = 0;

	run(m, guest_begin, X87 | SSE | AVX, 0);
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_GET_CPUID2, &list));
	for (i = 0; i < list.head.nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &list.entry[i];

		if (entry->function == 1) {
			EXPECT_NE(0, entry->ecx & CPUID_OSXSAVE);
			seen++;
		}
		if (entry->function == 0xd && entry->index == 0) {
			EXPECT_EQ(AREA_YMM0 + 256, entry->ebx);
			seen++;
		}
	}
	EXPECT_EQ(2, seen);
	/* The same table again is no change, though the guest has run. */
	EXPECT_EQ(0, TRY(m->vcpu.fd, KVM_SET_CPUID2, &list));
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_GET_SREGS, &sregs));
	sregs.cr4 &= ~CR4_OSXSAVE;
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_GET_CPUID2, &list));
	for (i = 0; i < list.head.nent; i++)
		if (list.entry[i].function == 1)
			EXPECT_EQ(0, list.entry[i].ecx & CPUID_OSXSAVE);
}

/* KVM_RUN with a pattern in this thread's YMM1, and nothing around it; is it still there? */
static bool keeps_ymm(struct machine *m)
{
	u8 before[32], after[32];
	long ret = SYS_ioctl;

	fill(before, 0x77);
	asm volatile("vmovdqu %[before], %%ymm1\n\t"
		     "syscall\n\t"
		     "vmovdqu %%ymm1, %[after]"
		     : "+a" (ret), [after] "=m" (after)
		     : "D" ((long)m->vcpu.fd), "S" (KVM_RUN), "d" (0L), [before] "m" (before)
		     : "rcx", "r11", "xmm1", "memory");
	return !ret && !memcmp(before, after, sizeof(before));
}

TEST_F(xsave, registers_stay)
{
	struct machine *m = &self->m;
	cpu_set_t all, one;
	int cpu;

	fill(m->mem + MACHINE_DATA, 1);
	run(m, guest_begin, X87 | SSE | AVX, 0);
	run(m, guest_load, 0, MACHINE_DATA);
	ASSERT_EQ(0, sched_getaffinity(0, sizeof(all), &all));
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
		memset(m->mem + MACHINE_DATA + 64, 0, 32);
		run(m, guest_store, 0, MACHINE_DATA + 64);
		EXPECT_EQ(0, memcmp(m->mem + MACHINE_DATA, m->mem + MACHINE_DATA + 64, 32));
	}
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(all), &all));
	/* Other registers than the guest's. */
	run(m, guest_clobber, 0, 0);
	for (cpu = 0; cpu < 4; cpu++)
		EXPECT_TRUE(keeps_ymm(m));
}

/* From one vCPU to another, in another VM, as migration does. */
TEST_F(xsave, moves_to_another_machine)
{
	struct machine *m = &self->m, other;
	const u8 *bytes;
	struct kvm_fpu fpu;
	struct xstate *x = calloc(1, sizeof(*x));

	ASSERT_NE(NULL, x);
	fill(m->mem + MACHINE_DATA, 9);
	run(m, guest_begin, X87 | SSE | AVX, 0);
	run(m, guest_load, 0, MACHINE_DATA);
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_GET_XSAVE2, &x->area));
	bytes = (u8 *)&x->area;
	EXPECT_EQ(0, memcmp(bytes + AREA_XMM0, m->mem + MACHINE_DATA, 16));
	EXPECT_EQ(0, memcmp(bytes + AREA_YMM0, m->mem + MACHINE_DATA + 16, 16));
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_GET_XCRS, &x->xcrs));

	ASSERT_EQ(0, start(&other));
	ASSERT_EQ(0, TRY(other.vcpu.fd, KVM_SET_XCRS, &x->xcrs));
	ASSERT_EQ(0, TRY(other.vcpu.fd, KVM_SET_XSAVE, &x->area));
	/* The older interface leaves alone what it does not know of. */
	ASSERT_EQ(0, TRY(other.vcpu.fd, KVM_GET_FPU, &fpu));
	ASSERT_EQ(0, TRY(other.vcpu.fd, KVM_SET_FPU, &fpu));
	run(&other, guest_store, 0, MACHINE_DATA);
	EXPECT_EQ(0, memcmp(other.mem + MACHINE_DATA, m->mem + MACHINE_DATA, 32));
	machine_stop(&other);
	free(x);
}

TEST_F(xsave, refuses_hostile_areas)
{
	static const struct {
		unsigned int offset;
		u64 value;
	} wrong[] = {
		{ AREA_FEATURES, 1ULL << 62 },
		{ AREA_FEATURES, 1ULL << 8 },
		{ AREA_FEATURES, ~0ULL },
		{ AREA_COMPACT, 1ULL << 63 },
		{ AREA_RESERVED, 1 },
		{ AREA_MXCSR, 1ULL << 31 },
	};
	struct kvm_xsave *area = calloc(1, sizeof(*area));
	int fd = self->m.vcpu.fd;
	unsigned int i;

	ASSERT_NE(NULL, area);
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		ASSERT_EQ(0, TRY(fd, KVM_GET_XSAVE, area));
		*(u64 *)((u8 *)area + AREA_FEATURES) |= X87 | SSE;
		ASSERT_EQ(0, TRY(fd, KVM_SET_XSAVE, area));
		*(u64 *)((u8 *)area + wrong[i].offset) |= wrong[i].value;
		EXPECT_EQ(-EINVAL, TRY(fd, KVM_SET_XSAVE, area));
	}
	free(area);
}

TEST_HARNESS_MAIN
