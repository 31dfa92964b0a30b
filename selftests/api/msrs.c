// SPDX-License-Identifier: GPL-2.0
/* The MSR lists, KVM_GET_MSRS and KVM_SET_MSRS. */
#include <errno.h>
#include "api.h"
#include <kselftest_harness.h>

#define MAX_MSRS	600

#define MSR_TSC			0x10
#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_PAT			0x277
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_NONE		0x00dead00
#define MSR_MC3_CTL2		0x283
#define MSR_MC3_ADDR		0x40e
#define MCG_CMCI_P		(1ULL << 10)
#define MCI_VALID		(1ULL << 63)
#define MCI_CTL2_EN		(1ULL << 30)

struct index_list {
	struct kvm_msr_list head;
	u32 index[MAX_MSRS];
};

struct msrs {
	struct kvm_msrs head;
	struct kvm_msr_entry entry[256];
};

FIXTURE(msrs) {
	int sys;
	int fd;
	bool umbra;
};

FIXTURE_SETUP(msrs)
{
	self->sys = api_open();
	ASSERT_LE(0, self->sys);
	self->umbra = api_is_umbra(self->sys);
	self->fd = TRY(api_vm(self->sys), KVM_CREATE_VCPU, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(msrs)
{
	close(self->fd);
	close(self->sys);
}

static void check_list(struct __test_metadata *_metadata, int sys, unsigned long cmd)
{
	struct index_list list = {};
	u32 nr;

	EXPECT_EQ(-EFAULT, TRY(sys, cmd, NULL));
	EXPECT_EQ(-EFAULT, TRY(sys, cmd, KERNEL_ADDR));
	list.head.nmsrs = MAX_MSRS;
	ASSERT_EQ(0, TRY(sys, cmd, &list));
	nr = list.head.nmsrs;
	if (!nr)
		return;
	list.head.nmsrs = nr - 1;
	EXPECT_EQ(-E2BIG, TRY(sys, cmd, &list));
	EXPECT_EQ(nr, list.head.nmsrs);
	list.head.nmsrs = 0;
	EXPECT_EQ(-E2BIG, TRY(sys, cmd, &list));
	EXPECT_EQ(nr, list.head.nmsrs);
	EXPECT_EQ(0, TRY(sys, cmd, &list));
	EXPECT_EQ(nr, list.head.nmsrs);
}

TEST_F(msrs, index_list)
{
	struct index_list list = { .head.nmsrs = MAX_MSRS };

	check_list(_metadata, self->sys, KVM_GET_MSR_INDEX_LIST);
	ASSERT_EQ(0, TRY(self->sys, KVM_GET_MSR_INDEX_LIST, &list));
	EXPECT_LT(0, list.head.nmsrs);
}

TEST_F(msrs, feature_index_list)
{
	check_list(_metadata, self->sys, KVM_GET_MSR_FEATURE_INDEX_LIST);
}

/* What the list names can be read, and what was read can be written back. */
TEST_F(msrs, listed_ones_work)
{
	struct index_list list = { .head.nmsrs = MAX_MSRS };
	struct msrs msrs = {};
	unsigned int i;

	if (!self->umbra)
		SKIP(return, "stock KVM ties some of them to CPUID");
	ASSERT_EQ(0, TRY(self->sys, KVM_GET_MSR_INDEX_LIST, &list));
	for (i = 0; i < list.head.nmsrs; i++) {
		msrs.head.nmsrs = 1;
		msrs.entry[0].index = list.index[i];
		EXPECT_EQ(1, TRY(self->fd, KVM_GET_MSRS, &msrs)) {
			TH_LOG("MSR %#x cannot be read", list.index[i]);
		}
		EXPECT_EQ(1, TRY(self->fd, KVM_SET_MSRS, &msrs)) {
			TH_LOG("MSR %#x cannot be written", list.index[i]);
		}
	}
}

TEST_F(msrs, round_trip)
{
	static const struct kvm_msr_entry values[] = {
		{ .index = MSR_SYSENTER_CS, .data = 0x10 },
		{ .index = MSR_SYSENTER_ESP, .data = 0xffff888012345678 },
		{ .index = MSR_PAT, .data = 0x0007040600070406 },
		{ .index = MSR_STAR, .data = 0x0023001000000000 },
		{ .index = MSR_LSTAR, .data = 0xffffffff81000000 },
		{ .index = MSR_KERNEL_GS_BASE, .data = 0xffff888000001000 },
	};
	struct msrs msrs = { .head.nmsrs = ARRAY_SIZE(values) };
	unsigned int i;

	memcpy(msrs.entry, values, sizeof(values));
	ASSERT_EQ(ARRAY_SIZE(values), TRY(self->fd, KVM_SET_MSRS, &msrs));
	for (i = 0; i < ARRAY_SIZE(values); i++)
		msrs.entry[i].data = 0x5555;
	ASSERT_EQ(ARRAY_SIZE(values), TRY(self->fd, KVM_GET_MSRS, &msrs));
	for (i = 0; i < ARRAY_SIZE(values); i++)
		EXPECT_EQ(values[i].data, msrs.entry[i].data) {
			TH_LOG("MSR %#x", values[i].index);
		}
}

TEST_F(msrs, refused_values)
{
	static const struct kvm_msr_entry values[] = {
		{ .index = MSR_LSTAR, .data = 0x0000800000000000 },
		{ .index = MSR_KERNEL_GS_BASE, .data = 0x8000000000000000 },
		{ .index = MSR_PAT, .data = 0x0202020202020202 },
		{ .index = MSR_EFER, .data = 1ULL << 40 },
		{ .index = MSR_NONE },
	};
	struct msrs msrs = { .head.nmsrs = 1 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		msrs.entry[0] = values[i];
		EXPECT_EQ(0, TRY(self->fd, KVM_SET_MSRS, &msrs)) {
			TH_LOG("MSR %#x", values[i].index);
		}
	}
}

TEST_F(msrs, stops_at_the_first_bad_one)
{
	struct msrs msrs = { .head.nmsrs = 4 };
	unsigned int i;

	for (i = 0; i < 4; i++)
		msrs.entry[i] = (struct kvm_msr_entry){ .index = MSR_STAR, .data = i };
	msrs.entry[2].index = MSR_NONE;
	EXPECT_EQ(2, TRY(self->fd, KVM_SET_MSRS, &msrs));
	msrs.entry[3].data = 0x77;
	EXPECT_EQ(2, TRY(self->fd, KVM_GET_MSRS, &msrs));
	EXPECT_EQ(1, msrs.entry[0].data);
	EXPECT_EQ(0x77, msrs.entry[3].data);
}

TEST_F(msrs, counts)
{
	struct msrs *msrs = calloc(1, sizeof(*msrs));
	unsigned int i;

	EXPECT_EQ(0, TRY(self->fd, KVM_GET_MSRS, msrs));
	EXPECT_EQ(0, TRY(self->fd, KVM_SET_MSRS, msrs));
	msrs->head.nmsrs = 256;
	EXPECT_EQ(-E2BIG, TRY(self->fd, KVM_GET_MSRS, msrs));
	EXPECT_EQ(-E2BIG, TRY(self->fd, KVM_SET_MSRS, msrs));
	msrs->head.nmsrs = 0xffffffff;
	EXPECT_EQ(-E2BIG, TRY(self->fd, KVM_GET_MSRS, msrs));
	EXPECT_EQ(-E2BIG, TRY(self->fd, KVM_SET_MSRS, msrs));
	msrs->head.nmsrs = 255;
	for (i = 0; i < 255; i++)
		msrs->entry[i].index = MSR_STAR;
	EXPECT_EQ(255, TRY(self->fd, KVM_GET_MSRS, msrs));
	EXPECT_EQ(255, TRY(self->fd, KVM_SET_MSRS, msrs));
}

TEST_F(msrs, tsc_moves_on)
{
	struct msrs msrs = { .head.nmsrs = 1, .entry[0].index = MSR_TSC };
	u64 before;

	ASSERT_EQ(1, TRY(self->fd, KVM_GET_MSRS, &msrs));
	before = msrs.entry[0].data;
	ASSERT_EQ(1, TRY(self->fd, KVM_GET_MSRS, &msrs));
	EXPECT_LT(before, msrs.entry[0].data);
}

/* Corrected machine checks are signalled when MCG_CAP says so. */
TEST_F(msrs, mce_control)
{
	struct msrs m = { .head.nmsrs = 1, .entry[0].index = MSR_MC3_CTL2 };
	struct kvm_x86_mce mce = { .bank = 3, .status = MCI_VALID | 0x90, .addr = 0x1000 };
	u64 can = 0, cap;

	ASSERT_EQ(0, TRY(self->sys, KVM_X86_GET_MCE_CAP_SUPPORTED, &can));
	EXPECT_NE(0, can & MCG_CMCI_P);
	cap = 4;
	ASSERT_EQ(0, TRY(self->fd, KVM_X86_SETUP_MCE, &cap));
	m.entry[0].data = MCI_CTL2_EN;
	EXPECT_EQ(0, TRY(self->fd, KVM_SET_MSRS, &m));
	cap |= MCG_CMCI_P;
	ASSERT_EQ(0, TRY(self->fd, KVM_X86_SETUP_MCE, &cap));
	EXPECT_EQ(1, TRY(self->fd, KVM_SET_MSRS, &m));
	m.entry[0].data = 0;
	EXPECT_EQ(1, TRY(self->fd, KVM_GET_MSRS, &m));
	EXPECT_EQ(MCI_CTL2_EN, m.entry[0].data);
	m.entry[0].data = 1 << 29;
	EXPECT_EQ(0, TRY(self->fd, KVM_SET_MSRS, &m));
	/* There is no fourth bank. */
	m.entry[0].index = MSR_MC3_CTL2 + 1;
	m.entry[0].data = 0;
	EXPECT_EQ(0, TRY(self->fd, KVM_SET_MSRS, &m));
	/* Noted, though there is no APIC to signal it. */
	EXPECT_EQ(0, TRY(self->fd, KVM_X86_SET_MCE, &mce));
	m.entry[0].index = MSR_MC3_ADDR;
	EXPECT_EQ(1, TRY(self->fd, KVM_GET_MSRS, &m));
	EXPECT_EQ(0x1000, m.entry[0].data);
}

TEST_HARNESS_MAIN
