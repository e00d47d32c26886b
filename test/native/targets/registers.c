// SPDX-License-Identifier: MIT
/*
 * registers [THREADS]: each thread keeps known values in all of its general
 * registers and in 14 vector registers, and looks at them all the time. Words:
 * 1 rounds, 2 threads that found another value, 3 set: enough; from 16 on the
 * threads' tids. Thread number n (from 0) has 0x5000 + n in r12, r13 and r14,
 * and in all four words of ymm0.
 */
#include <pthread.h>
#include "target.h"

static uint64_t pattern[14][4] __attribute__((aligned(32)));

#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13)
#define LOAD(n) "vmovdqa " #n "*32(%%rbx), %%ymm" #n "\n"
#define LOOK(n) "vpxor " #n "*32(%%rbx), %%ymm" #n ", %%ymm14\n vptest %%ymm14, %%ymm14\n jnz 9f\n"
#define SET(reg, value) "movq $" #value ", %%" #reg "\n"
#define SAME(reg, value) "cmpq $" #value ", %%" #reg "\n jne 9f\n"
#define ALL(X) X(rax, 0x1101) X(rcx, 0x1102) X(rdx, 0x1103) X(r8, 0x1105) \
	X(r9, 0x1106) X(r10, 0x1107) X(r11, 0x1108) X(rbp, 0x1109)

/* 1: a register changed; 0: the test said that it was enough. */
static __attribute__((noinline)) int64_t look(uint64_t id, void *patterns)
{
	register volatile int64_t *words asm("r15") = word;
	int64_t changed;

	asm volatile("lea -128(%%rsp), %%rsp\n push %%rbp\n"
		     "mov %%rsi, %%r12\n mov %%rsi, %%r13\n mov %%rsi, %%r14\n"
		     "vmovq %%rsi, %%xmm0\n vpbroadcastq %%xmm0, %%ymm0\n vmovdqa %%ymm0, (%%rbx)\n"
		     EACH(LOAD)
		     ALL(SET)
		     "1:	cmpq %%rsi, %%r12\n jne 9f\n cmpq %%rsi, %%r13\n jne 9f\n cmpq %%rsi, %%r14\n jne 9f\n"
		     ALL(SAME)
		     EACH(LOOK)
		     "lock incq 8(%%r15)\n"
		     "cmpq $0, 24(%%r15)\n je 1b\n"
		     "movq $0, %%rdi\n jmp 8f\n"
		     "9:	movq $1, %%rdi\n"
		     "8:	pop %%rbp\n lea 128(%%rsp), %%rsp\n"
		     : "=&D"(changed) : "S"(id), "b"(patterns), "r"(words)
		     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "memory", "cc",
		       "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
		       "xmm12", "xmm13", "xmm14");
	return changed;
}

static void *work(void *arg)
{
	uint64_t own[14][4] __attribute__((aligned(32))), id = (uint64_t)arg;

	memcpy(own, pattern, sizeof(own));
	word[16 + id] = gettid();
	if (look(0x5000 + id, own))
		add(2, 1);
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 1;
	pthread_t thread[64];

	if (!__builtin_cpu_supports("avx2")) {
		puts("this processor has no AVX2");
		return 0;
	}
	for (int i = 0; i < 14 * 4; i++)
		pattern[i / 4][i % 4] = 0x0123456789abcdefULL * (i + 1);
	for (long i = 1; i < threads; i++)
		need(!pthread_create(&thread[i], NULL, work, (void *)i), "pthread_create");
	ready();
	work(NULL);
	for (int i = 1; i < threads; i++)
		pthread_join(thread[i], NULL);
	puts("done");
}
