// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory while the host and user space change what is behind it: every
 * guest access must see what the process itself would see.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include "api.h"
#include <kselftest_harness.h>

#define SLOT		7
#define GPA		0x800000UL
#define NR_PAGES	16

FIXTURE(memory) {
	struct machine m;
	u8 *mem;
};

FIXTURE_SETUP(memory)
{
	/* In long mode, where VMs in shadow mode use the shadow family. */
	ASSERT_EQ(0, machine_start(&self->m, true));
	self->mem = api_pages(NR_PAGES);
	ASSERT_NE(NULL, self->mem);
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, GPA, NR_PAGES * PAGE, self->mem));
}

FIXTURE_TEARDOWN(memory)
{
	machine_stop(&self->m);
}

#define PEEK(gpa, expected) do {						\
	u8 __value = 0;								\
	ASSERT_EQ(KVM_EXIT_HLT, machine_peek(&self->m, gpa, &__value));		\
	EXPECT_EQ(expected, __value);						\
} while (0)

#define POKE(gpa, value) \
	ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, gpa, value))

TEST_F(memory, is_shared_both_ways)
{
	self->mem[5] = 0x11;
	PEEK(GPA + 5, 0x11);
	POKE(GPA + 5, 0x22);
	EXPECT_EQ(0x22, self->mem[5]);
	self->mem[5] = 0x33;
	PEEK(GPA + 5, 0x33);
}

/* A read maps the zero page; the write afterwards must break it up. */
TEST_F(memory, read_first_then_write)
{
	PEEK(GPA, 0);
	POKE(GPA, 7);
	PEEK(GPA, 7);
	EXPECT_EQ(7, self->mem[0]);
	PEEK(GPA + PAGE, 0);
	self->mem[PAGE] = 9;
	PEEK(GPA + PAGE, 9);
}

TEST_F(memory, madvise_dontneed)
{
	POKE(GPA, 1);
	PEEK(GPA, 1);
	ASSERT_EQ(0, madvise(self->mem, PAGE, MADV_DONTNEED));
	PEEK(GPA, 0);
	POKE(GPA, 2);
	EXPECT_EQ(2, self->mem[0]);
}

TEST_F(memory, other_memory_at_the_same_address)
{
	POKE(GPA, 1);
	ASSERT_EQ(self->mem, mmap(self->mem, PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	PEEK(GPA, 0);
	self->mem[0] = 3;
	PEEK(GPA, 3);
}

TEST_F(memory, unmapped)
{
	u8 value;

	POKE(GPA, 1);
	ASSERT_EQ(0, munmap(self->mem, PAGE));
	EXPECT_EQ(-EFAULT, machine_peek(&self->m, GPA, &value));
	EXPECT_EQ(-EFAULT, machine_poke(&self->m, GPA, 1));
	PEEK(GPA + PAGE, 0);
	/* Mapped again, it works again. */
	ASSERT_EQ(self->mem, mmap(self->mem, PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	PEEK(GPA, 0);
}

TEST_F(memory, mprotect)
{
	u8 value;

	POKE(GPA, 1);
	ASSERT_EQ(0, mprotect(self->mem, PAGE, PROT_READ));
	PEEK(GPA, 1);
	EXPECT_EQ(-EFAULT, machine_poke(&self->m, GPA, 2));
	EXPECT_EQ(1, self->mem[0]);
	ASSERT_EQ(0, mprotect(self->mem, PAGE, PROT_NONE));
	EXPECT_EQ(-EFAULT, machine_peek(&self->m, GPA, &value));
	ASSERT_EQ(0, mprotect(self->mem, PAGE, PROT_READ | PROT_WRITE));
	POKE(GPA, 2);
	EXPECT_EQ(2, self->mem[0]);
}

TEST_F(memory, copy_on_write_after_fork)
{
	int to_child[2], to_parent[2];
	pid_t child;
	char byte;

	POKE(GPA, 1);
	ASSERT_EQ(0, pipe(to_child));
	ASSERT_EQ(0, pipe(to_parent));
	child = fork();
	if (!child) {
		if (write(to_parent[1], "", 1) != 1 || read(to_child[0], &byte, 1) != 1)
			_exit(2);
		_exit(self->mem[0] == 1 ? 0 : 1);
	}
	ASSERT_EQ(1, read(to_parent[0], &byte, 1));
	PEEK(GPA, 1);
	POKE(GPA, 2);
	EXPECT_EQ(2, self->mem[0]);
	ASSERT_EQ(1, write(to_child[1], "", 1));
	EXPECT_EQ(0, api_wait(child));
}

TEST_F(memory, of_a_file)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);
	u8 value = 0, *view;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 2 * PAGE));
	view = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, view);
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT + 1, 0, 2 * GPA, 2 * PAGE, view));
	POKE(2 * GPA + PAGE + 1, 0x44);
	ASSERT_EQ(1, pread(fd, &value, 1, PAGE + 1));
	EXPECT_EQ(0x44, value);
	ASSERT_EQ(1, pwrite(fd, "\x45", 1, PAGE + 1));
	PEEK(2 * GPA + PAGE + 1, 0x45);
	/* Cut off: the process would get SIGBUS. */
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	EXPECT_EQ(-EFAULT, machine_peek(&self->m, 2 * GPA + PAGE + 1, &value));
	PEEK(2 * GPA, 0);
}

TEST_F(memory, twice_in_the_guest)
{
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT + 1, 0, 2 * GPA, PAGE, self->mem));
	POKE(GPA, 0x10);
	PEEK(2 * GPA, 0x10);
	POKE(2 * GPA, 0x20);
	PEEK(GPA, 0x20);
	ASSERT_EQ(0, madvise(self->mem, PAGE, MADV_DONTNEED));
	PEEK(GPA, 0);
	PEEK(2 * GPA, 0);
}

TEST_F(memory, read_only_slot)
{
	u8 *rom = api_pages(1);

	rom[0] = 0x55;
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT + 1, KVM_MEM_READONLY, 2 * GPA, PAGE, rom));
	PEEK(2 * GPA, 0x55);
	/* A write goes to user space and leaves the memory alone. */
	ASSERT_EQ(KVM_EXIT_MMIO, machine_poke(&self->m, 2 * GPA, 0x66));
	EXPECT_EQ(1, self->m.vcpu.run->mmio.is_write);
	EXPECT_EQ(2 * GPA, self->m.vcpu.run->mmio.phys_addr);
	EXPECT_EQ(0x66, self->m.vcpu.run->mmio.data[0]);
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	EXPECT_EQ(0x55, rom[0]);
	PEEK(2 * GPA, 0x55);
}

TEST_F(memory, read_only_slot_of_read_only_memory)
{
	u8 *rom = api_pages(1);

	rom[0] = 0x56;
	ASSERT_EQ(0, mprotect(rom, PAGE, PROT_READ));
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT + 1, KVM_MEM_READONLY, 2 * GPA, PAGE, rom));
	PEEK(2 * GPA, 0x56);
	ASSERT_EQ(KVM_EXIT_MMIO, machine_poke(&self->m, 2 * GPA, 0x66));
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	EXPECT_EQ(0x56, rom[0]);
}

TEST_F(memory, slot_deleted)
{
	u8 value;

	POKE(GPA, 1);
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, 0, 0, NULL));
	ASSERT_EQ(KVM_EXIT_MMIO, machine_peek(&self->m, GPA, &value));
	EXPECT_EQ(GPA, self->m.vcpu.run->mmio.phys_addr);
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
	/* Another one in its place, turned around. */
	self->mem[PAGE] = 0x21;
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, GPA, PAGE, self->mem + PAGE));
	PEEK(GPA, 0x21);
}

TEST_F(memory, slot_moved)
{
	u8 value;

	POKE(GPA, 0x31);
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, GPA + PAGE, NR_PAGES * PAGE, self->mem));
	PEEK(GPA + PAGE, 0x31);
	ASSERT_EQ(KVM_EXIT_MMIO, machine_peek(&self->m, GPA, &value));
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, NULL));
}

/* The neighbours of a deleted slot keep their mappings and contents. */
TEST_F(memory, many_slots)
{
	const unsigned int nr = 200;
	u8 *mem = api_pages(nr);
	unsigned int i;
	u8 value;

	for (i = 0; i < nr; i++) {
		mem[i * PAGE] = i ^ 0x5a;
		ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT + 1 + i, 0, 2 * GPA + i * PAGE, PAGE,
				      mem + i * PAGE));
	}
	for (i = 0; i < nr; i++)
		PEEK(2 * GPA + i * PAGE, (u8)(i ^ 0x5a));
	for (i = 0; i < nr; i += 2)
		ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT + 1 + i, 0, 0, 0, NULL));
	for (i = 1; i < nr; i += 2)
		PEEK(2 * GPA + i * PAGE, (u8)(i ^ 0x5a));
	ASSERT_EQ(KVM_EXIT_MMIO, machine_peek(&self->m, 2 * GPA, &value));
}

/* Memory that has no struct page to hold: the machine's BIOS. */
TEST_F(memory, of_a_device)
{
	int fd = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	u8 *rom;

	if (fd < 0)
		SKIP(return, "no /dev/mem");
	rom = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0xff000);
	if (rom == MAP_FAILED)
		SKIP(return, "/dev/mem does not give the BIOS");
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT + 1, KVM_MEM_READONLY, 2 * GPA, PAGE, rom));
	PEEK(2 * GPA + 0xff0, rom[0xff0]);
	PEEK(2 * GPA + 0xff5, rom[0xff5]);
	ASSERT_EQ(0, munmap(rom, PAGE));
}

/* Beyond the visible text of a VGA screen. */
TEST_F(memory, of_a_device_that_can_be_written)
{
	int fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	const u64 cell = 2 * GPA + 4090;
	u8 *vga;

	if (fd < 0)
		SKIP(return, "no /dev/mem");
	vga = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0xb8000);
	if (vga == MAP_FAILED)
		SKIP(return, "/dev/mem does not give the screen");
	vga[4090] = 0x12;
	if (vga[4090] != 0x12)
		SKIP(return, "no VGA screen");
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT + 1, 0, 2 * GPA, PAGE, vga));
	PEEK(cell, 0x12);
	POKE(cell, 0x34);
	EXPECT_EQ(0x34, vga[4090]);
	ASSERT_EQ(0, munmap(vga, PAGE));
	EXPECT_EQ(-EFAULT, machine_poke(&self->m, cell, 0x56));
}

/* Exit with everything mapped; the mm goes before the fds do. */
TEST_F(memory, process_ends_in_any_order)
{
	pid_t child = fork();

	if (!child) {
		struct machine m;

		if (machine_start(&m, true))
			_exit(1);
		if (machine_poke(&m, MACHINE_DATA, 1) != KVM_EXIT_HLT)
			_exit(2);
		_exit(0);
	}
	EXPECT_EQ(0, api_wait(child));
}

TEST_HARNESS_MAIN
