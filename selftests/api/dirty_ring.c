// SPDX-License-Identifier: GPL-2.0
/* KVM_CAP_DIRTY_LOG_RING, KVM_RESET_DIRTY_RINGS, KVM_EXIT_DIRTY_RING_FULL. */
#include <errno.h>
#include <sys/mman.h>
#include "api.h"
#include <kselftest_harness.h>

#define SLOT		3
#define GPA		0x800000UL
#define NR_PAGES	3000
#define RING_ENTRIES	1024
#define RING_BYTES	(RING_ENTRIES * sizeof(struct kvm_dirty_gfn))

FIXTURE(ring) {
	struct machine m;
	u8 *mem;
	struct kvm_dirty_gfn *ring;
	unsigned int next;
	u16 seen[NR_PAGES];
};

static long enable(struct machine *m, u64 bytes)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DIRTY_LOG_RING_ACQ_REL, .args = { bytes } };

	return TRY(m->vm.fd, KVM_ENABLE_CAP, &cap);
}

static void *map_ring(struct machine *m, int prot, int flags)
{
	return mmap(NULL, RING_BYTES, prot, flags, m->vcpu.fd, KVM_DIRTY_LOG_PAGE_OFFSET * PAGE);
}

FIXTURE_SETUP(ring)
{
	ASSERT_EQ(0, machine_start_vm(&self->m));
	ASSERT_EQ(0, enable(&self->m, RING_BYTES));
	ASSERT_EQ(0, machine_start_vcpu(&self->m, true));
	self->mem = api_pages(NR_PAGES);
	self->ring = map_ring(&self->m, PROT_READ | PROT_WRITE, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, (void *)self->ring);
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, KVM_MEM_LOG_DIRTY_PAGES, GPA,
			      NR_PAGES * PAGE, self->mem));
}

FIXTURE_TEARDOWN(ring)
{
	munmap(self->ring, RING_BYTES);
	machine_stop(&self->m);
}

#define POKE(page) \
	ASSERT_EQ(KVM_EXIT_HLT, machine_poke(&self->m, GPA + (page) * PAGE, 1))

/* Collect what is there. Return the number of entries, or -1 for a wrong one. */
static int collect(struct kvm_dirty_gfn *ring, unsigned int *next, u16 *seen)
{
	int nr = 0;

	for (;; nr++, ++*next) {
		struct kvm_dirty_gfn *entry = &ring[*next % RING_ENTRIES];

		if (__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY)
			return nr;
		if (entry->slot != SLOT || entry->offset >= NR_PAGES)
			return -1;
		seen[entry->offset]++;
		__atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
	}
}

#define COLLECT()	collect(self->ring, &self->next, self->seen)
#define RESET()		TRY(self->m.vm.fd, KVM_RESET_DIRTY_RINGS, 0)

/* Write to @nr pages. Return the exit reason. */
static int sweep(struct machine *m, unsigned int nr)
{
	struct kvm_regs regs;

	/* 1: movb $1, (%rdi); add $4096, %rdi; dec %rcx; jnz 1b; hlt */
	CODE(m, 0xc6, 0x07, 0x01, 0x48, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0x48, 0xff, 0xc9,
	     0x75, 0xf1, 0xf4);
	TRY(m->vcpu.fd, KVM_GET_REGS, &regs);
	regs.rdi = GPA;
	regs.rcx = nr;
	TRY(m->vcpu.fd, KVM_SET_REGS, &regs);
	return machine_enter(m);
}

TEST(refused)
{
	struct machine m;

	ASSERT_EQ(0, machine_start_vm(&m));
	EXPECT_EQ(1 << 20, TRY(m.vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING));
	EXPECT_EQ(1 << 20, TRY(m.vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING_ACQ_REL));
	EXPECT_EQ(-EINVAL, TRY(m.vm.fd, KVM_RESET_DIRTY_RINGS, 0));
	EXPECT_EQ(-EINVAL, enable(&m, 0));
	EXPECT_EQ(-EINVAL, enable(&m, RING_BYTES - 1));
	EXPECT_EQ(-EINVAL, enable(&m, 3 * RING_BYTES));
	EXPECT_EQ(-EINVAL, enable(&m, 2048));
	EXPECT_EQ(-E2BIG, enable(&m, 2 << 20));
	ASSERT_EQ(0, machine_start_vcpu(&m, true));
	EXPECT_EQ(-EINVAL, enable(&m, RING_BYTES));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, -1,
				   KVM_DIRTY_LOG_PAGE_OFFSET * PAGE));
	machine_stop(&m);

	ASSERT_EQ(0, machine_start_vm(&m));
	EXPECT_EQ(0, enable(&m, 1 << 20));
	EXPECT_EQ(-EINVAL, enable(&m, 1 << 20));
	machine_stop(&m);
}

TEST_F(ring, no_bitmap)
{
	u64 bitmap[NR_PAGES / 64 + 1];
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bitmap };
	struct kvm_clear_dirty_log clear = {
		.slot = SLOT, .num_pages = NR_PAGES, .dirty_bitmap = bitmap,
	};

	EXPECT_EQ(-ENXIO, TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &log));
	EXPECT_EQ(-ENXIO, TRY(self->m.vm.fd, KVM_CLEAR_DIRTY_LOG, &clear));
	clear.first_page = 1;
	EXPECT_EQ(-ENXIO, TRY(self->m.vm.fd, KVM_CLEAR_DIRTY_LOG, &clear));
	EXPECT_EQ(MAP_FAILED, map_ring(&self->m, PROT_READ | PROT_EXEC, MAP_SHARED));
	EXPECT_EQ(MAP_FAILED, map_ring(&self->m, PROT_READ | PROT_WRITE, MAP_PRIVATE));
}

TEST_F(ring, collect_and_reset)
{
	EXPECT_EQ(0, RESET());
	POKE(3);
	POKE(5);
	POKE(3);
	ASSERT_EQ(2, COLLECT());
	EXPECT_EQ(1, self->seen[3]);
	EXPECT_EQ(1, self->seen[5]);
	/* Not before it is reset does a page come again. */
	POKE(3);
	EXPECT_EQ(0, COLLECT());
	EXPECT_EQ(2, RESET());
	EXPECT_EQ(0, RESET());
	POKE(5);
	POKE(NR_PAGES - 1);
	EXPECT_EQ(2, COLLECT());
	EXPECT_EQ(2, self->seen[5]);
	EXPECT_EQ(1, self->seen[NR_PAGES - 1]);
	/* What user space has not collected stays. */
	POKE(6);
	EXPECT_EQ(2, RESET());
	EXPECT_EQ(1, COLLECT());
	EXPECT_EQ(1, self->seen[6]);
}

TEST_F(ring, full)
{
	int reason = sweep(&self->m, NR_PAGES), collected = 0, full = 0, nr;
	unsigned int i;

	while (reason == KVM_EXIT_DIRTY_RING_FULL) {
		/* Before there is room the guest does not go on. */
		EXPECT_EQ(0, machine_run(&self->m));
		EXPECT_EQ(KVM_EXIT_DIRTY_RING_FULL, self->m.vcpu.run->exit_reason);
		nr = COLLECT();
		ASSERT_LT(0, nr);
		collected += nr;
		ASSERT_EQ(nr, RESET());
		full++;
		ASSERT_EQ(0, machine_run(&self->m));
		reason = self->m.vcpu.run->exit_reason;
	}
	EXPECT_EQ(KVM_EXIT_HLT, reason);
	EXPECT_LT(1, full);
	collected += COLLECT();
	/* A page may have been reported just before the guest had to stop and wait. */
	EXPECT_LE(NR_PAGES, collected);
	EXPECT_GE(NR_PAGES + full, collected);
	for (i = 0; i < NR_PAGES; i++)
		if (!self->seen[i])
			break;
	EXPECT_EQ(NR_PAGES, i);
}

#define DEVICE		0x3f000000UL
#define DEVICE_PAGES	6

/* Each word comes by an exit: between them, too, a full ring is noticed. */
TEST_F(ring, string_from_device)
{
	struct kvm_regs regs;
	unsigned int i;
	int reason;

	if (!api_is_umbra(self->m.vm.node_fd))
		SKIP(return, "stock KVM looks at the ring before it enters the guest only");
	/* rep movsq; hlt */
	CODE(&self->m, 0xf3, 0x48, 0xa5, 0xf4);
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_GET_REGS, &regs));
	regs.rsi = DEVICE;
	regs.rdi = GPA;
	regs.rcx = DEVICE_PAGES * PAGE / 8;
	ASSERT_EQ(0, TRY(self->m.vcpu.fd, KVM_SET_REGS, &regs));
	reason = machine_enter(&self->m);
	while (reason == KVM_EXIT_MMIO || reason == KVM_EXIT_DIRTY_RING_FULL) {
		if (reason == KVM_EXIT_DIRTY_RING_FULL) {
			ASSERT_LT(0, COLLECT());
			ASSERT_LT(0, RESET());
		}
		ASSERT_EQ(0, machine_run(&self->m));
		reason = self->m.vcpu.run->exit_reason;
	}
	EXPECT_EQ(KVM_EXIT_HLT, reason);
	EXPECT_LE(0, COLLECT());
	for (i = 0; i < DEVICE_PAGES; i++)
		EXPECT_LT(0, self->seen[i]);
}

/* User space writes what it likes into the ring. */
TEST_F(ring, garbage)
{
	unsigned int i;
	long nr;

	EXPECT_NE(-1, sweep(&self->m, 400));
	for (i = 0; i < RING_ENTRIES; i++)
		self->ring[i] = (struct kvm_dirty_gfn) {
			.flags = ~0u, .slot = i % 3 ? SLOT : i * 0x01010101,
			.offset = i % 2 ? ~0ULL - i : i * 0x0102030405060708,
		};
	nr = RESET();
	EXPECT_LE(0, nr);
	EXPECT_GE(RING_ENTRIES, nr);
	EXPECT_EQ(0, RESET());
	for (i = 0; i < RING_ENTRIES; i++)
		self->ring[i].flags = i;
	nr = RESET();
	EXPECT_EQ(0, nr);
	sweep(&self->m, NR_PAGES);
	for (i = 0; i < RING_ENTRIES; i++)
		self->ring[i].flags = KVM_DIRTY_GFN_F_RESET;
	EXPECT_LE(0, RESET());
	if (api_is_umbra(self->m.vm.node_fd))
		POKE(7);
}

/* Slots come and go; entries of those that are gone mean nothing. */
TEST_F(ring, slot_gone)
{
	POKE(8);
	EXPECT_EQ(1, COLLECT());
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, GPA, 0, self->mem));
	EXPECT_EQ(1, RESET());
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, GPA, 16 * PAGE, self->mem));
	POKE(8);
	EXPECT_EQ(0, COLLECT());
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, KVM_MEM_LOG_DIRTY_PAGES, GPA, 16 * PAGE,
			      self->mem));
	POKE(8);
	EXPECT_EQ(1, COLLECT());
	EXPECT_EQ(2, self->seen[8]);
}

TEST_HARNESS_MAIN
