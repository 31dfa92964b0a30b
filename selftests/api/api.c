// SPDX-License-Identifier: GPL-2.0
/* What the API selftests share. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "api.h"

const char *api_node(void)
{
	const char *node = getenv("UMBRA_NODE");

	return node ? node : UVMM_NODE_UMBRA;
}

static enum uvmm_paging api_paging(void)
{
	const char *mode = getenv("UMBRA_PAGING");

	return mode && !strcmp(mode, "shadow") ? UVMM_PAGING_SHADOW : UVMM_PAGING_EPT;
}

int api_open(void)
{
	return open(api_node(), O_RDWR | O_CLOEXEC);
}

long api_ioctl(int fd, unsigned long cmd, unsigned long arg)
{
	long ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

/* The stock module lacks our capability and has one mode, given at load. */
bool api_is_umbra(int sys)
{
	return TRY(sys, KVM_CHECK_EXTENSION, UMBRA_CAP_PAGING_MODE) == 1;
}

int api_vm(int sys)
{
	struct kvm_enable_cap cap = { .cap = UMBRA_CAP_PAGING_MODE };
	int vm = TRY(sys, KVM_CREATE_VM, 0);

	cap.args[0] = api_paging() == UVMM_PAGING_SHADOW ? UMBRA_PAGING_SHADOW : UMBRA_PAGING_EPT;
	if (vm >= 0 && api_is_umbra(sys) && TRY(vm, KVM_ENABLE_CAP, &cap))
		return -EPROTO;
	return vm;
}

void *api_pages(size_t nr)
{
	void *addr = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	return addr == MAP_FAILED ? NULL : addr;
}

long api_slot(int vm, u32 slot, u32 flags, u64 gpa, u64 size, const void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (unsigned long)hva,
	};

	return TRY(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

/* The exit status of a child, or minus the signal that ended it. */
int api_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1000;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int machine_start_vm(struct machine *m)
{
	int sys = api_open();
	bool umbra = api_is_umbra(sys);
	int ret;

	if (sys < 0)
		return -ENODEV;
	close(sys);
	memset(m, 0, sizeof(*m));
	ret = uvmm_vm_create(&m->vm, api_node(), umbra ? api_paging() : UVMM_PAGING_DEFAULT);
	if (ret)
		return ret;
	ret = uvmm_mem_add(&m->vm, 0, 0, MACHINE_SIZE, NULL, 0);
	if (ret)
		return ret;
	m->mem = uvmm_hva(&m->vm, 0, MACHINE_SIZE);
	return 0;
}

int machine_start_vcpu(struct machine *m, bool long_mode)
{
	int ret = uvmm_vcpu_create(&m->vcpu, &m->vm, 0);

	if (ret)
		return ret;
	m->long_mode = long_mode;
	ret = long_mode ? uvmm_start_long(&m->vcpu, MACHINE_CODE, MACHINE_STACK, 0) :
			  uvmm_start_real(&m->vcpu, 0, MACHINE_CODE, 0);
	if (!ret)
		machine_set_if(m, true);
	return ret;
}

int machine_start(struct machine *m, bool long_mode)
{
	int ret = machine_start_vm(m);

	return ret ? ret : machine_start_vcpu(m, long_mode);
}

/*
 * RFLAGS.IF. Normally on: Bochs does not take the host's interrupts while the
 * guest has them off, so that a guest that spins could not be stopped there.
 */
void machine_set_if(struct machine *m, bool on)
{
	struct kvm_regs regs;

	ioctl(m->vcpu.fd, KVM_GET_REGS, &regs);
	regs.rflags = on ? regs.rflags | 0x200 : regs.rflags & ~0x200ULL;
	ioctl(m->vcpu.fd, KVM_SET_REGS, &regs);
}

void machine_stop(struct machine *m)
{
	uvmm_vcpu_destroy(&m->vcpu);
	uvmm_vm_destroy(&m->vm);
}

void machine_code(struct machine *m, const void *code, size_t len)
{
	memcpy(m->mem + MACHINE_CODE, code, len);
}

long machine_run(struct machine *m)
{
	return TRY(m->vcpu.fd, KVM_RUN, 0);
}

/* Run from the start of the code. Return the exit reason or -errno. */
int machine_enter(struct machine *m)
{
	struct kvm_regs regs;
	long ret;

	ioctl(m->vcpu.fd, KVM_GET_REGS, &regs);
	regs.rip = MACHINE_CODE;
	ioctl(m->vcpu.fd, KVM_SET_REGS, &regs);
	ret = machine_run(m);
	return ret < 0 ? ret : (int)m->vcpu.run->exit_reason;
}

u64 machine_rip(struct machine *m)
{
	struct kvm_regs regs = {};

	ioctl(m->vcpu.fd, KVM_GET_REGS, &regs);
	return regs.rip;
}

static void set_operands(struct machine *m, u64 gpa, u8 value)
{
	struct kvm_regs regs;

	ioctl(m->vcpu.fd, KVM_GET_REGS, &regs);
	regs.rdi = gpa;
	regs.rax = value;
	ioctl(m->vcpu.fd, KVM_SET_REGS, &regs);
}

/* Go on until HLT; give what the guest has in AL. */
int machine_finish(struct machine *m, u8 *value)
{
	struct kvm_regs regs;
	long ret = machine_run(m);

	if (ret < 0)
		return ret;
	ioctl(m->vcpu.fd, KVM_GET_REGS, &regs);
	if (value)
		*value = regs.rax;
	return m->vcpu.run->exit_reason;
}

/* Let the guest read a byte: KVM_EXIT_HLT when there is memory. */
int machine_peek(struct machine *m, u64 gpa, u8 *value)
{
	struct kvm_regs regs;
	int ret;

	CODE(m, 0x8a, 0x05, 0xf4);		/* mov (%rdi), %al; hlt */
	if (m->long_mode)
		CODE(m, 0x8a, 0x07, 0xf4);
	set_operands(m, gpa, 0xee);
	ret = machine_enter(m);
	ioctl(m->vcpu.fd, KVM_GET_REGS, &regs);
	*value = regs.rax;
	return ret;
}

/* Let the guest write a byte. */
int machine_poke(struct machine *m, u64 gpa, u8 value)
{
	CODE(m, 0x88, 0x05, 0xf4);		/* mov %al, (%rdi); hlt */
	if (m->long_mode)
		CODE(m, 0x88, 0x07, 0xf4);
	set_operands(m, gpa, value);
	return machine_enter(m);
}

long machine_set_msr(struct machine *m, u32 index, u64 data)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry = { .index = index, .data = data } };

	return TRY(m->vcpu.fd, KVM_SET_MSRS, &msrs);
}
