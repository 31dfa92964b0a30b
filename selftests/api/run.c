// SPDX-License-Identifier: GPL-2.0
/* KVM_RUN: exits to user space and how the next run completes them. */
#include <errno.h>
#include "api.h"
#include <kselftest_harness.h>

FIXTURE(run) {
	struct machine m;
	struct kvm_run *run;
};

FIXTURE_VARIANT(run) {
	bool long_mode;
};

FIXTURE_VARIANT_ADD(run, real_mode) {
	.long_mode = false,
};

FIXTURE_VARIANT_ADD(run, long_mode) {
	.long_mode = true,
};

FIXTURE_SETUP(run)
{
	ASSERT_EQ(0, machine_start(&self->m, variant->long_mode));
	self->run = self->m.vcpu.run;
}

FIXTURE_TEARDOWN(run)
{
	machine_stop(&self->m);
}

static void *io_data(struct kvm_run *run)
{
	return (char *)run + run->io.data_offset;
}

TEST_F(run, hlt)
{
	CODE(&self->m, 0xf4, 0xf4);
	EXPECT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	EXPECT_EQ(MACHINE_CODE + 1, machine_rip(&self->m));
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	EXPECT_EQ(MACHINE_CODE + 2, machine_rip(&self->m));
}

TEST_F(run, out)
{
	/* mov $0x5a, %al; out %al, $0x21; hlt */
	CODE(&self->m, 0xb0, 0x5a, 0xe6, 0x21, 0xf4);
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	EXPECT_EQ(KVM_EXIT_IO_OUT, self->run->io.direction);
	EXPECT_EQ(1, self->run->io.size);
	EXPECT_EQ(1, self->run->io.count);
	EXPECT_EQ(0x21, self->run->io.port);
	EXPECT_EQ(PAGE, self->run->io.data_offset);
	EXPECT_EQ(0x5a, *(u8 *)io_data(self->run));
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	EXPECT_EQ(MACHINE_CODE + 5, machine_rip(&self->m));
}

TEST_F(run, in_completes_at_the_next_run)
{
	u8 value = 0;

	/* mov $0, %al; in $0x21, %al; hlt */
	CODE(&self->m, 0xb0, 0, 0xe4, 0x21, 0xf4);
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	EXPECT_EQ(KVM_EXIT_IO_IN, self->run->io.direction);
	EXPECT_EQ(1, self->run->io.size);
	EXPECT_EQ(0x21, self->run->io.port);
	EXPECT_EQ(MACHINE_CODE + 2, machine_rip(&self->m));
	*(u8 *)io_data(self->run) = 0xc3;
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, &value));
	EXPECT_EQ(0xc3, value);
	EXPECT_EQ(MACHINE_CODE + 5, machine_rip(&self->m));
}

/* 32 bits of EAX; in long mode the upper half becomes 0. */
TEST_F(run, in_of_four_bytes)
{
	struct kvm_regs regs;

	if (variant->long_mode)
		CODE(&self->m, 0x48, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff, 0xe5, 0x40, 0xf4);
	else
		CODE(&self->m, 0x66, 0xe5, 0x40, 0xf4);
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	EXPECT_EQ(4, self->run->io.size);
	*(u32 *)io_data(self->run) = 0x89abcdef;
	ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(0x89abcdef, regs.rax);
}

/* User space went elsewhere meanwhile: nothing is skipped there. */
TEST_F(run, in_with_other_rip)
{
	struct kvm_regs regs;

	CODE(&self->m, 0xe4, 0x21, 0xf4, 0x90, 0x90, 0x90, 0xb0, 0x77, 0xf4);
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs));
	regs.rip = MACHINE_CODE + 6;
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(MACHINE_CODE + 9, regs.rip);
	EXPECT_EQ(0x77, regs.rax & 0xff);
}

TEST_F(run, immediate_exit)
{
	CODE(&self->m, 0xb0, 0x11, 0xf4);
	self->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, machine_enter(&self->m));
	EXPECT_EQ(MACHINE_CODE, machine_rip(&self->m));
	self->run->immediate_exit = 0;
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
}

/* It is looked at after what is pending was completed: state can be saved. */
TEST_F(run, immediate_exit_completes_first)
{
	struct kvm_regs regs;

	CODE(&self->m, 0xe4, 0x21, 0xf4);
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	*(u8 *)io_data(self->run) = 0x3c;
	self->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, machine_run(&self->m));
	/* Clients look at the exit after they have completed it. */
	EXPECT_EQ(KVM_EXIT_IO, self->run->exit_reason);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(MACHINE_CODE + 2, regs.rip);
	EXPECT_EQ(0x3c, regs.rax & 0xff);
	self->run->immediate_exit = 0;
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
}

/* rep outsb: one exit or several, all bytes in order. */
TEST_F(run, string_out)
{
	struct kvm_regs regs;
	char seen[16] = "";
	unsigned int n = 0;
	int reason;

	CODE(&self->m, 0xf3, 0x6e, 0xf4);
	memcpy(self->m.mem + MACHINE_DATA, "shadow paging", 13);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs));
	regs.rsi = MACHINE_DATA;
	regs.rcx = 13;
	regs.rdx = 0x3f8;
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_REGS, &regs));
	for (reason = machine_enter(&self->m); reason == KVM_EXIT_IO && n < 13;
	     reason = machine_finish(&self->m, NULL)) {
		EXPECT_EQ(0x3f8, self->run->io.port);
		ASSERT_GE(13 - n, self->run->io.count);
		memcpy(seen + n, io_data(self->run), self->run->io.count);
		n += self->run->io.count;
	}
	EXPECT_EQ(KVM_EXIT_HLT, reason);
	EXPECT_STREQ("shadow paging", seen);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(0, regs.rcx);
	EXPECT_EQ(MACHINE_DATA + 13, regs.rsi);
}

/* rep insb of more than fits one exit's data. */
TEST_F(run, string_in)
{
	struct kvm_regs regs;
	unsigned int n = 0, i;
	int reason;

	CODE(&self->m, 0xf3, 0x6c, 0xf4);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs));
	regs.rdi = MACHINE_DATA;
	regs.rcx = 300;
	regs.rdx = 0x60;
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_REGS, &regs));
	for (reason = machine_enter(&self->m); reason == KVM_EXIT_IO && n < 300;
	     reason = machine_finish(&self->m, NULL)) {
		EXPECT_EQ(KVM_EXIT_IO_IN, self->run->io.direction);
		ASSERT_GE(300 - n, self->run->io.count);
		for (i = 0; i < self->run->io.count; i++)
			((u8 *)io_data(self->run))[i] = n++;
	}
	EXPECT_EQ(KVM_EXIT_HLT, reason);
	EXPECT_EQ(300, n);
	for (i = 0; i < 300; i++)
		ASSERT_EQ((u8)i, self->m.mem[MACHINE_DATA + i]);
}

/* Between the first slot's end and 4 GiB there is nothing but devices. */
static u64 mmio_addr(bool long_mode)
{
	return long_mode ? 0x10000000 : 0xf000;
}

TEST_F(run, mmio)
{
	u64 addr = mmio_addr(variant->long_mode);
	u8 value = 0;

	/* In real mode only memory below 64 KiB is in reach: make a hole there. */
	if (!variant->long_mode) {
		void *low = self->m.mem;

		ASSERT_EQ(0, api_slot(self->m.vm.fd, 0, 0, 0, 0, low));
		ASSERT_EQ(0, api_slot(self->m.vm.fd, 0, 0, 0, addr, low));
	}
	ASSERT_EQ(KVM_EXIT_MMIO, machine_poke(&self->m, addr + 3, 0x99));
	EXPECT_EQ(1, self->run->mmio.is_write);
	EXPECT_EQ(1, self->run->mmio.len);
	EXPECT_EQ(addr + 3, self->run->mmio.phys_addr);
	EXPECT_EQ(0x99, self->run->mmio.data[0]);
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));

	ASSERT_EQ(KVM_EXIT_MMIO, machine_peek(&self->m, addr + 5, &value));
	EXPECT_EQ(0, self->run->mmio.is_write);
	EXPECT_EQ(1, self->run->mmio.len);
	EXPECT_EQ(addr + 5, self->run->mmio.phys_addr);
	self->run->mmio.data[0] = 0x66;
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, &value));
	EXPECT_EQ(0x66, value);
}

/* User space writes garbage into the shared page while it is in use. */
TEST_F(run, hostile_run_page)
{
	CODE(&self->m, 0xe4, 0x21, 0xf4);
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	memset(self->run, 0xff, PAGE);
	self->run->immediate_exit = 0;
	self->run->request_interrupt_window = 0;
	self->run->kvm_dirty_regs = 0;
	self->run->kvm_valid_regs = 0;
	self->run->cr8 = 0;
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));

	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	self->run->io.count = 0xffffffff;
	self->run->io.size = 0xff;
	self->run->io.data_offset = 0xffffffffff;
	self->run->io.direction = KVM_EXIT_IO_OUT;
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
}

TEST_F(run, no_memory_at_all)
{
	ASSERT_EQ(0, uvmm_mem_del(&self->m.vm, 0));
	alarm(10);
	/* An error or an exit, but nothing that runs on. */
	machine_run(&self->m);
	EXPECT_NE(KVM_EXIT_HLT, self->run->exit_reason);
}

TEST_HARNESS_MAIN
