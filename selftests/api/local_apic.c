// SPDX-License-Identifier: GPL-2.0
/*
 * vCPUs with a local APIC in the kernel: what a halted one goes on for, and what is kept
 * when user space saves and restores them.
 */
#include <errno.h>
#include <string.h>
#include "api.h"
#include <kselftest_harness.h>

#define DONE		0x10
#define MSI_ADDRESS	0xfee00000
#define MSI_INIT	0x500
#define MSI_STARTUP	0x600

FIXTURE(local_apic) {
	struct machine m;
	struct kvm_run *run;
};

FIXTURE_SETUP(local_apic)
{
	ASSERT_EQ(0, machine_start_vm(&self->m));
	ASSERT_EQ(0, TRY(self->m.vm.fd, KVM_CREATE_IRQCHIP, 0));
	ASSERT_EQ(0, machine_start_vcpu(&self->m, false));
	self->run = self->m.vcpu.run;
}

FIXTURE_TEARDOWN(local_apic)
{
	machine_stop(&self->m);
}

/* The trap after a HLT that is single-stepped ends it: nothing else would. */
TEST_F(local_apic, halt_with_trap)
{
	u16 *vector = (u16 *)(self->m.mem + 4 * 1);

	/* pushf; pop %ax; or $1, %ah; push %ax; popf; hlt; and #DB: out %al, $DONE */
	CODE(&self->m, 0x9c, 0x58, 0x80, 0xcc, 0x01, 0x50, 0x9d, 0xf4, 0xe6, DONE + 1);
	memcpy(self->m.mem + 0x9000, "\xe6\x10", 2);
	vector[0] = 0x9000;
	vector[1] = 0;
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	EXPECT_EQ(DONE, self->run->io.port);
}

/* One that user space has made pending. */
TEST_F(local_apic, halted_with_exception)
{
	struct kvm_mp_state halted = { .mp_state = KVM_MP_STATE_HALTED };
	struct kvm_vcpu_events ev = {};
	u16 *vector = (u16 *)(self->m.mem + 4 * 6);

	memcpy(self->m.mem + 0x9000, "\xe6\x10", 2);
	vector[0] = 0x9000;
	vector[1] = 0;
	ev.exception.injected = 1;
	ev.exception.nr = 6;
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_VCPU_EVENTS, &ev));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_MP_STATE, &halted));
	ASSERT_EQ(0, machine_run(&self->m));
	ASSERT_EQ(KVM_EXIT_IO, self->run->exit_reason);
	EXPECT_EQ(DONE, self->run->io.port);
}

/* An interrupt on its way to the guest has left the APIC: it must not get lost. */
TEST_F(local_apic, sregs_keep_the_interrupt)
{
	struct kvm_vcpu_events ev = {};
	struct kvm_sregs sregs;

	ev.interrupt.injected = 1;
	ev.interrupt.nr = 0x41;
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_VCPU_EVENTS, &ev));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_SREGS, &sregs));
	EXPECT_EQ(1ULL << 1, sregs.interrupt_bitmap[1]);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_VCPU_EVENTS, &ev));
	EXPECT_EQ(1, ev.interrupt.injected);
	EXPECT_EQ(0x41, ev.interrupt.nr);
}

static long message(struct machine *m, u32 data)
{
	struct kvm_msi msi = { .address_lo = MSI_ADDRESS | 1 << 12, .data = data };

	return TRY(m->vm.fd, KVM_SIGNAL_MSI, &msi);
}

/* A vCPU that is not in KVM_RUN has been started all the same, when it is asked. */
TEST_F(local_apic, start_is_in_the_state)
{
	struct kvm_mp_state state;
	struct kvm_sregs sregs;
	int fd = TRY(self->m.vm.fd, KVM_CREATE_VCPU, 1);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, TRY(fd, KVM_GET_MP_STATE, &state));
	EXPECT_EQ(KVM_MP_STATE_UNINITIALIZED, state.mp_state);
	EXPECT_EQ(1, message(&self->m, MSI_INIT));
	ASSERT_EQ(0, TRY(fd, KVM_GET_MP_STATE, &state));
	EXPECT_EQ(KVM_MP_STATE_INIT_RECEIVED, state.mp_state);
	EXPECT_EQ(1, message(&self->m, MSI_STARTUP | 0x12));
	ASSERT_EQ(0, TRY(fd, KVM_GET_MP_STATE, &state));
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, state.mp_state);
	ASSERT_EQ(0, TRY(fd, KVM_GET_SREGS, &sregs));
	EXPECT_EQ(0x1200, sregs.cs.selector);
	close(fd);
}

TEST_HARNESS_MAIN
