// SPDX-License-Identifier: GPL-2.0
/* KVM_*_VCPU_EVENTS, KVM_*_DEBUGREGS, KVM_INTERRUPT, KVM_NMI. */
#include <errno.h>
#include "api.h"
#include <kselftest_harness.h>

FIXTURE(events) {
	int fd;
	bool umbra;
};

FIXTURE_SETUP(events)
{
	int sys = api_open();

	ASSERT_LE(0, sys);
	self->umbra = api_is_umbra(sys);
	self->fd = TRY(api_vm(sys), KVM_CREATE_VCPU, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(events)
{
	close(self->fd);
}

TEST_F(events, idle)
{
	struct kvm_vcpu_events ev;

	memset(&ev, 0xff, sizeof(ev));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_VCPU_EVENTS, &ev));
	EXPECT_EQ(0, ev.exception.injected);
	EXPECT_EQ(0, ev.interrupt.injected);
	EXPECT_EQ(0, ev.nmi.injected | ev.nmi.pending | ev.nmi.masked);
	EXPECT_EQ(0, TRY(self->fd, KVM_SET_VCPU_EVENTS, &ev));
}

TEST_F(events, refused)
{
	struct kvm_vcpu_events ev = {};

	ev.flags = 1u << 31;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_VCPU_EVENTS, &ev));
	ev.flags = 0;
	ev.exception.injected = 1;
	ev.exception.nr = 32;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_VCPU_EVENTS, &ev));
	/* Vector 2 is not an exception. */
	ev.exception.nr = 2;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_VCPU_EVENTS, &ev));
}

TEST_F(events, exception_round_trip)
{
	struct kvm_vcpu_events ev = {};

	ev.exception.injected = 1;
	ev.exception.nr = 13;
	ev.exception.has_error_code = 1;
	ev.exception.error_code = 0x18;
	ASSERT_EQ(0, TRY(self->fd, KVM_SET_VCPU_EVENTS, &ev));
	memset(&ev, 0, sizeof(ev));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_VCPU_EVENTS, &ev));
	EXPECT_EQ(1, ev.exception.injected);
	EXPECT_EQ(13, ev.exception.nr);
	EXPECT_EQ(1, ev.exception.has_error_code);
	EXPECT_EQ(0x18, ev.exception.error_code);
}

TEST_F(events, nmi)
{
	struct kvm_vcpu_events ev = {};

	EXPECT_EQ(0, TRY(self->fd, KVM_NMI, 0));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_VCPU_EVENTS, &ev));
	EXPECT_EQ(1, ev.nmi.pending | ev.nmi.injected);
	ev.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	ev.nmi.pending = 0;
	ev.nmi.injected = 0;
	ASSERT_EQ(0, TRY(self->fd, KVM_SET_VCPU_EVENTS, &ev));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_VCPU_EVENTS, &ev));
	EXPECT_EQ(0, ev.nmi.pending);
}

TEST_F(events, interrupt_vectors)
{
	struct kvm_interrupt irq = { .irq = 256 };
	struct kvm_vcpu_events ev;

	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_INTERRUPT, &irq));
	irq.irq = 0xffffffff;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_INTERRUPT, &irq));
	irq.irq = 0x40;
	EXPECT_EQ(0, TRY(self->fd, KVM_INTERRUPT, &irq));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_VCPU_EVENTS, &ev));
	EXPECT_EQ(1, ev.interrupt.injected);
	EXPECT_EQ(0x40, ev.interrupt.nr);
}

TEST_F(events, debugregs)
{
	struct kvm_debugregs dr, got;

	ASSERT_EQ(0, TRY(self->fd, KVM_GET_DEBUGREGS, &dr));
	EXPECT_EQ(0, dr.flags);
	EXPECT_EQ(0xffff0ff0, dr.dr6);
	EXPECT_EQ(0x400, dr.dr7);
	dr.db[0] = 0x1000;
	dr.db[3] = 0x7fff12345678;
	ASSERT_EQ(0, TRY(self->fd, KVM_SET_DEBUGREGS, &dr));
	ASSERT_EQ(0, TRY(self->fd, KVM_GET_DEBUGREGS, &got));
	EXPECT_EQ(dr.db[0], got.db[0]);
	EXPECT_EQ(dr.db[3], got.db[3]);
	dr.flags = 1;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_DEBUGREGS, &dr));
	dr.flags = 0;
	dr.dr6 = 1ULL << 32;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_DEBUGREGS, &dr));
	dr.dr6 = got.dr6;
	dr.dr7 = 1ULL << 32;
	EXPECT_EQ(-EINVAL, TRY(self->fd, KVM_SET_DEBUGREGS, &dr));
}

static int enable(int vm, unsigned int cap, __u64 arg)
{
	struct kvm_enable_cap enable = { .cap = cap, .args = { arg } };

	return TRY(vm, KVM_ENABLE_CAP, &enable);
}

/* In real mode the handler's address is in the table at 0. */
static void set_vector(struct machine *m, unsigned int vector, u16 ip)
{
	u16 *entry = (u16 *)(m->mem + 4 * vector);

	entry[0] = ip;
	entry[1] = 0;
}

FIXTURE(guest) {
	struct machine m;
};

FIXTURE_SETUP(guest)
{
	ASSERT_EQ(0, machine_start(&self->m, false));
	/* At the handlers: mov $vector, %al; hlt; iret. That of NMI: mov $3, %al; hlt before */
	memcpy(self->m.mem + 0x9000, "\xb0\x42\xf4\xcf", 4);
	memcpy(self->m.mem + 0x9100, "\xb0\x02\xf4\xb0\x03\xf4\xcf", 7);
	memcpy(self->m.mem + 0x9200, "\xb0\x06\xf4", 3);
	set_vector(&self->m, 0x42, 0x9000);
	set_vector(&self->m, 2, 0x9100);
	set_vector(&self->m, 6, 0x9200);
}

FIXTURE_TEARDOWN(guest)
{
	machine_stop(&self->m);
}

TEST_F(guest, takes_an_interrupt)
{
	struct kvm_interrupt irq = { .irq = 0x42 };
	u8 value = 0;

	CODE(&self->m, 0xfb, 0xf4, 0xf4);		/* sti; hlt; hlt */
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	EXPECT_EQ(1, self->m.vcpu.run->if_flag);
	EXPECT_EQ(1, self->m.vcpu.run->ready_for_interrupt_injection);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_INTERRUPT, &irq));
	ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, &value));
	EXPECT_EQ(0x42, value);
	EXPECT_EQ(0, self->m.vcpu.run->if_flag);
}

TEST_F(guest, opens_the_interrupt_window)
{
	struct kvm_run *run = self->m.vcpu.run;

	/* nop; nop; sti; nop; nop; hlt */
	CODE(&self->m, 0x90, 0x90, 0xfb, 0x90, 0x90, 0xf4);
	machine_set_if(&self->m, false);
	run->request_interrupt_window = 1;
	ASSERT_EQ(KVM_EXIT_IRQ_WINDOW_OPEN, machine_enter(&self->m));
	EXPECT_EQ(1, run->if_flag);
	EXPECT_EQ(1, run->ready_for_interrupt_injection);
	run->request_interrupt_window = 0;
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
}

/*
 * The handler has to return: bochs 2.7 keeps NMIs blocked across VM entries, whatever
 * the new guest's state says, until some guest does an IRET.
 */
TEST_F(guest, takes_an_nmi_with_interrupts_off)
{
	struct kvm_vcpu_events ev;
	u8 value = 0;

	CODE(&self->m, 0xfa, 0xf4, 0xb0, 0x04, 0xf4);	/* cli; hlt; mov $4, %al; hlt */
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_VCPU_EVENTS, &ev));
	ASSERT_EQ(0, ev.nmi.masked);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_NMI, 0));
	ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, &value));
	EXPECT_EQ(2, value);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_VCPU_EVENTS, &ev));
	EXPECT_EQ(1, ev.nmi.masked);

	/* A second one waits for the end of the first. */
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_NMI, 0));
	ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, &value));
	EXPECT_EQ(3, value);
	ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, &value));
	EXPECT_EQ(2, value);
	ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, &value));
	EXPECT_EQ(3, value);
	ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, &value));
	EXPECT_EQ(4, value);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_VCPU_EVENTS, &ev));
	EXPECT_EQ(0, ev.nmi.masked);
}

TEST_F(guest, handles_its_own_exception)
{
	struct kvm_regs regs;

	CODE(&self->m, 0x0f, 0x0b);			/* ud2 */
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(6, regs.rax & 0xff);
}

/* Without KVM_CAP_EXCEPTION_PAYLOAD there is no difference between the two. */
TEST_F(guest, payload_is_asked_for)
{
	struct kvm_vcpu_events ev = { .flags = KVM_VCPUEVENT_VALID_PAYLOAD };

	ASSERT_EQ(1, TRY(self->m.vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_EXCEPTION_PAYLOAD));
	EXPECT_EQ(-EINVAL, TRY(self->m.vcpu.fd, KVM_SET_VCPU_EVENTS, &ev));
	ASSERT_EQ(0, enable(self->m.vm.fd, KVM_CAP_EXCEPTION_PAYLOAD, 1));
	EXPECT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_VCPU_EVENTS, &ev));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_VCPU_EVENTS, &ev));
	EXPECT_EQ(KVM_VCPUEVENT_VALID_PAYLOAD, ev.flags & KVM_VCPUEVENT_VALID_PAYLOAD);
	EXPECT_EQ(0, ev.exception.pending | ev.exception.injected | ev.exception_has_payload);
	ev.exception.pending = 1;
	ev.exception.nr = 32;
	EXPECT_EQ(-EINVAL, TRY(self->m.vcpu.fd, KVM_SET_VCPU_EVENTS, &ev));
	ASSERT_EQ(0, enable(self->m.vm.fd, KVM_CAP_EXCEPTION_PAYLOAD, 0));
	ev.exception.nr = 1;
	EXPECT_EQ(-EINVAL, TRY(self->m.vcpu.fd, KVM_SET_VCPU_EVENTS, &ev));
}

static void pend(struct kvm_vcpu_events *ev, unsigned int vector, __u64 payload)
{
	memset(ev, 0, sizeof(*ev));
	ev->flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	ev->exception.pending = 1;
	ev->exception.nr = vector;
	ev->exception_has_payload = 1;
	ev->exception_payload = payload;
}

TEST_F(guest, page_fault_brings_cr2)
{
	struct kvm_vcpu_events ev;
	struct kvm_sregs sregs;
	u8 value = 0;

	ASSERT_EQ(0, enable(self->m.vm.fd, KVM_CAP_EXCEPTION_PAYLOAD, 1));
	set_vector(&self->m, 14, 0x9000);
	CODE(&self->m, 0xf4, 0xf4);			/* hlt; hlt */
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	pend(&ev, 14, 0x12345678);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_VCPU_EVENTS, &ev));

	/* It waits, with what belongs to it, and is not yet seen. */
	memset(&ev, 0, sizeof(ev));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_VCPU_EVENTS, &ev));
	EXPECT_EQ(1, ev.exception.pending);
	EXPECT_EQ(0, ev.exception.injected);
	EXPECT_EQ(14, ev.exception.nr);
	EXPECT_EQ(1, ev.exception_has_payload);
	EXPECT_EQ(0x12345678, ev.exception_payload);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_SREGS, &sregs));
	EXPECT_EQ(0, sregs.cr2);

	ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, &value));
	EXPECT_EQ(0x42, value);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_SREGS, &sregs));
	EXPECT_EQ(0x12345678, sregs.cr2);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_VCPU_EVENTS, &ev));
	EXPECT_EQ(0, ev.exception.pending | ev.exception.injected | ev.exception_has_payload);
}

TEST_F(guest, debug_exception_brings_dr6)
{
	struct kvm_debugregs dr;
	struct kvm_vcpu_events ev;
	u8 value = 0;

	ASSERT_EQ(0, enable(self->m.vm.fd, KVM_CAP_EXCEPTION_PAYLOAD, 1));
	set_vector(&self->m, 1, 0x9000);
	CODE(&self->m, 0xf4, 0xf4);			/* hlt; hlt */
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_DEBUGREGS, &dr));
	dr.dr6 = 0xffff0ff1;
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_DEBUGREGS, &dr));
	pend(&ev, 1, 1 << 14 | 1 << 2);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_VCPU_EVENTS, &ev));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_DEBUGREGS, &dr));
	EXPECT_EQ(0xffff0ff1, dr.dr6);
	ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, &value));
	EXPECT_EQ(0x42, value);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_DEBUGREGS, &dr));
	EXPECT_EQ(0xffff4ff4, dr.dr6);
}

/* What was being delivered has no payload any more. */
TEST_F(guest, injected_exception_has_no_payload)
{
	struct kvm_vcpu_events ev;

	ASSERT_EQ(0, enable(self->m.vm.fd, KVM_CAP_EXCEPTION_PAYLOAD, 1));
	pend(&ev, 14, 0x1000);
	ev.exception.pending = 0;
	ev.exception.injected = 1;
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_VCPU_EVENTS, &ev));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_VCPU_EVENTS, &ev));
	EXPECT_EQ(1, ev.exception.injected);
	EXPECT_EQ(0, ev.exception.pending | ev.exception_has_payload);
}

TEST_F(guest, triple_fault_is_an_event)
{
	struct kvm_vcpu_events ev = { .flags = KVM_VCPUEVENT_VALID_TRIPLE_FAULT };
	int vm = self->m.vm.fd, fd = self->m.vcpu.fd;

	ASSERT_EQ(1, TRY(vm, KVM_CHECK_EXTENSION, KVM_CAP_X86_TRIPLE_FAULT_EVENT));
	EXPECT_EQ(-EINVAL, TRY(fd, KVM_SET_VCPU_EVENTS, &ev));
	ASSERT_EQ(0, enable(vm, KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1));
	ev.triple_fault.pending = 1;
	ASSERT_EQ(0, TRY(fd, KVM_SET_VCPU_EVENTS, &ev));
	memset(&ev, 0, sizeof(ev));
	ASSERT_EQ(0, TRY(fd, KVM_GET_VCPU_EVENTS, &ev));
	EXPECT_EQ(KVM_VCPUEVENT_VALID_TRIPLE_FAULT, ev.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT);
	EXPECT_EQ(1, ev.triple_fault.pending);

	/* It can be taken back, or else happens. */
	ev.triple_fault.pending = 0;
	ASSERT_EQ(0, TRY(fd, KVM_SET_VCPU_EVENTS, &ev));
	CODE(&self->m, 0xf4, 0xf4);			/* hlt; hlt */
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	ev.triple_fault.pending = 1;
	ASSERT_EQ(0, TRY(fd, KVM_SET_VCPU_EVENTS, &ev));
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, machine_finish(&self->m, NULL));
}

TEST(shuts_down_on_triple_fault)
{
	struct machine m;

	/* Long mode starts without a table of handlers. */
	ASSERT_EQ(0, machine_start(&m, true));
	CODE(&m, 0x0f, 0x0b);
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, machine_enter(&m));
	machine_stop(&m);
}

/* While one NMI is handled the next does not keep interrupts away. */
TEST_F(guest, takes_an_interrupt_before_a_blocked_nmi)
{
	struct kvm_vcpu_events ev = {
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING, .nmi.masked = 1, .nmi.pending = 1,
	};
	struct kvm_interrupt irq = { .irq = 0x42 };
	u8 value = 0;

	CODE(&self->m, 0x90, 0x90, 0xf4);		/* nop; nop; hlt */
	machine_set_if(&self->m, true);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_VCPU_EVENTS, &ev));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_INTERRUPT, &irq));
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	EXPECT_EQ(0x9003, machine_rip(&self->m));
	ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, &value));
	EXPECT_EQ(2, value);
	ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, &value));
	EXPECT_EQ(3, value);
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
}

TEST_HARNESS_MAIN
