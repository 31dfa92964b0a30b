// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded into the emulator: make the CPUID of one of its CPUs true.
 *
 * The model corei3_cnl has protection keys, and keeps PKRU in XSAVE areas, but its
 * CPUID does not say where, and counts 64 bytes for it in place of 8. Linux then
 * gives up both.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define XSAVE_LEAF	0xd
#define PKRU		9
#define PKRU_OFFSET	2688
#define PKRU_SIZE	8
#define PKRU_COUNTED	64

/* More slots than the class has functions. */
#define VTABLE_SLOTS	32

struct leaf {
	uint32_t eax, ebx, ecx, edx;
};

typedef void leaf_fn(const void *cpu, uint32_t leaf, uint32_t index, struct leaf *out);

static leaf_fn *theirs;

static void correct(uint32_t *size)
{
	if (*size == PKRU_OFFSET + PKRU_COUNTED)
		*size = PKRU_OFFSET + PKRU_SIZE;
}

static void get_leaf(const void *cpu, uint32_t leaf, uint32_t index, struct leaf *out)
{
	theirs(cpu, leaf, index, out);
	if (leaf != XSAVE_LEAF)
		return;
	if (index == PKRU)
		*out = (struct leaf) { .eax = PKRU_SIZE, .ebx = PKRU_OFFSET };
	else if (index <= 1)
		correct(&out->ebx);
	if (index == 0)
		correct(&out->ecx);
}

/* The function is called through its class's table only. */
static __attribute__((constructor)) void start(void)
{
	leaf_fn **slot = dlsym(RTLD_DEFAULT, "_ZTV12corei3_cnl_t");
	uintptr_t page = (uintptr_t)slot & ~4095ul;
	int i;

	theirs = dlsym(RTLD_DEFAULT, "_ZNK12corei3_cnl_t14get_cpuid_leafEjjP16cpuid_function_t");
	for (i = 0; slot && theirs && i < VTABLE_SLOTS; i++) {
		if (slot[i] != theirs)
			continue;
		if (mprotect((void *)page, 8192, PROT_READ | PROT_WRITE))
			break;
		slot[i] = get_leaf;
		return;
	}
	/* A program that the emulator starts. */
	if (!slot)
		return;
	fprintf(stderr, "cpuid: cannot hook the model\n");
	_exit(1);
}
