/* SPDX-License-Identifier: MIT */
/*
 * turns(): a loop that keeps known values in its registers and looks at them
 * again in each turn. All of it is assembly, so that they are known at every
 * instruction, in system calls too:
 *	rbx	turns so far; first counted in *total, by all, then stored in *own
 *	r12-r15	general[0..3]
 *	ymm1-15	vector[1..15], where the processor has AVX
 * It has a frame pointer, and its caller wants nothing else: code that "leave"s
 * in its name and returns gets on with the program.
 */
#ifndef TURNS_H
#define TURNS_H

#include "target.h"

struct turns {
	uint64_t general[4];
	uint64_t vector[16][4];		/* at 32 */
	volatile uint64_t *total;	/* at 544 */
	volatile uint64_t *own;		/* 552 */
	long	call;			/* 560: a system call in each turn; -1: none */
	long	argument[2];		/* 568 */
	volatile long result;		/* 584: what it returned */
	volatile long bad;		/* 592: turns that found another value */
	long	avx;			/* 600 */
	volatile long tid;		/* 608 */
};

void turns(struct turns *turns, uint64_t count);
extern char turns_loop[], turns_end[];

__asm__(
"	.text\n"
"turns:	push %rbp\n"
"	mov %rsp, %rbp\n"
"	push %rbx\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n	push %rdi\n"
"	mov %rdi, %r8\n"
"	mov %rsi, %r9\n"
"	mov 552(%r8), %rax\n"
"	mov (%rax), %rbx\n"
"	mov (%r8), %r12\n	mov 8(%r8), %r13\n	mov 16(%r8), %r14\n	mov 24(%r8), %r15\n"
"	cmpq $0, 600(%r8)\n"
"	je 7f\n"
"	.irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
"	vmovdqu 32 + 32 * \\n(%r8), %ymm\\n\n"
"	.endr\n"
"7:	call 6f\n"
"	mov (%rsp), %rdi\n"
"	cmpq $0, 600(%rdi)\n"
"	je 5f\n"
"	vzeroupper\n"
"5:	pop %rdi\n	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbx\n"
"	pop %rbp\n"
"	ret\n"
"6:	push %rbp\n"
"	mov %rsp, %rbp\n"
"turns_loop:\n"
"	mov 544(%r8), %rax\n"
"	lock incq (%rax)\n"
"	inc %rbx\n"
"	mov 552(%r8), %rax\n"
"	mov %rbx, (%rax)\n"
"	mov 560(%r8), %rax\n"
"	test %rax, %rax\n"
"	js 2f\n"
"	mov 568(%r8), %rdi\n"
"	mov 576(%r8), %rsi\n"
"	syscall\n"
"	mov %rax, 584(%r8)\n"
"2:	cmp (%r8), %r12\n	jne 3f\n"
"	cmp 8(%r8), %r13\n	jne 3f\n"
"	cmp 16(%r8), %r14\n	jne 3f\n"
"	cmp 24(%r8), %r15\n	jne 3f\n"
"	cmpq $0, 600(%r8)\n"
"	je 4f\n"
"	.irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
"	vxorps 32 + 32 * \\n(%r8), %ymm\\n, %ymm0\n"
"	vptest %ymm0, %ymm0\n"
"	jne 3f\n"
"	.endr\n"
"	jmp 4f\n"
"3:	incq 592(%r8)\n"
"4:	dec %r9\n"
"	jne turns_loop\n"
"turns_end:\n"
"	leave\n"
"	ret\n"
);

/* The values of thread number @index; the tests compute the same. */
static inline void set_turns(struct turns *turns, uint64_t index)
{
	turns->avx = __builtin_cpu_supports("avx") != 0;
	turns->call = -1;
	for (uint64_t i = 0; i < 4; i++)
		turns->general[i] = 0x1111111111111111 * (i + 1) + index;
	for (uint64_t i = 1; i < 16; i++)
		for (uint64_t lane = 0; lane < 4; lane++)
			turns->vector[i][lane] = 0xabcd000000000000 | index << 16 | i << 8 | lane;
}

#endif
