/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VM entry and VM exit.
 *
 *	bool umbra_vmx_enter(unsigned long *host_rsp, unsigned long *regs,
 *			     bool launched)
 *
 * Loads the guest's general registers from @regs (in encoding order; RSP is in
 * the VMCS), enters the guest, stores them again on exit. Interrupts are off.
 * Returns true when the entry instruction failed and no guest code ran.
 *
 * HOST_RSP has to point at the saved @regs below; it is written only when
 * @host_rsp, what the VMCS holds, is not where the stack is now.
 */
#include <linux/linkage.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>
#include <asm/unwind_hints.h>

#define HOST_RSP_FIELD	0x6c14
#define REG(n)		(8 * (n))

.section .text, "ax"

SYM_FUNC_START(umbra_vmx_enter)
	push	%rbp
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbx
	push	%rsi

	cmp	(%rdi), %rsp
	je	.Lstack_known
	mov	$HOST_RSP_FIELD, %eax
.Lvmwrite:
	vmwrite	%rsp, %rax
	jbe	.Lfailed
	_ASM_EXTABLE(.Lvmwrite, .Lfailed)
	mov	%rsp, (%rdi)
.Lstack_known:

	mov	%rsi, %rax
	cmp	$1, %dl			/* CF: not launched; survives VERW */

	mov	REG(1)(%rax), %rcx
	mov	REG(2)(%rax), %rdx
	mov	REG(3)(%rax), %rbx
	mov	REG(5)(%rax), %rbp
	mov	REG(6)(%rax), %rsi
	mov	REG(7)(%rax), %rdi
	mov	REG(8)(%rax), %r8
	mov	REG(9)(%rax), %r9
	mov	REG(10)(%rax), %r10
	mov	REG(11)(%rax), %r11
	mov	REG(12)(%rax), %r12
	mov	REG(13)(%rax), %r13
	mov	REG(14)(%rax), %r14
	mov	REG(15)(%rax), %r15
	mov	REG(0)(%rax), %rax

	VM_CLEAR_CPU_BUFFERS

	/*
	 * Each failed entry sets CF or ZF, so that a jbe below is taken
	 * whenever it is reached; a successful entry goes on at the exit point.
	 */
	jnc	.Lresume
.Lvmlaunch:
	vmlaunch
	jbe	.Lfailed
.Lresume:
	vmresume
	jbe	.Lfailed
	_ASM_EXTABLE(.Lvmlaunch, .Lfailed)
	_ASM_EXTABLE(.Lresume, .Lfailed)

SYM_INNER_LABEL(umbra_vmx_exit_point, SYM_L_GLOBAL)
	ANNOTATE_NOENDBR
	push	%rax
	mov	8(%rsp), %rax
	mov	%rcx, REG(1)(%rax)
	mov	%rdx, REG(2)(%rax)
	mov	%rbx, REG(3)(%rax)
	mov	%rbp, REG(5)(%rax)
	mov	%rsi, REG(6)(%rax)
	mov	%rdi, REG(7)(%rax)
	mov	%r8, REG(8)(%rax)
	mov	%r9, REG(9)(%rax)
	mov	%r10, REG(10)(%rax)
	mov	%r11, REG(11)(%rax)
	mov	%r12, REG(12)(%rax)
	mov	%r13, REG(13)(%rax)
	mov	%r14, REG(14)(%rax)
	mov	%r15, REG(15)(%rax)
	pop	REG(0)(%rax)
	xor	%eax, %eax

.Lout:
	/* Guest values must not be used speculatively by the host. */
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%ebx, %ebx
	xor	%ebp, %ebp
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d

	/* Nor may host returns follow what the guest left in the RSB. */
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT,\
			   X86_FEATURE_RSB_VMEXIT_LITE
	CLEAR_BRANCH_HISTORY_VMEXIT

	/*
	 * The guest could train the host's branches: kernel IBRS takes effect anew,
	 * before the first return.
	 */
	ALTERNATIVE "jmp .Librs_done", "", X86_FEATURE_KERNEL_IBRS
	mov	%eax, %ebx
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	mov	PER_CPU_VAR(x86_spec_ctrl_current), %rdx
	mov	%edx, %eax
	shr	$32, %rdx
	wrmsr
	mov	%ebx, %eax
.Librs_done:

	pop	%rsi
	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
	RET

.Lfailed:
	mov	$1, %eax
	jmp	.Lout
SYM_FUNC_END(umbra_vmx_enter)
