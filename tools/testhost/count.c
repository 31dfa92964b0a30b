// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded into the emulator: make runs repeatable and count from outside.
 *
 * The emulator calls an empty function at each VM exit, TLB operation, page
 * walk reference and OUT. They are exported and 16 bytes long, room for a jump
 * to ours. The counts are exact and owe nothing to any code in the emulated
 * host. Counting is on when UMBRA_COUNT names the file to write.
 *
 * Whoever runs in the host marks what is counted by a 32-bit OUT to
 * COUNT_PORT: the value is the region that all CPUs count to from now on,
 * 0 for none.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "count.h"

#define NR_REASONS	80
#define NR_TLB_OPS	32

/* The emulator's codes for what touched the TLB. */
static const char *const tlb_names[NR_TLB_OPS] = {
	[10] = "mov_cr0", [11] = "mov_cr3", [12] = "mov_cr4", [13] = "task_switch",
	[14] = "context_switch", [15] = "invlpg", [16] = "invept", [17] = "invvpid",
	[18] = "invpcid",
};

/* VMCS and bitmap accesses are reported uncached, those of a page walk write-back. */
#define MEMTYPE_WB	6

struct region {
	uint64_t exits[NR_REASONS];
	uint64_t tlb[NR_TLB_OPS];
	uint64_t reads, writes;
	uint64_t entered;
};

static struct region regions[COUNT_REGIONS];
static struct region *current = &regions[0];

static void count_exit(unsigned int cpu, uint32_t reason, uint64_t qualification)
{
	reason &= 0xffff;
	if (reason < NR_REASONS)
		current->exits[reason]++;
}

static void count_tlb(unsigned int cpu, unsigned int what, uint64_t value)
{
	if (what < NR_TLB_OPS)
		current->tlb[what]++;
}

static void count_walk(unsigned int cpu, uint64_t addr, unsigned int len, unsigned int memtype,
		       unsigned int rw)
{
	if (memtype != MEMTYPE_WB)
		return;
	if (rw & 1)
		current->writes++;
	else
		current->reads++;
}

static void mark_region(uint16_t port, unsigned int len, uint32_t value)
{
	if (port != COUNT_PORT || len != 4)
		return;
	if (value >= COUNT_REGIONS) {
		fprintf(stderr, "count: region %u is not below %u\n", value, COUNT_REGIONS);
		value = 0;
	}
	current = &regions[value];
	current->entered++;
}

static void patch(const char *symbol, void *ours)
{
	/* movabs $ours, %rax; jmp *%rax */
	uint8_t code[12] = { 0x48, 0xb8, [10] = 0xff, 0xe0 };
	uint8_t *p = dlsym(RTLD_DEFAULT, symbol);
	uintptr_t page = (uintptr_t)p & ~4095ul;

	if (!p || mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC)) {
		fprintf(stderr, "count: cannot hook %s\n", symbol);
		_exit(1);
	}
	memcpy(code + 2, &ours, 8);
	memcpy(p, code, sizeof(code));
	mprotect((void *)page, 8192, PROT_READ | PROT_EXEC);
}

static __attribute__((constructor)) void start(void)
{
	if (!getenv("UMBRA_COUNT"))
		return;
	patch("_Z15bx_instr_vmexitjjm", count_exit);
	patch("_Z18bx_instr_tlb_cntrljjm", count_tlb);
	patch("_Z19bx_instr_phy_accessjmjjj", count_walk);
	patch("_Z13bx_instr_outptjj", mark_region);
}

static void write_region(FILE *f, unsigned int id, const struct region *r)
{
	unsigned int i;

	for (i = 0; i < NR_REASONS; i++)
		if (r->exits[i])
			fprintf(f, "%u exit %u %llu\n", id, i, (unsigned long long)r->exits[i]);
	for (i = 0; i < NR_TLB_OPS; i++)
		if (r->tlb[i] && tlb_names[i])
			fprintf(f, "%u tlb %s %llu\n", id, tlb_names[i],
				(unsigned long long)r->tlb[i]);
	fprintf(f, "%u walk read %llu\n", id, (unsigned long long)r->reads);
	fprintf(f, "%u walk write %llu\n", id, (unsigned long long)r->writes);
}

static __attribute__((destructor)) void finish(void)
{
	const char *path = getenv("UMBRA_COUNT");
	unsigned int id;
	FILE *f;

	if (!path)
		return;
	f = fopen(path, "w");
	if (!f) {
		perror(path);
		return;
	}
	for (id = 1; id < COUNT_REGIONS; id++)
		if (regions[id].entered)
			write_region(f, id, &regions[id]);
	if (fclose(f))
		perror(path);
}

/* The emulator seeds its random numbers with the time; RDRAND shall repeat. */
void srand(unsigned int seed)
{
}

/*
 * The display listens on the first free of 50 ports, for the whole world. Let
 * it have any port, for this machine only: runs never get in each other's way.
 */
int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	__typeof__(bind) *next = dlsym(RTLD_NEXT, "bind");
	struct sockaddr_in local = { .sin_family = AF_INET };

	if (addr->sa_family != AF_INET)
		return next(fd, addr, len);
	local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return next(fd, (struct sockaddr *)&local, sizeof(local));
}
