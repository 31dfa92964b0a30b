// SPDX-License-Identifier: GPL-2.0
/* The device node: its ioctls, and what it refuses. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include "api.h"
#include <kselftest_harness.h>

FIXTURE(system) {
	int fd;
};

FIXTURE_SETUP(system)
{
	self->fd = api_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(system)
{
	close(self->fd);
}

TEST_F(system, api_version)
{
	EXPECT_EQ(12, TRY(self->fd, KVM_GET_API_VERSION, 0));
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_GET_API_VERSION, 1));
}

TEST_F(system, vcpu_mmap_size)
{
	EXPECT_EQ(3 * PAGE, TRY(self->fd, KVM_GET_VCPU_MMAP_SIZE, 0));
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_GET_VCPU_MMAP_SIZE, &self->fd));
}

TEST_F(system, capabilities_that_clients_need)
{
	static const int caps[] = {
		KVM_CAP_USER_MEMORY, KVM_CAP_SET_TSS_ADDR, KVM_CAP_EXT_CPUID, KVM_CAP_MP_STATE,
		KVM_CAP_NR_VCPUS, KVM_CAP_MAX_VCPUS, KVM_CAP_MAX_VCPU_ID, KVM_CAP_NR_MEMSLOTS,
		KVM_CAP_READONLY_MEM, KVM_CAP_SYNC_MMU, KVM_CAP_IMMEDIATE_EXIT,
		KVM_CAP_DESTROY_MEMORY_REGION_WORKS, KVM_CAP_JOIN_MEMORY_REGIONS_WORKS,
		KVM_CAP_USER_NMI, KVM_CAP_SET_IDENTITY_MAP_ADDR, KVM_CAP_VCPU_EVENTS,
		KVM_CAP_DEBUGREGS, KVM_CAP_ENABLE_CAP_VM, KVM_CAP_CHECK_EXTENSION_VM,
		KVM_CAP_GET_TSC_KHZ, KVM_CAP_BINARY_STATS_FD, KVM_CAP_NOP_IO_DELAY,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(caps); i++)
		EXPECT_LT(0, TRY(self->fd, KVM_CHECK_EXTENSION, caps[i])) {
			TH_LOG("capability %d", caps[i]);
		}
}

TEST_F(system, unknown_capability)
{
	EXPECT_EQ(0, TRY(self->fd, KVM_CHECK_EXTENSION, 0x7fffffff));
	EXPECT_EQ(0, TRY(self->fd, KVM_CHECK_EXTENSION, -1L));
}

TEST_F(system, create_vm)
{
	int vm = TRY(self->fd, KVM_CREATE_VM, 0);

	ASSERT_LE(0, vm);
	EXPECT_EQ(0, close(vm));
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_CREATE_VM, 0x1234));
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_CREATE_VM, -1L));
}

TEST_F(system, vm_fd_closes_on_exec_and_is_named)
{
	char path[64], name[64] = "";
	int vm = TRY(self->fd, KVM_CREATE_VM, 0);

	ASSERT_LE(0, vm);
	EXPECT_EQ(FD_CLOEXEC, fcntl(vm, F_GETFD));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", vm);
	ASSERT_LT(0, readlink(path, name, sizeof(name) - 1));
	EXPECT_STREQ("anon_inode:kvm-vm", name);
}

TEST_F(system, many_vms)
{
	int vm[24];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vm); i++) {
		vm[i] = TRY(self->fd, KVM_CREATE_VM, 0);
		ASSERT_LE(0, vm[i]);
	}
	for (i = 0; i < ARRAY_SIZE(vm); i++)
		EXPECT_EQ(0, close(vm[i]));
}

TEST_F(system, unknown_ioctls)
{
	EXPECT_EQ(-EINVAL, TRY(self->fd, _IO(KVMIO, 0xff), 0));
	EXPECT_EQ(-EINVAL, TRY(self->fd, TCGETS, 0));
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_RUN, 0));
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_CREATE_VCPU, 0));
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_USER_MEMORY_REGION, 0));
	/* Right number, wrong size. */
	EXPECT_EQ(-EINVAL, TRY(self->fd, _IOWR(KVMIO, 0x05, char), 0));
}

TEST_F(system, is_no_file)
{
	char byte = 0;

	EXPECT_EQ(-1, read(self->fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0));
	EXPECT_EQ(ENODEV, errno);
}

TEST(not_a_vm)
{
	int fd = open("/dev/null", O_RDWR);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOTTY, TRY(fd, KVM_CREATE_VM, 0));
	EXPECT_EQ(-EBADF, TRY(-1, KVM_CREATE_VM, 0));
}

TEST(node_is_of_group)
{
	struct stat st;

	if (strcmp(api_node(), UVMM_NODE_UMBRA))
		SKIP(return, "the stock node's mode is its own affair");
	ASSERT_EQ(0, stat(api_node(), &st));
	EXPECT_EQ(0660, st.st_mode & 07777);
	EXPECT_TRUE(S_ISCHR(st.st_mode));
}

TEST_HARNESS_MAIN
