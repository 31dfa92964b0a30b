/* SPDX-License-Identifier: GPL-2.0 */
/* Entry points, trap stubs, guarded calls, the way to user mode. */
#define __ASSEMBLY__
#include "proto.h"
#include "stubs.h"

#define CPU_JUMP	0
#define CPU_VALUE	8
#define STACK_SIZE	(1 << GUEST_STACK_SHIFT)

	.section .head, "ax"
	.quad	start_long
	.quad	start_prot
	.quad	start_real

	.text
	.code64
	.globl	start_long
start_long:				/* RDI = CPU number */
	mov	%rdi, %rax
	inc	%rax
	shl	$GUEST_STACK_SHIFT, %rax
	lea	stacks(%rax), %rsp
	xor	%ebp, %ebp
	call	guest_main
0:	hlt
	jmp	0b

/*
 * u64 guarded(fn, a, b): call fn(a, b). Returns 0 with the result in cpu->value,
 * or, when a trap that no hook took ended it, the vector plus one.
 */
	.globl	guarded
guarded:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %rbx
	and	$-STACK_SIZE, %rbx
	pushq	CPU_JUMP(%rbx)
	mov	%rsp, CPU_JUMP(%rbx)
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	call	*%rax
	mov	%rax, CPU_VALUE(%rbx)
	xor	%eax, %eax
	.globl	guarded_out
guarded_out:				/* RAX = result, RSP = cpu->jump */
	mov	%rsp, %rbx
	and	$-STACK_SIZE, %rbx
	popq	CPU_JUMP(%rbx)
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

/* u64 user_enter(rip, arg): to CPL 3; comes back only as a trap. */
	.globl	user_enter
user_enter:
	pushq	$0x23			/* SEL_UDATA | 3 */
	movabs	$0x80c0000ff8, %rax	/* USER_STACK_VA, return address on top */
	pushq	%rax
	pushq	user_rflags
	pushq	$0x2b			/* SEL_UCODE | 3 */
	pushq	%rdi
	mov	%rsi, %rdi
	iretq

	.balign	16
	.globl	trap_stubs
trap_stubs:
	trap_stubs trap_common

trap_common:
	cld
	push	%rax
	push	%rbx
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%rbp
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %rdi
	call	trap
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rbp
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rbx
	pop	%rax
	add	$16, %rsp
	iretq

/* User code: return to the kernel with RAX as the value. */
	.section .user, "ax"
	.globl	user_exit
user_exit:
	mov	%rax, %rdi
	int	$0x80

	.bss
	.balign	4096
	.globl	user_stack
user_stack:
	.skip	4096
	.balign	STACK_SIZE
	.globl	stacks
stacks:
	.skip	STACK_SIZE * GUEST_MAX_CPUS

	.section .note.GNU-stack, "", @progbits
