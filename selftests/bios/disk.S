/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A disk that SeaBIOS boots: real mode, the BIOS's services for disk, screen, memory
 * map and clock, big real mode, VGA text memory, 32-bit paging and back. It checks what
 * it did and says to port 0xF4 (isa-debug-exit) 0x10 for success, or the number of the
 * step that failed; to port 0xE9 (debugcon) what it does.
 *
 * Sector 0 loads itself and the next STAGE_SECTORS - 1; sectors from DATA_SECTOR on are
 * numbers, whose sum follows them; those from COPY_SECTOR on are written.
 */
#define STAGE_SECTORS	8
#define DATA_SECTOR	16
#define DATA_SECTORS	64
#define DATA_BYTES	(DATA_SECTORS * 512)
#define COPY_SECTOR	96
#define SECTORS		2048		/* SeaBIOS wants a whole cylinder */

#define BUFFER		0x10000		/* what is read from the disk */
#define HIGH		0x200000	/* its copy above 1 MiB */
#define DIRECTORY	0x60000		/* page tables */
#define TABLE		0x61000
#define WINDOW		0x800000	/* a linear address without memory of its own */

#define TEXT		0xb800
#define TICKS		0x46c		/* the BIOS counts its timer's interrupts here */

	.code16
	.text
	.globl _start
_start:
	ljmp	$0, $1f
1:	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	movb	%dl, drive
	movw	$stage_packet, %si
	movb	$0x42, %ah
	int	$0x13
	movb	$1, %bl
	jc	fail
	jmp	stage

/* %bl: the step that failed. */
fail:
	movw	$failed, %si
	call	say
	movb	%bl, %al
	outb	%al, $0xf4
1:	hlt
	jmp	1b

say:
	cld
1:	lodsb
	testb	%al, %al
	jz	2f
	outb	%al, $0xe9
	jmp	1b
2:	ret

drive:	.byte	0
failed:	.asciz	"bios: failed\n"
good:	.asciz	"bios: ok\n"

/* Where to, how much, from where: as INT 13h, AH=42h and 43h, want it. */
.macro packet sectors segment lba offset=0
	.byte	16, 0
	.word	\sectors, \offset, \segment
	.quad	\lba
.endm
	.balign	4
stage_packet:	packet	(STAGE_SECTORS - 1), 0, 1, 0x7e00
data_packet:	packet	DATA_SECTORS, (BUFFER >> 4), DATA_SECTOR
sum_packet:	packet	1, 0x5000, (DATA_SECTOR + DATA_SECTORS)
write_packet:	packet	DATA_SECTORS, (BUFFER >> 4), COPY_SECTOR
again_packet:	packet	DATA_SECTORS, 0x3000, COPY_SECTOR

	.org	510
	.word	0xaa55

/* step N: failures from here on are of this number. */
.macro step n
	movb	$\n, %bl
.endm

/* disk FUNCTION PACKET */
.macro disk function packet
	movw	$\packet, %si
	movb	$\function, %ah
	movb	drive, %dl
	int	$0x13
	jc	fail
.endm

stage:
	step	2
	disk	0x42 data_packet
	disk	0x42 sum_packet
	movw	$(BUFFER >> 4), %ax
	call	sum_segment
	movw	$0x5000, %ax
	movw	%ax, %ds
	movl	0, %eax
	xorw	%cx, %cx
	movw	%cx, %ds
	movl	%eax, sum
	cmpl	%eax, %edx
	jne	fail

	/* Cylinder, head and sector: the sixteenth sector is the first of the numbers. */
	step	3
	movw	$0x0201, %ax
	movw	$(DATA_SECTOR + 1), %cx
	xorw	%dx, %dx
	movb	drive, %dl
	pushw	$0x4000
	popw	%es
	pushw	%bx
	xorw	%bx, %bx
	int	$0x13
	popw	%bx
	jc	fail
	movw	$(BUFFER >> 4), %ax
	movw	%ax, %ds
	xorw	%si, %si
	xorw	%di, %di
	movw	$256, %cx
	cld
	repe	cmpsw
	pushw	$0
	popw	%ds
	pushw	$0
	popw	%es
	jne	fail

	step	4
	disk	0x43 write_packet
	disk	0x42 again_packet
	movw	$0x3000, %ax
	call	sum_segment
	cmpl	%edx, sum
	jne	fail

	step	5
	call	screen
	step	6
	call	memory_map
	step	7
	call	clock
	step	8
	call	big_real_mode
	step	9
	call	paging

	movw	$good, %si
	call	say
	movb	$0x10, %al
	outb	%al, $0xf4
1:	hlt
	jmp	1b

/* %edx: the sum of DATA_BYTES at segment %ax. */
sum_segment:
	pushw	%ds
	movw	%ax, %ds
	xorw	%si, %si
	xorl	%edx, %edx
	movw	$(DATA_BYTES / 4), %cx
	cld
1:	lodsl
	addl	%eax, %edx
	loop	1b
	popw	%ds
	ret

/* Text by the BIOS, by string instructions, and moved by the BIOS. */
screen:
	movw	$0x0003, %ax
	int	$0x10
	movb	$'U', %al
	call	put
	movb	$'m', %al
	call	put
	pushw	$TEXT
	popw	%es
	cmpb	$'U', %es:0
	jne	1f
	cmpb	$'m', %es:2
	jne	1f
	/* The second row: 80 cells from another row's copy of them. */
	cld
	movw	$160, %di
	movw	$0x1e41, %ax
	movw	$80, %cx
	rep	stosw
	pushw	%ds
	pushw	%es
	popw	%ds
	movw	$160, %si
	movw	$480, %di
	movw	$80, %cx
	rep	movsw
	orb	$0x20, %ds:480
	xorb	$0x01, %ds:482
	incb	%ds:484
	popw	%ds
	/* Up by one row, of four: the fourth becomes the third. */
	movw	$0x0601, %ax
	pushw	%bx
	movb	$0x07, %bh
	xorw	%cx, %cx
	movw	$0x034f, %dx
	int	$0x10
	popw	%bx
	cmpl	$0x1e401e61, %es:320
	jne	1f
	cmpl	$0x1e411e42, %es:324
	jne	1f
	movw	$328, %di
	movw	$0x1e41, %ax
	movw	$76, %cx
	repe	scasw
	jne	1f
	pushw	$0
	popw	%es
	ret
1:	pushw	$0
	popw	%es
	jmp	fail

put:
	pushw	%bx
	movb	$0x0e, %ah
	movw	$0x0007, %bx
	int	$0x10
	popw	%bx
	ret

/* INT 15h, AX=E820h: at least 64 MiB are usable. */
memory_map:
	movb	%bl, failing
	xorl	%ebx, %ebx
	movl	%ebx, usable
1:	movl	$0xe820, %eax
	movl	$0x534d4150, %edx
	movl	$24, %ecx
	movw	$entry, %di
	int	$0x15
	jc	2f
	cmpl	$0x534d4150, %eax
	jne	3f
	cmpl	$1, entry + 16
	jne	4f
	movl	entry + 8, %eax
	addl	%eax, usable
4:	testl	%ebx, %ebx
	jnz	1b
2:	cmpl	$(64 << 20), usable
	jb	3f
	movb	failing, %bl
	ret
3:	movb	failing, %bl
	jmp	fail

/* Three interrupts of the timer, and a wait that the BIOS does by the clock chip. */
clock:
	sti
	movl	TICKS, %eax
	addl	$3, %eax
1:	hlt
	cmpl	%eax, TICKS
	jb	1b
	movb	$0x86, %ah
	xorw	%cx, %cx
	movw	$2000, %dx
	int	$0x15
	jc	fail
	movb	$2, %ah
	int	$0x1a
	jc	fail
	ret

/* Segments of 4 GiB, loaded in protected mode, stay so in real mode. */
big_real_mode:
	cli
	inb	$0x92, %al
	orb	$2, %al
	andb	$0xfe, %al
	outb	%al, $0x92
	lgdtl	gdt_register
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	movw	$0x10, %cx
	movw	%cx, %ds
	movw	%cx, %es
	andb	$0xfe, %al
	movl	%eax, %cr0
	xorw	%cx, %cx
	movw	%cx, %ds
	movw	%cx, %es
	cld
	movl	$BUFFER, %esi
	movl	$HIGH, %edi
	movl	$(DATA_BYTES / 4), %ecx
	addr32 rep movsl
	sti
	/* The BIOS keeps its interrupts from undoing it. */
	hlt
	cli
	movl	$HIGH, %esi
	movl	$(DATA_BYTES / 4), %ecx
	xorl	%edx, %edx
1:	addr32 lodsl
	addl	%eax, %edx
	addr32 loop 1b
	cmpl	%edx, sum
	jne	fail
	ret

/* A directory with one large page and a table, which shows the copy at WINDOW. */
paging:
	cli
	movl	$DIRECTORY, %edi
	xorl	%eax, %eax
	movl	$2048, %ecx
	addr32 rep stosl
	movl	$DIRECTORY, %edi
	addr32 movl $0x83, (%edi)
	addr32 movl $(TABLE + 3), (WINDOW >> 22) * 4(%edi)
	movl	$TABLE, %edi
	movl	$(HIGH + 3), %eax
	movl	$(DATA_BYTES / 4096), %ecx
1:	addr32 stosl
	addl	$4096, %eax
	addr32 loop 1b
	movl	%cr4, %eax
	orb	$0x10, %al
	movl	%eax, %cr4
	movl	$DIRECTORY, %eax
	movl	%eax, %cr3
	movl	%cr0, %eax
	orl	$0x80000001, %eax
	movl	%eax, %cr0
	ljmp	$0x08, $paged

	.code32
paged:
	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$WINDOW, %esi
	movl	$(DATA_BYTES / 4), %ecx
	xorl	%edx, %edx
1:	lodsl
	addl	%eax, %edx
	loop	1b
	/* Another page in the first one's place, seen after INVLPG. */
	movl	$(HIGH + 4096 + 3), TABLE
	invlpg	WINDOW
	movl	WINDOW, %eax
	xorl	HIGH + 4096, %eax
	addl	%eax, %edx
	/* Writes through the window are in the memory behind it. */
	movl	$0x12345678, WINDOW + 16
	movl	HIGH + 4096 + 16, %eax
	xorl	$0x12345678, %eax
	addl	%eax, %edx
	ljmp	$0x18, $1f

	.code16
1:	movw	$0x20, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	%cr0, %eax
	andl	$0x7ffffffe, %eax
	movl	%eax, %cr0
	ljmp	$0, $2f
2:	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	xorl	%eax, %eax
	movl	%eax, %cr3
	sti
	cmpl	%edx, sum
	jne	fail
	ret

	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* 32-bit code */
	.quad	0x00cf93000000ffff	/* 4 GiB of data */
	.quad	0x00009b000000ffff	/* real mode's code */
	.quad	0x000093000000ffff	/* and data */
gdt_register:
	.word	. - gdt - 1
	.long	gdt
	.balign	4
sum:	.long	0
usable:	.long	0
entry:	.skip	24
failing: .byte	0

	.org	STAGE_SECTORS * 512

	.org	DATA_SECTOR * 512
	.set	number, 1
	.set	total, 0
	.rept	DATA_BYTES / 4
	.set	number, (number * 1103515245 + 12345) & 0x7fffffff
	.set	total, (total + number) & 0xffffffff
	.long	number
	.endr
	.long	total
	.org	SECTORS * 512
