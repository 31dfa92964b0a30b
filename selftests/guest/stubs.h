/* SPDX-License-Identifier: GPL-2.0 */
/* Trap entry points, 16 bytes each: vector and error code on the stack, then COMMON. */
#ifndef GUEST_STUBS_H
#define GUEST_STUBS_H

#ifdef __ASSEMBLY__
	.macro	trap_stubs common
	.set	vector, 0
	.rept	256
	.balign	16
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	push	$0
	.endif
	push	$vector
	jmp	\common
	.set	vector, vector + 1
	.endr
	.endm
#endif

#endif
