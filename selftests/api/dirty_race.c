// SPDX-License-Identifier: GPL-2.0
/*
 * A migration: guests write on while user space harvests the log and copies what
 * it names. In the end the copy is what memory is. One and two vCPUs, with huge
 * pages of the host's and without, by bitmap, with manual protection, by ring.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include "api.h"
#include <kselftest_harness.h>

#define SLOT		3
#define GPA		0x800000UL
#define NR_PAGES	1024U
#define RING_ENTRIES	1024
#define RING_BYTES	(RING_ENTRIES * sizeof(struct kvm_dirty_gfn))
#define ROUNDS		12

enum how { BITMAP, MANUAL, INITIALLY_SET, RING };

FIXTURE(race) {
	struct machine m;
	struct uvmm_vcpu second;
	unsigned int nr_vcpus;
	enum how how;
	pthread_t thread[2];
	struct kvm_dirty_gfn *ring[2];
	unsigned int next[2];
	u64 (*mem)[PAGE / 8];
	u64 copy[NR_PAGES];
	u64 bitmap[NR_PAGES / 64];
	u64 reported;
	bool stop;
	int error;
};

FIXTURE_VARIANT(race) {
	enum how how;
	unsigned int nr_vcpus;
	bool huge;
};

FIXTURE_VARIANT_ADD(race, bitmap) {
	.how = BITMAP, .nr_vcpus = 1, .huge = false,
};

FIXTURE_VARIANT_ADD(race, bitmap_huge) {
	.how = BITMAP, .nr_vcpus = 2, .huge = true,
};

FIXTURE_VARIANT_ADD(race, manual) {
	.how = MANUAL, .nr_vcpus = 2, .huge = false,
};

FIXTURE_VARIANT_ADD(race, initially_set_huge) {
	.how = INITIALLY_SET, .nr_vcpus = 2, .huge = true,
};

FIXTURE_VARIANT_ADD(race, ring) {
	.how = RING, .nr_vcpus = 1, .huge = false,
};

FIXTURE_VARIANT_ADD(race, ring_huge) {
	.how = RING, .nr_vcpus = 2, .huge = true,
};

static void on_signal(int sig)
{
}

/* 2 MiB aligned, so that the host may use huge pages. */
static void *slot_memory(bool huge)
{
	u8 *mem = api_pages(NR_PAGES + 512);

	if (!mem)
		return NULL;
	mem += -(unsigned long)mem & ((2UL << 20) - 1);
	madvise(mem, NR_PAGES * PAGE, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	memset(mem, 0, NR_PAGES * PAGE);
	return mem;
}

/* Add to the first word of each page of a range, round and round. */
static void set_code(struct machine *m)
{
	/*
	 * 1: mov %rsi, %rdi; mov %rbx, %rcx
	 * 2: incq (%rdi); add $4096, %rdi; dec %rcx; jnz 2b; jmp 1b
	 */
	CODE(m, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd9, 0x48, 0xff, 0x07, 0x48, 0x81, 0xc7, 0x00,
	     0x10, 0x00, 0x00, 0x48, 0xff, 0xc9, 0x75, 0xf1, 0xeb, 0xe9);
}

static int set_vcpu(struct uvmm_vcpu *vcpu, u64 gpa, u64 nr)
{
	struct kvm_regs regs;

	if (TRY(vcpu->fd, KVM_GET_REGS, &regs))
		return -EIO;
	regs.rip = MACHINE_CODE;
	regs.rsi = gpa;
	regs.rbx = nr;
	regs.rflags |= 0x200;
	return TRY(vcpu->fd, KVM_SET_REGS, &regs);
}

static int enable(struct machine *m, u32 cap_nr, u64 arg)
{
	struct kvm_enable_cap cap = { .cap = cap_nr, .args = { arg } };

	return TRY(m->vm.fd, KVM_ENABLE_CAP, &cap);
}

FIXTURE_SETUP(race)
{
	unsigned int share = NR_PAGES / variant->nr_vcpus;
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &sa, NULL);
	self->how = variant->how;
	self->nr_vcpus = variant->nr_vcpus;
	self->mem = slot_memory(variant->huge);
	ASSERT_NE(NULL, self->mem);
	ASSERT_EQ(0, machine_start_vm(&self->m));
	if (self->how == RING)
		ASSERT_EQ(0, enable(&self->m, KVM_CAP_DIRTY_LOG_RING, RING_BYTES));
	if (self->how == MANUAL || self->how == INITIALLY_SET)
		ASSERT_EQ(0, enable(&self->m, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
				    self->how == MANUAL ? 1 : 3));
	ASSERT_EQ(0, machine_start_vcpu(&self->m, true));
	set_code(&self->m);
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, GPA, NR_PAGES * PAGE, self->mem));
	ASSERT_EQ(0, set_vcpu(&self->m.vcpu, GPA, share));
	if (self->nr_vcpus < 2)
		return;
	ASSERT_EQ(0, uvmm_vcpu_create(&self->second, &self->m.vm, 1));
	ASSERT_EQ(0, uvmm_start_long(&self->second, MACHINE_CODE, MACHINE_STACK, 0));
	/* They meet in the middle. */
	ASSERT_EQ(0, set_vcpu(&self->second, GPA + (NR_PAGES - share - 32) * PAGE, share + 32));
}

FIXTURE_TEARDOWN(race)
{
	if (self->nr_vcpus == 2)
		uvmm_vcpu_destroy(&self->second);
	machine_stop(&self->m);
}

/* The harness calls the fixture by this name. */
struct runner {
	struct _test_data_race *self;
	struct uvmm_vcpu *vcpu;
} runners[2];

static void *run_vcpu(void *arg)
{
	struct runner *r = arg;

	while (!__atomic_load_n(&r->self->stop, __ATOMIC_ACQUIRE)) {
		long ret = TRY(r->vcpu->fd, KVM_RUN, 0);

		if (ret == -EINTR)
			continue;
		if (ret || r->vcpu->run->exit_reason != KVM_EXIT_DIRTY_RING_FULL) {
			r->self->error = ret ? ret : -EPROTO;
			break;
		}
		/* User space collects meanwhile. */
		usleep(100);
	}
	return NULL;
}

static void copy_page(struct _test_data_race *self, unsigned int page)
{
	self->copy[page] = __atomic_load_n(&self->mem[page][0], __ATOMIC_RELAXED);
	self->reported++;
}

static long harvest_bitmap(struct _test_data_race *self)
{
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = self->bitmap };
	struct kvm_clear_dirty_log clear = {
		.slot = SLOT, .num_pages = NR_PAGES, .dirty_bitmap = self->bitmap,
	};
	long ret = TRY(self->m.vm.fd, KVM_GET_DIRTY_LOG, &log);
	unsigned int i;

	if (!ret && self->how != BITMAP)
		ret = TRY(self->m.vm.fd, KVM_CLEAR_DIRTY_LOG, &clear);
	for (i = 0; !ret && i < NR_PAGES; i++)
		if (self->bitmap[i / 64] >> i % 64 & 1)
			copy_page(self, i);
	return ret;
}

static long harvest_rings(struct _test_data_race *self)
{
	u64 pages[2 * RING_ENTRIES];
	unsigned int nr = 0, i;
	long ret;

	for (i = 0; i < self->nr_vcpus; i++) {
		for (;; self->next[i]++) {
			struct kvm_dirty_gfn *e = &self->ring[i][self->next[i] % RING_ENTRIES];

			if (!(__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY))
				break;
			if (e->slot != SLOT || e->offset >= NR_PAGES || nr == 2 * RING_ENTRIES)
				return -EILSEQ;
			pages[nr++] = e->offset;
			__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
		}
	}
	ret = TRY(self->m.vm.fd, KVM_RESET_DIRTY_RINGS, 0);
	if (ret != nr)
		return ret < 0 ? ret : -EPROTO;
	for (i = 0; i < nr; i++)
		copy_page(self, pages[i]);
	return 0;
}

static long harvest(struct _test_data_race *self)
{
	return self->how == RING ? harvest_rings(self) : harvest_bitmap(self);
}

static void stop(struct _test_data_race *self)
{
	unsigned int i;

	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < self->nr_vcpus; i++) {
		runners[i].vcpu->run->immediate_exit = 1;
		pthread_kill(self->thread[i], SIGUSR1);
		pthread_join(self->thread[i], NULL);
	}
}

TEST_F(race, migrate)
{
	unsigned int i, differ = 0;

	for (i = 0; i < self->nr_vcpus; i++) {
		runners[i].self = self;
		runners[i].vcpu = i ? &self->second : &self->m.vcpu;
		if (self->how == RING) {
			self->ring[i] = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
					     runners[i].vcpu->fd,
					     KVM_DIRTY_LOG_PAGE_OFFSET * PAGE);
			ASSERT_NE(MAP_FAILED, (void *)self->ring[i]);
		}
		ASSERT_EQ(0, pthread_create(&self->thread[i], NULL, run_vcpu, &runners[i]));
	}
	/* They have all of it mapped when logging begins. */
	while (!__atomic_load_n(&self->mem[NR_PAGES - 1][0], __ATOMIC_RELAXED) && !self->error)
		usleep(1000);
	ASSERT_EQ(0, api_slot(self->m.vm.fd, SLOT, KVM_MEM_LOG_DIRTY_PAGES, GPA,
			      NR_PAGES * PAGE, self->mem));
	for (i = 0; i < NR_PAGES; i++)
		copy_page(self, i);
	self->reported = 0;
	for (i = 0; i < ROUNDS && !self->error; i++) {
		usleep(3000);
		ASSERT_EQ(0, harvest(self));
	}
	stop(self);
	EXPECT_EQ(0, self->error);
	ASSERT_EQ(0, harvest(self));
	EXPECT_LT(0, self->reported);
	for (i = 0; i < NR_PAGES; i++)
		differ += self->copy[i] != self->mem[i][0];
	EXPECT_EQ(0, differ);
	/* Nobody writes: nothing is reported. */
	self->reported = 0;
	ASSERT_EQ(0, harvest(self));
	EXPECT_EQ(0, self->reported);
	/* And off it goes again. */
	EXPECT_EQ(0, api_slot(self->m.vm.fd, SLOT, 0, GPA, NR_PAGES * PAGE, self->mem));
}

TEST_HARNESS_MAIN
