// SPDX-License-Identifier: GPL-2.0
/* Shootdown interrupts in long mode, see shootdown_template.h; p32.c has the other modes. */
#include "rt.h"

typedef u64 sd_addr_t;

static u64 root, entered;

static u64 *sd_pte(u32 i)
{
	return pt_entry(root, TEST_VA + i * PAGE_SIZE, 1, true);
}

static u64 *sd_pde(void)
{
	return pt_entry(root, TEST_VA, 2, true);
}

static void sd_set(u64 *entry, u64 value)
{
	WRITE_ONCE(*entry, value);
}

static void sd_hook(u32 vector, bool (*hook)(void *regs))
{
	trap_set_hook(vector, (trap_hook)hook);
}

static void sd_spin(const u32 *word, u32 value)
{
	while (READ_ONCE(*word) != value)
		call(CALL_YIELD, 0, 0);
}

#define SD_VA		TEST_VA
#define SD_FLAGS	PTE_KERNEL
#define SD_TABLE_FLAGS	PTE_USER
#define SD_SPIN(word, value) sd_spin(word, value)
#define SD_CHECK(cond)	CHECK(cond)
#define SD_INVLPG(va)	invlpg(va)
#include "shootdown_template.h"

void payload_smp_shootdown(void)
{
	u32 i;

	if (this_cpu()->id) {
		spin_until(&entered, 1);
		write_cr3(root);
		sd_use();
		return;
	}
	root = space_create();
	for (i = 0; i < SD_FRAMES; i++)
		sd.frame[i] = data_alloc(1);
	sd_pte(0);
	sd.table[0] = *sd_pde() & PTE_ADDR;
	sd.table[1] = pt_alloc();
	write_cr3(root);
	WRITE_ONCE(entered, 1);
	sd_edit(ctl->ops);
	note(ctl->ops);
}
