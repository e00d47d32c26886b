// SPDX-License-Identifier: MIT
/*
 * rseq THREADS: all on one CPU, each adds to that CPU's counter in a restartable
 * sequence, rseq(2), that is long enough for stops to land inside. A sequence
 * that goes on where it had to abort overwrites the others' additions.
 * Words: 1 additions, 2 the counter, 3 aborts, 4 and 5 where the sequence
 * begins and ends, 6 set by the test: enough.
 */
#include <pthread.h>
#include <sys/rseq.h>
#include "target.h"

#define THREADS_MAX 16

static int64_t counters[1024];
extern const char sequence_start[], sequence_end[];

/* 1 if it was committed, 0 if it was aborted. */
static __attribute__((noinline, noclone)) int add_one(void)
{
	struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);

	asm goto("	.pushsection .data.sequence, \"aw\"\n"
		 "	.balign 32\n"
		 "1:	.long 0, 0\n"
		 "	.quad sequence_start, sequence_end - sequence_start, 2f\n"
		 "	.popsection\n"
		 "	leaq 1b(%%rip), %%rax\n"
		 "	movq %%rax, 8(%[area])\n"		/* rseq_cs */
		 "	.globl sequence_start\n"
		 "sequence_start:\n"
		 "	movl 4(%[area]), %%eax\n"		/* cpu_id */
		 "	leaq (%[counters], %%rax, 8), %%rcx\n"
		 "	movq (%%rcx), %%rdx\n"
		 "	movl $20000, %%eax\n"
		 "3:	decl %%eax\n"
		 "	jnz 3b\n"
		 "	incq %%rdx\n"
		 "	movq %%rdx, (%%rcx)\n"
		 "	.globl sequence_end\n"
		 "sequence_end:\n"
		 "	.pushsection .text.abort, \"ax\"\n"
		 "	.byte 0x0f, 0xb9, 0x3d\n"
		 "	.long 0x53053053\n"
		 "2:	jmp %l[aborted]\n"
		 "	.popsection\n"
		 : : [area] "r"(area), [counters] "r"(counters) : "rax", "rcx", "rdx", "memory", "cc" : aborted);
	return 1;
aborted:
	return 0;
}

static void *work(void *arg)
{
	int64_t added = 0, aborts = 0;

	(void)arg;
	while (!word[6])
		if (add_one())
			added++;
		else
			aborts++;
	add(1, added);
	add(3, aborts);
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 3;
	pthread_t thread[THREADS_MAX];
	cpu_set_t one;

	if (!__rseq_size) {
		puts("the C library has not registered rseq");
		return 0;
	}
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	word[4] = (int64_t)sequence_start;
	word[5] = (int64_t)sequence_end;
	for (int i = 1; i < threads; i++)
		need(!pthread_create(&thread[i], NULL, work, NULL), "pthread_create");
	ready();
	work(NULL);
	for (int i = 1; i < threads; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < 1024; i++)
		word[2] += counters[i];
	puts("done");
}
