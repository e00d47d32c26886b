// SPDX-License-Identifier: GPL-2.0
/* Threads that count in registers and in memory, each step known. */
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "registers.h"

/* void hot(page, tid): the steps of one round, each of one instruction. */
#define PROLOGUE(name)							\
	".globl " name "\n" name ":\n"					\
	"	mov %rdi, %r14\n"					\
	"	mov %rsi, %r15\n"					\
	"	xor %r12, %r12\n"					\
	"	xor %r13, %r13\n"					\
	"	pxor %xmm7, %xmm7\n"

asm(".text\n"
PROLOGUE("hot")
"hot_1:	add $1, %r12\n"
"hot_2:	mov %r12, (%r14)\n"
"hot_3:	mov %r12, %r13\n"
"hot_4:	movq %r12, %xmm7\n"
"hot_5:	nop\n"
"hot_6:	mov %r13, 64(%r14)\n"
"hot_7:	jmp hot_1\n"
PROLOGUE("hot_avx")
"	vpxor %ymm8, %ymm8, %ymm8\n"
"hot_avx_1:	add $1, %r12\n"
"hot_avx_2:	mov %r12, (%r14)\n"
"hot_avx_3:	mov %r12, %r13\n"
"hot_avx_4:	vmovq %r12, %xmm7\n"
"hot_avx_5:	vpbroadcastq %xmm7, %ymm8\n"
"hot_avx_6:	mov %r13, 64(%r14)\n"
"hot_avx_7:	jmp hot_avx_1\n");

#define LABELS(name) extern char name[], name##_1[], name##_2[], name##_3[], name##_4[], \
	name##_5[], name##_6[], name##_7[]
LABELS(hot);
LABELS(hot_avx);

bool avx;
bool shared;

char *step(int number)
{
	char *const plain[] = { hot_1, hot_2, hot_3, hot_4, hot_5, hot_6, hot_7 };
	char *const wide[] = { hot_avx_1, hot_avx_2, hot_avx_3, hot_avx_4, hot_avx_5, hot_avx_6,
			       hot_avx_7 };

	return (avx ? wide : plain)[number - 1];
}

/* Where the C library has it, since 2.35. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));

/*
 * The kernel writes to a thread's rseq area when it has preempted it: to private
 * memory, for which the thread then waits until the snapshot is done.
 */
static void without_rseq(void)
{
	if (&__rseq_offset && syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset,
				      32, 1 /* RSEQ_FLAG_UNREGISTER */, 0x53053053))
		note("rseq stays registered (errno %d)", errno);
}

void begin_thread(long index)
{
	char name[16];

	snprintf(name, sizeof(name), "thread-%ld", index);
	prctl(PR_SET_NAME, name);
	word[PAGES + index] = (long)(shared ? (char *)word + PAGE * (1 + index) : map_private(PAGE));
	word[SELF + index] = pthread_self();
	word[TID + index] = syscall(SYS_gettid);
}

static void *count(void *index)
{
	void (*run)(void *, long) = (void *)(avx ? hot_avx : hot);

	begin_thread((long)index);
	on_cpu((long)index);
	if (shared)
		without_rseq();
	__sync_fetch_and_add(&word[READY], 1);
	run((void *)word[PAGES + (long)index], word[TID + (long)index]);
	return NULL;
}

void counting(void *threads)
{
	pthread_t thread;
	long i;

	for (i = 1; i < (long)threads; i++)
		pthread_create(&thread, NULL, count, (void *)i);
	count(0);
}

int index_of(pid_t tid, int threads)
{
	int i;

	for (i = 0; i < threads; i++)
		if (word[TID + i] == tid)
			return i;
	return -1;
}
