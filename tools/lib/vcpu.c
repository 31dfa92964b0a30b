// SPDX-License-Identifier: GPL-2.0
/* vCPUs and the run loop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "uvmm.h"

#define CPUID_ENTRIES 256

/* Show the guest all that the module can do, as most VMMs' "host" model does. */
static int vcpu_set_cpuid(struct uvmm_vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid;
	int ret = 0;

	cpuid = calloc(1, sizeof(*cpuid) + CPUID_ENTRIES * sizeof(cpuid->entries[0]));
	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = CPUID_ENTRIES;
	if (ioctl(vcpu->vm->node_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0 ||
	    ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) < 0)
		ret = -errno;
	free(cpuid);
	return ret;
}

int uvmm_vcpu_create(struct uvmm_vcpu *vcpu, struct uvmm_vm *vm, unsigned int id)
{
	int ret;

	memset(vcpu, 0, sizeof(*vcpu));
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);
	if (vcpu->fd < 0)
		return -errno;

	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		ret = -errno;
		vcpu->run = NULL;
		goto fail;
	}
	ret = vcpu_set_cpuid(vcpu);
	if (ret)
		goto fail;
	return 0;

fail:
	uvmm_vcpu_destroy(vcpu);
	return ret;
}

void uvmm_vcpu_destroy(struct uvmm_vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->vm->run_size);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	vcpu->run = NULL;
	vcpu->fd = -1;
}

static int vcpu_io(struct uvmm_vcpu *vcpu, const struct uvmm_ops *ops)
{
	struct kvm_run *run = vcpu->run;
	struct uvmm_io io = {
		.port = run->io.port,
		.size = run->io.size,
		.in = run->io.direction == KVM_EXIT_IO_IN,
		.count = run->io.count,
		.data = (char *)run + run->io.data_offset,
	};

	return ops->io(vcpu, &io);
}

static int vcpu_mmio(struct uvmm_vcpu *vcpu, const struct uvmm_ops *ops)
{
	struct kvm_run *run = vcpu->run;
	struct uvmm_mmio mmio = {
		.gpa = run->mmio.phys_addr,
		.len = run->mmio.len,
		.write = run->mmio.is_write,
		.data = run->mmio.data,
	};

	return ops->mmio(vcpu, &mmio);
}

/*
 * Run the guest. Returns the positive value of a callback that wanted to stop,
 * 0 after an exit that has no callback (run->exit_reason tells which), or the
 * negative errno of KVM_RUN, -EINTR only when immediate_exit asks for it.
 */
int uvmm_run(struct uvmm_vcpu *vcpu, const struct uvmm_ops *ops)
{
	int ret;

	for (;;) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
			/* A signal that only wakes the thread, as the freezer's does. */
			if (errno == EINTR && !vcpu->run->immediate_exit)
				continue;
			return -errno;
		}

		ret = -1;
		switch (vcpu->run->exit_reason) {
		case KVM_EXIT_IO:
			if (ops->io)
				ret = vcpu_io(vcpu, ops);
			break;
		case KVM_EXIT_MMIO:
			if (ops->mmio)
				ret = vcpu_mmio(vcpu, ops);
			break;
		case KVM_EXIT_HLT:
			if (ops->hlt)
				ret = ops->hlt(vcpu);
			break;
		case KVM_EXIT_IRQ_WINDOW_OPEN:
			if (ops->irq_window)
				ret = ops->irq_window(vcpu);
			break;
		}
		if (ret < 0)
			return 0;
		if (ret > 0)
			return ret;
	}
}

const char *uvmm_exit_name(u32 reason)
{
	static const char * const names[] = {
		[KVM_EXIT_UNKNOWN] = "UNKNOWN",
		[KVM_EXIT_EXCEPTION] = "EXCEPTION",
		[KVM_EXIT_IO] = "IO",
		[KVM_EXIT_DEBUG] = "DEBUG",
		[KVM_EXIT_HLT] = "HLT",
		[KVM_EXIT_MMIO] = "MMIO",
		[KVM_EXIT_IRQ_WINDOW_OPEN] = "IRQ_WINDOW_OPEN",
		[KVM_EXIT_SHUTDOWN] = "SHUTDOWN",
		[KVM_EXIT_FAIL_ENTRY] = "FAIL_ENTRY",
		[KVM_EXIT_INTR] = "INTR",
		[KVM_EXIT_INTERNAL_ERROR] = "INTERNAL_ERROR",
	};

	if (reason < ARRAY_SIZE(names) && names[reason])
		return names[reason];
	return "other";
}
