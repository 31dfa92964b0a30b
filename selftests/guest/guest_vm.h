/* SPDX-License-Identifier: GPL-2.0 */
/* The host side of the guest image: load a payload, serve its calls, run it. */
#ifndef GUEST_VM_H
#define GUEST_VM_H

#include <pthread.h>
#include "uvmm.h"
#include "proto.h"

/* How a payload starts and what it may do. */
#define PAYLOAD_PROT	BIT(0)	/* starts in 32-bit protected mode */
#define PAYLOAD_REAL	BIT(1)	/* starts in real mode */
#define PAYLOAD_SWITCH	BIT(2)	/* ... and changes modes */
#define PAYLOAD_SMP	BIT(3)	/* needs two vCPUs */
#define PAYLOAD_SHUTDOWN BIT(4)	/* must end in KVM_EXIT_SHUTDOWN */
#define PAYLOAD_HOSTILE	BIT(5)	/* may end in any exit, but must end */
#define PAYLOAD_ALIAS	BIT(8)	/* has memory at GUEST_ALIAS_GPA */
#define PAYLOAD_SLOTS	BIT(9)	/* ... in slots of GUEST_SLOT_SIZE */
#define PAYLOAD_SLOTS_FEW BIT(10) /* ... in slots of GUEST_FEW_SIZE */
#define PAYLOAD_SLOTS_MOST BIT(11) /* ... in slots of GUEST_MOST_SIZE */
#define PAYLOAD_APIC	BIT(12)	/* has interrupt controllers, in the kernel */
#define PAYLOAD_STRICT	BIT(13)	/* stock KVM fails it under shadow paging */
#define PAYLOAD_AHEAD	BIT(14)	/* stock KVM lacks it */

struct payload {
	const char *name;
	u64 ops;
	u32 flags;
};

/* image.S */
extern const char guest_image[], guest_image_end[];

extern const struct payload payloads[];
extern const unsigned int n_payloads;

enum guest_end {
	GUEST_DONE = 1,
	GUEST_FAILED,
	GUEST_SKIPPED,
	GUEST_EXITED,		/* an exit that nobody handles, see exit_reason */
	GUEST_ERROR,		/* KVM_RUN failed, see error */
};

struct guest;

struct guest_cpu {
	struct uvmm_vcpu vcpu;
	struct guest *guest;
	pthread_t thread;
	bool started;
	bool irq_wanted;
	u8 irq;
	enum guest_end end;
	u32 exit_reason;
	u64 exit_detail;		/* MMIO address, suberror, ... */
	u64 rip;
	int error;
};

struct guest {
	struct uvmm_vm vm;
	void *huge;			/* its memory, when not of libuvmm's choice */
	void *sparse;			/* memory of PAYLOAD_SLOTS_FEW and _MOST */
	bool pinned;			/* each vCPU on a CPU of its own */
	const struct payload *payload;
	enum uvmm_paging paging;
	struct guest_ctl *ctl;
	unsigned int n_cpus;
	struct guest_cpu cpu[GUEST_MAX_CPUS];
	u64 data_sum;			/* of the data pool, as the host sees it */
	u8 mmio[4096];
	u8 string[8192];
	u32 string_out, string_in;
	unsigned int stray_mmio;
	/* Called at the marks of the timed region. */
	void (*mark)(struct guest *guest, bool begin);
	void *ctx;
};

/* How many slots PAYLOAD_SLOTS_MOST has from now on. */
void guest_use_slots(unsigned int nr);

/* Do guests created from now on have their memory in the host's huge pages? */
void guest_use_huge_pages(bool on);

int guest_create(struct guest *guest, const char *node, enum uvmm_paging paging,
		 const struct payload *payload, unsigned int n_cpus);
enum guest_end guest_run(struct guest *guest);
void guest_stop(struct guest *guest);
void guest_destroy(struct guest *guest);

/* log_slot.c: CALL_LOG */
int guest_log_slot(struct guest *guest);

#endif
