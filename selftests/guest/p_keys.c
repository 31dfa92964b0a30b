// SPDX-License-Identifier: GPL-2.0
/* Protection keys: what PKRU bars, with which error code, on each CPU by itself. */
#include "rt.h"

#define CR4_PKE		BIT(22)
#define PTE_KEY(key)	((u64)(key) << 59)
#define PF_KEY		BIT(5)

/* What PKRU says of a key; key 0 is the user stack's. */
#define BAR_ALL		1u
#define BAR_WRITES	2u
#define OTHERS(key)	(~(3u << 2 * (key)) & ~3u)

#define LARGE_VA	(TEST_VA + LARGE_SIZE)
#define MMIO_VA		(TEST_VA + PAGE_SIZE)
#define TABLE_VA	(TEST_VA + 2 * PAGE_SIZE)
#define NR_KEYS		16

static u64 root;
static bool lax;

static void wrpkru(u32 pkru)
{
	__asm__ volatile("wrpkru" : : "a"(pkru), "c"(0), "d"(0) : "memory");
}

static u32 rdpkru(void)
{
	u32 pkru;

	__asm__ volatile("rdpkru" : "=a"(pkru) : "c"(0) : "rdx");
	return pkru;
}

static u64 do_rdpkru(u64 a, u64 b)
{
	return rdpkru();
}

static bool has_keys(void)
{
	return cpu_has(7, 2, 3);
}

/* CR4.PKE is one more bit that CPUID tells. */
static void keys_on(void)
{
	CHECK(!cpu_has(7, 2, 4));
	write_cr4(read_cr4() | CR4_PKE);
	CHECK(read_cr4() & CR4_PKE);
	CHECK(cpu_has(7, 2, 4));
	CHECK_EQ(rdpkru(), 0);
	/* They are no reason for other tables than the VM's. */
	call(CALL_PAGED, 0, 0);
}

/* The error code that an access to a page with rights for all gives; 0: none. */
static u64 expected(enum access access, unsigned int key, u32 pkru)
{
	bool user = access >= USER_READ;
	bool write = access == KERNEL_WRITE || access == USER_WRITE;
	u32 bar = pkru >> 2 * key & 3;

	if (access == KERNEL_CALL || access == USER_CALL || !(read_cr4() & CR4_PKE))
		return 0;
	if (bar & BAR_ALL ||
	    (bar & BAR_WRITES && write && (user || read_cr0() & CR0_WP)))
		return PF_P | PF_KEY | (user ? PF_U : 0) | (write ? PF_W : 0);
	return 0;
}

/* Some emulated CPUs let the supervisor read and write where all access is barred. */
static bool is_lax(u64 va)
{
	u64 got;

	wrpkru(~3u);
	CHECK_EQ(probe_user_read(va), TRAPPED(VEC_PF));
	got = probe_read(va, NULL);
	wrpkru(0);
	return !got;
}

static void try_all(u64 va, unsigned int key, u32 pkru)
{
	enum access access;
	u64 want, got;

	wrpkru(pkru);
	for (access = 0; access < N_ACCESSES; access++) {
		want = expected(access, key, pkru);
		note(want);
		if (lax && access <= KERNEL_WRITE && pkru >> 2 * key & BAR_ALL)
			continue;
		got = probe_access(access, va);
		if (want)
			check_fault(got, want, va);
		else
			CHECK_EQ(got, 0);
	}
	CHECK_EQ(rdpkru(), pkru);
	wrpkru(0);
}

/* PKRU changes under an entry that is in use. */
static void try_key(u64 va, unsigned int key)
{
	try_all(va, key, 0);
	try_all(va, key, OTHERS(key));
	try_all(va, key, BAR_WRITES << 2 * key);
	try_all(va, key, BAR_ALL << 2 * key);
	try_all(va, key, (BAR_ALL | BAR_WRITES) << 2 * key | OTHERS(key));
	try_all(va, key, 0);
}

static void set_key(u64 *entry, u64 va, unsigned int key)
{
	WRITE_ONCE(*entry, (*entry & ~PTE_KEY(15)) | PTE_KEY(key));
	invlpg(va);
}

static u64 *map_user(u64 va, u64 gpa)
{
	pt_map(root, va, gpa, PTE_USER);
	return pt_entry(root, va, 1, false);
}

static void keys_setup(void)
{
	root = space_create();
	space_add_user_text(root);
	if (!has_keys())
		skip();
	write_cr3(root);
	keys_on();
}

/* A page that is mapped, one of 2 MiB, each with one key after the other. */
static void pages(void)
{
	u64 small = data_alloc(1), large = data_alloc_large();
	u64 *pte, *pde = pt_entry(root, LARGE_VA, 2, true);
	unsigned int key;

	memset((void *)small, 0xc3, PAGE_SIZE);
	memset((void *)large, 0xc3, 2 * PAGE_SIZE);
	pte = map_user(TEST_VA, small);
	*pde = large | PTE_USER | PTE_PS;
	set_key(pte, TEST_VA, 1);
	CHECK_EQ(probe_read(TEST_VA, NULL), 0);
	lax = is_lax(TEST_VA);
	for (key = 1; key < NR_KEYS; key = 2 * key + 1) {
		set_key(pte, TEST_VA, key);
		try_key(TEST_VA, key);
		set_key(pde, LARGE_VA, key);
		try_key(LARGE_VA + PAGE_SIZE, key);
	}
	/* Keys are for user pages. The lax CPU is strict here. */
	if (lax)
		return;
	WRITE_ONCE(*pte, *pte & ~PTE_U);
	invlpg(TEST_VA);
	wrpkru(~3u);
	CHECK_EQ(probe_write(TEST_VA, 0xc3c3c3c3c3c3c3c3UL), 0);
	wrpkru(0);
}

/* Without memory behind the page, where an entry says so after the first access. */
static void mmio(void)
{
	u64 *pte = map_user(MMIO_VA, GUEST_MMIO_GPA);
	unsigned int round;

	set_key(pte, MMIO_VA, 3);
	for (round = 0; round < 3; round++) {
		CHECK_EQ(probe_read(MMIO_VA, NULL), 0);
		CHECK_EQ(probe_user_read(MMIO_VA), 0);
		wrpkru(BAR_ALL << 2 * 3);
		if (!lax)
			check_fault(probe_read(MMIO_VA, NULL), PF_P | PF_KEY, MMIO_VA);
		check_fault(probe_user_read(MMIO_VA), PF_P | PF_KEY | PF_U, MMIO_VA);
		wrpkru(0);
	}
}

/* Writes to a page table, through a page with a key: they may be emulated. */
static void table(void)
{
	u64 *pte = pt_entry(root, TEST_VA, 1, false), *slot = pte + 100, i;
	u64 va = TABLE_VA + ((u64)slot & (PAGE_SIZE - 1));

	set_key(map_user(TABLE_VA, (u64)pte & PTE_ADDR), TABLE_VA, 5);
	for (i = 0; i < 8; i++) {
		CHECK_EQ(probe_write(va, i), 0);
		CHECK_EQ(READ_ONCE(*slot), i);
		wrpkru(BAR_WRITES << 2 * 5);
		check_fault(probe_write(va, 77), PF_P | PF_W | PF_KEY, va);
		CHECK_EQ(probe_read(va, NULL), 0);
		CHECK_EQ(READ_ONCE(*slot), i);
		wrpkru(0);
	}
	WRITE_ONCE(*slot, 0);
}

void payload_keys(void)
{
	keys_setup();
	pages();
	mmio();
	table();
	/* The supervisor may write where only writes are barred. */
	write_cr0(read_cr0() & ~CR0_WP);
	try_key(LARGE_VA, NR_KEYS - 1);
	write_cr0(read_cr0() | CR0_WP);
	try_key(LARGE_VA, NR_KEYS - 1);
	write_cr4(read_cr4() & ~CR4_PKE);
	CHECK(!cpu_has(7, 2, 4));
	CHECK_EQ(guarded(do_rdpkru, 0, 0), TRAPPED(VEC_UD));
	CHECK_EQ(probe_user_write(LARGE_VA), 0);
}

static u64 ready;

/* Two CPUs use one page at the same time, by turns with and without the right to. */
void payload_smp_keys(void)
{
	u64 id = this_cpu()->id, i, got, va = TEST_VA + 8 * id;
	u32 pkru;

	if (!has_keys())
		skip();
	if (id == 0) {
		keys_setup();
		set_key(map_user(TEST_VA, data_alloc(1)), TEST_VA, 1);
		WRITE_ONCE(ready, 1);
	} else {
		spin_until(&ready, 1);
		write_cr3(root);
		keys_on();
	}
	for (i = 0; i < ctl->ops; i++) {
		pkru = (i + id) % 2 ? BAR_WRITES << 2 : (i + id) % 3 << 4;
		wrpkru(pkru);
		got = probe_write(va, i);
		if (pkru & BAR_WRITES << 2)
			check_fault(got, PF_P | PF_W | PF_KEY, va);
		else
			CHECK_EQ(got, 0);
		CHECK_EQ(probe_read(va, NULL), 0);
		if (i % 4 == 0)
			outl(GUEST_PORT_CALL, CALL_YIELD);
		CHECK_EQ(rdpkru(), pkru);
	}
	wrpkru(0);
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	if (id == 0)
		spin_until(&ready, 3);
}
