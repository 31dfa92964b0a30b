// SPDX-License-Identifier: GPL-2.0
/*
 * What QEMU's option ROM for guests that use the task priority a lot builds on:
 * KVM_TPR_ACCESS_REPORTING, and RIP at an OUT to port 0x7e.
 */
#include <errno.h>
#include <string.h>
#include "api.h"
#include <kselftest_harness.h>

#define APIC_PAGE	0xfee00000
#define DONE		0x10

FIXTURE(vapic) {
	struct machine m;
	struct kvm_run *run;
};

/* In real mode, with DS where the local APIC is. */
FIXTURE_SETUP(vapic)
{
	struct kvm_sregs sregs;

	ASSERT_EQ(0, machine_start_vm(&self->m));
	ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_CREATE_IRQCHIP, 0));
	ASSERT_EQ(0, machine_start_vcpu(&self->m, false));
	self->run = self->m.vcpu.run;
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_SREGS, &sregs));
	sregs.ds.base = APIC_PAGE;
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_SREGS, &sregs));
}

FIXTURE_TEARDOWN(vapic)
{
	machine_stop(&self->m);
}

static long report(struct machine *m, bool enabled, u32 flags)
{
	struct kvm_tpr_access_ctl ctl = { .enabled = enabled, .flags = flags };

	return TRY(m->vcpu.fd, KVM_TPR_ACCESS_REPORTING, &ctl);
}

/* mov 0x80, %eax; mov %eax, 0x80; mov 0x20, %eax; out %al, $0x10 */
static void use_tpr(struct machine *m)
{
	CODE(m, 0x66, 0xa1, 0x80, 0x00, 0x66, 0xa3, 0x80, 0x00, 0x66, 0xa1, 0x20, 0x00,
	     0xe6, DONE);
}

TEST_F(vapic, tpr_is_nobodys_business)
{
	use_tpr(&self->m);
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	EXPECT_EQ(DONE, self->run->io.port);
	EXPECT_EQ(-EINVAL, report(&self->m, true, 1));
	ASSERT_EQ(0, report(&self->m, true, 0));
	ASSERT_EQ(0, report(&self->m, false, 0));
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
}

/* After the access, with the address of the instruction that made it. */
TEST_F(vapic, tpr_is_reported)
{
	u64 start;

	ASSERT_EQ(0, report(&self->m, true, 0));
	use_tpr(&self->m);
	ASSERT_EQ(KVM_EXIT_TPR_ACCESS, machine_enter(&self->m));
	EXPECT_EQ(0, self->run->tpr_access.is_write);
	start = self->run->tpr_access.rip;
	EXPECT_EQ(start + 4, machine_rip(&self->m));
	ASSERT_EQ(KVM_EXIT_TPR_ACCESS, machine_finish(&self->m, NULL));
	EXPECT_EQ(1, self->run->tpr_access.is_write);
	EXPECT_EQ(start + 4, self->run->tpr_access.rip);
	EXPECT_EQ(start + 8, machine_rip(&self->m));
	ASSERT_EQ(KVM_EXIT_IO, machine_finish(&self->m, NULL));
	EXPECT_EQ(DONE, self->run->io.port);
}

/* nop; nop; out %al, $0x7e; out %al, $0x10 */
TEST_F(vapic, rip_is_behind_the_rom_s_out)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DISABLE_QUIRKS2 };
	struct kvm_regs regs;
	u64 start;

	CODE(&self->m, 0x90, 0x90, 0xe6, 0x7e, 0xe6, DONE);
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	ASSERT_EQ(0x7e, self->run->io.port);
	start = machine_rip(&self->m) - 4;
	/* QEMU writes what it has read. */
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(KVM_EXIT_IO, machine_finish(&self->m, NULL));
	EXPECT_EQ(DONE, self->run->io.port);
	EXPECT_EQ(start + 4, machine_rip(&self->m));

	/* It is not so for who does not want it. */
	cap.args[0] = KVM_X86_QUIRK_OUT_7E_INC_RIP;
	ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_ENABLE_CAP, &cap));
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	ASSERT_EQ(0x7e, self->run->io.port);
	EXPECT_EQ(start + 2, machine_rip(&self->m));
	ASSERT_EQ(KVM_EXIT_IO, machine_finish(&self->m, NULL));
	EXPECT_EQ(DONE, self->run->io.port);

	/* The older capability has no bits that are refused. */
	cap.args[0] = 0;
	ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_ENABLE_CAP, &cap));
	cap.cap = KVM_CAP_DISABLE_QUIRKS;
	cap.args[0] = ~0UL;
	ASSERT_EQ(1, TRY(self->m.vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_DISABLE_QUIRKS));
	ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_ENABLE_CAP, &cap));
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	EXPECT_EQ(start + 2, machine_rip(&self->m));
}

TEST_HARNESS_MAIN
