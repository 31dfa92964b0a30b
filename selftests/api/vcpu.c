// SPDX-License-Identifier: GPL-2.0
/* The vCPU fd: its mmap, general registers, FPU, and the smaller ioctls. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include "api.h"
#include <kselftest_harness.h>

FIXTURE(vcpu) {
	int sys;
	int vm;
	int fd;
	bool umbra;
};

FIXTURE_SETUP(vcpu)
{
	self->sys = api_open();
	ASSERT_LE(0, self->sys);
	self->umbra = api_is_umbra(self->sys);
	self->vm = api_vm(self->sys);
	ASSERT_LE(0, self->vm);
	self->fd = TRY(self->vm, KVM_CREATE_VCPU, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(vcpu)
{
	close(self->fd);
	close(self->vm);
	close(self->sys);
}

TEST_F(vcpu, mmap)
{
	u8 *area = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	u8 *again;

	ASSERT_NE(MAP_FAILED, area);
	area[0] = 1;
	area[PAGE] = 2;
	area[2 * PAGE] = 3;
	again = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, PAGE);
	ASSERT_NE(MAP_FAILED, again);
	EXPECT_EQ(2, again[0]);
	EXPECT_EQ(0, munmap(again, PAGE));
	/* The pages stay as long as they are mapped. */
	close(self->fd);
	close(self->vm);
	EXPECT_EQ(3, area[2 * PAGE]);
	EXPECT_EQ(0, munmap(area, 3 * PAGE));
	self->fd = -1;
	self->vm = -1;
}

TEST_F_SIGNAL(vcpu, mmap_beyond_the_end, SIGBUS)
{
	u8 *area = mmap(NULL, 5 * PAGE, PROT_READ, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, area);
	EXPECT_EQ(0, area[4 * PAGE]);
}

TEST_F_SIGNAL(vcpu, mmap_far_beyond_the_end, SIGBUS)
{
	u8 *area = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 1UL << 40);

	ASSERT_NE(MAP_FAILED, area);
	EXPECT_EQ(0, area[0]);
}

/* Every ioctl that takes a pointer, but KVM_SET_SIGNAL_MASK, where NULL is right. */
TEST_F(vcpu, bad_pointers)
{
	static const unsigned long cmds[] = {
		KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS, KVM_GET_FPU,
		KVM_SET_FPU, KVM_GET_MSRS, KVM_SET_MSRS, KVM_GET_CPUID2, KVM_SET_CPUID2,
		KVM_GET_MP_STATE, KVM_SET_MP_STATE, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS,
		KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, KVM_INTERRUPT, KVM_TRANSLATE,
	};
	char *edge = api_pages(2);
	unsigned int i;

	ASSERT_EQ(0, munmap(edge + PAGE, PAGE));
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		EXPECT_EQ(-EFAULT, TRY(self->fd, cmds[i], NULL)) {
			TH_LOG("ioctl %#lx, NULL", cmds[i]);
		}
		EXPECT_EQ(-EFAULT, TRY(self->fd, cmds[i], KERNEL_ADDR)) {
			TH_LOG("ioctl %#lx, kernel address", cmds[i]);
		}
		EXPECT_EQ(-EFAULT, TRY(self->fd, cmds[i], edge + PAGE - 2)) {
			TH_LOG("ioctl %#lx, last bytes of a mapping", cmds[i]);
		}
	}
	EXPECT_EQ(-EFAULT, TRY(self->fd, KVM_SET_SIGNAL_MASK, KERNEL_ADDR));
}

TEST_F(vcpu, unknown_ioctls)
{
	EXPECT_EQ(-EINVAL, TRY(self->fd, _IO(KVMIO, 0xff), 0));
	EXPECT_EQ(-EINVAL, TRY(self->fd, _IO('x', 1), 0));
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_CREATE_VCPU, 0));
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_RUN, 1));
}

TEST_F(vcpu, regs_at_reset)
{
	struct kvm_regs regs;

	ASSERT_EQ(0, TRY(self->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(0xfff0, regs.rip);
	EXPECT_EQ(2, regs.rflags);
	EXPECT_EQ(0, regs.rax | regs.rbx | regs.rcx | regs.rsi | regs.rdi | regs.rbp | regs.rsp);
}

TEST_F(vcpu, regs_round_trip)
{
	struct kvm_regs set, got;
	unsigned long *reg = (unsigned long *)&set;
	unsigned int i;

	for (i = 0; i < sizeof(set) / sizeof(*reg); i++)
		reg[i] = 0x1111111111111111UL * (i % 15 + 1);
	set.rflags = 0xcd7 & ~0x100;
	ASSERT_EQ(0, TRY(self->fd, KVM_SET_REGS, &set));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_REGS, &got));
	EXPECT_EQ(0, memcmp(&set, &got, sizeof(set)));
	/* Bit 1 of the flags cannot be 0. */
	set.rflags = 0;
	ASSERT_EQ(0, TRY(self->fd, KVM_SET_REGS, &set));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_REGS, &got));
	EXPECT_EQ(2, got.rflags);
}

TEST_F(vcpu, fpu_round_trip)
{
	struct kvm_fpu set, got;
	unsigned int i;

	ASSERT_EQ(0, TRY(self->fd, KVM_GET_FPU, &set));
	/* Stock KVM forgets this one. */
	if (self->umbra)
		EXPECT_EQ(0x1f80, set.mxcsr);
	for (i = 0; i < sizeof(set.xmm); i++)
		((u8 *)set.xmm)[i] = i * 7;
	for (i = 0; i < 8; i++)
		set.fpr[i][9] = 0x40 + i;
	set.fcw = 0x27f;
	set.fsw = 0x3800;
	set.ftwx = 0xff;
	set.mxcsr = 0x1fa0;
	ASSERT_EQ(0, TRY(self->fd, KVM_SET_FPU, &set));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_FPU, &got));
	EXPECT_EQ(0, memcmp(set.xmm, got.xmm, sizeof(set.xmm)));
	EXPECT_EQ(0, memcmp(set.fpr, got.fpr, sizeof(set.fpr)));
	EXPECT_EQ(set.fcw, got.fcw);
	EXPECT_EQ(set.fsw, got.fsw);
	EXPECT_EQ(set.ftwx, got.ftwx);
	if (self->umbra)
		EXPECT_EQ(set.mxcsr, got.mxcsr);
}

/* Loading it would fault in the kernel. */
TEST_F(vcpu, fpu_refuses_reserved_mxcsr)
{
	struct kvm_fpu fpu;

	if (!self->umbra)
		SKIP(return, "stock KVM takes it");
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_FPU, &fpu));
	fpu.mxcsr = 0xffffffff;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_FPU, &fpu));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_FPU, &fpu));
	EXPECT_EQ(0x1f80, fpu.mxcsr);
}

TEST_F(vcpu, mp_state)
{
	struct kvm_mp_state state = { .mp_state = 0xff };

	ASSERT_EQ(0, TRY(self->fd, KVM_GET_MP_STATE, &state));
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, state.mp_state);
	EXPECT_EQ(0, TRY(self->fd, KVM_SET_MP_STATE, &state));
	state.mp_state = KVM_MP_STATE_HALTED;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_MP_STATE, &state));
	state.mp_state = KVM_MP_STATE_SIPI_RECEIVED;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_MP_STATE, &state));
	state.mp_state = 0xffffffff;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_MP_STATE, &state));
}

TEST_F(vcpu, signal_mask)
{
	struct {
		struct kvm_signal_mask head;
		u8 set[16];
	} mask = { .head.len = 8 };

	EXPECT_EQ(0, TRY(self->fd, KVM_SET_SIGNAL_MASK, &mask));
	EXPECT_EQ(0, TRY(self->fd, KVM_SET_SIGNAL_MASK, NULL));
	mask.head.len = 16;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SIGNAL_MASK, &mask));
	mask.head.len = 4;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SIGNAL_MASK, &mask));
	mask.head.len = 0xffffffff;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_SIGNAL_MASK, &mask));
}

TEST_F(vcpu, tsc_khz)
{
	EXPECT_LT(0, TRY(self->fd, KVM_GET_TSC_KHZ, 0));
}

TEST_F(vcpu, translate_without_paging)
{
	struct kvm_translation tr = { .linear_address = 0x12345 };

	ASSERT_EQ(0, TRY(self->fd, KVM_TRANSLATE, &tr));
	EXPECT_EQ(1, tr.valid);
	EXPECT_EQ(0x12345, tr.physical_address);
}

TEST(translate_in_long_mode)
{
	struct kvm_translation tr = { .linear_address = 0x212345 };
	struct machine m;

	ASSERT_EQ(0, machine_start(&m, true));
	ASSERT_EQ(0, TRY(m.vcpu.fd, KVM_TRANSLATE, &tr));
	EXPECT_EQ(1, tr.valid);
	EXPECT_EQ(0x212345, tr.physical_address);
	tr.linear_address = 0x8000000000UL;
	ASSERT_EQ(0, TRY(m.vcpu.fd, KVM_TRANSLATE, &tr));
	EXPECT_EQ(0, tr.valid);
	EXPECT_EQ(~0ULL, tr.physical_address);
	machine_stop(&m);
}

TEST_HARNESS_MAIN
