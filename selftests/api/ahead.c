// SPDX-License-Identifier: GPL-2.0
/* Going ahead of the guest (ahead=, ahead_share=, ahead_port=): what it spares. */
#include <errno.h>
#include <stdio.h>
#include "api.h"
#include <kselftest_harness.h>

#define PARAMETERS	"/sys/module/umbra/parameters/"

/* Return: what it was before, or -1. */
static long set_parameter(const char *path, unsigned int value)
{
	FILE *file = fopen(path, "r+");
	long old;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &old) != 1)
		old = -1;
	rewind(file);
	fprintf(file, "%u", value);
	return fclose(file) ? -1 : old;
}

FIXTURE(ahead) {
	long steps, share, port;
};

FIXTURE_SETUP(ahead)
{
	int sys = api_open();
	bool umbra = api_is_umbra(sys);

	close(sys);
	self->steps = -1;
	if (!umbra)
		return;
	self->steps = set_parameter(PARAMETERS "ahead", 24);
	self->share = set_parameter(PARAMETERS "ahead_share", 1);
	self->port = set_parameter(PARAMETERS "ahead_port", 8);
	ASSERT_LE(0, self->steps);
	ASSERT_LE(0, self->share);
	ASSERT_LE(0, self->port);
}

FIXTURE_TEARDOWN(ahead)
{
	if (self->steps < 0)
		return;
	set_parameter(PARAMETERS "ahead", self->steps);
	set_parameter(PARAMETERS "ahead_share", self->share);
	set_parameter(PARAMETERS "ahead_port", self->port);
}

#define MSR_APIC_BASE	0x1b
#define MSR_FS_BASE	0xc0000100
#define MSR_STEAL_TIME	0x4b564d03

/*
 * Run RDMSRs, two of them in a loop, one of which is of @msr; how many exits that
 * takes, and how many it spares.
 */
static void read_msrs(struct __test_metadata *_metadata, u32 nr, u32 msr, u64 *exits,
		      u64 *spared)
{
	struct uvmm_stats stats;
	struct kvm_regs regs;
	struct machine m;
	u64 before;

	ASSERT_EQ(0, machine_start(&m, true));
	ASSERT_EQ(0, uvmm_stats_open(&stats, m.vcpu.fd));
	ASSERT_EQ(0, uvmm_stats_read(&stats, "exits", &before));
	ASSERT_EQ(0, TRY(m.vcpu.fd, KVM_GET_REGS, &regs));
	regs.rsi = nr / 2;
	regs.rdi = msr;
	ASSERT_EQ(0, TRY(m.vcpu.fd, KVM_SET_REGS, &regs));
	/* 1: mov $0x1b, %ecx; rdmsr; mov %edi, %ecx; rdmsr; dec %esi; jnz 1b; hlt */
	CODE(&m, 0xb9, MSR_APIC_BASE, 0, 0, 0, 0x0f, 0x32, 0x89, 0xf9, 0x0f, 0x32,
	     0xff, 0xce, 0x75, 0xf1, 0xf4);
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&m));
	ASSERT_EQ(0, uvmm_stats_read(&stats, "exits", exits));
	ASSERT_EQ(0, uvmm_stats_read(&stats, "ahead_exits", spared));
	*exits -= before;
	uvmm_stats_close(&stats);
	machine_stop(&m);
}

static void count_exits(struct __test_metadata *_metadata, u32 nr, u64 *exits, u64 *spared)
{
	read_msrs(_metadata, nr, MSR_APIC_BASE, exits, spared);
}

/* Of instructions that exit one after another, most need not. */
TEST_F(ahead, spares_exits)
{
	u64 exits, spared;

	if (self->steps < 0)
		SKIP(return, "umbra's own");
	count_exits(_metadata, 100, &exits, &spared);
	EXPECT_LE(exits, 40);
	EXPECT_LE(100, exits + spared);
	/* What does not exit is for the guest. */
	read_msrs(_metadata, 200, MSR_FS_BASE, &exits, &spared);
	EXPECT_EQ(0, spared);
	ASSERT_LE(0, set_parameter(PARAMETERS "ahead", 1));
	count_exits(_metadata, 100, &exits, &spared);
	EXPECT_EQ(0, spared);
	ASSERT_LE(0, set_parameter(PARAMETERS "ahead", 0));
	count_exits(_metadata, 100, &exits, &spared);
	EXPECT_LE(100, exits);
	EXPECT_EQ(0, spared);
}

TEST_F(ahead, spares_a_share)
{
	u64 exits, spared;

	if (self->steps < 0)
		SKIP(return, "umbra's own");
	ASSERT_LE(0, set_parameter(PARAMETERS "ahead_share", 5));
	count_exits(_metadata, 5000, &exits, &spared);
	EXPECT_LE(5000, exits + spared);
	EXPECT_LE(900, spared);
	EXPECT_GE(1100, spared);
	/* Whatever it is set to; two places then have their turns once. */
	ASSERT_LE(0, set_parameter(PARAMETERS "ahead_share", 0));
	count_exits(_metadata, 100, &exits, &spared);
	EXPECT_LE(60, spared);
	ASSERT_LE(0, set_parameter(PARAMETERS "ahead_share", ~0u));
	count_exits(_metadata, 5000, &exits, &spared);
	EXPECT_GE(40, spared);
}

#define INDEX_PORT	0x510
#define DATA_PORT	0x511

/* Answer what an index register and its data register are asked, up to HLT. */
static long serve_ports(struct machine *m, u32 *index, unsigned int *outs)
{
	struct kvm_run *run = m->vcpu.run;
	u32 *data = (void *)((char *)run + PAGE);
	long ret;

	while (!(ret = machine_run(m)) && run->exit_reason == KVM_EXIT_IO) {
		if (run->io.port == INDEX_PORT && run->io.direction == KVM_EXIT_IO_OUT) {
			*index = *data;
			if (++*outs == 60)
				break;
		} else if (run->io.port == DATA_PORT && run->io.direction == KVM_EXIT_IO_IN) {
			*data = *index * 3;
		} else {
			return -1;
		}
	}
	return ret ? ret : (long)run->exit_reason;
}

/* Nor does an access that user space has completed need an exit of its own. */
TEST_F(ahead, of_user_space)
{
	unsigned int outs = 0;
	struct uvmm_stats stats;
	struct kvm_regs regs;
	struct machine m;
	u64 spared;
	u32 index;

	if (self->steps < 0)
		SKIP(return, "umbra's own");
	ASSERT_EQ(0, machine_start(&m, true));
	/* Then something is to be done at the begin of each run. */
	ASSERT_EQ(1, machine_set_msr(&m, MSR_STEAL_TIME, MACHINE_DATA | 1));
	/*
	 * xor %edi, %edi; mov $100, %esi
	 * 1: mov $0x510, %edx; mov %esi, %eax; out %eax, (%dx)
	 * inc %edx; in (%dx), %eax; add %eax, %edi; dec %esi; jnz 1b; hlt
	 */
	CODE(&m, 0x31, 0xff, 0xbe, 100, 0, 0, 0, 0xba, 0x10, 0x05, 0, 0, 0x89, 0xf0, 0xef,
	     0xff, 0xc2, 0xed, 0x01, 0xc7, 0xff, 0xce, 0x75, 0xef, 0xf4);
	ASSERT_EQ(KVM_EXIT_IO, serve_ports(&m, &index, &outs));

	/* Just completing it goes no further. */
	m.vcpu.run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, machine_run(&m));
	m.vcpu.run->immediate_exit = 0;
	EXPECT_EQ(MACHINE_CODE + 15, machine_rip(&m));

	EXPECT_EQ(KVM_EXIT_HLT, serve_ports(&m, &index, &outs));
	EXPECT_EQ(100, outs);
	ASSERT_EQ(0, TRY(m.vcpu.fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(3 * 5050, regs.rdi);
	if (!uvmm_stats_open(&stats, m.vcpu.fd)) {
		if (!uvmm_stats_read(&stats, "ahead_exits", &spared))
			EXPECT_LE(100, spared);
		uvmm_stats_close(&stats);
	}
	machine_stop(&m);
}

TEST_HARNESS_MAIN
