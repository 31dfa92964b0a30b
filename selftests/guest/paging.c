// SPDX-License-Identifier: GPL-2.0
/* The guest's own page tables, built by hand, and the page pools behind them. */
#include "rt.h"

struct pool {
	u64 next, end;
	u64 *free;	/* list, linked through the first word of each free page */
};

static struct pool tables = { GUEST_PT_GPA, GUEST_DATA_GPA, NULL };
static struct pool data = { GUEST_DATA_GPA, GUEST_MEM_SIZE, NULL };
static u8 refs[(GUEST_MEM_SIZE - GUEST_DATA_GPA) / PAGE_SIZE];

static u64 pool_get(struct pool *pool, unsigned long pages, bool *fresh)
{
	u64 page = (u64)pool->free;

	*fresh = !page || pages > 1;
	if (!*fresh) {
		pool->free = *(u64 **)page;
		return page;
	}
	page = pool->next;
	pool->next += pages * PAGE_SIZE;
	CHECK(pool->next <= pool->end);
	return page;
}

static void pool_put(struct pool *pool, u64 page)
{
	*(u64 **)page = pool->free;
	pool->free = (u64 *)page;
}

/* A zeroed page for a page table. Fresh memory is zero already. */
u64 pt_alloc(void)
{
	bool fresh;
	u64 gpa = pool_get(&tables, 1, &fresh);

	if (!fresh)
		clear_page(gpa);
	return gpa;
}

void pt_free(u64 gpa)
{
	pool_put(&tables, gpa);
}

static u8 *page_refs(u64 gpa)
{
	CHECK(gpa >= GUEST_DATA_GPA && gpa < GUEST_MEM_SIZE);
	return &refs[(gpa - GUEST_DATA_GPA) / PAGE_SIZE];
}

/* Data pages with one reference each. They are not zeroed when used before. */
u64 data_alloc(unsigned long pages)
{
	bool fresh;
	u64 gpa = pool_get(&data, pages, &fresh);
	unsigned long i;

	for (i = 0; i < pages; i++)
		*page_refs(gpa + i * PAGE_SIZE) = 1;
	return gpa;
}

/* One large page. */
u64 data_alloc_large(void)
{
	data.next = (data.next + LARGE_SIZE - 1) & ~(LARGE_SIZE - 1);
	return data_alloc(512);
}

void data_get(u64 gpa)
{
	++*page_refs(gpa);
}

void data_put(u64 gpa)
{
	if (--*page_refs(gpa) == 0)
		pool_put(&data, gpa);
}

unsigned int data_refs(u64 gpa)
{
	return *page_refs(gpa);
}

u64 data_end(void)
{
	return data.next;
}

/*
 * The entry that translates @va at @level (1 is the last), going through
 * present tables only unless @create.
 */
u64 *pt_entry(u64 root, u64 va, int level, bool create)
{
	u64 *table = (u64 *)(root & PTE_ADDR);
	u64 *entry;
	int l;

	for (l = 4; ; l--) {
		entry = &table[va >> (12 + 9 * (l - 1)) & 511];
		if (l == level)
			return entry;
		if (!(*entry & PTE_P)) {
			if (!create)
				return NULL;
			WRITE_ONCE(*entry, pt_alloc() | PTE_USER);
		}
		table = (u64 *)(*entry & PTE_ADDR);
	}
}

void pt_map(u64 root, u64 va, u64 gpa, u64 flags)
{
	WRITE_ONCE(*pt_entry(root, va, 1, true), gpa | flags);
}

/* A new address space that shares the kernel's identity map. */
u64 space_create(void)
{
	u64 root = pt_alloc();

	*(u64 *)root = *(u64 *)(read_cr3() & PTE_ADDR);
	return root;
}

u64 user_text_gpa(u64 va)
{
	return va - USER_CODE_VA + (u64)user_text;
}

/* Map the user code and one stack page, so that user_call() works. */
void space_add_user_text(u64 root)
{
	u64 offset, size = user_text_end - user_text;

	for (offset = 0; offset < size; offset += PAGE_SIZE)
		pt_map(root, USER_CODE_VA + offset, (u64)user_text + offset, PTE_READ | PTE_U);
	pt_map(root, USER_STACK_VA, (u64)user_stack, PTE_USER);
}

static void table_free(u64 entry, int level)
{
	u64 *table = (u64 *)(entry & PTE_ADDR);
	unsigned int i;

	for (i = 0; i < 512; i++) {
		if (!(table[i] & PTE_P) || (level > 1 && table[i] & PTE_PS))
			continue;
		if (level > 1)
			table_free(table[i], level - 1);
		else if (table[i] & PTE_ANON)
			data_put(table[i] & PTE_ADDR);
	}
	pt_free((u64)table);
}

/* Free all tables of user space and the pages they own. The caller flushes. */
void space_clear(u64 root)
{
	u64 *pml4 = (u64 *)(root & PTE_ADDR);
	u64 entry;
	unsigned int i;

	for (i = FIRST_USER_SLOT; i < 512; i++) {
		entry = pml4[i];
		if (!(entry & PTE_P))
			continue;
		WRITE_ONCE(pml4[i], 0);
		table_free(entry, 3);
	}
}
