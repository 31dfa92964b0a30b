// SPDX-License-Identifier: GPL-2.0
/*
 * Payloads of guests outside long mode. Compiled twice, for 32-bit paging and,
 * with PAE = 1, for PAE paging: NAME() keeps the two apart.
 */
#include "rt32.h"

#if PAE
#define NAME(name)	pae_##name
typedef u64 pte_t;
#define ENTRIES		512u
#define LARGE_SHIFT	21
#define PTE_NX		BIT_ULL(63)
#define ADDR		0x000ffffffffff000ull
#else
#define NAME(name)	legacy_##name
typedef u32 pte_t;
#define ENTRIES		1024u
#define LARGE_SHIFT	22
#define PTE_NX		0u
#define ADDR		0xfffff000u
#endif

#define LARGE_SIZE	(1u << LARGE_SHIFT)
#define KERNEL_SIZE	0x4000000u	/* mapped to itself */
#define QUADRANT(q)	((u32)(q) << 30)
#define TEST_VA		0x40800000u
#define BOOT_ENTRIES	(KERNEL_SIZE >> LARGE_SHIFT)

/* ---- tables ---- */

static u32 table_alloc(struct env32 *env)
{
	u32 table = env->table_next, i;

	env->table_next += PAGE_SIZE;
	CHECK(env->table_next <= TABLES32_END);
	for (i = 0; i < PAGE_SIZE; i += 4)
		*(volatile u32 *)(table + i) = 0;
	return table;
}

static u32 data_alloc(struct env32 *env, u32 pages)
{
	u32 page = env->data_next;

	env->data_next += pages * PAGE_SIZE;
	CHECK(env->data_next <= env->data_end);
	return page;
}

/* An entry may be used by the CPU before its second half is there. */
static void set(pte_t *entry, pte_t value)
{
#if PAE
	if (value & PTE_P) {
		WRITE_ONCE(((u32 *)entry)[0], 0);
		WRITE_ONCE(((u32 *)entry)[1], value >> 32);
		WRITE_ONCE(((u32 *)entry)[0], (u32)value);
	} else {
		WRITE_ONCE(((u32 *)entry)[0], (u32)value);
		WRITE_ONCE(((u32 *)entry)[1], value >> 32);
	}
#else
	WRITE_ONCE(*entry, value);
#endif
}

/* In one go, by an instruction that the emulator has to know. */
static void exchange(pte_t *entry, pte_t value)
{
#if PAE
	u64 old = *entry;

	__asm__ volatile("1: lock cmpxchg8b %0; jnz 1b"
			 : "+m"(*entry), "+A"(old)
			 : "b"((u32)value), "c"((u32)(value >> 32)) : "memory");
#else
	__asm__ volatile("xchg %0, %1" : "+m"(*entry), "+r"(value) : : "memory");
#endif
}

static pte_t *directory(u32 root, u32 va)
{
#if PAE
	pte_t pdpte = ((pte_t *)(root & ~31u))[va >> 30];

	return (pte_t *)(u32)(pdpte & ADDR) + (va >> LARGE_SHIFT & (ENTRIES - 1));
#else
	return (pte_t *)(root & ~4095u) + (va >> LARGE_SHIFT);
#endif
}

static pte_t *entry_of(struct env32 *env, u32 root, u32 va)
{
	pte_t *pde = directory(root, va);

	if (!(*pde & PTE_P))
		set(pde, table_alloc(env) | PTE_USER);
	return (pte_t *)(u32)(*pde & ADDR) + (va >> 12 & (ENTRIES - 1));
}

static void map(struct env32 *env, u32 root, u32 va, u32 gpa, pte_t flags)
{
	set(entry_of(env, root, va), gpa | flags);
}

/* A space with the kernel's memory and the user code in it. */
static u32 space_create(struct env32 *env)
{
	u32 root = table_alloc(env), i;

#if PAE
	/* PDPTEs need 32 bytes of alignment, not a page of their own. */
	root += 0x7e0;
	for (i = 0; i < 4; i++)
		((u64 *)root)[i] = table_alloc(env) | PTE_P;
#endif
	if (env->root) {
		for (i = 0; i < BOOT_ENTRIES; i++)
			*directory(root, i << LARGE_SHIFT) =
				*directory(env->root, i << LARGE_SHIFT);
	} else {
		for (i = 0; i < KERNEL_SIZE; i += PAGE_SIZE)
			map(env, root, i, i, PTE_KERNEL);
	}
	for (i = 0; i < (u32)(user_text32_end - user_text32); i += PAGE_SIZE)
		map(env, root, USER32_CODE_VA + i, (u32)user_text32 + i, PTE_P | PTE_U | PTE_A);
	map(env, root, USER32_STACK_VA, (u32)user_stack32, PTE_USER);
	return root;
}

/* Runs with paging off: the first root. */
u32 NAME(setup)(struct env32 *env)
{
	init32();
	env->root = 0;
	return space_create(env);
}

/* ---- payloads ---- */

/* Pages in every quadrant, on both sides of where one table ends; large pages. */
static u32 touch_va(u32 i)
{
	return QUADRANT(i & 3) + 0x1c000000 - 8 * PAGE_SIZE + (i >> 2) * PAGE_SIZE;
}

#define TOUCH_PAGES	64u

u32 NAME(touch)(struct env32 *env)
{
	u32 i, page = data_alloc(env, TOUCH_PAGES), va;

	init32();
	for (i = 0; i < TOUCH_PAGES; i++) {
		CHECK_EQ(probe_read32(touch_va(i)), TRAPPED(VEC_PF));
		map(env, env->root, touch_va(i), page + i * PAGE_SIZE, PTE_P | PTE_W);
	}
	for (i = 0; i < TOUCH_PAGES; i++)
		*(volatile u32 *)touch_va(i) = 0x1000 + i;
	call32(CALL_PAGED);
	for (i = 0; i < TOUCH_PAGES; i++) {
		pte_t *pte = entry_of(env, env->root, touch_va(i));

		CHECK_EQ(*(volatile u32 *)(page + i * PAGE_SIZE), 0x1000 + i);
		CHECK_EQ(*pte & (PTE_A | PTE_D), PTE_A | PTE_D);
		CHECK_EQ(*directory(env->root, touch_va(i)) & PTE_A, PTE_A);
		/* The other half of the pages, without a flush in between. */
		exchange(pte, (page + (i ^ 1) * PAGE_SIZE) | PTE_P | PTE_W);
		invlpg(touch_va(i));
		CHECK_EQ(*(volatile u32 *)touch_va(i), 0x1000 + (i ^ 1));
		CHECK_EQ(*pte & (PTE_A | PTE_D), PTE_A);
		note32(env, *(volatile u32 *)touch_va(i));
	}
	if (!PAE)
		write_cr4(read_cr4() | CR4_PSE);
	for (i = 1; i < 4; i++) {
		va = QUADRANT(i) + 0x20000000;
		set(directory(env->root, va), LARGE32_GPA | PTE_P | PTE_W | PTE_PS);
		*(volatile u32 *)(va + i * 0x1000) = i;
		*(volatile u32 *)(va + LARGE_SIZE - i * 4) = ~i;
		CHECK_EQ(*(volatile u32 *)(LARGE32_GPA + i * 0x1000), i);
		CHECK_EQ(*(volatile u32 *)(LARGE32_GPA + LARGE_SIZE - i * 4), ~i);
		CHECK_EQ(*directory(env->root, va) & (PTE_A | PTE_D), PTE_A | PTE_D);
		set(directory(env->root, va), (LARGE32_GPA + LARGE_SIZE) | PTE_P | PTE_PS);
		invlpg(va);
		CHECK_EQ(*(volatile u32 *)(va + i * 0x1000), 0);
		set(directory(env->root, va), 0);
		invlpg(va);
		check_fault32(__LINE__, probe_read32(va), 0, va);
	}
	call32(CALL_PAGED);
	return 0;
}

/* What one page allows, and the error codes of what it does not. */
struct rights {
	bool wp, smep, nx;
};

static void check_access(u32 line, u32 got, bool allowed, u32 error, u32 va)
{
	if (!allowed)
		check_fault32(line, got, error | PF_P, va);
	else if (got)
		check_failed("check_access", line, "refused; error code", got, error);
}

static void check_page(const struct rights *r, u32 va, bool w, bool u, bool x)
{
	u32 fetch = r->smep || r->nx ? PF_FETCH : 0;

	check_access(__LINE__, probe_read32(va), true, 0, va);
	check_access(__LINE__, probe_write32(va, 0xc3c3c3c3), w || !r->wp, PF_W, va);
	check_access(__LINE__, probe_call32(va), x && !(u && r->smep), fetch, va);
	check_access(__LINE__, probe_user_read32(va), u, PF_U, va);
	check_access(__LINE__, probe_user_write32(va), u && w, PF_U | PF_W, va);
	check_access(__LINE__, probe_user_call32(va), u && x, PF_U | fetch, va);
}

static void set_modes(const struct rights *r, u32 cr0, u32 cr4)
{
	write_cr0(r->wp ? cr0 | CR0_WP : cr0 & ~CR0_WP);
	write_cr4(r->smep ? cr4 | CR4_SMEP : cr4 & ~CR4_SMEP);
}

/* All rights of the page and of its table, with and without WP and SMEP. */
u32 NAME(perm)(struct env32 *env)
{
	u32 page = data_alloc(env, 1), cr0 = read_cr0(), cr4 = read_cr4(), i, bits;
	struct rights r = { .nx = PAE };
	u32 va = TEST_VA;

	init32();
	map(env, env->root, va, page, PTE_KERNEL);
	for (i = 0; i < (env->has_smep ? 4u : 2u); i++) {
		r.wp = !(i & 1);
		r.smep = i & 2;
		*(volatile u32 *)page = 0xc3c3c3c3;
		set_modes(&r, cr0, cr4);
		/* Bits 0 to 2: W, U and NX of the entry, 3 and 4: W, U of its table. */
		for (bits = 0; bits < 32; bits++) {
			pte_t pte = PTE_P | PTE_A | (bits & 3) << 1, pde = PTE_P | (bits >> 3) << 1;
			u32 both = bits & (bits >> 3);

			if (bits & 4 && !PAE)
				continue;
			if (bits & 4)
				pte |= PTE_NX;
			exchange(entry_of(env, env->root, va), page | pte);
			exchange(directory(env->root, va),
				 (*directory(env->root, va) & ADDR) | pde);
			invlpg(va);
			check_page(&r, va, both & 1, both & 2, !(bits & 4));
			note32(env, bits);
		}
	}
	call32(CALL_PAGED);
	write_cr0(cr0);
	write_cr4(cr4);
	return 0;
}

/* Bits that must not be set, and some that look like it. */
u32 NAME(reserved)(struct env32 *env)
{
	u32 va = TEST_VA, page = data_alloc(env, 1), cr4 = read_cr4();
	pte_t *pte = entry_of(env, env->root, va), *pde = directory(env->root, va);
	pte_t table = *pde;

	init32();
	set(pte, page | PTE_USER | 0xe00);
	CHECK_EQ(probe_read32(va), 0);
#if PAE
	for (u32 bit = 52; bit < 63; bit += 5) {
		set(pte, page | PTE_USER | BIT_ULL(bit));
		invlpg(va);
		check_fault32(__LINE__, probe_read32(va), PF_P | PF_RSVD, va);
		check_fault32(__LINE__, probe_user_write32(va), PF_P | PF_RSVD | PF_W | PF_U, va);
	}
	set(pte, page | PTE_USER);
	set(pde, table | BIT_ULL(51));
	invlpg(va);
	check_fault32(__LINE__, probe_call32(va), PF_P | PF_RSVD | PF_FETCH, va);
	set(pde, LARGE32_GPA | PTE_USER | PTE_PS | 0x2000);
	invlpg(va);
	check_fault32(__LINE__, probe_read32(va), PF_P | PF_RSVD, va);
#else
	/* Without PSE bit 7 means nothing, and the entry leads to a table. */
	write_cr4(cr4 & ~CR4_PSE);
	set(pte, page | PTE_USER);
	set(pde, table | PTE_PS);
	invlpg(va);
	*(volatile u32 *)page = 77;
	CHECK_EQ(*(volatile u32 *)va, 77);
	write_cr4(cr4 | CR4_PSE);
	set(pde, LARGE32_GPA | PTE_USER | PTE_PS);
	invlpg(va);
	*(volatile u32 *)LARGE32_GPA = 78;
	CHECK_EQ(*(volatile u32 *)va, 78);
	write_cr4(cr4 & ~CR4_PSE);
	set(pde, table | PTE_PS);
	CHECK_EQ(*(volatile u32 *)va, 77);
	write_cr4(cr4 | CR4_PSE);
	set(pde, LARGE32_GPA | PTE_USER | PTE_PS | BIT(21));
	invlpg(va);
	check_fault32(__LINE__, probe_write32(va, 0), PF_P | PF_RSVD | PF_W, va);
#endif
	call32(CALL_PAGED);
	set(pde, table);
	write_cr4(cr4);
	*(volatile u32 *)LARGE32_GPA = 0;
	return 0;
}

/* ---- fork with copy on write ---- */

#define FORK_PAGES	48u
/* From the end of one table, in the next quadrant too. */
#define FORK_VA		(0x80000000u - 16 * PAGE_SIZE)
#define PTE_COW		0x200u

static struct env32 *fork_env;
static u32 fork_root;

static bool fork_fault(struct regs32 *regs)
{
	u32 va = read_cr2() & ~(PAGE_SIZE - 1), page, i;
	pte_t *pte;

	if (va < FORK_VA || va >= FORK_VA + FORK_PAGES * PAGE_SIZE)
		return false;
	pte = entry_of(fork_env, fork_root, va);
	CHECK_EQ(regs->error, PF_P | PF_W | PF_U);
	CHECK(*pte & PTE_COW);
	page = data_alloc(fork_env, 1);
	for (i = 0; i < PAGE_SIZE; i += 4)
		*(volatile u32 *)(page + i) = *(volatile u32 *)((u32)(*pte & ADDR) + i);
	set(pte, page | PTE_USER);
	invlpg(va);
	return true;
}

static USER32 u32 user_add(u32 arg)
{
	u32 step = arg & 0xff, value = arg >> 8, sum = 0, i;

	for (i = 0; i < FORK_PAGES; i += step)
		sum += *(volatile u32 *)(FORK_VA + i * PAGE_SIZE) += value;
	return sum;
}

static u32 run_user(u32 step, u32 value)
{
	CHECK_EQ(user_call32(user_add, value << 8 | step), 0);
	return this_cpu32()->value;
}

static void switch_to(u32 root)
{
	fork_root = root;
	write_cr3(root);
}

static u32 fork(struct env32 *env, u32 parent)
{
	u32 child = space_create(env), i, va;

	for (i = 0; i < FORK_PAGES; i++) {
		pte_t *from;

		va = FORK_VA + i * PAGE_SIZE;
		from = entry_of(env, parent, va);
		set(from, (*from & ~(pte_t)PTE_W) | PTE_COW);
		set(entry_of(env, child, va), *from);
	}
	write_cr3(read_cr3());
	return child;
}

u32 NAME(fork)(struct env32 *env)
{
	u32 parent = space_create(env), tables, pages, child, i, want = 0;

	init32();
	fork_env = env;
	trap_hooks32[VEC_PF] = fork_fault;
	for (i = 0; i < FORK_PAGES; i++)
		map(env, parent, FORK_VA + i * PAGE_SIZE, data_alloc(env, 1), PTE_USER);
	tables = env->table_next;
	switch_to(parent);
	for (i = 1; i <= env->ops; i++) {
		/* The last child's tables, and this one's, are the same frames. */
		env->table_next = tables;
		child = fork(env, parent);
		pages = env->data_next;
		switch_to(child);
		CHECK_EQ(run_user(2, 1), want / 2 + FORK_PAGES / 2);
		CHECK_EQ(run_user(1, 0), want + FORK_PAGES / 2);
		switch_to(parent);
		env->data_next = pages + FORK_PAGES * PAGE_SIZE;
		want += i * FORK_PAGES;
		CHECK_EQ(run_user(1, i), want);
		note32(env, want);
	}
	call32(CALL_PAGED);
	trap_hooks32[VEC_PF] = NULL;
	switch_to(env->root);
	return 0;
}

/* ---- tables that map themselves ---- */

/* The window in which all tables of a space appear: its own directory is a table. */
#if PAE
#define WINDOW		0xff800000u
#else
#define WINDOW		0xffc00000u
#endif

static volatile pte_t *window_entry(u32 va)
{
	return (pte_t *)WINDOW + (va >> 12);
}

u32 NAME(self_map)(struct env32 *env)
{
	u32 root = space_create(env), a = data_alloc(env, 2), b = a + PAGE_SIZE, i, va;

	init32();
#if PAE
	for (i = 0; i < 4; i++)
		set(directory(root, WINDOW + i * LARGE_SIZE),
		    (((u64 *)root)[i] & ADDR) | PTE_KERNEL);
#else
	set(directory(root, WINDOW), root | PTE_KERNEL);
#endif
	*(volatile u32 *)a = 0xaaaa;
	*(volatile u32 *)b = 0xbbbb;
	for (i = 0; i < 4; i++)
		map(env, root, QUADRANT(i) + 0x18000000, a, PTE_P);
	write_cr3(root);
	for (i = 0; i < env->ops; i++) {
		va = QUADRANT(i & 3) + 0x18000000;
		CHECK_EQ(*(volatile u32 *)va, 0xaaaa);
		set((pte_t *)window_entry(va), b | PTE_KERNEL);
		invlpg(va);
		CHECK_EQ(*(volatile u32 *)va, 0xbbbb);
		/* The entry that maps the entry: through the window once more. */
		CHECK_EQ(*window_entry((u32)window_entry(va)) & ADDR,
			 *directory(root, va) & ADDR);
		exchange((pte_t *)window_entry(va), a | PTE_KERNEL);
		invlpg(va);
		CHECK_EQ(*(volatile u32 *)va, 0xaaaa);
		/* Without the directory's entry the page is gone. */
		set((pte_t *)window_entry((u32)window_entry(va)),
		    *directory(root, va) & ~(pte_t)PTE_P);
		invlpg(va);
		invlpg((u32)window_entry(va));
		check_fault32(__LINE__, probe_read32(va), 0, va);
		set(directory(root, va), *directory(root, va) | PTE_P);
		note32(env, *(volatile u32 *)va);
	}
	call32(CALL_PAGED);
	write_cr3(env->root);
	return 0;
}

/* ---- tables that become data, and data that become tables ---- */

u32 NAME(recycle)(struct env32 *env)
{
	u32 frame = table_alloc(env), page = data_alloc(env, 2), va = TEST_VA, i, k;
	u32 direct = TEST_VA + 0x10000000;
	pte_t *pde = directory(env->root, va);

	init32();
	map(env, env->root, direct, frame, PTE_KERNEL);
	for (i = 0; i < env->ops; i++) {
		/* As a table, written by its identity mapping. */
		for (k = 0; k < ENTRIES; k++)
			set((pte_t *)frame + k, (page + (k & 1) * PAGE_SIZE) | PTE_KERNEL);
		set(pde, frame | PTE_USER);
		for (k = 0; k < ENTRIES; k += 7)
			*(volatile u32 *)((va & ~(LARGE_SIZE - 1)) + k * PAGE_SIZE + 4 * k) = i + k;
		CHECK_EQ(*(volatile u32 *)(page + 7 * 4 + PAGE_SIZE), i + 7);
		/* And by another. */
		set((pte_t *)direct, (page + PAGE_SIZE) | PTE_KERNEL);
		invlpg(va & ~(LARGE_SIZE - 1));
		CHECK_EQ(*(volatile u32 *)((va & ~(LARGE_SIZE - 1)) + 7 * 4), i + 7);
		/* As data. */
		set(pde, 0);
		write_cr3(read_cr3());
		for (k = 0; k < PAGE_SIZE; k += 4)
			*(volatile u32 *)(direct + k) = i * k;
		for (k = 0; k < PAGE_SIZE; k += 4)
			CHECK_EQ(*(volatile u32 *)(frame + k), i * k);
		check_fault32(__LINE__, probe_read32(va), 0, va);
		note32(env, *(volatile u32 *)(page + 4 * 7 + PAGE_SIZE));
	}
	call32(CALL_PAGED);
	return 0;
}

/* ---- hardware tasks ---- */

u32 NAME(task_calls)(struct env32 *env)
{
	return task_calls32(env, space_create(env));
}

u32 NAME(task_16bit)(struct env32 *env)
{
	return task_16bit32(env, space_create(env));
}

u32 NAME(task_events)(struct env32 *env)
{
	return task_events32(env, space_create(env), TEST_VA);
}

u32 NAME(task_faults)(struct env32 *env)
{
	return task_faults32(env, space_create(env), TEST_VA);
}

u32 NAME(task_trap)(struct env32 *env)
{
	return task_trap32(env, space_create(env));
}

/* ---- what only PAE has: PDPTEs are registers ---- */

#if PAE
static u32 load_cr3(u32 value, u32 unused)
{
	write_cr3(value);
	return 0;
}

static u32 load_cr4(u32 value, u32 unused)
{
	write_cr4(value);
	return 0;
}

static u32 load_cr0(u32 value, u32 unused)
{
	write_cr0(value);
	return 0;
}

u32 pae_pdptes(struct env32 *env)
{
	static const u64 bad[] = { 2, 4, 0x20, 0x40, 0x80, 0x100, BIT_ULL(51), BIT_ULL(52),
				   BIT_ULL(63) };
	u32 root = space_create(env), va = QUADRANT(2), page = data_alloc(env, 1), i;
	volatile u64 *pdpt = (u64 *)root;
	u64 old;

	init32();
	old = pdpt[2];
	*(volatile u32 *)page = 0x55;
	map(env, root, va, page, PTE_KERNEL);
	write_cr3(root);
	CHECK_EQ(*(volatile u32 *)va, 0x55);
	/* Memory does not matter until it is loaded. */
	pdpt[2] = 0;
	invlpg(va);
	CHECK_EQ(*(volatile u32 *)va, 0x55);
	CHECK_EQ(probe_user_read32(va), TRAPPED(VEC_PF));
	CHECK_EQ(*(volatile u32 *)va, 0x55);
	write_cr3(root);
	check_fault32(__LINE__, probe_read32(va), 0, va);
	pdpt[2] = old;
	invlpg(va);
	check_fault32(__LINE__, probe_read32(va), 0, va);
	/* Toggling PGE loads them too. */
	if (env->has_pge) {
		write_cr4(read_cr4() ^ CR4_PGE);
		CHECK_EQ(*(volatile u32 *)va, 0x55);
		write_cr4(read_cr4() ^ CR4_PGE);
	} else {
		write_cr3(root);
	}
	/* What is reserved is refused, and the old ones go on. */
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		pdpt[2] = old | bad[i];
		CHECK_EQ(guarded32(load_cr3, root, 0), TRAPPED(VEC_GP));
		CHECK_EQ(*(volatile u32 *)va, 0x55);
		if (env->has_pge) {
			u32 cr4 = read_cr4();

			CHECK_EQ(guarded32(load_cr4, cr4 ^ CR4_PGE, 0), TRAPPED(VEC_GP));
			CHECK_EQ(read_cr4(), cr4);
		}
		CHECK_EQ(guarded32(load_cr0, read_cr0() ^ CR0_CD, 0), TRAPPED(VEC_GP));
		CHECK_EQ(read_cr3(), root);
		CHECK_EQ(*(volatile u32 *)va, 0x55);
		/* Not present: all bits are ignored. */
		pdpt[2] = bad[i];
		write_cr3(root);
		check_fault32(__LINE__, probe_write32(va, 1), PF_W, va);
		pdpt[2] = old;
		write_cr3(root);
		note32(env, *(volatile u32 *)va);
	}
	call32(CALL_PAGED);
	write_cr3(env->root);
	return 0;
}
#endif

/* ---- shootdown interrupts ---- */

typedef u32 sd_addr_t;

static struct env32 *sd_env;

static pte_t *sd_pte(u32 i)
{
	return entry_of(sd_env, sd_env->root, TEST_VA + i * PAGE_SIZE);
}

static pte_t *sd_pde(void)
{
	return directory(sd_env->root, TEST_VA);
}

static void sd_hook(u32 vector, bool (*hook)(void *regs))
{
	trap_hooks32[vector] = (trap_hook32)hook;
}

#define SD_VA		TEST_VA
#define SD_FLAGS	PTE_KERNEL
#define SD_TABLE_FLAGS	PTE_USER
#define SD_SPIN(word, value) spin_until32(word, value)
#define SD_CHECK(cond)	CHECK(cond)
#define SD_INVLPG(va)	invlpg(va)
#define sd_set(entry, value) set(entry, value)
#include "shootdown_template.h"

u32 NAME(shootdown)(struct env32 *env)
{
	u32 i;

	init32();
	if (env->id) {
		sd_use();
		return 0;
	}
	sd_env = env;
	map(env, env->root, APIC_BASE, APIC_BASE, PTE_KERNEL);
	for (i = 0; i < SD_FRAMES; i++)
		sd.frame[i] = data_alloc(env, 1);
	sd_pte(0);
	sd.table[0] = *sd_pde() & ADDR;
	sd.table[1] = table_alloc(env);
	env->shared = 1;
	sd_edit(env->ops);
	call32(CALL_PAGED);
	note32(env, env->ops);
	return 0;
}
