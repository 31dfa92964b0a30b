// SPDX-License-Identifier: GPL-2.0
/* /sys/kernel/debug/umbra/PID-FD: the auditor, and when directories come and go. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include "api.h"
#include <kselftest_harness.h>

#define ROOT	"/sys/kernel/debug/umbra"

static int audit_open(int vm_fd, const char *suffix)
{
	char path[96];

	snprintf(path, sizeof(path), ROOT "/%d-%d%s/audit", getpid(), vm_fd, suffix);
	return open(path, O_RDONLY);
}

/* The number after a word of the report; -1 when it is not there. */
static long figure(const char *report, const char *word)
{
	const char *at = strstr(report, word);

	return at ? atol(at + strlen(word)) : -1;
}

FIXTURE(debugfs) {
	struct machine m;
	int fd;
	char report[512];
};

FIXTURE_SETUP(debugfs)
{
	if (access(ROOT, X_OK))
		SKIP(return, "no " ROOT);
	ASSERT_EQ(0, machine_start(&self->m, true));
	self->fd = audit_open(self->m.vm.fd, "");
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(debugfs)
{
	close(self->fd);
	machine_stop(&self->m);
}

TEST_F(debugfs, audit)
{
	u8 value;

	ASSERT_LT(0, pread(self->fd, self->report, sizeof(self->report) - 1, 0));
	EXPECT_EQ(0, figure(self->report, "findings "));
	ASSERT_EQ(KVM_EXIT_HLT, machine_peek(&self->m, MACHINE_DATA, &value));
	ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, MACHINE_DATA, 1));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	memset(self->report, 0, sizeof(self->report));
	ASSERT_LT(0, read(self->fd, self->report, sizeof(self->report) - 1));
	EXPECT_EQ(0, figure(self->report, "findings "));
	EXPECT_LE(4, figure(self->report, "tables "));
	EXPECT_LE(4, figure(self->report, "entries "));
}

TEST_F(debugfs, gone_with_the_vm)
{
	struct machine other;
	int fd, vm_fd;

	ASSERT_EQ(0, machine_start(&other, true));
	vm_fd = other.vm.fd;
	fd = audit_open(vm_fd, "");
	ASSERT_LE(0, fd);
	machine_stop(&other);
	EXPECT_EQ(-1, read(fd, self->report, sizeof(self->report)));
	EXPECT_EQ(EIO, errno);
	close(fd);
	EXPECT_EQ(-1, audit_open(vm_fd, ""));
	EXPECT_EQ(ENOENT, errno);
}

/* A VM that lives on in its vCPU, and another under the same fd. */
TEST_F(debugfs, same_fd)
{
	int sys = api_open(), first, vcpu, second;

	first = api_vm(sys);
	vcpu = TRY(first, KVM_CREATE_VCPU, 0);
	ASSERT_LE(0, vcpu);
	close(first);
	second = api_vm(sys);
	if (second == first) {
		int of_first = audit_open(first, ""), of_second = audit_open(second, ".2");

		EXPECT_LE(0, of_first);
		EXPECT_LE(0, of_second);
		close(of_first);
		close(of_second);
	}
	close(vcpu);
	close(second);
	close(sys);
}

TEST_HARNESS_MAIN
