/* SPDX-License-Identifier: GPL-2.0 */
/* The guest image as data of the host program. */
	.section .rodata
	.balign	16
	.globl	guest_image, guest_image_end
guest_image:
	.incbin	"guest.bin"
guest_image_end:
	.byte	0
	.section .note.GNU-stack, "", @progbits
