// SPDX-License-Identifier: GPL-2.0
/* KVM_GET_STATS_FD: the format, and that the figures move. */
#include <errno.h>
#include "api.h"
#include <kselftest_harness.h>

FIXTURE(stats) {
	struct machine m;
	int fd;
};

FIXTURE_VARIANT(stats) {
	bool vcpu;
};

FIXTURE_VARIANT_ADD(stats, of_vm) {
	.vcpu = false,
};

FIXTURE_VARIANT_ADD(stats, of_vcpu) {
	.vcpu = true,
};

FIXTURE_SETUP(stats)
{
	ASSERT_EQ(0, machine_start(&self->m, true));
	self->fd = TRY(variant->vcpu ? self->m.vcpu.fd : self->m.vm.fd, KVM_GET_STATS_FD, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(stats)
{
	close(self->fd);
	machine_stop(&self->m);
}

static void read_header(struct __test_metadata *_metadata, int fd, struct kvm_stats_header *header)
{
	ASSERT_EQ((ssize_t)sizeof(*header), pread(fd, header, sizeof(*header), 0));
}

TEST_F(stats, header)
{
	struct kvm_stats_header h;
	char id[64];

	read_header(_metadata, self->fd, &h);
	EXPECT_EQ(0, h.flags);
	EXPECT_EQ(48, h.name_size);
	EXPECT_LT(0, h.num_desc);
	EXPECT_EQ(sizeof(h), h.id_offset);
	EXPECT_LE(h.id_offset + h.name_size, h.desc_offset);
	EXPECT_LE(h.desc_offset + h.num_desc * (sizeof(struct kvm_stats_desc) + h.name_size),
		  h.data_offset);
	ASSERT_EQ((ssize_t)h.name_size, pread(self->fd, id, h.name_size, h.id_offset));
	EXPECT_NE(NULL, memchr(id, 0, h.name_size));
	EXPECT_NE(NULL, strstr(id, "-"));
	EXPECT_EQ(variant->vcpu, !!strstr(id, "/vcpu-0"));
}

TEST_F(stats, descriptors)
{
	struct kvm_stats_header h;
	struct kvm_stats_desc *desc, *other;
	size_t size, len, i, j;
	char *all;

	read_header(_metadata, self->fd, &h);
	size = sizeof(*desc) + h.name_size;
	len = h.num_desc * size;
	all = malloc(len);
	ASSERT_EQ((ssize_t)len, pread(self->fd, all, len, h.desc_offset));
	for (i = 0; i < h.num_desc; i++) {
		desc = (void *)(all + i * size);
		EXPECT_GE(KVM_STATS_TYPE_MAX, desc->flags & KVM_STATS_TYPE_MASK);
		EXPECT_GE(KVM_STATS_UNIT_MAX, desc->flags & KVM_STATS_UNIT_MASK);
		EXPECT_GE(KVM_STATS_BASE_MAX, desc->flags & KVM_STATS_BASE_MASK);
		EXPECT_LE(1, desc->size);
		EXPECT_EQ(0, desc->offset % 8);
		EXPECT_NE(NULL, memchr(desc->name, 0, h.name_size));
		EXPECT_LT(0, strlen(desc->name));
		for (j = 0; j < i; j++) {
			other = (void *)(all + j * size);
			EXPECT_NE(0, strcmp(desc->name, other->name));
			EXPECT_NE(desc->offset, other->offset);
		}
	}
	free(all);
}

TEST_F(stats, reading)
{
	struct kvm_stats_header h, again;
	char all[16384], part[64];
	ssize_t len;

	read_header(_metadata, self->fd, &h);
	len = pread(self->fd, all, sizeof(all), 0);
	ASSERT_LT(h.data_offset, len);
	/* From any offset, as much as is asked for. */
	EXPECT_EQ(10, pread(self->fd, part, 10, 7));
	EXPECT_EQ(0, memcmp(part, all + 7, 10));
	EXPECT_EQ(20, pread(self->fd, part, 20, h.data_offset - 10));
	EXPECT_EQ(0, memcmp(part, all + h.data_offset - 10, 10));
	EXPECT_EQ(1, pread(self->fd, part, sizeof(part), len - 1));
	EXPECT_EQ(0, pread(self->fd, part, sizeof(part), len));
	EXPECT_EQ(0, pread(self->fd, part, sizeof(part), 1UL << 40));
	EXPECT_EQ(-1, pread(self->fd, (void *)KERNEL_ADDR, 8, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, pread(self->fd, (void *)KERNEL_ADDR, 8, h.data_offset));
	/* read() moves on. */
	EXPECT_EQ((ssize_t)sizeof(again), read(self->fd, &again, sizeof(again)));
	EXPECT_EQ(0, memcmp(&h, &again, sizeof(h)));
	EXPECT_EQ(4, read(self->fd, part, 4));
	EXPECT_EQ(0, memcmp(part, all + sizeof(h), 4));
	EXPECT_EQ(-1, write(self->fd, part, 1));
}

TEST_F(stats, names_of_stock)
{
	static const char * const of_vm[] = {
		"remote_tlb_flush", "mmu_shadow_zapped", "mmu_pte_write", "mmu_flooded",
		"mmu_recycled", "mmu_cache_miss", "mmu_unsync", "pages_4k", "pages_2m", "pages_1g",
	};
	static const char * const of_vcpu[] = {
		"pf_taken", "pf_fixed", "pf_emulate", "pf_spurious", "pf_fast", "pf_guest",
		"tlb_flush", "invlpg", "exits", "io_exits", "mmio_exits", "signal_exits",
		"irq_window_exits", "nmi_window_exits", "halt_exits", "request_irq_exits",
		"irq_exits", "host_state_reload", "fpu_reload", "insn_emulation",
		"insn_emulation_fail", "hypercalls", "irq_injections", "nmi_injections",
		"req_event", "guest_mode",
	};
	const char * const *names = variant->vcpu ? of_vcpu : of_vm;
	unsigned int nr = variant->vcpu ? ARRAY_SIZE(of_vcpu) : ARRAY_SIZE(of_vm);
	struct uvmm_stats stats;
	unsigned int i;
	u64 value;

	ASSERT_EQ(0, uvmm_stats_open(&stats, variant->vcpu ? self->m.vcpu.fd : self->m.vm.fd));
	for (i = 0; i < nr; i++)
		EXPECT_EQ(0, uvmm_stats_read(&stats, names[i], &value)) {
			TH_LOG("%s is missing", names[i]);
		}
	uvmm_stats_close(&stats);
}

/* The file keeps the VM alive. */
TEST_F(stats, outlives_the_others)
{
	struct kvm_stats_header h;
	u64 value;

	machine_stop(&self->m);
	read_header(_metadata, self->fd, &h);
	EXPECT_EQ((ssize_t)sizeof(value), pread(self->fd, &value, sizeof(value), h.data_offset));
	self->m.vm.n_mem = 0;
}

TEST(figures_move)
{
	struct uvmm_stats stats, of_vm;
	u64 exits, later, io, pages;
	struct machine m;

	ASSERT_EQ(0, machine_start(&m, true));
	ASSERT_EQ(0, uvmm_stats_open(&stats, m.vcpu.fd));
	ASSERT_EQ(0, uvmm_stats_open(&of_vm, m.vm.fd));
	ASSERT_EQ(0, uvmm_stats_read(&stats, "exits", &exits));
	CODE(&m, 0xe6, 0x10, 0xf4);			/* out %al, $0x10; hlt */
	ASSERT_EQ(KVM_EXIT_IO, machine_enter(&m));
	ASSERT_EQ(KVM_EXIT_HLT, machine_finish(&m, NULL));
	ASSERT_EQ(0, uvmm_stats_read(&stats, "exits", &later));
	EXPECT_LE(exits + 2, later);
	ASSERT_EQ(0, uvmm_stats_read(&stats, "io_exits", &io));
	EXPECT_EQ(1, io);
	ASSERT_EQ(0, uvmm_stats_read(&of_vm, "pages_4k", &pages));
	EXPECT_LE(1, pages);
	uvmm_stats_close(&of_vm);
	uvmm_stats_close(&stats);
	machine_stop(&m);
}

TEST_HARNESS_MAIN
