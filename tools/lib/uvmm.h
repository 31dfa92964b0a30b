/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libuvmm: a small VMM on the KVM ABI. It works unchanged on /dev/kvm and on
 * /dev/umbra; the only difference is how the paging mode is chosen.
 *
 * Functions that can fail return 0 or a negative errno.
 */
#ifndef UVMM_H
#define UVMM_H

#include <linux/kvm.h>
#include "types.h"

#define UVMM_NODE_KVM	"/dev/kvm"
#define UVMM_NODE_UMBRA	"/dev/umbra"
#define UVMM_MAX_MEM	32

/*
 * What uvmm_start_long() and uvmm_start_prot() write into guest memory: a GDT
 * page and page tables that map the first 4 GiB to themselves with 2M pages.
 */
#define UVMM_BOOT_GPA	0x1000ULL
#define UVMM_BOOT_GDT	UVMM_BOOT_GPA
#define UVMM_BOOT_CR3	(UVMM_BOOT_GPA + 0x1000)
#define UVMM_BOOT_END	(UVMM_BOOT_GPA + 0x7000)

#define UVMM_SEL_CODE64	0x08
#define UVMM_SEL_DATA	0x10
#define UVMM_SEL_CODE32	0x18

enum uvmm_paging {
	UVMM_PAGING_DEFAULT = -1,	/* whatever the module was loaded with */
	UVMM_PAGING_EPT = 0,
	UVMM_PAGING_SHADOW = 1,
};

struct uvmm_mem {
	u32 slot;
	u32 flags;
	u64 gpa;
	u64 size;
	void *hva;
	bool owned;
};

struct uvmm_vm {
	const char *node;
	int node_fd;
	int fd;
	size_t run_size;
	unsigned int n_mem;
	struct uvmm_mem mem[UVMM_MAX_MEM];
};

struct uvmm_vcpu {
	struct uvmm_vm *vm;
	int fd;
	unsigned int id;
	struct kvm_run *run;
	void *ctx;
};

/* One port access; a string instruction arrives as count items of size bytes. */
struct uvmm_io {
	u16 port;
	u8 size;
	bool in;
	u32 count;
	void *data;
};

struct uvmm_mmio {
	u64 gpa;
	u32 len;
	bool write;
	u8 *data;
};

/*
 * Callbacks of the run loop. Each returns 0 to enter the guest again or a
 * positive value, which uvmm_run() then returns. An exit whose callback is NULL
 * ends the loop.
 */
struct uvmm_ops {
	int (*io)(struct uvmm_vcpu *vcpu, const struct uvmm_io *io);
	int (*mmio)(struct uvmm_vcpu *vcpu, const struct uvmm_mmio *mmio);
	int (*hlt)(struct uvmm_vcpu *vcpu);
	int (*irq_window)(struct uvmm_vcpu *vcpu);
};

/* vm.c */
int uvmm_vm_create(struct uvmm_vm *vm, const char *node, enum uvmm_paging paging);
void uvmm_vm_destroy(struct uvmm_vm *vm);
int uvmm_mem_add(struct uvmm_vm *vm, u32 slot, u64 gpa, u64 size, void *hva, u32 flags);
int uvmm_slot(struct uvmm_vm *vm, u32 slot, u64 gpa, u64 size, void *hva, u32 flags);
int uvmm_mem_del(struct uvmm_vm *vm, u32 slot);
void *uvmm_hva(const struct uvmm_vm *vm, u64 gpa, u64 len);
int uvmm_load(struct uvmm_vm *vm, u64 gpa, const void *data, size_t len);

/* vcpu.c */
int uvmm_vcpu_create(struct uvmm_vcpu *vcpu, struct uvmm_vm *vm, unsigned int id);
void uvmm_vcpu_destroy(struct uvmm_vcpu *vcpu);
int uvmm_run(struct uvmm_vcpu *vcpu, const struct uvmm_ops *ops);
const char *uvmm_exit_name(u32 reason);

/* start.c */
int uvmm_start_long(struct uvmm_vcpu *vcpu, u64 rip, u64 rsp, u64 arg);
int uvmm_start_prot(struct uvmm_vcpu *vcpu, u32 eip, u32 esp, u32 arg);
int uvmm_start_real(struct uvmm_vcpu *vcpu, u16 cs, u16 ip, u16 arg);

/* stats.c */
struct uvmm_stats {
	int fd;
	struct kvm_stats_header header;
	char *descs;
};

int uvmm_stats_open(struct uvmm_stats *stats, int object_fd);
void uvmm_stats_close(struct uvmm_stats *stats);
int uvmm_stats_read(const struct uvmm_stats *stats, const char *name, u64 *value);

/* host.c */
int uvmm_host_paging(const char *node, enum uvmm_paging paging);
int uvmm_host_stock_ept(void);
int uvmm_host_load_umbra(const char *path);
int uvmm_host_table_bytes(u64 *bytes);
int uvmm_host_allow_thp(void);
int uvmm_host_mark_init(void);
void uvmm_host_mark(u32 region);

#endif
