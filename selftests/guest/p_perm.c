// SPDX-License-Identifier: GPL-2.0
/* Permissions, error codes, reserved bits, accessed and dirty bits. */
#include "rt.h"

/* The four entries from the root down to the page. */
static void get_path(u64 root, u64 va, u64 *path[4])
{
	int level;

	for (level = 4; level >= 1; level--)
		path[4 - level] = pt_entry(root, va, level, false);
}

/*
 * What the architecture wants: the error code of the fault, or -1 if the access
 * succeeds. Deliberately written from the rules, without a table walk.
 */
static u64 expected(enum access access, u64 *path[4])
{
	bool user = access >= USER_READ;
	bool write = access == KERNEL_WRITE || access == USER_WRITE;
	bool fetch = access == KERNEL_CALL || access == USER_CALL;
	u64 rights = PTE_W | PTE_U, nx = 0;
	u64 error = (user ? PF_U : 0) | (write ? PF_W : 0);
	int i;

	if (fetch && (rdmsr(MSR_EFER) & EFER_NX || read_cr4() & CR4_SMEP))
		error |= PF_FETCH;
	for (i = 0; i < 4; i++) {
		if (!(*path[i] & PTE_P))
			return error;
		if (*path[i] & PTE_RSVD || (i == 0 && *path[i] & PTE_PS) ||
		    (*path[i] & PTE_NX && !(rdmsr(MSR_EFER) & EFER_NX)))
			return error | PF_P | PF_RSVD;
		rights &= *path[i];
		nx |= *path[i] & PTE_NX;
	}
	error |= PF_P;
	if (user && !(rights & PTE_U))
		return error;
	if (write && !(rights & PTE_W) && (user || read_cr0() & CR0_WP))
		return error;
	if (fetch && nx)
		return error;
	if (fetch && !user && rights & PTE_U && read_cr4() & CR4_SMEP)
		return error;
	if (!fetch && !user && rights & PTE_U && read_cr4() & CR4_SMAP)
		return error;
	return -1;
}

static void check_accesses(u64 *path[4], u64 va)
{
	enum access access;
	u64 want, got;

	for (access = 0; access < N_ACCESSES; access++) {
		want = expected(access, path);
		got = probe_access(access, va);
		if (want == (u64)-1)
			CHECK_EQ(got, 0);
		else
			check_fault(got, want, va);
		note(want);
	}
}

/* A page with a RET in it, mapped for user mode, and the way to it. */
static void perm_setup(u64 *path[4])
{
	u64 root = space_create(), page = data_alloc(1);

	space_add_user_text(root);
	memset((void *)page, 0xc3, PAGE_SIZE);
	pt_map(root, TEST_VA, page, PTE_USER);
	get_path(root, TEST_VA, path);
	write_cr3(root);
}

/* Take one right away, or break one entry, at each level, and try every access. */
static void try_each_level(u64 *path[4])
{
	static const struct {
		u64 clear, set;
	} change[] = {
		{ 0, 0 }, { PTE_P, 0 }, { PTE_W, 0 }, { PTE_U, 0 }, { 0, PTE_NX },
		{ PTE_W | PTE_U, PTE_NX }, { 0, PTE_RSVD }, { PTE_P, PTE_RSVD | PTE_NX },
		{ PTE_W, PTE_RSVD },
	};
	unsigned int level, i;
	u64 saved;

	for (level = 0; level < 4; level++) {
		for (i = 0; i < ARRAY_SIZE(change); i++) {
			saved = *path[level];
			WRITE_ONCE(*path[level], (saved & ~change[i].clear) | change[i].set);
			invlpg(TEST_VA);
			check_accesses(path, TEST_VA);
			WRITE_ONCE(*path[level], saved);
			invlpg(TEST_VA);
		}
	}
	WRITE_ONCE(*path[0], *path[0] | PTE_PS);
	invlpg(TEST_VA);
	check_accesses(path, TEST_VA);
	WRITE_ONCE(*path[0], *path[0] & ~PTE_PS);
	invlpg(TEST_VA);
}

void payload_perm_wp(void)
{
	u64 *path[4];

	perm_setup(path);
	try_each_level(path);
}

void payload_perm_nowp(void)
{
	u64 *path[4];

	perm_setup(path);
	write_cr0(read_cr0() & ~CR0_WP);
	try_each_level(path);
	write_cr0(read_cr0() | CR0_WP);
}

void payload_perm_smep(void)
{
	u64 *path[4];

	perm_setup(path);
	if (!cpu_has(7, 1, 7))
		skip();
	write_cr4(read_cr4() | CR4_SMEP);
	try_each_level(path);
	write_cr0(read_cr0() & ~CR0_WP);
	try_each_level(path);
}

void payload_perm_smap(void)
{
	u64 *path[4];

	perm_setup(path);
	if (!cpu_has(7, 1, 20))
		skip();
	write_cr4(read_cr4() | CR4_SMAP);
	try_each_level(path);
	write_cr0(read_cr0() & ~CR0_WP);
	try_each_level(path);
}

/* Without EFER.NXE bit 63 is reserved, and fetches do not show in error codes. */
void payload_perm_nonx(void)
{
	u64 *path[4];

	perm_setup(path);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_NX);
	try_each_level(path);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NX);
	try_each_level(path);
}

/* CR0.WP flips while the same read-only page is written. */
void payload_toggle_wp(void)
{
	u64 root = space_create(), page = data_alloc(1), i;

	pt_map(root, TEST_VA, page, PTE_READ);
	write_cr3(root);
	for (i = 0; i < ctl->ops; i++) {
		check_fault(probe_write(TEST_VA, i), PF_P | PF_W, TEST_VA);
		write_cr0(read_cr0() & ~CR0_WP);
		CHECK_EQ(probe_write(TEST_VA, i), 0);
		CHECK_EQ(*(u64 *)page, i);
		write_cr0(read_cr0() | CR0_WP);
	}
}

static void clear_ad(u64 *path[4])
{
	int i;

	for (i = 0; i < 4; i++)
		WRITE_ONCE(*path[i], *path[i] & ~(PTE_A | PTE_D));
	write_cr3(read_cr3());
}

static void check_ad(u64 *path[4], u64 leaf)
{
	int i;

	for (i = 0; i < 3; i++)
		CHECK_EQ(READ_ONCE(*path[i]) & (PTE_A | PTE_D), leaf ? PTE_A : 0);
	CHECK_EQ(READ_ONCE(*path[3]) & (PTE_A | PTE_D), leaf);
}

/* The walker sets A on the way, D at the end and only for writes. */
void payload_accessed_dirty(void)
{
	u64 *path[4];
	enum access access;
	u64 leaf;

	perm_setup(path);
	for (access = 0; access < N_ACCESSES; access++) {
		leaf = access == KERNEL_WRITE || access == USER_WRITE ? PTE_A | PTE_D : PTE_A;
		clear_ad(path);
		check_ad(path, 0);
		CHECK_EQ(probe_access(access, TEST_VA), 0);
		check_ad(path, leaf);
		/* D must come even when the translation is already cached without it. */
		CHECK_EQ(probe_access(USER_WRITE, TEST_VA), 0);
		check_ad(path, PTE_A | PTE_D);
	}

	/* A write that faults dirties nothing. */
	clear_ad(path);
	WRITE_ONCE(*path[3], *path[3] & ~PTE_W);
	check_fault(probe_access(KERNEL_WRITE, TEST_VA), PF_P | PF_W, TEST_VA);
	CHECK_EQ(*path[3] & PTE_D, 0);
}
