// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses outside of memory: exits, writes that are kept for later (coalesced),
 * writes that signal an eventfd, and memory that comes and goes at such a place.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "api.h"
#include <kselftest_harness.h>

/* For the kernel header. */
#define PAGE_SIZE	PAGE

#define MMIO	0x300000
#define PORT	0x77

/*
 * The code is 64-bit, with RBX at MMIO:
 *	88 03	mov %al, (%rbx)		8b 03		mov (%rbx), %eax
 *	89 03	mov %eax, (%rbx)	b8 nn 0 0 0	mov $nn, %eax
 *	e6 77	out %al, $PORT		f4		hlt
 */

FIXTURE(device) {
	struct machine m;
	struct kvm_run *run;
	struct kvm_coalesced_mmio_ring *ring;
};

FIXTURE_SETUP(device)
{
	struct kvm_regs regs;

	ASSERT_EQ(0, machine_start(&self->m, true));
	self->run = self->m.vcpu.run;
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs));
	regs.rbx = MMIO;
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(KVM_COALESCED_MMIO_PAGE_OFFSET,
		  TRY(self->m.vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO));
	ASSERT_EQ(1, TRY(self->m.vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_PIO));
	self->ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->m.vcpu.fd,
			  KVM_COALESCED_MMIO_PAGE_OFFSET * PAGE);
	ASSERT_NE(MAP_FAILED, self->ring);
}

FIXTURE_TEARDOWN(device)
{
	munmap(self->ring, PAGE);
	machine_stop(&self->m);
}

static long zone(struct machine *m, unsigned long cmd, u64 addr, u32 size, u32 pio)
{
	struct kvm_coalesced_mmio_zone z = { .addr = addr, .size = size, .pio = pio };

	return TRY(m->vm.fd, cmd, &z);
}

TEST_F(device, writes_are_kept)
{
	struct kvm_coalesced_mmio *e = self->ring->coalesced_mmio;

	ASSERT_EQ(0, zone(&self->m, KVM_REGISTER_COALESCED_MMIO, MMIO, 8, 0));
	CODE(&self->m, 0xb8, 0x12, 0, 0, 0, 0x88, 0x03, 0x89, 0x03, 0x8b, 0x03, 0xf4);
	/* The load is the first to exit. */
	ASSERT_EQ(KVM_EXIT_MMIO, machine_enter(&self->m));
	EXPECT_EQ(0, self->run->mmio.is_write);
	EXPECT_EQ(0, self->ring->first);
	ASSERT_EQ(2, self->ring->last);
	EXPECT_EQ(MMIO, e[0].phys_addr);
	EXPECT_EQ(1, e[0].len);
	EXPECT_EQ(0x12, e[0].data[0]);
	EXPECT_EQ(0, e[0].pio);
	EXPECT_EQ(4, e[1].len);
	EXPECT_EQ(0x12, e[1].data[0]);
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));

	/* Twice is an error of nobody. */
	EXPECT_EQ(0, zone(&self->m, KVM_UNREGISTER_COALESCED_MMIO, MMIO, 8, 0));
	EXPECT_EQ(0, zone(&self->m, KVM_UNREGISTER_COALESCED_MMIO, MMIO, 8, 0));
	CODE(&self->m, 0x88, 0x03, 0xf4);
	EXPECT_EQ(KVM_EXIT_MMIO, machine_enter(&self->m));
	EXPECT_EQ(1, self->run->mmio.is_write);
	EXPECT_EQ(2, self->ring->last);
}

TEST_F(device, ports_are_kept)
{
	struct kvm_coalesced_mmio *e = self->ring->coalesced_mmio;

	ASSERT_EQ(0, zone(&self->m, KVM_REGISTER_COALESCED_MMIO, PORT, 1, 1));
	/* out; then three by rep outsb from MACHINE_DATA */
	memcpy(self->m.mem + MACHINE_DATA, "abc", 3);
	CODE(&self->m, 0xb8, 0x34, 0, 0, 0, 0xe6, PORT, 0xbe, 0x00, 0xb0, 0x00, 0x00,
	     0xb9, 0x03, 0x00, 0x00, 0x00, 0xba, PORT, 0x00, 0x00, 0x00, 0xf3, 0x6e,
	     0xe4, PORT, 0xf4);
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	EXPECT_EQ(KVM_EXIT_IO_IN, self->run->io.direction);
	ASSERT_EQ(4, self->ring->last);
	EXPECT_EQ(PORT, e[0].phys_addr);
	EXPECT_EQ(1, e[0].pio);
	EXPECT_EQ(0x34, e[0].data[0]);
	EXPECT_EQ('a', e[1].data[0]);
	EXPECT_EQ('c', e[3].data[0]);
	EXPECT_EQ(0, zone(&self->m, KVM_UNREGISTER_COALESCED_MMIO, PORT, 1, 1));
	CODE(&self->m, 0xe6, PORT, 0xf4);
	EXPECT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
}

/* Only what is wholly inside, and of the right kind. */
TEST_F(device, zone_edges)
{
	ASSERT_EQ(0, zone(&self->m, KVM_REGISTER_COALESCED_MMIO, MMIO, 3, 0));
	ASSERT_EQ(0, zone(&self->m, KVM_REGISTER_COALESCED_MMIO, PORT, 1, 0));
	ASSERT_EQ(0, zone(&self->m, KVM_REGISTER_COALESCED_MMIO, ~0ULL, 8, 0));
	CODE(&self->m, 0x89, 0x03, 0xe6, PORT, 0x88, 0x03, 0xf4);
	EXPECT_EQ(KVM_EXIT_MMIO, machine_enter(&self->m));
	EXPECT_EQ(KVM_EXIT_IO, machine_finish(&self->m, NULL));
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	EXPECT_EQ(1, self->ring->last);
	EXPECT_EQ(-EINVAL, zone(&self->m, KVM_REGISTER_COALESCED_MMIO, MMIO, 8, 2));
	EXPECT_EQ(-EINVAL, zone(&self->m, KVM_UNREGISTER_COALESCED_MMIO, MMIO, 8, 2));
}

TEST_F(device, ring_full)
{
	unsigned int i;

	ASSERT_EQ(0, zone(&self->m, KVM_REGISTER_COALESCED_MMIO, MMIO, 8, 0));
	for (i = 0; i < KVM_COALESCED_MMIO_MAX - 1; i++) {
		CODE(&self->m, 0x88, 0x03, 0xf4);
		ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	}
	EXPECT_EQ(KVM_COALESCED_MMIO_MAX - 1, self->ring->last);
	CODE(&self->m, 0x88, 0x03, 0xf4);
	EXPECT_EQ(KVM_EXIT_MMIO, machine_enter(&self->m));
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	/* One read: one more fits, and the end is the beginning. */
	self->ring->first = 1;
	CODE(&self->m, 0x88, 0x03, 0xf4);
	EXPECT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	EXPECT_EQ(0, self->ring->last);
}

/* Indices that make no sense are no room. */
TEST_F(device, hostile_ring)
{
	static const u32 bad[][2] = {
		{ 0, KVM_COALESCED_MMIO_MAX }, { KVM_COALESCED_MMIO_MAX, 0 }, { ~0u, 5 },
		{ 5, ~0u }, { ~0u, ~0u }, { 0x80000000, 0x7fffffff },
	};
	unsigned int i;

	ASSERT_EQ(0, zone(&self->m, KVM_REGISTER_COALESCED_MMIO, MMIO, 8, 0));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		self->ring->first = bad[i][0];
		self->ring->last = bad[i][1];
		CODE(&self->m, 0x88, 0x03, 0xf4);
		ASSERT_EQ(KVM_EXIT_MMIO, machine_enter(&self->m));
		EXPECT_EQ(bad[i][1], self->ring->last);
		ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	}
}

TEST_F(device, many_zones)
{
	unsigned int i;
	long ret = 0;

	for (i = 0; i < 2000 && !ret; i++)
		ret = zone(&self->m, KVM_REGISTER_COALESCED_MMIO, MMIO + 8 * i, 8, 0);
	EXPECT_EQ(-ENOSPC, ret);
	EXPECT_LE(100, i);
	EXPECT_EQ(0, zone(&self->m, KVM_UNREGISTER_COALESCED_MMIO, MMIO + 8, 8, 0));
	EXPECT_EQ(0, zone(&self->m, KVM_REGISTER_COALESCED_MMIO, MMIO + 8, 8, 0));
}

static long ioeventfd(struct machine *m, int fd, u64 addr, u32 len, u32 flags, u64 match)
{
	struct kvm_ioeventfd args = {
		.addr = addr, .len = len, .fd = fd, .flags = flags, .datamatch = match,
	};

	return TRY(m->vm.fd, KVM_IOEVENTFD, &args);
}

static u64 signals(int fd)
{
	u64 n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

TEST_F(device, ioeventfd_of_memory)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	ASSERT_EQ(0, ioeventfd(&self->m, fd, MMIO, 4, KVM_IOEVENTFD_FLAG_DATAMATCH, 0x42));
	CODE(&self->m, 0xb8, 0x42, 0, 0, 0, 0x89, 0x03, 0xb8, 0x43, 0, 0, 0, 0x89, 0x03,
	     0xb8, 0x42, 0, 0, 0, 0x88, 0x03, 0xf4);
	/* Another value, then another size. */
	EXPECT_EQ(KVM_EXIT_MMIO, machine_enter(&self->m));
	EXPECT_EQ(0x43, self->run->mmio.data[0]);
	EXPECT_EQ(1, signals(fd));
	EXPECT_EQ(KVM_EXIT_MMIO, machine_finish(&self->m, NULL));
	EXPECT_EQ(1, self->run->mmio.len);
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	EXPECT_EQ(0, signals(fd));
	ASSERT_EQ(0, ioeventfd(&self->m, fd, MMIO, 4,
			       KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_DEASSIGN, 0x42));

	/* Any size, any value. */
	ASSERT_EQ(0, ioeventfd(&self->m, fd, MMIO, 0, 0, 0));
	CODE(&self->m, 0x89, 0x03, 0x88, 0x03, 0x8b, 0x03, 0xf4);
	EXPECT_EQ(KVM_EXIT_MMIO, machine_enter(&self->m));
	EXPECT_EQ(0, self->run->mmio.is_write);
	EXPECT_EQ(2, signals(fd));
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	ASSERT_EQ(0, ioeventfd(&self->m, fd, MMIO, 0, KVM_IOEVENTFD_FLAG_DEASSIGN, 0));
	CODE(&self->m, 0x89, 0x03, 0xf4);
	EXPECT_EQ(KVM_EXIT_MMIO, machine_enter(&self->m));
	close(fd);
}

TEST_F(device, ioeventfd_of_ports)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	ASSERT_EQ(0, ioeventfd(&self->m, fd, PORT, 1,
			       KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH, 0x42));
	CODE(&self->m, 0xb8, 0x42, 0, 0, 0, 0xe6, PORT, 0xb8, 0x43, 0, 0, 0, 0xe6, PORT, 0xf4);
	EXPECT_EQ(KVM_EXIT_IO, machine_enter(&self->m));
	EXPECT_EQ(1, signals(fd));
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	ASSERT_EQ(0, ioeventfd(&self->m, fd, PORT, 1, KVM_IOEVENTFD_FLAG_PIO |
			       KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_DEASSIGN,
			       0x42));
	ASSERT_EQ(0, ioeventfd(&self->m, fd, PORT, 0, KVM_IOEVENTFD_FLAG_PIO, 0));
	CODE(&self->m, 0xe6, PORT, 0xe7, PORT, 0xf4);
	EXPECT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	EXPECT_EQ(2, signals(fd));
	close(fd);
}

/* Memory appears where there was none, a hundred times: more than until the wrap. */
TEST_F(device, memory_comes_and_goes)
{
	u8 *mem = api_pages(1);
	unsigned int i;

	ASSERT_NE(MAP_FAILED, mem);
	for (i = 0; i < 100; i++) {
		CODE(&self->m, 0x8b, 0x03, 0x88, 0x03, 0xf4);
		ASSERT_EQ(KVM_EXIT_MMIO, machine_enter(&self->m));
		self->run->mmio.data[0] = i;
		ASSERT_EQ(KVM_EXIT_MMIO, machine_finish(&self->m, NULL));
		ASSERT_EQ(1, self->run->mmio.is_write);
		ASSERT_EQ(i, self->run->mmio.data[0]);
		ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));

		ASSERT_EQ(0, api_slot(self->m.vm.fd, 5, 0, MMIO, PAGE, mem));
		mem[0] = 0;
		CODE(&self->m, 0x88, 0x03, 0xf4);
		ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
		ASSERT_EQ(i, mem[0]);
		ASSERT_EQ(0, api_slot(self->m.vm.fd, 5, 0, MMIO, 0, mem));
	}
	munmap(mem, PAGE);
}

/* movups, movaps and movnti, 16 bytes in two exits. */
TEST_F(device, sse)
{
	u8 expect[16];
	unsigned int i;

	for (i = 0; i < 16; i++)
		expect[i] = 0x10 + i;
	memcpy(self->m.mem + MACHINE_DATA, expect, sizeof(expect));
	/* cr4.osfxsr; movups MACHINE_DATA, %xmm9; movaps %xmm9, (%rbx) */
	CODE(&self->m, 0x0f, 0x20, 0xe0, 0x0d, 0x00, 0x02, 0x00, 0x00, 0x0f, 0x22, 0xe0,
	     0x44, 0x0f, 0x10, 0x0c, 0x25, 0x00, 0xb0, 0x00, 0x00,
	     0x44, 0x0f, 0x29, 0x0b,
	     /* movdqu (%rbx), %xmm3; movups %xmm3, MACHINE_DATA + 32; hlt */
	     0xf3, 0x0f, 0x6f, 0x1b,
	     0x0f, 0x11, 0x1c, 0x25, 0x20, 0xb0, 0x00, 0x00, 0xf4);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(KVM_EXIT_MMIO, i ? machine_finish(&self->m, NULL) :
					     machine_enter(&self->m));
		EXPECT_EQ(MMIO + 8 * i, self->run->mmio.phys_addr);
		EXPECT_EQ(8, self->run->mmio.len);
		EXPECT_EQ(0, memcmp(self->run->mmio.data, expect + 8 * i, 8));
	}
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(KVM_EXIT_MMIO, machine_finish(&self->m, NULL));
		EXPECT_EQ(0, self->run->mmio.is_write);
		memset(self->run->mmio.data, 0xa0 + i, 8);
	}
	ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	EXPECT_EQ(0xa0, self->m.mem[MACHINE_DATA + 32 + 7]);
	EXPECT_EQ(0xa1, self->m.mem[MACHINE_DATA + 32 + 8]);
}

/* An instruction that the emulator does not know. */
TEST_F(device, unknown_instruction)
{
	/* sidt (%rbx) */
	CODE(&self->m, 0x0f, 0x01, 0x0b, 0xf4);
	ASSERT_EQ(KVM_EXIT_INTERNAL_ERROR, machine_enter(&self->m));
	EXPECT_EQ(KVM_INTERNAL_ERROR_EMULATION, self->run->emulation_failure.suberror);
	EXPECT_EQ(KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES,
		  self->run->emulation_failure.flags);
	EXPECT_LE(3, self->run->emulation_failure.insn_size);
	EXPECT_EQ(0x0f, self->run->emulation_failure.insn_bytes[0]);
	EXPECT_EQ(0x0b, self->run->emulation_failure.insn_bytes[2]);
}

TEST_HARNESS_MAIN
