// SPDX-License-Identifier: GPL-2.0
/* The host under the VMs: loading the stock module, page-table memory, region marks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/wait.h>
#include <unistd.h>
#include "uvmm.h"

#define STOCK_EPT_PARAM	"/sys/module/kvm_intel/parameters/ept"
#define MARK_PORT	0xea	/* the testhost's counting library listens here */

static bool mark_enabled;

static int run_command(const char *command, const char *arg1, const char *arg2)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		execlp(command, command, arg1, arg2, NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

/* kvm.ko can stay. */
static int unload_stock(void)
{
	return run_command("rmmod", "kvm_intel", NULL);
}

/* 1 with EPT, 0 with shadow paging, -ENOENT when kvm_intel is not loaded. */
int uvmm_host_stock_ept(void)
{
	FILE *f = fopen(STOCK_EPT_PARAM, "r");
	int c;

	if (!f)
		return -ENOENT;
	c = fgetc(f);
	fclose(f);
	return c == 'Y';
}

/*
 * Make VMs of @node use @paging. Umbra takes the mode per VM, so there is
 * nothing to do; stock kvm_intel is reloaded unless it already has the mode.
 * All VMs of the stock module must be gone.
 */
int uvmm_host_paging(const char *node, enum uvmm_paging paging)
{
	int want = paging == UVMM_PAGING_EPT, have;

	if (paging == UVMM_PAGING_DEFAULT || strcmp(node, UVMM_NODE_KVM))
		return 0;
	have = uvmm_host_stock_ept();
	if (have == want)
		return 0;
	if (have >= 0 && unload_stock())
		return -EBUSY;
	if (run_command("modprobe", "kvm_intel", want ? "ept=1" : "ept=0"))
		return -ENODEV;
	return uvmm_host_stock_ept() == want ? 0 : -EINVAL;
}

/*
 * Load umbra.ko from a file unless the node is there. A stock module that holds
 * VMX even without VMs, as newer kernels' does, is unloaded first.
 */
int uvmm_host_load_umbra(const char *path)
{
	if (uvmm_host_stock_ept() >= 0 && unload_stock())
		return -EBUSY;
	if (!access(UVMM_NODE_UMBRA, F_OK))
		return 0;
	if (run_command("insmod", path, NULL))
		return -ENODEV;
	return access(UVMM_NODE_UMBRA, F_OK) ? -ENODEV : 0;
}

/*
 * Memory that all hypervisors' page tables take now. The kernel counts per CPU
 * first; stat_refresh folds those counts in, or small changes would not show.
 */
int uvmm_host_table_bytes(u64 *bytes)
{
	char line[128];
	FILE *f;
	unsigned long long kib;
	int ret = -ENOENT;

	f = fopen("/proc/sys/vm/stat_refresh", "r");
	if (f) {
		fgetc(f);
		fclose(f);
	}
	f = fopen("/proc/meminfo", "r");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "SecPageTables: %llu kB", &kib) == 1) {
			*bytes = kib << 10;
			ret = 0;
		}
	}
	fclose(f);
	return ret;
}

/*
 * Let the host make huge pages where a program asks for them: small machines
 * have that off by default.
 */
int uvmm_host_allow_thp(void)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
	char now[64] = "";
	FILE *f;

	f = fopen(path, "r");
	if (!f)
		return -errno;
	fgets(now, sizeof(now), f);
	fclose(f);
	if (!strstr(now, "[never]"))
		return 0;
	f = fopen(path, "w");
	if (!f)
		return -errno;
	fputs("madvise", f);
	return fclose(f) ? -errno : 0;
}

/* Only the emulated host counts regions; on real machines leave the port alone. */
int uvmm_host_mark_init(void)
{
	if (ioperm(MARK_PORT, 4, 1) < 0)
		return -errno;
	mark_enabled = true;
	return 0;
}

/* Enter a counting region; 0 is "outside of all regions". */
void uvmm_host_mark(u32 region)
{
	if (mark_enabled)
		outl(region, MARK_PORT);
}
