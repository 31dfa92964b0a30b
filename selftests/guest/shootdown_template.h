/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One CPU moves pages and tables under another that uses them, and interrupts it
 * to flush: for every paging mode. Included by what defines
 *
 *	sd_addr_t, SD_VA		addresses, where the pages are
 *	sd_pte(i), sd_pde()		entry of page i, entry of their table
 *	sd_set(entry, value)		write one
 *	SD_FLAGS, SD_TABLE_FLAGS	of an entry of either kind
 *	sd_hook(vector, fn)		take a vector
 *	SD_SPIN(word, value), SD_CHECK(condition), SD_INVLPG(va)
 *
 * A frame that is out of use holds poison. Who reads that, or writes to it, has
 * used a translation that he said to have flushed.
 */
#ifndef GUEST_SHOOTDOWN_TEMPLATE_H
#define GUEST_SHOOTDOWN_TEMPLATE_H

#define SD_PAGES	8
#define SD_FRAMES	12
#define SD_POISON	0xdeadbeef
#define SD_VECTOR	0x40
#define SD_ALL		(~(sd_addr_t)0)

#define APIC_BASE	0xfee00000u
#define APIC_EOI	0xb0
#define APIC_SVR	0xf0
#define APIC_ICR_LOW	0x300
#define APIC_ICR_HIGH	0x310

struct shootdown {
	sd_addr_t frame[SD_FRAMES];	/* the first SD_PAGES are mapped */
	sd_addr_t table[2];		/* the first is in use */
	sd_addr_t flush_va;		/* what the other CPU is to flush */
	u32 asked, done, ready, stop, stopped;
};

static struct shootdown sd;

static void apic_write(u32 reg, u32 value)
{
	*(volatile u32 *)(sd_addr_t)(APIC_BASE + reg) = value;
}

static void apic_on(void)
{
	apic_write(APIC_SVR, 0x1ff);
}

static void sd_frame_fill(sd_addr_t frame, u32 value)
{
	volatile u32 *p = (volatile u32 *)frame;

	p[0] = value;
	p[1] = value;
}

/* Nobody has written to a frame that is out of use. */
static void sd_frame_check(sd_addr_t frame)
{
	const volatile u32 *p = (const volatile u32 *)frame;

	SD_CHECK(p[0] == SD_POISON && p[1] == SD_POISON);
}

/* On the CPU that uses the pages. */
static bool sd_flush(void *regs)
{
	if (sd.flush_va == SD_ALL)
		write_cr3(read_cr3());
	else
		SD_INVLPG(sd.flush_va);
	WRITE_ONCE(sd.done, sd.asked);
	apic_write(APIC_EOI, 0);
	return true;
}

/* A page is between two frames. */
static bool sd_fault(void *regs)
{
	sd_addr_t va = read_cr2();

	return va >= SD_VA && va < SD_VA + SD_PAGES * PAGE_SIZE;
}

static void sd_use(void)
{
	u32 i, value;

	apic_on();
	sd_hook(SD_VECTOR, sd_flush);
	sd_hook(VEC_PF, sd_fault);
	WRITE_ONCE(sd.ready, 1);
	__asm__ volatile("sti");
	for (i = 0; !READ_ONCE(sd.stop); i++) {
		volatile u32 *p = (volatile u32 *)(SD_VA + i % SD_PAGES * PAGE_SIZE);

		value = p[0];
		SD_CHECK(value != SD_POISON);
		p[1] = i & 0xffff;
	}
	__asm__ volatile("cli");
	WRITE_ONCE(sd.stopped, 1);
}

static void sd_shoot(sd_addr_t va)
{
	if (va == SD_ALL)
		write_cr3(read_cr3());
	else
		SD_INVLPG(va);
	sd.flush_va = va;
	WRITE_ONCE(sd.asked, sd.asked + 1);
	apic_write(APIC_ICR_HIGH, 1 << 24);
	apic_write(APIC_ICR_LOW, 0x4000 | SD_VECTOR);
	SD_SPIN(&sd.done, sd.asked);
}

/* Page @i gets a frame that is out of use, and its own goes out of use. */
static void sd_move(u32 i)
{
	u32 spare = SD_PAGES + i % (SD_FRAMES - SD_PAGES);
	sd_addr_t old = sd.frame[i], new = sd.frame[spare];

	sd_frame_check(new);
	sd_frame_fill(new, 1 + i);
	sd_set(sd_pte(i), new | SD_FLAGS);
	sd_shoot(SD_VA + i * PAGE_SIZE);
	sd_frame_fill(old, SD_POISON);
	sd.frame[i] = new;
	sd.frame[spare] = old;
}

/* All pages move to another table; the old one becomes something else. */
static void sd_move_table(void)
{
	sd_addr_t old = sd.table[0];
	u32 i, *p;

	for (i = 0; i < PAGE_SIZE / 4; i++)
		((u32 *)sd.table[1])[i] = 0;
	sd_set(sd_pde(), 0);
	sd_shoot(SD_ALL);
	sd_set(sd_pde(), sd.table[1] | SD_TABLE_FLAGS);
	sd.table[0] = sd.table[1];
	sd.table[1] = old;
	for (i = 0; i < SD_PAGES; i++)
		sd_set(sd_pte(i), sd.frame[i] | SD_FLAGS);
	/* As entries these would lead to the frames that are out of use. */
	for (i = 0, p = (u32 *)old; i < PAGE_SIZE / 4; i++)
		p[i] = sd.frame[SD_PAGES + i % (SD_FRAMES - SD_PAGES)] | SD_FLAGS;
}

static void sd_edit(u32 ops)
{
	u32 i;

	for (i = 0; i < SD_FRAMES; i++)
		sd_frame_fill(sd.frame[i], i < SD_PAGES ? 1 + i : SD_POISON);
	for (i = 0; i < SD_PAGES; i++)
		sd_set(sd_pte(i), sd.frame[i] | SD_FLAGS);
	apic_on();
	SD_SPIN(&sd.ready, 1);
	for (i = 0; i < ops; i++) {
		sd_move(i % SD_PAGES);
		if (i % 4 == 3)
			sd_move_table();
	}
	WRITE_ONCE(sd.stop, 1);
	SD_SPIN(&sd.stopped, 1);
	for (i = 0; i < SD_FRAMES; i++) {
		if (i >= SD_PAGES)
			sd_frame_check(sd.frame[i]);
		sd_frame_fill(sd.frame[i], 0);
	}
}

#endif
