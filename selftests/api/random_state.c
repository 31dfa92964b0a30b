// SPDX-License-Identifier: GPL-2.0
/*
 * State that no guest could have reached: ioctls that set some, with random bits in
 * it, each followed by KVM_RUN. Refused or not, the run ends, and the host goes on.
 */
#include <signal.h>
#include <sys/time.h>
#include "api.h"
#include <kselftest_harness.h>

#define MACHINES	12
#define ROUNDS		16

union state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_sregs2 sregs2;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debugregs;
	struct kvm_guest_debug guest_debug;
	struct kvm_lapic_state lapic;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct kvm_fpu fpu;
	struct kvm_mp_state mp_state;
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[100];
	} cpuid;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[8];
	} msrs;
	u8 bytes[8192];
};

/* Pairs that belong together; without the first, the state begins as zeroes. */
static const struct {
	unsigned long get;
	unsigned long set;
	size_t size;
} calls[] = {
	{ KVM_GET_REGS, KVM_SET_REGS, sizeof(struct kvm_regs) },
	{ KVM_GET_SREGS, KVM_SET_SREGS, sizeof(struct kvm_sregs) },
	{ KVM_GET_SREGS, KVM_SET_SREGS, sizeof(struct kvm_sregs) },
	{ KVM_GET_SREGS2, KVM_SET_SREGS2, sizeof(struct kvm_sregs2) },
	{ KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events) },
	{ KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, sizeof(struct kvm_debugregs) },
	{ 0, KVM_SET_GUEST_DEBUG, sizeof(struct kvm_guest_debug) },
	{ KVM_GET_LAPIC, KVM_SET_LAPIC, sizeof(struct kvm_lapic_state) },
	{ KVM_GET_XSAVE, KVM_SET_XSAVE, 1024 },
	{ KVM_GET_XCRS, KVM_SET_XCRS, 40 },
	{ KVM_GET_FPU, KVM_SET_FPU, sizeof(struct kvm_fpu) },
	{ KVM_GET_MP_STATE, KVM_SET_MP_STATE, sizeof(struct kvm_mp_state) },
	{ KVM_GET_CPUID2, KVM_SET_CPUID2, 2048 },
};

static const u32 msr_index[] = {
	0x10, 0x1b, 0x3b, 0x8b, 0xfe, 0x174, 0x175, 0x176, 0x17a, 0x17b, 0x1a0, 0x1d9, 0x200, 0x250,
	0x277, 0x283, 0x2ff, 0x400, 0x401, 0x6e0, 0x808, 0x80f, 0x830, 0x83f, 0xd90, 0xda0,
	0xc0000080, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0000100, 0xc0000102, 0xc0000103,
	0x4b564d00, 0x4b564d01, 0x4b564d03, 0x4b564d04,
};

static void on_signal(int sig)
{
}

static void set_ticks(bool on)
{
	struct itimerval timer = { { 0, 10000 }, { 0, 10000 } };

	if (!on)
		memset(&timer, 0, sizeof(timer));
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Bits here and there, sometimes a whole byte or word. */
static void spoil(u8 *bytes, size_t size)
{
	unsigned int n = 1 + rand() % 6;

	while (n--) {
		size_t at = rand() % size;

		switch (rand() % 4) {
		case 0:
			bytes[at] = rand();
			break;
		case 1:
			*(u64 *)(bytes + (at & ~7UL)) = (u64)rand() << (rand() % 33);
			break;
		default:
			bytes[at] ^= 1 << rand() % 8;
		}
	}
}

static void set_msrs(int fd, union state *state)
{
	unsigned int i;

	memset(state, 0, sizeof(*state));
	state->msrs.head.nmsrs = 8;
	for (i = 0; i < 8; i++) {
		state->msrs.entry[i].index = msr_index[rand() % ARRAY_SIZE(msr_index)];
		state->msrs.entry[i].data = rand() & 1 ? rand() & 0xfff :
					    (u64)rand() << (rand() % 34);
	}
	TRY(fd, KVM_SET_MSRS, state);
}

static void disturb(int fd, union state *state)
{
	unsigned int what = rand() % (ARRAY_SIZE(calls) + 2);

	if (what == ARRAY_SIZE(calls)) {
		TRY(fd, KVM_NMI, 0);
		TRY(fd, KVM_SET_TSC_KHZ, rand() >> rand() % 31);
		return;
	}
	if (what > ARRAY_SIZE(calls)) {
		set_msrs(fd, state);
		return;
	}
	memset(state, 0, sizeof(*state));
	if (calls[what].get == KVM_GET_CPUID2)
		state->cpuid.head.nent = 100;
	if (calls[what].get)
		TRY(fd, calls[what].get, state);
	spoil(state->bytes, calls[what].size);
	TRY(fd, calls[what].set, state);
}

/* With interrupt controllers in the kernel or without, in long or in real mode. */
static int start(struct machine *m, unsigned int seed)
{
	int ret = machine_start_vm(m);

	if (!ret && seed & 2)
		ret = TRY(m->vm.fd, KVM_CREATE_IRQCHIP, 0);
	if (!ret)
		ret = machine_start_vcpu(m, seed & 1);
	return ret;
}

TEST(random_state)
{
	struct sigaction action = { .sa_handler = on_signal };
	union state *state = calloc(1, sizeof(*state));
	unsigned int seed, i;

	ASSERT_NE(NULL, state);
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	for (seed = 1; seed <= MACHINES; seed++) {
		struct machine m;

		ASSERT_EQ(0, start(&m, seed));
		/* cpuid; mov %cr0, %eax; pushf; out; rdtsc; pause; jmp */
		CODE(&m, 0x0f, 0xa2, 0x0f, 0x20, 0xc0, 0x9c, 0xe6, 0x10, 0x0f, 0x31, 0xf3, 0x90,
		     0xeb, 0xf2);
		srand(seed);
		set_ticks(true);
		machine_enter(&m);
		for (i = 0; i < ROUNDS; i++) {
			disturb(m.vcpu.fd, state);
			machine_run(&m);
		}
		set_ticks(false);
		machine_stop(&m);
	}
	free(state);
}

TEST_HARNESS_MAIN
