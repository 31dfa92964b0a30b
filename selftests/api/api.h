/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the API selftests. Ioctls answer their result or a negative errno,
 * so that one comparison tells both apart.
 */
#ifndef API_H
#define API_H

#include <linux/umbra.h>
#include <sys/types.h>
#include <uvmm.h>

#define PAGE	4096UL

/* An address that no process may pass, and the machine's fixed places. */
#define KERNEL_ADDR	0xffff888000000000UL
#define MACHINE_CODE	0x8000
#define MACHINE_STACK	0xa000
#define MACHINE_DATA	0xb000
#define MACHINE_SIZE	0x200000

const char *api_node(void);
int api_open(void);
bool api_is_umbra(int sys);
int api_vm(int sys);
long api_ioctl(int fd, unsigned long cmd, unsigned long arg);
void *api_pages(size_t nr);
long api_slot(int vm, u32 slot, u32 flags, u64 gpa, u64 size, const void *hva);
int api_wait(pid_t pid);

#define TRY(fd, cmd, arg)	api_ioctl(fd, cmd, (unsigned long)(arg))

/* One VM with one vCPU, MACHINE_SIZE bytes at 0, and a few instructions. */
struct machine {
	struct uvmm_vm vm;
	struct uvmm_vcpu vcpu;
	u8 *mem;
	bool long_mode;
};

int machine_start(struct machine *m, bool long_mode);
/* In two steps: first without a vCPU, then with. */
int machine_start_vm(struct machine *m);
int machine_start_vcpu(struct machine *m, bool long_mode);
void machine_set_if(struct machine *m, bool on);
void machine_stop(struct machine *m);
void machine_code(struct machine *m, const void *code, size_t len);
long machine_run(struct machine *m);
int machine_enter(struct machine *m);
int machine_peek(struct machine *m, u64 gpa, u8 *value);
int machine_poke(struct machine *m, u64 gpa, u8 value);
int machine_finish(struct machine *m, u8 *value);
u64 machine_rip(struct machine *m);
long machine_set_msr(struct machine *m, u32 index, u64 data);

#define CODE(m, ...) do {						\
	static const u8 __code[] = { __VA_ARGS__ };			\
	machine_code(m, __code, sizeof(__code));			\
} while (0)

#endif
