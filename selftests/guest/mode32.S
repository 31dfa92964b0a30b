/* SPDX-License-Identifier: GPL-2.0 */
/* From long mode to 32-bit code and back; traps of 32-bit code. */
#define __ASSEMBLY__
#include "proto.h"
#include "stubs.h"
#include "mode32.h"

#define MSR_EFER	0xc0000080
#define SEL_CODE64	0x08
#define SEL_DATA	0x10
#define SEL_CODE32	0x18
#define SEL_UDATA	0x23
#define SEL_UCODE	0x2b
#define STACK_SIZE	(1 << GUEST_STACK_SHIFT)

	.text
	.code64
/* void mode32_enter(struct mode32 *m); m is below 4 GiB */
	.globl	mode32_enter
mode32_enter:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%edi, %ebx
	mov	%esp, M32_RSP(%rbx)
	mov	%cr0, %rax
	mov	%eax, M32_OLD_CR0(%rbx)
	mov	%cr3, %rax
	mov	%eax, M32_OLD_CR3(%rbx)
	mov	%cr4, %rax
	mov	%eax, M32_OLD_CR4(%rbx)
	mov	$MSR_EFER, %ecx
	rdmsr
	mov	%eax, M32_OLD_EFER(%rbx)
	pushq	$SEL_CODE32
	pushq	$in_compat
	lretq

	.code32
in_compat:
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	%cr0, %eax
	and	$0x7fffffff, %eax
	mov	%eax, %cr0
	mov	$MSR_EFER, %ecx
	xor	%edx, %edx
	mov	M32_EFER(%ebx), %eax
	wrmsr
	mov	M32_CR4(%ebx), %eax
	mov	%eax, %cr4
	mov	M32_CR3(%ebx), %eax
	mov	%eax, %cr3
	mov	M32_ESP(%ebx), %esp
	mov	M32_CR0(%ebx), %eax
	mov	%eax, %cr0
	pushl	M32_ARG(%ebx)
	call	*M32_FN(%ebx)
	mov	%eax, M32_RESULT(%ebx)
	mov	%cr0, %eax
	and	$0x7fffffff, %eax
	mov	%eax, %cr0
	mov	M32_OLD_CR4(%ebx), %eax
	mov	%eax, %cr4
	mov	M32_OLD_CR3(%ebx), %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	xor	%edx, %edx
	mov	M32_OLD_EFER(%ebx), %eax
	and	$~0x400, %eax		/* LMA */
	wrmsr
	mov	M32_OLD_CR0(%ebx), %eax
	mov	%eax, %cr0
	ljmp	$SEL_CODE64, $back_in_long

	.code64
back_in_long:
	mov	%ebx, %ebx
	mov	M32_RSP(%rbx), %esp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.code32
/* u32 guarded32(fn, a, b): as guarded(), see entry.S */
	.globl	_guarded32, _unwind32
_guarded32:
	push	%ebx
	push	%ebp
	push	%esi
	push	%edi
	mov	%esp, %ebx
	and	$-STACK_SIZE, %ebx
	pushl	(%ebx)
	mov	%esp, (%ebx)
	mov	24(%esp), %eax
	mov	28(%esp), %ecx
	mov	32(%esp), %edx
	push	%edx
	push	%ecx
	call	*%eax
	add	$8, %esp
	mov	%eax, 4(%ebx)
	xor	%eax, %eax
guarded32_out:
	mov	%esp, %ebx
	and	$-STACK_SIZE, %ebx
	popl	(%ebx)
	pop	%edi
	pop	%esi
	pop	%ebp
	pop	%ebx
	ret

/* void unwind32(esp, result): end the innermost guarded32() */
_unwind32:
	mov	8(%esp), %eax
	mov	4(%esp), %esp
	jmp	guarded32_out

/* void user_enter32(eip, esp): to CPL 3; comes back only as a trap */
	.globl	_user_enter32
_user_enter32:
	mov	4(%esp), %ecx
	mov	8(%esp), %edx
	mov	$SEL_UDATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	push	%eax
	push	%edx
	pushl	$2
	pushl	$SEL_UCODE
	push	%ecx
	iret

	.balign	16
	.globl	_trap_stubs32
_trap_stubs32:
	trap_stubs trap_common32

trap_common32:
	cld
	pusha
	push	%ds
	push	%es
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	push	%esp
	call	_trap32
	add	$4, %esp
	pop	%es
	pop	%ds
	popa
	add	$8, %esp
	iret

/* User code, mapped at USER32_CODE_VA: return to the kernel with EAX as the value. */
	.section .user32, "ax"
	.globl	_user_exit32
_user_exit32:
	int	$0x80

	.bss
	.balign	4096
	.globl	_user_stack32
_user_stack32:
	.skip	4096
	.balign	STACK_SIZE
	.globl	stacks32
stacks32:
	.skip	STACK_SIZE * GUEST_MAX_CPUS

	.section .note.GNU-stack, "", @progbits
