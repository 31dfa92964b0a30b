// SPDX-License-Identifier: GPL-2.0
/*
 * Protection keys: CR4.PKE comes with CPUID, PKRU is each vCPU's own, goes with the XSAVE
 * area, and leaves this thread's alone.
 */
#include <cpuid.h>
#include <errno.h>
#include "api.h"
#include <kselftest_harness.h>

#define CR4_OSXSAVE	(1ULL << 18)
#define CR4_PKE		(1ULL << 22)
#define CPUID_PKU	(1U << 3)
#define CPUID_OSPKE	(1U << 4)
#define PKRU_BIT	(1ULL << 9)
#define AREA_FEATURES	512
#define NR_ENTRIES	100

/*
 * wrpkru(%rsi); and back into R8; hlt. Key 0 is left open: some emulated CPUs take it for
 * the key of supervisor pages, such as the host's stack.
 */
static const u8 guest_write[] = {
	0x48, 0x89, 0xf0,	/* mov %rsi, %rax */
	0x31, 0xc9,		/* xor %ecx, %ecx */
	0x31, 0xd2,		/* xor %edx, %edx */
	0x0f, 0x01, 0xef,	/* wrpkru */
	0x31, 0xc0,		/* xor %eax, %eax */
	0x0f, 0x01, 0xee,	/* rdpkru */
	0x49, 0x89, 0xc0,	/* mov %rax, %r8 */
	0xf4,			/* hlt */
};

static const u8 guest_read[] = {
	0x31, 0xc9, 0x0f, 0x01, 0xee, 0x49, 0x89, 0xc0, 0xf4,
};

struct cpuid {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entry[NR_ENTRIES];
};

static u32 own_pkru(void)
{
	u32 pkru;

	asm volatile(".byte 0x0f, 0x01, 0xee" : "=a" (pkru) : "c" (0) : "rdx");
	return pkru;
}

static void set_own_pkru(u32 pkru)
{
	asm volatile(".byte 0x0f, 0x01, 0xef" : : "a" (pkru), "c" (0), "d" (0) : "memory");
}

static bool has_pku(void)
{
	u32 eax, ebx, ecx = 0, edx;

	__cpuid_count(7, 0, eax, ebx, ecx, edx);
	return ecx & CPUID_OSPKE;
}

static struct kvm_cpuid_entry2 *leaf_7(struct cpuid *cpuid)
{
	unsigned int i;

	for (i = 0; i < cpuid->head.nent; i++)
		if (cpuid->entry[i].function == 7 && !cpuid->entry[i].index)
			return &cpuid->entry[i];
	return NULL;
}

static int set_pke(struct machine *m, bool on)
{
	struct kvm_sregs sregs;
	int ret = TRY(m->vcpu.fd, KVM_GET_SREGS, &sregs);

	sregs.cr4 = on ? sregs.cr4 | CR4_PKE : sregs.cr4 & ~CR4_PKE;
	return ret ? ret : TRY(m->vcpu.fd, KVM_SET_SREGS, &sregs);
}

/* Run code with RSI; give R8. */
static u64 run_code(struct machine *m, const u8 *code, size_t len, u64 rsi)
{
	struct kvm_regs regs = {};

	machine_code(m, code, len);
	TRY(m->vcpu.fd, KVM_GET_REGS, &regs);
	regs.rip = MACHINE_CODE;
	regs.rsp = MACHINE_STACK;
	regs.rsi = rsi;
	TRY(m->vcpu.fd, KVM_SET_REGS, &regs);
	memset(&regs, 0xff, sizeof(regs));
	if (!machine_run(m) && m->vcpu.run->exit_reason == KVM_EXIT_HLT)
		TRY(m->vcpu.fd, KVM_GET_REGS, &regs);
	return regs.r8;
}

#define run(m, code, rsi)	run_code(m, code, sizeof(code), rsi)

/* Where PKRU is in an XSAVE area. */
static u32 *in_area(struct kvm_xsave *area)
{
	u32 eax, ebx, ecx, edx;

	__cpuid_count(0xd, 9, eax, ebx, ecx, edx);
	return (u32 *)((u8 *)area + ebx);
}

static u64 *features(struct kvm_xsave *area)
{
	return (u64 *)((u8 *)area + AREA_FEATURES);
}

FIXTURE(pkru) {
	struct machine m;
	u32 own;
};

FIXTURE_SETUP(pkru)
{
	if (!has_pku())
		return;
	self->own = own_pkru();
	ASSERT_EQ(0, machine_start(&self->m, true));
}

FIXTURE_TEARDOWN(pkru)
{
	if (self->m.mem)
		machine_stop(&self->m);
}

TEST_F(pkru, comes_with_cpuid)
{
	struct cpuid cpuid = { .head.nent = NR_ENTRIES };
	struct machine *m = &self->m;
	struct kvm_cpuid_entry2 *leaf;

	if (!has_pku())
		SKIP(return, "the CPU has no protection keys");
	ASSERT_EQ(0, TRY(m->vm.node_fd, KVM_GET_SUPPORTED_CPUID, &cpuid));
	leaf = leaf_7(&cpuid);
	ASSERT_NE(NULL, leaf);
	EXPECT_EQ(CPUID_PKU, leaf->ecx & (CPUID_PKU | CPUID_OSPKE));
	leaf->ecx &= ~CPUID_PKU;
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_CPUID2, &cpuid));
	EXPECT_EQ(-EINVAL, set_pke(m, true));
	leaf->ecx |= CPUID_PKU;
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_CPUID2, &cpuid));
	EXPECT_EQ(0, set_pke(m, true));
	cpuid.head.nent = NR_ENTRIES;
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_GET_CPUID2, &cpuid));
	EXPECT_EQ(CPUID_PKU | CPUID_OSPKE, leaf_7(&cpuid)->ecx & (CPUID_PKU | CPUID_OSPKE));
	EXPECT_EQ(0, set_pke(m, false));
	cpuid.head.nent = NR_ENTRIES;
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_GET_CPUID2, &cpuid));
	EXPECT_EQ(CPUID_PKU, leaf_7(&cpuid)->ecx & (CPUID_PKU | CPUID_OSPKE));
}

TEST_F(pkru, guest_and_thread_have_their_own)
{
	static const u32 mine[] = { 0x55555554, 0, 0xfffffffc, 0x10 };
	static const u32 theirs[] = { 0, 0xfffffffc, 0x10, 0x24 };
	struct machine *m = &self->m;
	unsigned int i;

	if (!has_pku())
		SKIP(return, "the CPU has no protection keys");
	ASSERT_EQ(0, set_pke(m, true));
	EXPECT_EQ(0, run(m, guest_read, 0));
	for (i = 0; i < ARRAY_SIZE(mine); i++) {
		set_own_pkru(mine[i]);
		EXPECT_EQ(theirs[i], run(m, guest_write, theirs[i]));
		EXPECT_EQ(mine[i], own_pkru());
		set_own_pkru(self->own);
		EXPECT_EQ(theirs[i], run(m, guest_read, 0));
		EXPECT_EQ(self->own, own_pkru());
	}
}

TEST_F(pkru, goes_with_the_area)
{
	struct kvm_xsave *area = calloc(1, sizeof(*area));
	struct machine *m = &self->m;
	int fd = m->vcpu.fd;

	if (!has_pku())
		SKIP(return, "the CPU has no protection keys");
	ASSERT_NE(NULL, area);
	ASSERT_EQ(0, set_pke(m, true));
	EXPECT_EQ(0x1234, run(m, guest_write, 0x1234));
	/* Whatever this thread's is. */
	set_own_pkru(0);
	ASSERT_EQ(0, TRY(fd, KVM_GET_XSAVE, area));
	set_own_pkru(self->own);
	EXPECT_EQ(PKRU_BIT, *features(area) & PKRU_BIT);
	EXPECT_EQ(0x1234, *in_area(area));
	*in_area(area) = 0x5678;
	ASSERT_EQ(0, TRY(fd, KVM_SET_XSAVE, area));
	EXPECT_EQ(self->own, own_pkru());
	EXPECT_EQ(0x5678, run(m, guest_read, 0));
	/* As KVM has it: an area without the component leaves it alone. */
	*features(area) &= ~PKRU_BIT;
	*in_area(area) = 0;
	ASSERT_EQ(0, TRY(fd, KVM_SET_XSAVE, area));
	EXPECT_EQ(0x5678, run(m, guest_read, 0));
	EXPECT_EQ(0, run(m, guest_write, 0));
	ASSERT_EQ(0, TRY(fd, KVM_GET_XSAVE, area));
	EXPECT_EQ(PKRU_BIT, *features(area) & PKRU_BIT);
	EXPECT_EQ(0, *in_area(area));
	free(area);
}

TEST_F(pkru, older_interface_keeps_it)
{
	struct machine *m = &self->m;
	struct kvm_fpu fpu;

	if (!has_pku())
		SKIP(return, "the CPU has no protection keys");
	ASSERT_EQ(0, set_pke(m, true));
	EXPECT_EQ(0x4320, run(m, guest_write, 0x4320));
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_GET_FPU, &fpu));
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_FPU, &fpu));
	EXPECT_EQ(0x4320, run(m, guest_read, 0));
}

TEST_F(pkru, is_a_component)
{
	struct kvm_xcrs xcrs;
	int fd = self->m.vcpu.fd;

	if (!has_pku())
		SKIP(return, "the CPU has no protection keys");
	ASSERT_EQ(0, TRY(fd, KVM_GET_XCRS, &xcrs));
	xcrs.xcrs[0].value = 1 | PKRU_BIT;
	EXPECT_EQ(0, TRY(fd, KVM_SET_XCRS, &xcrs));
	ASSERT_EQ(0, TRY(fd, KVM_GET_XCRS, &xcrs));
	EXPECT_EQ(1 | PKRU_BIT, xcrs.xcrs[0].value);
}

/* XSAVE and XRSTOR reach it without CR4.PKE. */
TEST_F(pkru, area_of_the_guest)
{
	static const u8 guest_xsave[] = {
		0xb8, 0x00, 0x02, 0x00, 0x00,	/* mov $0x200, %eax */
		0x31, 0xd2,			/* xor %edx, %edx */
		0x0f, 0xae, 0x26,		/* xsave (%rsi) */
		0xf4,
	};
	struct machine *m = &self->m;
	struct kvm_xsave *area = (void *)(m->mem + MACHINE_DATA);
	struct kvm_sregs sregs;
	struct kvm_xcrs xcrs;

	if (!has_pku())
		SKIP(return, "the CPU has no protection keys");
	ASSERT_EQ(0, set_pke(m, true));
	EXPECT_EQ(0x40, run(m, guest_write, 0x40));
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_GET_XCRS, &xcrs));
	xcrs.xcrs[0].value = 3 | PKRU_BIT;
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_XCRS, &xcrs));
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_GET_SREGS, &sregs));
	sregs.cr4 = (sregs.cr4 & ~CR4_PKE) | CR4_OSXSAVE;
	ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_SREGS, &sregs));
	memset(area, 0, sizeof(*area));
	run(m, guest_xsave, MACHINE_DATA);
	EXPECT_EQ(PKRU_BIT, *features(area));
	EXPECT_EQ(0x40, *in_area(area));
	EXPECT_EQ(self->own, own_pkru());
}

TEST_HARNESS_MAIN
