/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The smallest target: sleeps for ever, with one known word in its data and one
 * in a register. For 64 and for 32 bits.
 */
	.data
	.globl	word
word:	.long	0x50616e53
	.text
	.globl	_start
_start:
#ifdef __x86_64__
	mov	$0x50616e5350616e53, %rbx
1:	mov	$34, %eax		/* pause */
	syscall
#else
	mov	$0x50616e53, %ebx
1:	mov	$29, %eax		/* pause */
	int	$0x80
#endif
	jmp	1b
	.section .note.GNU-stack, "", @progbits
