// SPDX-License-Identifier: GPL-2.0
/* The VM fd: vCPU creation, capabilities, lifetimes, who may use it. */
#include <errno.h>
#include <sys/resource.h>
#include "api.h"
#include <kselftest_harness.h>

FIXTURE(vm) {
	int sys;
	int vm;
	bool umbra;
};

FIXTURE_SETUP(vm)
{
	self->sys = api_open();
	ASSERT_LE(0, self->sys);
	self->umbra = api_is_umbra(self->sys);
	self->vm = api_vm(self->sys);
	ASSERT_LE(0, self->vm);
}

FIXTURE_TEARDOWN(vm)
{
	close(self->vm);
	close(self->sys);
}

TEST_F(vm, vcpu_ids)
{
	long limit = TRY(self->sys, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);
	int last;

	ASSERT_LE(0, TRY(self->vm, KVM_CREATE_VCPU, 0));
	EXPECT_EQ(-EEXIST, TRY(self->vm, KVM_CREATE_VCPU, 0));
	last = TRY(self->vm, KVM_CREATE_VCPU, limit - 1);
	EXPECT_LE(0, last);
	EXPECT_EQ(-EEXIST, TRY(self->vm, KVM_CREATE_VCPU, limit - 1));
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_CREATE_VCPU, limit));
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_CREATE_VCPU, 0x7fffffff));
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_CREATE_VCPU, -1L));
}

TEST_F(vm, vcpu_id_stays_taken_after_close)
{
	int vcpu = TRY(self->vm, KVM_CREATE_VCPU, 3);

	ASSERT_LE(0, vcpu);
	EXPECT_EQ(0, close(vcpu));
	EXPECT_EQ(-EEXIST, TRY(self->vm, KVM_CREATE_VCPU, 3));
}

TEST_F(vm, vcpu_limit)
{
	long max = TRY(self->sys, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	long i;

	if (!self->umbra)
		SKIP(return, "%ld vCPUs are too many to try", max);
	for (i = 0; i < max; i++)
		ASSERT_LE(0, TRY(self->vm, KVM_CREATE_VCPU, i));
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_CREATE_VCPU, max));
}

TEST_F(vm, no_fd_left)
{
	struct rlimit limit = { .rlim_cur = self->vm + 1, .rlim_max = self->vm + 1 };

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(-EMFILE, TRY(self->vm, KVM_CREATE_VCPU, 0));
	EXPECT_EQ(-EMFILE, TRY(self->vm, KVM_GET_STATS_FD, 0));
	EXPECT_EQ(-EMFILE, TRY(self->sys, KVM_CREATE_VM, 0));
}

TEST_F(vm, private_pages)
{
	__u64 addr = 0xfffbc000;

	EXPECT_EQ(0, TRY(self->vm, KVM_SET_TSS_ADDR, 0xfffbd000));
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_SET_TSS_ADDR, 0xfffff000));
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_SET_TSS_ADDR, -1L));
	EXPECT_EQ(0, TRY(self->vm, KVM_SET_IDENTITY_MAP_ADDR, &addr));
	EXPECT_EQ(-EFAULT, TRY(self->vm, KVM_SET_IDENTITY_MAP_ADDR, NULL));
	ASSERT_LE(0, TRY(self->vm, KVM_CREATE_VCPU, 0));
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_SET_IDENTITY_MAP_ADDR, &addr));
}

TEST_F(vm, check_extension_like_system)
{
	static const int caps[] = { KVM_CAP_USER_MEMORY, KVM_CAP_NR_MEMSLOTS, KVM_CAP_SYNC_MMU };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(caps); i++)
		EXPECT_EQ(TRY(self->sys, KVM_CHECK_EXTENSION, caps[i]),
			  TRY(self->vm, KVM_CHECK_EXTENSION, caps[i]));
}

TEST_F(vm, enable_cap)
{
	struct kvm_enable_cap cap = { .cap = 0x7fffffff };

	EXPECT_EQ(-EFAULT, TRY(self->vm, KVM_ENABLE_CAP, NULL));
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_ENABLE_CAP, &cap));
	cap.flags = 1;
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_ENABLE_CAP, &cap));
}

TEST_F(vm, disable_nx_huge_pages)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_VM_DISABLE_NX_HUGE_PAGES };

	if (TRY(self->vm, KVM_CHECK_EXTENSION, cap.cap) != 1)
		SKIP(return, "no such capability");
	EXPECT_EQ(0, TRY(self->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = 1;
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = 0;
	ASSERT_LE(0, TRY(self->vm, KVM_CREATE_VCPU, 0));
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_ENABLE_CAP, &cap));
}

TEST_F(vm, paging_mode)
{
	struct kvm_enable_cap cap = { .cap = UMBRA_CAP_PAGING_MODE };

	if (!self->umbra)
		SKIP(return, "stock KVM has no such capability");
	EXPECT_EQ(1, TRY(self->vm, KVM_CHECK_EXTENSION, UMBRA_CAP_PAGING_MODE));
	cap.args[0] = UMBRA_PAGING_SHADOW;
	EXPECT_EQ(0, TRY(self->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = UMBRA_PAGING_EPT;
	EXPECT_EQ(0, TRY(self->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = 2;
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = 1ULL << 32;
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = UMBRA_PAGING_SHADOW;
	cap.args[3] = 1;
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_ENABLE_CAP, &cap));
	cap.args[3] = 0;
	cap.flags = 1;
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_ENABLE_CAP, &cap));
	cap.flags = 0;
	ASSERT_LE(0, TRY(self->vm, KVM_CREATE_VCPU, 0));
	EXPECT_EQ(-EBUSY, TRY(self->vm, KVM_ENABLE_CAP, &cap));
}

TEST_F(vm, paging_mode_after_slots)
{
	struct kvm_enable_cap cap = { .cap = UMBRA_CAP_PAGING_MODE };
	void *mem = api_pages(16);

	if (!self->umbra)
		SKIP(return, "stock KVM has no such capability");
	cap.args[0] = UMBRA_PAGING_EPT;
	ASSERT_EQ(0, TRY(self->vm, KVM_ENABLE_CAP, &cap));
	ASSERT_EQ(0, api_slot(self->vm, 0, 0, 0, 16 * PAGE, mem));
	cap.args[0] = UMBRA_PAGING_SHADOW;
	EXPECT_EQ(0, TRY(self->vm, KVM_ENABLE_CAP, &cap));
	EXPECT_LE(0, TRY(self->vm, KVM_CREATE_VCPU, 0));
	EXPECT_EQ(0, api_slot(self->vm, 0, 0, 0, 0, mem));
}

TEST_F(vm, unknown_ioctls)
{
	EXPECT_EQ(-ENOTTY, TRY(self->vm, _IO(KVMIO, 0xff), 0));
	EXPECT_EQ(-ENOTTY, TRY(self->vm, KVM_RUN, 0));
	EXPECT_EQ(-ENOTTY, TRY(self->vm, KVM_GET_REGS, 0));
	EXPECT_EQ(-ENOTTY, TRY(self->vm, KVM_CREATE_VM, 0));
}

TEST_F(vm, is_no_file)
{
	char byte = 0;

	EXPECT_EQ(-1, read(self->vm, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->vm, 0));
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(vm, another_mm_gets_eio)
{
	int vcpu = TRY(self->vm, KVM_CREATE_VCPU, 0);
	struct kvm_regs regs;
	pid_t child;

	ASSERT_LE(0, vcpu);
	child = fork();
	if (!child) {
		bool ok = TRY(self->vm, KVM_CREATE_VCPU, 1) == -EIO &&
			  api_slot(self->vm, 0, 0, 0, 0, NULL) == -EIO &&
			  TRY(self->vm, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY) == -EIO &&
			  TRY(self->vm, _IO(KVMIO, 0xff), 0) == -EIO &&
			  TRY(self->vm, KVM_GET_STATS_FD, 0) == -EIO &&
			  TRY(vcpu, KVM_RUN, 0) == -EIO &&
			  TRY(vcpu, KVM_GET_REGS, &regs) == -EIO &&
			  TRY(vcpu, _IO(KVMIO, 0xff), 0) == -EIO;

		_exit(ok ? 0 : 1);
	}
	EXPECT_EQ(0, api_wait(child));
	EXPECT_EQ(0, TRY(vcpu, KVM_GET_REGS, &regs));
}

/* The child keeps the last references; its end releases all. */
TEST_F(vm, child_closes_last)
{
	int vcpu = TRY(self->vm, KVM_CREATE_VCPU, 0);
	int pipes[2];
	pid_t child;
	char byte;

	ASSERT_LE(0, vcpu);
	ASSERT_EQ(0, pipe(pipes));
	child = fork();
	if (!child) {
		close(pipes[1]);
		_exit(read(pipes[0], &byte, 1) ? 1 : 0);
	}
	close(vcpu);
	close(self->vm);
	close(pipes[1]);
	EXPECT_EQ(0, api_wait(child));
	self->vm = -1;
}

TEST_F(vm, vcpu_outlives_vm_fd)
{
	int vcpu = TRY(self->vm, KVM_CREATE_VCPU, 0);
	struct kvm_regs regs;

	ASSERT_LE(0, vcpu);
	EXPECT_EQ(0, close(self->vm));
	EXPECT_EQ(-EBADF, TRY(self->vm, KVM_CREATE_VCPU, 1));
	EXPECT_EQ(0, TRY(vcpu, KVM_GET_REGS, &regs));
	EXPECT_EQ(0, close(vcpu));
	EXPECT_EQ(-EBADF, TRY(vcpu, KVM_GET_REGS, &regs));
	self->vm = -1;
}

TEST_HARNESS_MAIN
