/* SPDX-License-Identifier: GPL-2.0 */
/* Guests without paging: flat 32-bit, real mode, and round trips between all modes. */
#define __ASSEMBLY__
#include "proto.h"

#define REAL_DATA_SEG	0x7000
#define ROUND_TRIPS	8
#define BOOT_CR3	0x2000		/* UVMM_BOOT_CR3 */
#define EFER		0xc0000080
#define SEL_CODE64	0x08
#define SEL_DATA	0x10
#define SEL_CODE32	0x18
#define SEL_CODE16	0x20
#define SEL_DATA16	0x28

/* EAX = next pseudo-random number. */
	.macro	next_random
	imul	$1664525, %eax, %eax
	add	$1013904223, %eax
	.endm

/* EDX = EDX mixed with EAX. */
	.macro	mix
	xor	%eax, %edx
	imul	$0x01000193, %edx, %edx
	rol	$5, %edx
	.endm

	.macro	done
	mov	$GUEST_CALL_DONE, %eax
	mov	$GUEST_PORT_CALL, %dx
	outl	%eax, %dx
	hlt
	.endm

/* Fill four pages of the data pool with numbers, read them back into a sum. */
	.text
	.code32
	.globl	start_prot
start_prot:
	mov	$GUEST_DATA_GPA, %edi
	mov	$4096, %ecx
	mov	$1, %eax
1:	mov	%eax, (%edi)
	next_random
	add	$4, %edi
	dec	%ecx
	jnz	1b
	mov	$GUEST_DATA_GPA, %esi
	mov	$4096, %ecx
	xor	%edx, %edx
1:	lodsl
	mix
	loop	1b
	call	push_and_pop
	mov	%edx, GUEST_CTL_GPA + GUEST_CTL_SUM
	done

/* The stack works too. */
push_and_pop:
	push	%edx
	mov	(%esp), %eax
	pop	%ecx
	cmp	%eax, %ecx
	jne	0f
	ret
0:	ud2

	.section .text16, "ax"
	.code16
	.globl	start_real
start_real:
	cmp	$GUEST_ARG_SWITCH, %di
	je	mode_switch

	/* Vectors 0 and 0x21 of the real-mode table. */
	xor	%ax, %ax
	mov	%ax, %ds
	movw	$(divide_error - GUEST_IMAGE_GPA), 0
	movw	$(GUEST_IMAGE_GPA >> 4), 2
	movw	$(software_int - GUEST_IMAGE_GPA), 0x84
	movw	$(GUEST_IMAGE_GPA >> 4), 0x86

	mov	$REAL_DATA_SEG, %ax
	mov	%ax, %es
	mov	%ax, %ds
	xor	%di, %di
	mov	$8192, %cx
	mov	$7, %eax
1:	stosl
	next_random
	loop	1b
	xor	%si, %si
	mov	$8192, %cx
	xor	%edx, %edx
1:	lodsl
	mix
	loop	1b
	xor	%ebp, %ebp
	int	$0x21
	push	%edx
	xor	%bx, %bx
	mov	$1, %ax
	xor	%dx, %dx
	div	%bx			/* the handler skips these two bytes */
	pop	%edx
	mov	%ebp, %eax
	mix
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%edx, GUEST_CTL_GPA + GUEST_CTL_SUM
	done

divide_error:
	push	%bp
	mov	%sp, %bp
	addw	$2, 2(%bp)
	pop	%bp
	or	$0x100, %ebp
	iret

software_int:
	or	$0x21, %ebp
	iret

/* EBX counts the round trips, EDX is the sum; both live through every mode. */
mode_switch:
	mov	$ROUND_TRIPS, %ebx
	xor	%edx, %edx
real_again:
	mov	$(GUEST_IMAGE_GPA >> 4), %ax
	mov	%ax, %ds
	mov	$0x16, %eax
	mix
	lgdtl	mode_gdt_desc - GUEST_IMAGE_GPA
	test	$1, %bl
	jz	one_step
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$SEL_CODE32, $in_prot

/* Real mode to long mode at once: it goes on for a while with real-mode segments. */
one_step:
	mov	%cr4, %eax
	or	$0x20, %eax
	mov	%eax, %cr4
	mov	$BOOT_CR3, %eax
	mov	%eax, %cr3
	mov	%edx, %esi
	mov	$EFER, %ecx
	rdmsr
	or	$0x900, %eax
	wrmsr
	mov	%cr0, %eax
	or	$0x80010001, %eax
	mov	%eax, %cr0
	mov	$1000, %ecx
1:	movl	%es:(%ecx), %eax
	loopl	1b
	ljmpl	$SEL_CODE64, $one_step_done

back_in_prot16:
	mov	$SEL_DATA16, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	%cr0, %eax
	and	$~1, %al
	mov	%eax, %cr0
	ljmp	$(GUEST_IMAGE_GPA >> 4), $(back_in_real - GUEST_IMAGE_GPA)
back_in_real:
	xor	%ax, %ax
	mov	%ax, %ss
	mov	$0x1000, %sp
	jmp	real_again

	.balign	8
mode_gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* SEL_CODE64 */
	.quad	0x00cf93000000ffff	/* SEL_DATA */
	.quad	0x00cf9b000000ffff	/* SEL_CODE32 */
	.quad	0x00009b010000ffff	/* SEL_CODE16, based at the image */
	.quad	0x000093000000ffff	/* SEL_DATA16 */
mode_gdt_desc:
	.word	. - mode_gdt - 1
	.long	mode_gdt

	.text
	.code32
in_prot:
	mov	$SEL_DATA, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$0x8000, %esp
	mov	$0x32, %eax
	mix
	mov	%edx, %esi
	mov	%cr4, %eax
	or	$0x20, %eax
	mov	%eax, %cr4
	mov	$BOOT_CR3, %eax
	mov	%eax, %cr3
	mov	$EFER, %ecx
	rdmsr
	or	$0x900, %eax		/* LME, NXE */
	wrmsr
	mov	%cr0, %eax
	or	$0x80010000, %eax	/* PG, WP */
	mov	%eax, %cr0
	ljmp	$SEL_CODE64, $in_long

	.code64
one_step_done:
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$0x8000, %esp
in_long:
	mov	$GUEST_CALL_PAGED, %eax
	mov	$GUEST_PORT_CALL, %dx
	outl	%eax, %dx
	mov	%esi, %edx
	mov	$0x64, %eax
	mix
	dec	%ebx
	jnz	leave_long
	mov	%rdx, GUEST_CTL_GPA + GUEST_CTL_SUM
	xor	%edi, %edi
	jmp	start_long

leave_long:
	pushq	$SEL_CODE32
	pushq	$back_in_prot
	lretq

	.code32
back_in_prot:
	mov	%edx, %esi
	mov	%cr0, %eax
	and	$0x7fffffff, %eax
	mov	%eax, %cr0
	mov	$EFER, %ecx
	rdmsr
	and	$~0x900, %eax
	wrmsr
	mov	%cr4, %eax
	and	$~0x20, %eax
	mov	%eax, %cr4
	mov	%esi, %edx
	mov	$0x33, %eax
	mix
	ljmp	$SEL_CODE16, $(back_in_prot16 - GUEST_IMAGE_GPA)

	.section .note.GNU-stack, "", @progbits
