// SPDX-License-Identifier: GPL-2.0
/*
 * Wide stores to page tables, stores across their ends and through themselves. The
 * same instruction is done to a plain copy, which then has to look the same.
 *
 * Tables of the last level may be left to the guest while it writes to them, so the
 * tables here are of the level above, or map themselves: CALL_EMULATED asks the host
 * whether the emulator was at work.
 */
#include "rt.h"

#define CR0_TS		BIT(3)
#define CR0_EM		BIT(2)
#define CR4_OSFXSR	BIT(9)
#define CR4_OSXSAVE	BIT(18)
#define XCR0_AVX	7UL

#define WIDEST		32

/* What a store works with: data in memory, the first words in registers as well. */
struct store_data {
	u64 word[4];
};

struct store_form {
	void (*fn)(u64 addr, const struct store_data *data);
	u8 size;
	bool aligned;
};

#define FORM(name, text)							\
static void form_##name(u64 addr, const struct store_data *data)		\
{										\
	u64 rdi = addr, rsi = (u64)data, rax = data->word[0];			\
	u64 rbx = data->word[1], rcx = data->word[2], rdx = data->word[3];	\
										\
	__asm__ volatile(text							\
			 : "+a"(rax), "+b"(rbx), "+c"(rcx), "+d"(rdx), "+D"(rdi), \
			   "+S"(rsi)						\
			 : : "cc", "memory");					\
}

#define SSE(name, insn)	FORM(name, "movups (%%rsi), %%xmm9; " insn " %%xmm9, (%%rdi)")
#define AVX(name, insn, reg) \
	FORM(name, "vmovups (%%rsi), %%ymm9; " insn " %%" reg "9, (%%rdi)")

FORM(movw, "movw %%ax, (%%rdi)")
FORM(movl, "movl %%eax, (%%rdi)")
FORM(movq, "movq %%rax, (%%rdi)")
FORM(movntiq, "movntiq %%rax, (%%rdi)")
FORM(stosq, "stosq")
FORM(movsl, "movsl")
FORM(movsq, "movsq")
FORM(std_movsq, "std; movsq; cld")
FORM(xchgq, "xchgq %%rax, (%%rdi)")
FORM(addq, "lock addq %%rax, (%%rdi)")
FORM(orl, "orl %%eax, (%%rdi)")
FORM(xorq, "xorq %%rax, (%%rdi)")
FORM(notw, "notw (%%rdi)")
FORM(negq, "lock negq (%%rdi)")
FORM(shlq, "shlq $3, (%%rdi)")
FORM(rorl, "rorl %%cl, (%%rdi)")
FORM(shldq, "shldq $7, %%rax, (%%rdi)")
FORM(setc, "addl %%eax, %%eax; setc (%%rdi)")
FORM(popq, "pushq %%rax; popq (%%rdi)")
FORM(btsq, "lock btsq $9, (%%rdi)")
FORM(cmpxchgq, "movq (%%rdi), %%rax; lock cmpxchgq %%rcx, (%%rdi)")
FORM(cmpxchg8b, "movl (%%rdi), %%eax; movl 4(%%rdi), %%edx; lock cmpxchg8b (%%rdi)")
FORM(cmpxchg16b, "movq (%%rdi), %%rax; movq 8(%%rdi), %%rdx; movq (%%rsi), %%rbx; "
		 "movq 8(%%rsi), %%rcx; lock cmpxchg16b (%%rdi)")
FORM(cmpxchg16b_miss, "lock cmpxchg16b (%%rdi)")

SSE(movups, "movups")
SSE(movaps, "movaps")
SSE(movupd, "movupd")
SSE(movapd, "movapd")
SSE(movdqu, "movdqu")
SSE(movdqa, "movdqa")
SSE(movntps, "movntps")
SSE(movntpd, "movntpd")
SSE(movntdq, "movntdq")
SSE(movss, "movss")
SSE(movsd, "movsd")
SSE(movlps, "movlps")
SSE(movhps, "movhps")
SSE(movd, "movd")
SSE(movq_xmm, "movq")

AVX(vmovups, "vmovups", "ymm")
AVX(vmovups_128, "vmovups", "xmm")
AVX(vmovupd, "vmovupd", "ymm")
AVX(vmovdqu, "vmovdqu", "ymm")
AVX(vmovdqu_128, "vmovdqu", "xmm")
AVX(vmovaps, "vmovaps", "ymm")
AVX(vmovaps_128, "vmovaps", "xmm")
AVX(vmovdqa, "vmovdqa", "ymm")
AVX(vmovntps, "vmovntps", "ymm")
AVX(vmovntdq, "vmovntdq", "ymm")
AVX(vmovntdq_128, "vmovntdq", "xmm")
AVX(vmovss, "vmovss", "xmm")
AVX(vmovq, "vmovq", "xmm")
AVX(vmovhps, "vmovhps", "xmm")

#define ANY(name, bytes)	{ .fn = form_##name, .size = bytes }
#define ALIGNED(name, bytes)	{ .fn = form_##name, .size = bytes, .aligned = true }

static const struct store_form plain_forms[] = {
	ANY(movw, 2), ANY(movl, 4), ANY(movq, 8), ANY(movntiq, 8),
	ANY(stosq, 8), ANY(movsl, 4), ANY(movsq, 8), ANY(std_movsq, 8),
	ANY(xchgq, 8), ANY(addq, 8), ANY(orl, 4), ANY(xorq, 8), ANY(notw, 2),
	ANY(negq, 8), ANY(shlq, 8), ANY(rorl, 4), ANY(shldq, 8), ANY(setc, 1),
	ANY(popq, 8), ANY(btsq, 8), ANY(cmpxchgq, 8), ANY(cmpxchg8b, 8),
	ALIGNED(cmpxchg16b, 16), ALIGNED(cmpxchg16b_miss, 16),
};

static const struct store_form sse_forms[] = {
	ANY(movups, 16), ALIGNED(movaps, 16), ANY(movupd, 16),
	ALIGNED(movapd, 16), ANY(movdqu, 16), ALIGNED(movdqa, 16),
	ALIGNED(movntps, 16), ALIGNED(movntpd, 16), ALIGNED(movntdq, 16),
	ANY(movss, 4), ANY(movsd, 8), ANY(movlps, 8), ANY(movhps, 8),
	ANY(movd, 4), ANY(movq_xmm, 8),
};

static const struct store_form avx_forms[] = {
	ANY(vmovups, 32), ANY(vmovups_128, 16), ANY(vmovupd, 32),
	ANY(vmovdqu, 32), ANY(vmovdqu_128, 16), ALIGNED(vmovaps, 32),
	ALIGNED(vmovaps_128, 16), ALIGNED(vmovdqa, 32), ALIGNED(vmovntps, 32),
	ALIGNED(vmovntdq, 32), ALIGNED(vmovntdq_128, 16), ANY(vmovss, 4),
	ANY(vmovq, 8), ANY(vmovhps, 8),
};

struct form_set {
	const struct store_form *forms;
	unsigned int nr;
};

static const struct form_set plain_set = { plain_forms, ARRAY_SIZE(plain_forms) };
static const struct form_set sse_set = { sse_forms, ARRAY_SIZE(sse_forms) };
static const struct form_set avx_set = { avx_forms, ARRAY_SIZE(avx_forms) };

static void sse_on(void)
{
	write_cr0(read_cr0() & ~(CR0_TS | CR0_EM));
	write_cr4(read_cr4() | CR4_OSFXSR);
}

static void avx_on(void)
{
	if (!cpu_has(1, 2, 26) || !cpu_has(1, 2, 28))
		skip();
	sse_on();
	write_cr4(read_cr4() | CR4_OSXSAVE);
	__asm__ volatile("xsetbv" : : "a"((u32)XCR0_AVX), "d"(0), "c"(0) : "memory");
}

static void draw(struct store_data *data, u64 *seed)
{
	for (unsigned int i = 0; i < 4; i++)
		data->word[i] = next_random(seed);
}

static const struct store_form *choose(const struct form_set *set, u64 *seed)
{
	return &set->forms[next_random(seed) % set->nr];
}

static void check_same(u64 a, u64 b, u64 bytes)
{
	for (u64 i = 0; i < bytes; i += 8)
		CHECK_EQ(*(u64 *)(a + i), *(u64 *)(b + i));
}

/* ---- anywhere in a table, and across its end ---- */

/*
 * Two pages in a row, four times: a directory in use with a page behind it, a page
 * with a directory behind it, two directories; and copies of all that are plain.
 */
#define PAIRS		3
#define WIN(i)		(TEST_VA + (64UL << 30) + (i) * 4 * PAGE_SIZE)
#define COPY(i)		(WIN(i) + 2 * PAGE_SIZE)
#define USE(d)		(TEST_VA + ((u64)(d) << 30))

struct pages {
	u64 root;
	u64 directory[2];
	u64 leaf[2];		/* tables: their first page holds their number */
};

static void map_pair(struct pages *p, unsigned int i, u64 first, u64 second)
{
	u64 copy = data_alloc(2);

	pt_map(p->root, WIN(i), first, PTE_KERNEL);
	pt_map(p->root, WIN(i) + PAGE_SIZE, second, PTE_KERNEL);
	pt_map(p->root, COPY(i), copy, PTE_KERNEL);
	pt_map(p->root, COPY(i) + PAGE_SIZE, copy + PAGE_SIZE, PTE_KERNEL);
}

static void pages_init(struct pages *p)
{
	u64 frames = data_alloc(2), plain = data_alloc(2);

	p->root = space_create();
	for (u64 i = 0; i < 2; i++) {
		p->directory[i] = data_alloc(1);
		p->leaf[i] = pt_alloc();
		*(u64 *)(frames + i * PAGE_SIZE) = i;
		*(u64 *)p->leaf[i] = (frames + i * PAGE_SIZE) | PTE_KERNEL;
		WRITE_ONCE(*pt_entry(p->root, USE(i), 3, true), p->directory[i] | PTE_USER);
	}
	map_pair(p, 0, p->directory[0], plain);
	map_pair(p, 1, plain + PAGE_SIZE, p->directory[1]);
	map_pair(p, 2, p->directory[0], p->directory[1]);
	write_cr3(p->root);
}

/* Have both directories translate an address: they are watched from then on. */
static void pages_use(const struct pages *p, u64 i, u64 *seed)
{
	u64 slot = next_random(seed) % 512;

	for (unsigned int d = 0; d < 2; d++) {
		WRITE_ONCE(*(u64 *)(p->directory[d] + slot * 8), p->leaf[(i + d) % 2] | PTE_KERNEL);
		write_cr3(p->root);
		CHECK_EQ(READ_ONCE(*(u64 *)(USE(d) + slot * LARGE_SIZE)), (i + d) % 2);
	}
}

static u64 choose_offset(const struct store_form *form, u64 *seed)
{
	u64 random = next_random(seed);

	if (form->aligned)
		return (random >> 8) % (2 * PAGE_SIZE / WIDEST) * WIDEST;
	if (random % 4)
		return PAGE_SIZE - (random >> 8) % (form->size + 1);
	return 8 + (random >> 8) % (2 * PAGE_SIZE - WIDEST - 8);
}

static void copy_pair(unsigned int i)
{
	copy_page(COPY(i), WIN(i));
	copy_page(COPY(i) + PAGE_SIZE, WIN(i) + PAGE_SIZE);
}

static void run_stores(const struct form_set *set, u64 seed)
{
	struct store_data data;
	struct pages pages;
	u64 i, offset;

	pages_init(&pages);
	for (i = 0; i < ctl->ops; i++) {
		const struct store_form *form = choose(set, &seed);
		unsigned int pair = i % PAIRS;

		pages_use(&pages, i, &seed);
		copy_pair(pair);
		draw(&data, &seed);
		offset = choose_offset(form, &seed);
		form->fn(WIN(pair) + offset, &data);
		form->fn(COPY(pair) + offset, &data);
		check_same(WIN(pair), COPY(pair), 2 * PAGE_SIZE);
		note(*(u64 *)(WIN(pair) + (offset & ~7UL)));
	}
	call(CALL_PAGED, 0, 0);
	call(CALL_EMULATED, ctl->ops, 0);
}

void payload_table_stores(void)
{
	run_stores(&plain_set, 0x9d2c5680);
}

void payload_table_sse(void)
{
	sse_on();
	run_stores(&sse_set, 0x1571);
}

void payload_table_avx(void)
{
	avx_on();
	run_stores(&avx_set, 0xa71);
}

/* ---- across the end, where one half faults ---- */

static const struct store_form *fault_form;
static struct store_data fault_data;

static u64 do_form(u64 addr, u64 unused)
{
	fault_form->fn(addr, &fault_data);
	return 0;
}

/* The half at @bad refuses: nothing is written, and the fault says where. */
static void check_refused(struct pages *p, unsigned int pair, u64 offset, u64 bad, u64 flags)
{
	u64 page = WIN(pair) + bad, *pte = pt_entry(p->root, page, 1, false), old = *pte;
	u64 error = PF_W | (flags & PTE_P ? PF_P : 0);

	copy_pair(pair);
	WRITE_ONCE(*pte, (old & PTE_ADDR) | flags);
	invlpg(page);
	check_fault(guarded(do_form, WIN(pair) + offset, 0), error,
		    bad ? page : WIN(pair) + offset);
	WRITE_ONCE(*pte, old);
	invlpg(page);
	check_same(WIN(pair), COPY(pair), 2 * PAGE_SIZE);
}

static void run_refused(const struct form_set *set, u64 seed)
{
	struct pages pages;
	u64 i, offset;

	write_cr0(read_cr0() | CR0_WP);
	pages_init(&pages);
	for (i = 0; i < ctl->ops; i++) {
		unsigned int pair = i % PAIRS;

		do {
			fault_form = choose(set, &seed);
		} while (fault_form->aligned || fault_form->size == 1);
		pages_use(&pages, i, &seed);
		draw(&fault_data, &seed);
		offset = PAGE_SIZE - 1 - next_random(&seed) % (fault_form->size - 1);
		check_refused(&pages, pair, offset, PAGE_SIZE, 0);
		check_refused(&pages, pair, offset, PAGE_SIZE, PTE_READ);
		check_refused(&pages, pair, offset, 0, 0);
		check_refused(&pages, pair, offset, 0, PTE_READ);
		note(*(u64 *)(WIN(pair) + PAGE_SIZE));
	}
	call(CALL_PAGED, 0, 0);
}

/* Forms that read first would fault as reads where nothing is mapped. */
static const struct store_form write_forms[] = {
	ANY(movw, 2), ANY(movl, 4), ANY(movq, 8), ANY(movntiq, 8),
	ANY(stosq, 8), ANY(movsl, 4), ANY(movsq, 8), ANY(xchgq, 8),
	ANY(addq, 8), ANY(notw, 2), ANY(negq, 8), ANY(popq, 8),
	ANY(btsq, 8), ANY(movups, 16), ANY(movdqu, 16), ANY(movsd, 8),
	ANY(movhps, 8),
};

static const struct form_set write_set = { write_forms, ARRAY_SIZE(write_forms) };

void payload_table_cross(void)
{
	sse_on();
	run_refused(&write_set, 0xc4055);
}

void payload_table_cross_avx(void)
{
	avx_on();
	run_refused(&avx_set, 0xc4056);
}

/* ---- through the table that is written to ---- */

#define SELF_FRAMES	16
#define SELF_ENTRIES	8	/* that a form may write to; the first maps the table */
#define PTE_SOFTWARE	(7UL << 9)

/* Data that are good as entries 0 to 3, of which the first maps the table. */
static void draw_entries(struct store_data *data, u64 table, u64 frames, u64 *seed)
{
	draw(data, seed);
	data->word[0] = table | PTE_KERNEL | (data->word[0] & PTE_SOFTWARE);
	for (unsigned int i = 1; i < 4; i++)
		data->word[i] = (frames + data->word[i] % SELF_FRAMES * PAGE_SIZE) | PTE_KERNEL;
}

/*
 * A directory whose first entry leads to itself, so that it is the page table of
 * its first 2 MiB as well, and a page in them.
 */
static u64 self_create(u64 root, u64 frames)
{
	u64 table = data_alloc(1), i;

	for (i = 0; i < SELF_FRAMES; i++)
		*(u64 *)(frames + i * PAGE_SIZE) = i;
	for (i = 1; i < SELF_ENTRIES; i++)
		((u64 *)table)[i] = frames | PTE_KERNEL;
	*(u64 *)table = table | PTE_KERNEL;
	WRITE_ONCE(*pt_entry(root, TEST_VA, 3, true), table | PTE_USER);
	return table;
}

/* @whole: forms that may overwrite the entry by which they write. */
static void run_self(const struct form_set *set, const struct form_set *whole, u64 seed)
{
	u64 root = space_create(), frames = data_alloc(SELF_FRAMES), copy = data_alloc(1), i;
	u64 table = self_create(root, frames), offset;
	struct store_data data;

	write_cr3(root);
	for (i = 0; i < ctl->ops; i++) {
		const struct store_form *form = choose(i % 3 ? set : whole, &seed);

		offset = i % 3 ? PAGE_SIZE / 2 + next_random(&seed) % 1000 * 2 : 0;
		if (form->aligned)
			offset &= ~(WIDEST - 1UL);
		draw_entries(&data, table, frames, &seed);
		copy_page(copy, table);
		form->fn(TEST_VA + offset, &data);
		form->fn(copy + offset, &data);
		write_cr3(root);
		check_same(TEST_VA, copy, PAGE_SIZE);
		CHECK_EQ(READ_ONCE(*(u64 *)(TEST_VA + PAGE_SIZE)),
			 ((((u64 *)copy)[1] & PTE_ADDR) - frames) / PAGE_SIZE);
		note(*(u64 *)(table + (offset & ~7UL)));
	}
	call(CALL_PAGED, 0, 0);
	call(CALL_EMULATED, ctl->ops, 0);
}

static const struct store_form whole_plain[] = {
	ANY(movq, 8), ANY(movntiq, 8), ANY(stosq, 8), ANY(xchgq, 8), ANY(cmpxchg16b, 16),
	ANY(cmpxchg16b_miss, 16),
};

static const struct store_form whole_sse[] = {
	ANY(movups, 16), ANY(movaps, 16), ANY(movdqa, 16), ANY(movntdq, 16), ANY(movntps, 16),
	ANY(movsd, 8),
};

static const struct store_form whole_avx[] = {
	ANY(vmovups, 32), ANY(vmovdqa, 32), ANY(vmovntdq, 32), ANY(vmovaps_128, 16),
	ANY(vmovdqu_128, 16), ANY(vmovq, 8),
};

static const struct form_set whole_plain_set = { whole_plain, ARRAY_SIZE(whole_plain) };
static const struct form_set whole_sse_set = { whole_sse, ARRAY_SIZE(whole_sse) };
static const struct form_set whole_avx_set = { whole_avx, ARRAY_SIZE(whole_avx) };

void payload_self_stores(void)
{
	run_self(&plain_set, &whole_plain_set, 0x5e1f);
}

void payload_self_sse(void)
{
	sse_on();
	run_self(&sse_set, &whole_sse_set, 0x5e20);
}

void payload_self_avx(void)
{
	avx_on();
	run_self(&avx_set, &whole_avx_set, 0x5e21);
}
