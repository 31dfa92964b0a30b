// SPDX-License-Identifier: GPL-2.0
/*
 * count_exits NODE N REGION: run a guest that executes CPUID N times, and mark
 * the run as a region for `testhost --count`. Each CPUID is one VM exit, reason
 * 10, whatever the hypervisor does, so the file must say N. Prints "exits TOTAL",
 * the module's own count of all exits: the sum of what the region has.
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uvmm.h"

#define CODE	0x10000
#define STACK	0x20000
#define SIZE	0x100000

/* long mode, the count in rdi: 1: cpuid; dec %rdi; jnz 1b; hlt */
static const u8 code[] = { 0x0f, 0xa2, 0x48, 0xff, 0xcf, 0x75, 0xf9, 0xf4 };

static int on_hlt(struct uvmm_vcpu *vcpu)
{
	return 1;
}

int main(int argc, char **argv)
{
	const struct uvmm_ops ops = { .hlt = on_hlt };
	struct uvmm_stats stats;
	struct uvmm_vcpu vcpu;
	struct uvmm_vm vm;
	u64 exits = 0;
	int ret;

	if (argc != 4)
		errx(2, "usage: count_exits NODE N REGION");
	ret = uvmm_host_mark_init();
	if (!ret)
		ret = uvmm_vm_create(&vm, argv[1], UVMM_PAGING_DEFAULT);
	if (!ret)
		ret = uvmm_mem_add(&vm, 0, 0, SIZE, NULL, 0);
	if (!ret)
		ret = uvmm_load(&vm, CODE, code, sizeof(code));
	if (!ret)
		ret = uvmm_vcpu_create(&vcpu, &vm, 0);
	if (!ret)
		ret = uvmm_start_long(&vcpu, CODE, STACK, strtoul(argv[2], NULL, 0));
	if (ret)
		errx(1, "%s: %s", argv[1], strerror(-ret));

	uvmm_host_mark(atoi(argv[3]));
	ret = uvmm_run(&vcpu, &ops);
	uvmm_host_mark(0);
	if (ret != 1)
		errx(1, "%s: ended with %s (%d)", argv[1], uvmm_exit_name(vcpu.run->exit_reason),
		     ret);
	ret = uvmm_stats_open(&stats, vcpu.fd);
	if (!ret)
		ret = uvmm_stats_read(&stats, "exits", &exits);
	if (ret)
		errx(1, "%s: statistics: %s", argv[1], strerror(-ret));
	printf("exits %llu\n", exits);
	return 0;
}
