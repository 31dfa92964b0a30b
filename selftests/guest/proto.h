/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest image and the host programs agree on: the memory map, the
 * ports, the control page. Also included by assembly.
 */
#ifndef GUEST_PROTO_H
#define GUEST_PROTO_H

/*
 * Guest-physical memory map (virtual = physical in the boot page tables):
 *   0x1000   GDT and page tables written by libuvmm
 *   0x9000   control page
 *   0x10000  image, with its zeroed data, below the 640 KiB line
 *   2 MiB    page-table pool, its second half for 32-bit guests (mode32.h)
 *   8 MiB    data pool, checksummed at the end
 *   64 MiB   end of memory
 *   1 GiB    the second half of memory again and again, a slot each
 *            (payloads with PAYLOAD_ALIAS)
 *            or other layouts of slots, see guest_vm.c
 *   2 GiB    a slot whose writes are logged, for those who ask for it
 *   0xd0000000  one 4 KiB MMIO page, never in a slot
 */
#define GUEST_CTL_GPA	0x9000
#define GUEST_IMAGE_GPA	0x10000
#define GUEST_PT_GPA	0x200000
#define GUEST_DATA_GPA	0x800000
#define GUEST_MEM_SIZE	0x4000000
#define GUEST_LOG_GPA	0x80000000
#define GUEST_LOG_PAGES	16384
#define GUEST_MMIO_GPA	0xd0000000
#define GUEST_ALIAS_GPA	0x40000000
#define GUEST_ALIAS_SIZE 0x2000000	/* of one */
#define GUEST_ALIASES	16

/* Payloads with PAYLOAD_SLOTS: slots of 16 MiB, all with the same memory. */
#define GUEST_SLOTS	64
#define GUEST_SLOT_SIZE	0x1000000

/*
 * Payloads with PAYLOAD_SLOTS_FEW and _MOST: the same memory in slots of 512 MiB or
 * of 64 KiB, as many as can be. A page of it is there at each multiple of the step.
 */
#define GUEST_FEW_SIZE	0x20000000
#define GUEST_MOST_SIZE	0x10000
#define GUEST_MOST	32763
#define GUEST_MOST_STEP	0x20000

#define GUEST_PORT_CALL	0x510	/* 32-bit OUT of an enum guest_call */
#define GUEST_PORT_CHAR	0x514	/* console */
#define GUEST_PORT_NULL	0x518	/* the host takes the exit and does nothing */
#define GUEST_PORT_STR	0x51c	/* string port: OUT is remembered, IN returns it */

#define GUEST_STACK_SHIFT 14
#define GUEST_MAX_CPUS	2

#define GUEST_ARG_SUM	0	/* what a real-mode guest finds in DI */
#define GUEST_ARG_SWITCH 1
#define GUEST_CALL_DONE	1
#define GUEST_CALL_PAGED 32
#define GUEST_CTL_SUM	32	/* offset of guest_ctl.checksum */

/* The image starts with the addresses of its three entry points. */
#define GUEST_ENTRY_LONG 0
#define GUEST_ENTRY_PROT 1
#define GUEST_ENTRY_REAL 2

#ifndef __ASSEMBLY__
#include "types.h"

enum guest_call {
	CALL_DONE = GUEST_CALL_DONE, /* the payload is through */
	CALL_FAIL,		/* a check failed, see fail_* */
	CALL_SKIP,		/* the CPU lacks what the payload needs */
	CALL_MARK_BEGIN,	/* a timed region starts */
	CALL_MARK_END,
	CALL_DONTNEED,		/* arg[0] = gpa, arg[1] = length */
	CALL_SLOT_DELETE,	/* arg[0] = gpa of a slot */
	CALL_IRQ,		/* inject arg[0] when the guest can take it */
	CALL_NMI,
	CALL_LOG,		/* arg[0] = enum guest_log, arg[1] = pages of the slot */
	CALL_EMULATED,		/* so many instructions were emulated under shadow paging? */
	CALL_YIELD,		/* spinning: let the other vCPU's thread run */
	CALL_PAGED = GUEST_CALL_PAGED, /* paging is on: is the VM's policy what is used? */
};

/* What is done to the slot at GUEST_LOG_GPA; GET leaves the pages found in arg[1]. */
enum guest_log {
	GUEST_LOG_NONE,
	GUEST_LOG_CREATE,
	GUEST_LOG_ARM,
	GUEST_LOG_GET,
	GUEST_LOG_CLEAR,
	GUEST_LOG_DISARM,
};

struct guest_ctl {
	u32 payload;
	u32 n_cpus;
	u64 ops;		/* how many operations the timed region has */
	u64 arg[2];
	u64 checksum;		/* of what the payload saw */
	u64 data_sum;		/* of the data pool, as the guest sees it */
	u64 data_end;
	u64 ticks;		/* of the timed region */
	u64 fail_got;
	u64 fail_want;
	u32 fail_line;
	char fail_file[32];
	char fail_expr[96];
};

/* One step of the checksum; host and guest compute the same. */
static inline u64 guest_mix(u64 sum, u64 value)
{
	sum = (sum ^ value) * 0x9e3779b97f4a7c15ULL;
	return sum ^ (sum >> 29);
}
#endif

#endif
