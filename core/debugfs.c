// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/debug/umbra/PID-FD/ of each VM.
 *
 *	audit	reading it has the auditor look at all tables and say what it found
 *
 * Nothing depends on it: a file that could not be made is missing, no more.
 */
#include <linux/debugfs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <umbra/vm.h>
#include "debugfs.h"

static struct dentry *root;

/* debugfs lets no VM go whose file is being read. */
static int audit_show(struct seq_file *file, void *unused)
{
	struct umbra_vm *vm = file->private;
	struct umbra_audit audit;
	int idx;

	idx = srcu_read_lock(&vm->mmu.srcu);
	umbra_mmu_audit(&vm->mmu, false, &audit);
	srcu_read_unlock(&vm->mmu.srcu, idx);
	seq_printf(file, "tables %lu\nentries %lu\nfindings %lu\n", audit.tables, audit.entries,
		   audit.findings);
	if (audit.findings)
		seq_printf(file, "first %s\n", audit.first);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(audit);

/* An older VM may have had the same fd, and live on in those of its vCPUs. */
static bool is_taken(const char *name)
{
	struct dentry *dentry = debugfs_lookup(name, root);

	dput(dentry);
	return dentry;
}

void umbra_debugfs_add(struct umbra_vm *vm, int fd)
{
	char name[48];
	unsigned int i;

	snprintf(name, sizeof(name), "%d-%d", task_pid_nr(current), fd);
	for (i = 2; is_taken(name); i++)
		snprintf(name, sizeof(name), "%d-%d.%u", task_pid_nr(current), fd, i);
	vm->debugfs = debugfs_create_dir(name, root);
	debugfs_create_file("audit", 0400, vm->debugfs, vm, &audit_fops);
}

void umbra_debugfs_remove(struct umbra_vm *vm)
{
	debugfs_remove(vm->debugfs);
}

void umbra_debugfs_init(void)
{
	root = debugfs_create_dir("umbra", NULL);
}

void umbra_debugfs_exit(void)
{
	debugfs_remove(root);
}
