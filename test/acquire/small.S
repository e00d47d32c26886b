/* SPDX-License-Identifier: MIT */
/*
 * small: a process of some pages without a C library, for evidence of some tens
 * of KiB. With an argument it has 3 MiB more, no two words of which are equal.
 * Prints a line when it is ready, then sleeps until its parent has ended.
 */
	.globl _start
	.bss
	.balign 4096
room:	.skip 3 << 20

	.data
line:	.ascii "ready\n"

	.text
_start:	mov $157, %eax		/* prctl(PR_SET_PDEATHSIG, SIGKILL) */
	mov $1, %edi
	mov $9, %esi
	syscall
	cmpq $1, (%rsp)
	je 2f
	lea room(%rip), %rdi
	xor %ecx, %ecx
1:	lea 1(%rcx), %rax
	mov %rax, (%rdi, %rcx, 8)
	mov %rax, %rcx
	cmp $(3 << 20) / 8, %rcx
	jb 1b
2:	mov $1, %eax		/* write(1, line, 6) */
	mov $1, %edi
	lea line(%rip), %rsi
	mov $6, %edx
	syscall
3:	mov $34, %eax		/* pause() */
	syscall
	jmp 3b

	.section .note.GNU-stack, "", @progbits
