// SPDX-License-Identifier: GPL-2.0
/* KVM_GET_SUPPORTED_CPUID, KVM_SET_CPUID2, KVM_GET_CPUID2. */
#include <errno.h>
#include <sys/mman.h>
#include "api.h"
#include <kselftest_harness.h>

#define MAX_ENTRIES	256

struct list {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entry[MAX_ENTRIES + 1];
};

FIXTURE(cpuid) {
	int sys;
	int vcpu;
	bool umbra;
	struct list list;
};

FIXTURE_SETUP(cpuid)
{
	self->sys = api_open();
	ASSERT_LE(0, self->sys);
	self->umbra = api_is_umbra(self->sys);
	self->vcpu = TRY(api_vm(self->sys), KVM_CREATE_VCPU, 0);
	ASSERT_LE(0, self->vcpu);
	self->list.head.nent = MAX_ENTRIES;
	ASSERT_EQ(0, TRY(self->sys, KVM_GET_SUPPORTED_CPUID, &self->list));
}

FIXTURE_TEARDOWN(cpuid)
{
	close(self->sys);
}

static const struct kvm_cpuid_entry2 *find(const struct list *list, u32 function)
{
	unsigned int i;

	for (i = 0; i < list->head.nent; i++)
		if (list->entry[i].function == function)
			return &list->entry[i];
	return NULL;
}

TEST_F(cpuid, supported_sizes)
{
	u32 nr = self->list.head.nent;
	struct list list = {};

	EXPECT_LT(4, nr);
	EXPECT_GE(MAX_ENTRIES, nr);
	EXPECT_EQ(-E2BIG, TRY(self->sys, KVM_GET_SUPPORTED_CPUID, &list));
	list.head.nent = nr - 1;
	EXPECT_EQ(-E2BIG, TRY(self->sys, KVM_GET_SUPPORTED_CPUID, &list));
	list.head.nent = nr;
	EXPECT_EQ(0, TRY(self->sys, KVM_GET_SUPPORTED_CPUID, &list));
	EXPECT_EQ(nr, list.head.nent);
	list.head.nent = 0xffffffff;
	EXPECT_EQ(0, TRY(self->sys, KVM_GET_SUPPORTED_CPUID, &list));
	EXPECT_EQ(nr, list.head.nent);
}

TEST_F(cpuid, supported_bad_pointers)
{
	struct list *edge = api_pages(2);

	ASSERT_EQ(0, munmap((char *)edge + PAGE, PAGE));
	edge = (void *)((char *)edge + PAGE - sizeof(struct kvm_cpuid2) - 8);
	edge->head.nent = MAX_ENTRIES;
	EXPECT_EQ(-EFAULT, TRY(self->sys, KVM_GET_SUPPORTED_CPUID, edge));
	EXPECT_EQ(-EFAULT, TRY(self->sys, KVM_GET_SUPPORTED_CPUID, NULL));
	EXPECT_EQ(-EFAULT, TRY(self->sys, KVM_GET_SUPPORTED_CPUID, KERNEL_ADDR));
}

TEST_F(cpuid, names_a_hypervisor)
{
	const struct kvm_cpuid_entry2 *entry = find(&self->list, 0x40000000);
	u32 signature[4] = {};

	ASSERT_NE(NULL, entry);
	memcpy(signature, &entry->ebx, 12);
	EXPECT_EQ(0, strcmp("KVMKVMKVM", (char *)signature));
	EXPECT_LE(0x40000001, entry->eax);
	/* Some kernels' stock KVM leaves this bit to user space. */
	entry = find(&self->list, 1);
	ASSERT_NE(NULL, entry);
	if (self->umbra)
		EXPECT_NE(0, entry->ecx & 1u << 31);
}

TEST_F(cpuid, long_mode_and_friends)
{
	const struct kvm_cpuid_entry2 *entry = find(&self->list, 0x80000001);

	ASSERT_NE(NULL, entry);
	EXPECT_EQ(1u << 29 | 1u << 20 | 1u << 11,
		  entry->edx & (1u << 29 | 1u << 20 | 1u << 11));
	entry = find(&self->list, 0x80000008);
	ASSERT_NE(NULL, entry);
	EXPECT_LE(36, entry->eax & 0xff);
	EXPECT_GE(52, entry->eax & 0xff);
}

/* What is not virtualised yet must not be offered. */
TEST_F(cpuid, nothing_promised_in_vain)
{
	const struct kvm_cpuid_entry2 *entry = find(&self->list, 1);
	u32 off = 1u << 3 | 1u << 5 | 1u << 24;

	if (!self->umbra)
		SKIP(return, "stock KVM does these");
	ASSERT_NE(NULL, entry);
	EXPECT_EQ(0, entry->ecx & off);
	entry = find(&self->list, 7);
	if (entry) {
		EXPECT_EQ(0, entry->ebx & 1u << 14);
		EXPECT_EQ(0, entry->ecx & (1u << 3 | 1u << 16));
		EXPECT_EQ(0, entry->edx & (7u << 26 | 1u << 31));
	}
	entry = find(&self->list, 0xa);
	if (entry)
		EXPECT_EQ(0, entry->eax | entry->ebx | entry->ecx | entry->edx);
}

TEST_F(cpuid, set_and_get)
{
	u32 nr = self->list.head.nent;
	struct list got = {};

	ASSERT_EQ(0, TRY(self->vcpu, KVM_SET_CPUID2, &self->list));
	EXPECT_EQ(-E2BIG, TRY(self->vcpu, KVM_GET_CPUID2, &got));
	got.head.nent = nr - 1;
	EXPECT_EQ(-E2BIG, TRY(self->vcpu, KVM_GET_CPUID2, &got));
	got.head.nent = MAX_ENTRIES;
	ASSERT_EQ(0, TRY(self->vcpu, KVM_GET_CPUID2, &got));
	/* Stock 6.1 leaves the count as it was. */
	if (self->umbra)
		EXPECT_EQ(nr, got.head.nent);
	EXPECT_EQ(self->list.entry[0].eax, got.entry[0].eax);
	EXPECT_EQ(self->list.entry[nr - 1].function, got.entry[nr - 1].function);
}

TEST_F(cpuid, set_refuses)
{
	struct list *list = &self->list;
	u32 nr = list->head.nent;

	list->head.nent = MAX_ENTRIES + 1;
	EXPECT_EQ(-E2BIG, TRY(self->vcpu, KVM_SET_CPUID2, list));
	list->head.nent = 0xffffffff;
	EXPECT_EQ(-E2BIG, TRY(self->vcpu, KVM_SET_CPUID2, list));
	EXPECT_EQ(-EFAULT, TRY(self->vcpu, KVM_SET_CPUID2, NULL));
	EXPECT_EQ(-EFAULT, TRY(self->vcpu, KVM_GET_CPUID2, NULL));

	/* No CPU has linear addresses of 33 bits. */
	list->head.nent = nr + 1;
	list->entry[nr] = (struct kvm_cpuid_entry2){ .function = 0x80000008, .eax = 0x2128 };
	for (nr = 0; nr < list->head.nent; nr++)
		if (list->entry[nr].function == 0x80000008)
			list->entry[nr].eax = 0x2128;
	EXPECT_EQ(-EINVAL, TRY(self->vcpu, KVM_SET_CPUID2, list));
}

TEST_F(cpuid, set_empty)
{
	struct list empty = {};

	EXPECT_EQ(0, TRY(self->vcpu, KVM_SET_CPUID2, &empty));
	EXPECT_EQ(0, TRY(self->vcpu, KVM_GET_CPUID2, &empty));
	EXPECT_EQ(0, empty.head.nent);
}

/* The guest sees what was set; beyond the highest basic leaf too. */
TEST(guest_sees_it)
{
	struct list list = { .head.nent = 3 };
	struct kvm_regs regs = {};
	struct machine m;

	ASSERT_EQ(0, machine_start(&m, true));
	list.entry[0] = (struct kvm_cpuid_entry2){ .function = 0, .eax = 4, .ebx = 0x1111 };
	list.entry[1] = (struct kvm_cpuid_entry2){
		.function = 4, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = 0xabcd, .ebx = 0x2222, .ecx = 0x3333, .edx = 0x4444,
	};
	list.entry[2] = (struct kvm_cpuid_entry2){ .function = 0x80000008, .eax = 0x3028 };
	ASSERT_EQ(0, TRY(m.vcpu.fd, KVM_SET_CPUID2, &list));

	/* mov $4, %eax; mov $1, %ecx; cpuid; hlt */
	CODE(&m, 0xb8, 4, 0, 0, 0, 0xb9, 1, 0, 0, 0, 0x0f, 0xa2, 0xf4);
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&m));
	ASSERT_EQ(0, TRY(m.vcpu.fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(0xabcd, regs.rax);
	EXPECT_EQ(0x2222, regs.rbx);
	EXPECT_EQ(0x3333, regs.rcx);
	EXPECT_EQ(0x4444, regs.rdx);
	machine_stop(&m);
}

/* The state components that the node names are those of the CPUID it offers. */
TEST_F(cpuid, xcr0_attribute)
{
	u64 xcr0 = ~0ULL, offered = 0;
	struct kvm_device_attr attr = {
		.attr = KVM_X86_XCOMP_GUEST_SUPP, .addr = (u64)&xcr0,
	};
	unsigned int i;

	ASSERT_EQ(1, TRY(self->sys, KVM_CHECK_EXTENSION, KVM_CAP_SYS_ATTRIBUTES));
	ASSERT_EQ(0, TRY(self->sys, KVM_HAS_DEVICE_ATTR, &attr));
	ASSERT_EQ(0, TRY(self->sys, KVM_GET_DEVICE_ATTR, &attr));
	for (i = 0; i < self->list.head.nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &self->list.entry[i];

		if (entry->function == 0xd && !entry->index)
			offered = entry->eax | (u64)entry->edx << 32;
	}
	EXPECT_EQ(offered, xcr0);
	attr.addr = KERNEL_ADDR;
	EXPECT_EQ(-EFAULT, TRY(self->sys, KVM_GET_DEVICE_ATTR, &attr));
	attr.attr = 1;
	EXPECT_EQ(-ENXIO, TRY(self->sys, KVM_HAS_DEVICE_ATTR, &attr));
	EXPECT_EQ(-ENXIO, TRY(self->sys, KVM_GET_DEVICE_ATTR, &attr));
	attr.attr = KVM_X86_XCOMP_GUEST_SUPP;
	attr.group = 1;
	EXPECT_EQ(-ENXIO, TRY(self->sys, KVM_HAS_DEVICE_ATTR, &attr));
}

TEST_HARNESS_MAIN
