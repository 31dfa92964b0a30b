// SPDX-License-Identifier: GPL-2.0
/* KVM_SET_TSC_KHZ: the rate of the guest's TSC, for one vCPU and for a VM's. */
#include <errno.h>
#include <x86intrin.h>
#include "api.h"
#include <kselftest_harness.h>

#define MSR_TSC		0x10

FIXTURE(tsc) {
	struct machine m;
	bool scales;
	long host;
};

FIXTURE_SETUP(tsc)
{
	ASSERT_EQ(0, machine_start_vm(&self->m));
	self->scales = TRY(self->m.vm.node_fd, KVM_CHECK_EXTENSION, KVM_CAP_VM_TSC_CONTROL);
	self->host = TRY(self->m.vm.fd, KVM_GET_TSC_KHZ, 0);
	ASSERT_LT(0, self->host);
}

FIXTURE_TEARDOWN(tsc)
{
	machine_stop(&self->m);
}

static u64 read_msr(int fd)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry.index = MSR_TSC };

	return TRY(fd, KVM_GET_MSRS, &msrs) == 1 ? msrs.entry.data : 0;
}

/* What the guest itself reads. */
static u64 read_guest(struct machine *m)
{
	struct kvm_regs regs = {};

	CODE(m, 0x0f, 0x31, 0xf4);		/* rdtsc; hlt */
	if (machine_enter(m) == KVM_EXIT_HLT)
		TRY(m->vcpu.fd, KVM_GET_REGS, &regs);
	return (u32)regs.rax | regs.rdx << 32;
}

/* The guest's rate in percent of the host's, over some 50 ms. */
static u64 percent(struct machine *m)
{
	u64 guest = read_guest(m), host = __rdtsc();

	usleep(50000);
	guest = read_guest(m) - guest;
	return guest * 100 / (__rdtsc() - host);
}

TEST_F(tsc, is_the_hosts)
{
	int fd;

	ASSERT_EQ(0, machine_start_vcpu(&self->m, true));
	fd = self->m.vcpu.fd;
	EXPECT_EQ(self->host, TRY(fd, KVM_GET_TSC_KHZ, 0));
	EXPECT_EQ(0, TRY(fd, KVM_SET_TSC_KHZ, 0));
	EXPECT_EQ(0, TRY(fd, KVM_SET_TSC_KHZ, self->host));
	/* As good as the same. */
	EXPECT_EQ(0, TRY(fd, KVM_SET_TSC_KHZ, self->host + self->host / 5000));
	EXPECT_EQ(self->host + self->host / 5000, TRY(fd, KVM_GET_TSC_KHZ, 0));
	if (!self->scales)
		EXPECT_EQ(-EINVAL, TRY(fd, KVM_SET_TSC_KHZ, self->host / 2));
}

TEST_F(tsc, scales_for_a_vm)
{
	static const unsigned int part[] = { 50, 250, 2000 };
	struct machine *m = &self->m;
	unsigned int i;

	if (!self->scales)
		SKIP(return, "the CPU does not scale TSCs");
	if (api_is_umbra(m->vm.node_fd))
		EXPECT_EQ(-EINVAL, TRY(m->vm.fd, KVM_SET_TSC_KHZ, -1UL));
	ASSERT_EQ(0, TRY(m->vm.fd, KVM_SET_TSC_KHZ, self->host * 3));
	EXPECT_EQ(self->host * 3, TRY(m->vm.fd, KVM_GET_TSC_KHZ, 0));
	ASSERT_EQ(0, machine_start_vcpu(m, true));
	EXPECT_EQ(self->host * 3, TRY(m->vcpu.fd, KVM_GET_TSC_KHZ, 0));
	EXPECT_LE(290, percent(m));
	EXPECT_GE(310, percent(m));
	/* And for a vCPU alone. */
	for (i = 0; i < ARRAY_SIZE(part); i++) {
		ASSERT_EQ(0, TRY(m->vcpu.fd, KVM_SET_TSC_KHZ, self->host * part[i] / 100));
		EXPECT_LE(part[i] * 95 / 100, percent(m));
		EXPECT_GE(part[i] * 105 / 100, percent(m));
	}
}

/* User space and the guest see one clock, and so do vCPUs with each other. */
TEST_F(tsc, agrees)
{
	struct machine *m = &self->m;
	unsigned int i;
	u64 last = 0;
	int other;

	if (self->scales)
		ASSERT_EQ(0, TRY(m->vm.fd, KVM_SET_TSC_KHZ, self->host * 7 / 3));
	ASSERT_EQ(0, machine_start_vcpu(m, true));
	usleep(10000);
	other = TRY(m->vm.fd, KVM_CREATE_VCPU, 1);
	ASSERT_LE(0, other);
	for (i = 0; i < 50; i++) {
		u64 now[] = {
			read_msr(m->vcpu.fd), read_msr(other), read_guest(m), read_msr(other),
		};
		unsigned int k;

		for (k = 0; k < ARRAY_SIZE(now); k++) {
			EXPECT_LT(last, now[k]);
			last = now[k];
		}
	}
	close(other);
}

TEST_HARNESS_MAIN
