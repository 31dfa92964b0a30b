/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Boot sector of the emulated test host.
 *
 * GRUB and a bzImage cost minutes in the emulator: BIOS reads go sector by
 * sector through real-mode code, and decompression is pure emulated work.
 * This one sector asks the BIOS for the memory map, enters long mode and pulls
 * an uncompressed kernel off the disk by ATA PIO, where one `rep insl`
 * moves a sector. mkdisk.c lays out the disk and fills in the table at the end.
 *
 *   0x07c00  this sector, the stack grows down from it
 *   0x09000  memory map, until boot_params has been read
 *   0x10000  boot_params, command line (PARAMS_* in layout.h)
 *   0x30000  page tables: PML4, PDPT with 1 GiB pages, identity
 */
#include "layout.h"

#define E820_BUF	0x9000
#define E820_SIZE	20
#define PML4		0x30000
#define PDPT		0x31000

#define ATA_DATA	0x1f0
#define ATA_COUNT	0x1f2
#define ATA_LBA0	0x1f3
#define ATA_LBA1	0x1f4
#define ATA_LBA2	0x1f5
#define ATA_DEVICE	0x1f6
#define ATA_COMMAND	0x1f7

	.text
	.code16
	.globl	_start
_start:
	cli
	cld
	xorl	%eax, %eax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	ljmp	$0, $memory_map

memory_map:
	movw	$E820_BUF, %di
	xorl	%ebx, %ebx
1:	movl	$0xe820, %eax
	movl	$0x534d4150, %edx		/* "SMAP" */
	movl	$E820_SIZE, %ecx
	int	$0x15
	jc	2f
	addw	$E820_SIZE, %di
	incb	e820_count
	testl	%ebx, %ebx
	jnz	1b
2:
	inb	$0x92, %al			/* A20 */
	orb	$2, %al
	outb	%al, $0x92

	movw	$(PML4 >> 4), %ax
	movw	%ax, %es
	xorw	%di, %di
	xorl	%eax, %eax
	movw	$(0x2000 / 4), %cx
	rep stosl
	movl	$(PDPT | 3), %es:0
	movw	$(PDPT - PML4), %di
	movb	$4, %cl
	movl	$0x83, %eax			/* present, writable, 1 GiB */
3:	movl	%eax, %es:(%di)
	addl	$0x40000000, %eax
	addw	$8, %di
	loop	3b

	lgdtl	gdt_pointer
	movl	$0x20, %eax			/* CR4.PAE */
	movl	%eax, %cr4
	movl	$PML4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx		/* EFER.LME */
	rdmsr
	orw	$0x100, %ax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000001, %eax		/* CR0.PG, CR0.PE */
	movl	%eax, %cr0
	ljmp	$0x10, $long_mode

	.code64
long_mode:
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$0x7c00, %esp

	movl	$segments, %esi
next_segment:
	lodsl
	movl	%eax, %ebx			/* first sector */
	lodsl
	movl	%eax, %ebp			/* number of sectors */
	lodsq
	movq	%rax, %rdi			/* destination */
	testl	%ebp, %ebp
	jz	start_kernel

next_command:
	movl	$256, %ecx
	cmpl	%ecx, %ebp
	cmovb	%ebp, %ecx
	subl	%ecx, %ebp
	call	wait_idle
	movw	$ATA_COUNT, %dx
	movl	%ecx, %eax			/* 256 is written as 0 */
	outb	%al, %dx
	movl	%ebx, %eax
	incl	%edx				/* ATA_LBA0 */
	outb	%al, %dx
	shrl	$8, %eax
	incl	%edx				/* ATA_LBA1 */
	outb	%al, %dx
	shrl	$8, %eax
	incl	%edx				/* ATA_LBA2 */
	outb	%al, %dx
	shrl	$8, %eax
	orb	$0xe0, %al			/* LBA addressing, master */
	incl	%edx				/* ATA_DEVICE */
	outb	%al, %dx
	movb	$0x20, %al			/* READ SECTORS */
	incl	%edx				/* ATA_COMMAND */
	outb	%al, %dx
	addl	%ecx, %ebx

next_sector:
	call	wait_idle
	testb	$0x21, %al			/* device fault, error */
	jnz	failed
	testb	$0x08, %al			/* data request */
	jz	next_sector
	pushq	%rcx
	movl	$128, %ecx
	movw	$ATA_DATA, %dx
	rep insl
	popq	%rcx
	loop	next_sector
	testl	%ebp, %ebp
	jnz	next_command
	jmp	next_segment

start_kernel:
	movl	$E820_BUF, %esi
	movl	$(PARAMS_ADDR + PARAMS_E820_TABLE), %edi
	movzbl	e820_count, %ecx
	movb	%cl, PARAMS_ADDR + PARAMS_E820_COUNT
	imull	$E820_SIZE, %ecx
	rep movsb
	movl	$PARAMS_ADDR, %esi
	movl	entry, %eax
	jmp	*%rax

failed:
	hlt
	jmp	failed

wait_idle:
	movw	$ATA_COMMAND, %dx
1:	inb	%dx, %al
	testb	$0x80, %al
	jnz	1b
	ret

	.balign	8
gdt:
	.quad	0, 0
	.quad	0x00af9b000000ffff		/* 0x10: 64-bit code */
	.quad	0x00cf93000000ffff		/* 0x18: data */
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.long	gdt
e820_count:
	.byte	0

	/* Filled in by mkdisk.c. */
	.org	BOOT_TABLE
entry:
	.long	0
segments:
	.skip	16 * (BOOT_SEGMENTS + 1)
	.org	510
	.word	0xaa55
