/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _UMBRA_CORE_DEBUGFS_H
#define _UMBRA_CORE_DEBUGFS_H

struct umbra_vm;

/* @fd: what the VM is going to be known by; reserved, not installed yet. */
void umbra_debugfs_add(struct umbra_vm *vm, int fd);

/* Waits for readers. Does nothing for a VM that was not added. */
void umbra_debugfs_remove(struct umbra_vm *vm);

void umbra_debugfs_init(void);
void umbra_debugfs_exit(void);

#endif /* _UMBRA_CORE_DEBUGFS_H */
