/* SPDX-License-Identifier: GPL-2.0 */
/* What boot.S and mkdisk.c agree on. */
#ifndef TESTHOST_LAYOUT_H
#define TESTHOST_LAYOUT_H

#define SECTOR_SIZE		512

/* In the boot sector: u32 entry, then (u32 lba, u32 sectors, u64 address) per segment. */
#define BOOT_SEGMENTS		3
#define BOOT_TABLE		(510 - 4 - 16 * (BOOT_SEGMENTS + 1))

#define PARAMS_ADDR		0x10000
#define CMDLINE_ADDR		0x11000
#define PARAMS_SIZE		0x2000		/* boot_params and command line */

/* Offsets in boot_params that the boot sector fills in from the BIOS. */
#define PARAMS_E820_COUNT	0x1e8
#define PARAMS_E820_TABLE	0x2d0

#define KERNEL_ADDR		0x1000000
/* Above any kernel with its bss, below the smallest memory size allowed. */
#define INITRD_ADDR		0x8000000

#endif
