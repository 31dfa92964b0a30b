// SPDX-License-Identifier: GPL-2.0
/* Choices of user space: MSR filter, MSRs of its own, quirks; paravirtual pages. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include "api.h"
#include <kselftest_harness.h>

#define MSR_NONE		0x00dead00
#define MSR_FS_BASE		0xc0000100
#define MSR_STEAL_TIME		0x4b564d03
#define MSR_SYSTEM_TIME		0x4b564d01

/* What the handler of #GP leaves in AL. */
#define FAULTED			0x0d

FIXTURE(options) {
	struct machine m;
	struct kvm_run *run;
	int vm;
};

static void set_vector(struct machine *m, u8 vector, u16 ip)
{
	memcpy(m->mem + vector * 4, &(u32){ ip }, 4);
}

FIXTURE_SETUP(options)
{
	ASSERT_EQ(0, machine_start(&self->m, false));
	self->vm = self->m.vm.fd;
	self->run = self->m.vcpu.run;
	memcpy(self->m.mem + 0x9000, "\xb0\x0d\xf4", 3);	/* mov $13, %al; hlt */
	set_vector(&self->m, FAULTED, 0x9000);
}

FIXTURE_TEARDOWN(options)
{
	machine_stop(&self->m);
}

static long enable(int fd, u32 cap, u64 arg)
{
	struct kvm_enable_cap args = { .cap = cap, .args = { arg } };

	return TRY(fd, KVM_ENABLE_CAP, &args);
}

/* mov $MSR, %ecx; rdmsr; hlt. Returns AL. */
static u8 read_msr(struct machine *m, u32 msr)
{
	u8 code[] = { 0x66, 0xb9, msr, msr >> 8, msr >> 16, msr >> 24, 0x0f, 0x32, 0xf4 };
	struct kvm_regs regs;

	machine_code(m, code, sizeof(code));
	if (machine_enter(m) != KVM_EXIT_HLT)
		return 0xff;
	TRY(m->vcpu.fd, KVM_GET_REGS, &regs);
	return regs.rax;
}

static void on_signal(int sig)
{
}

TEST_F(options, exits_can_be_disabled)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval soon = { .it_value.tv_usec = 20000 };
	struct kvm_interrupt irq = { .irq = 0x20 };
	long all = TRY(self->m.vm.node_fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_DISABLE_EXITS);
	struct machine m;

	EXPECT_EQ(KVM_X86_DISABLE_EXITS_HLT | KVM_X86_DISABLE_EXITS_PAUSE |
		  KVM_X86_DISABLE_EXITS_CSTATE, all & ~KVM_X86_DISABLE_EXITS_MWAIT);
	EXPECT_EQ(-EINVAL, enable(self->vm, KVM_CAP_X86_DISABLE_EXITS, all | 1 << 8));
	/* There is a vCPU. */
	if (api_is_umbra(self->m.vm.node_fd))
		EXPECT_EQ(-EINVAL, enable(self->vm, KVM_CAP_X86_DISABLE_EXITS, all));

	ASSERT_EQ(0, machine_start_vm(&m));
	ASSERT_EQ(0, enable(m.vm.fd, KVM_CAP_X86_DISABLE_EXITS, all));
	ASSERT_EQ(0, machine_start_vcpu(&m, false));
	set_vector(&m, 0x20, 0x9000);
	memcpy(m.mem + 0x9000, "\xe6\x10", 2);		/* out %al, $16 */
	/* pause; sti; hlt; jmp: some CPUs forget in a VM exit that they were halted. */
	CODE(&m, 0xf3, 0x90, 0xfb, 0xf4, 0xeb, 0xfd);
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	/* It halts without telling. */
	EXPECT_EQ(-EINTR, machine_enter(&m));
	ASSERT_EQ(0, TRY(m.vcpu.fd, KVM_INTERRUPT, &irq));
	EXPECT_EQ(0, machine_run(&m));
	EXPECT_EQ(KVM_EXIT_IO, m.vcpu.run->exit_reason);
	EXPECT_EQ(16, m.vcpu.run->io.port);
	machine_stop(&m);
}

TEST_F(options, filter_refuses)
{
	u8 bitmap[8] = {};
	struct kvm_msr_filter filter = { .flags = 2 };

	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_X86_SET_MSR_FILTER, &filter));
	filter.flags = KVM_MSR_FILTER_DEFAULT_DENY;
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_X86_SET_MSR_FILTER, &filter));
	filter.flags = 0;
	filter.ranges[3] = (struct kvm_msr_filter_range){ 4, 8, 0, bitmap };
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_X86_SET_MSR_FILTER, &filter));
	filter.ranges[3].flags = KVM_MSR_FILTER_READ;
	filter.ranges[3].nmsrs = ~0u;
	EXPECT_EQ(-EINVAL, TRY(self->vm, KVM_X86_SET_MSR_FILTER, &filter));
	filter.ranges[3].nmsrs = 0x600 * 8;
	filter.ranges[3].bitmap = (void *)KERNEL_ADDR;
	EXPECT_EQ(-EFAULT, TRY(self->vm, KVM_X86_SET_MSR_FILTER, &filter));
	filter.ranges[0] = (struct kvm_msr_filter_range){ 1, 64, 0, bitmap };
	EXPECT_EQ(-EFAULT, TRY(self->vm, KVM_X86_SET_MSR_FILTER, &filter));
}

/* Also an MSR that the guest otherwise reads without an exit, and back again. */
TEST_F(options, filter_denies)
{
	u8 bitmap[8] = {};
	struct kvm_msr_filter filter = {
		.ranges = { { KVM_MSR_FILTER_READ, 1, MSR_FS_BASE, bitmap } },
	};

	ASSERT_EQ(1, machine_set_msr(&self->m, MSR_FS_BASE, 0x42));
	EXPECT_EQ(0x42, read_msr(&self->m, MSR_FS_BASE));
	ASSERT_EQ(0, TRY(self->vm, KVM_X86_SET_MSR_FILTER, &filter));
	EXPECT_EQ(FAULTED, read_msr(&self->m, MSR_FS_BASE));
	bitmap[0] = 1;
	ASSERT_EQ(0, TRY(self->vm, KVM_X86_SET_MSR_FILTER, &filter));
	EXPECT_EQ(0x42, read_msr(&self->m, MSR_FS_BASE));
	filter.flags = KVM_MSR_FILTER_DEFAULT_DENY;
	bitmap[0] = 0;
	ASSERT_EQ(0, TRY(self->vm, KVM_X86_SET_MSR_FILTER, &filter));
	EXPECT_EQ(FAULTED, read_msr(&self->m, MSR_FS_BASE));
	memset(&filter, 0, sizeof(filter));
	ASSERT_EQ(0, TRY(self->vm, KVM_X86_SET_MSR_FILTER, &filter));
	EXPECT_EQ(0x42, read_msr(&self->m, MSR_FS_BASE));
}

TEST_F(options, msrs_of_user_space)
{
	u8 value;

	EXPECT_EQ(FAULTED, read_msr(&self->m, MSR_NONE));
	EXPECT_EQ(-EINVAL, enable(self->vm, KVM_CAP_X86_USER_SPACE_MSR, 8));
	ASSERT_EQ(0, enable(self->vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_UNKNOWN));
	read_msr(&self->m, MSR_NONE);
	ASSERT_EQ(KVM_EXIT_X86_RDMSR, self->run->exit_reason);
	EXPECT_EQ(MSR_NONE, self->run->msr.index);
	EXPECT_EQ(KVM_MSR_EXIT_REASON_UNKNOWN, self->run->msr.reason);
	self->run->msr.data = 0x77;
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, &value));
	EXPECT_EQ(0x77, value);
	read_msr(&self->m, MSR_NONE);
	self->run->msr.error = 1;
	EXPECT_EQ(KVM_EXIT_HLT, machine_finish(&self->m, &value));
	EXPECT_EQ(FAULTED, value);
}

TEST_F(options, refused)
{
	EXPECT_EQ(-EINVAL, enable(self->vm, KVM_CAP_DISABLE_QUIRKS2, 1ULL << 40));
	EXPECT_EQ(-EINVAL, enable(self->vm, KVM_CAP_MAX_VCPU_ID, 0));
	EXPECT_EQ(-EINVAL, enable(self->vm, KVM_CAP_MAX_VCPU_ID, 1 << 20));
	EXPECT_EQ(-EINVAL, enable(self->m.vcpu.fd, KVM_CAP_MAX_VCPU_ID, 1));
	self->run->kvm_valid_regs = 1ULL << 63;
	EXPECT_EQ(-EINVAL, machine_run(&self->m));
	self->run->kvm_valid_regs = 0;
	self->run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
	memset(&self->run->s.regs.sregs, 0xff, sizeof(self->run->s.regs.sregs));
	EXPECT_EQ(-EINVAL, machine_run(&self->m));
	self->run->kvm_dirty_regs = 0;
}

/* A page for the clock; one where there is no memory is the guest's loss. */
TEST_F(options, clock_page)
{
	const u32 *page = (u32 *)(self->m.mem + MACHINE_DATA);

	ASSERT_EQ(1, machine_set_msr(&self->m, MSR_SYSTEM_TIME, MACHINE_DATA | 1));
	CODE(&self->m, 0xf4);
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	EXPECT_NE(0, page[0]);
	EXPECT_EQ(0, page[0] & 1);
	EXPECT_NE(0, page[6]);
	ASSERT_EQ(1, machine_set_msr(&self->m, MSR_SYSTEM_TIME, 0x7ffffffff001ULL));
	EXPECT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	ASSERT_EQ(1, machine_set_msr(&self->m, MSR_STEAL_TIME, 0x7ffffffff001ULL));
	EXPECT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	EXPECT_EQ(0, machine_set_msr(&self->m, MSR_STEAL_TIME, MACHINE_DATA | 3));
}

/* How long this thread has waited for a CPU, in ns. */
static u64 run_delay(void)
{
	FILE *file = fopen("/proc/thread-self/schedstat", "r");
	unsigned long long delay = 0;

	if (file && fscanf(file, "%*u %llu", &delay) != 1)
		delay = 0;
	if (file)
		fclose(file);
	return delay;
}

static void *enter(void *m)
{
	return (void *)(long)machine_enter(m);
}

/* Time is stolen by what the vCPU's own thread waits, not by another's that waited less. */
TEST_F(options, steal_time_of_another_thread)
{
	u64 *steal = (u64 *)(self->m.mem + MACHINE_DATA);
	int sys = api_open();
	pthread_t thread;
	pid_t rival;
	void *exit;

	if (!api_is_umbra(sys))
		SKIP(return, "stock KVM subtracts one thread's from another's");
	close(sys);
	rival = fork();
	while (!rival)
		;
	ASSERT_LT(0, rival);
	while (run_delay() < 20000000)
		;
	kill(rival, SIGKILL);
	api_wait(rival);
	ASSERT_EQ(1, machine_set_msr(&self->m, MSR_STEAL_TIME, MACHINE_DATA | 1));
	CODE(&self->m, 0xf4);
	ASSERT_EQ(0, pthread_create(&thread, NULL, enter, &self->m));
	ASSERT_EQ(0, pthread_join(thread, &exit));
	ASSERT_EQ(KVM_EXIT_HLT, (long)exit);
	EXPECT_GT(20000000, *steal);
	/* And back. */
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	EXPECT_GT(20000000, *steal);
}

/* A guest that was stopped is told, once, and does not take it for a lockup. */
TEST_F(options, clock_tells_of_a_stop)
{
	u8 *flags = self->m.mem + MACHINE_DATA + 29;
	int fd = self->m.vcpu.fd;

	ASSERT_EQ(1, TRY(self->vm, KVM_CHECK_EXTENSION, KVM_CAP_KVMCLOCK_CTRL));
	EXPECT_EQ(-EINVAL, TRY(fd, KVM_KVMCLOCK_CTRL, 0));
	ASSERT_EQ(1, machine_set_msr(&self->m, MSR_SYSTEM_TIME, MACHINE_DATA | 1));
	CODE(&self->m, 0xf4);
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	EXPECT_EQ(0, *flags & 2);
	ASSERT_EQ(0, TRY(fd, KVM_KVMCLOCK_CTRL, 0));
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	EXPECT_EQ(2, *flags & 2);

	/* It stays until the guest has seen it. */
	ASSERT_EQ(1, machine_set_msr(&self->m, MSR_SYSTEM_TIME, MACHINE_DATA | 1));
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	EXPECT_EQ(2, *flags & 2);
	*flags &= ~2;
	ASSERT_EQ(1, machine_set_msr(&self->m, MSR_SYSTEM_TIME, MACHINE_DATA | 1));
	ASSERT_EQ(KVM_EXIT_HLT, machine_enter(&self->m));
	EXPECT_EQ(0, *flags & 2);
}

TEST_F(options, tsc_offset)
{
	u64 value = 12345;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (u64)&value,
	};
	int fd = self->m.vcpu.fd;

	ASSERT_EQ(0, TRY(fd, KVM_HAS_DEVICE_ATTR, &attr));
	EXPECT_EQ(0, TRY(fd, KVM_SET_DEVICE_ATTR, &attr));
	value = 0;
	EXPECT_EQ(0, TRY(fd, KVM_GET_DEVICE_ATTR, &attr));
	EXPECT_EQ(12345, value);
	attr.addr = KERNEL_ADDR;
	EXPECT_EQ(-EFAULT, TRY(fd, KVM_SET_DEVICE_ATTR, &attr));
	attr.attr = 7;
	EXPECT_EQ(-ENXIO, TRY(fd, KVM_SET_DEVICE_ATTR, &attr));
}

TEST_HARNESS_MAIN
