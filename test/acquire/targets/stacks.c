// SPDX-License-Identifier: MIT
/*
 * stacks: six threads, each of which is somewhere that a debugger can name:
 * 0 (the first) in pause(); 1 asleep, three functions deep; 2 in a loop and 5 in
 * a system call, both with known values in their registers; 3 in a library, in
 * pthread_cond_wait(); 4 in read(), and each line read is a number that it keeps
 * in `marker`. Words: 1 the last such number, from 16 on the threads' tids, from
 * 32 on where their fs_base is, 48: threads that are where they belong, 49: AVX,
 * 50: where a thread's struct rseq is, from fs_base on.
 */
#include <asm/prctl.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include "target.h"

#define DEEP	__attribute__((noinline, noclone))
#define ID(n)	(0x5a00000000000000 + 0x100 * (n))	/* the tests know it */
#define PAGE	4096

void library_waits(long value);
extern const ptrdiff_t __rseq_offset __attribute__((weak));

struct record {
	char name[32];
	struct record *next;
};

volatile long marker = 1;
struct record *records;
_Thread_local volatile long own_value;

static void arrive(long n)
{
	own_value = ID(n);
	word[16 + n] = gettid();
	word[32 + n] = (long)pthread_self();
	need(!syscall(SYS_arch_prctl, ARCH_SET_GS, 0x7e570000 + n), "arch_prctl");
	add(48, 1);
}

static DEEP void sleeps_inner(int depth)
{
	volatile int own_depth = depth;

	while (own_depth)
		sleep(1000000);
}

static DEEP void sleeps_middle(int depth)
{
	sleeps_inner(depth + 1);
	asm volatile("");
}

static DEEP void sleeps_outer(int depth)
{
	sleeps_middle(depth + 1);
	asm volatile("");
}

static DEEP void reads_numbers(void)
{
	char line[64];
	ssize_t got;

	while ((got = read(0, line, sizeof(line) - 1)) > 0) {
		line[got] = 0;
		marker = atol(line);
		word[1] = marker;
	}
}

#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOAD(n) "vmovdqa " #n "*32(%%rdi), %%ymm" #n "\n"
#define KEEP \
	"ldmxcsr %[mxcsr]\n fldpi\n" \
	"testl %%eax, %%eax\n jz 2f\n" EACH(LOAD) "2:\n" \
	"lea 1(%%rsi), %%rbx\n lea 2(%%rsi), %%r12\n lea 3(%%rsi), %%r13\n lea 4(%%rsi), %%r14\n lea 5(%%rsi), %%r15\n" \
	"lea 6(%%rsi), %%r8\n lea 7(%%rsi), %%r9\n lea 8(%%rsi), %%r10\n lea 9(%%rsi), %%rdi\n lea 10(%%rsi), %%rdx\n"
#define KEPT "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc", \
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", \
	"xmm12", "xmm13", "xmm14", "xmm15"

struct vectors {
	uint64_t ymm[16][4];
} __attribute__((aligned(32)));

static void fill(struct vectors *vectors, long id)
{
	for (int n = 0; n < 16; n++)
		for (int i = 0; i < 4; i++)
			vectors->ymm[n][i] = id + 0x10000 * (n + 1) + i;
}

static const uint32_t mxcsr = 0x9fc0;	/* denormals are zeros, flush to zero */

static DEEP void spins(long id)
{
	struct vectors vectors;
	long avx = word[49];

	fill(&vectors, id);
	asm volatile(KEEP "lea 11(%%rsi), %%rax\n lea 12(%%rsi), %%rcx\n lea 13(%%rsi), %%r11\n"
		     "1:	pause\n jmp 1b\n"
		     : "+a"(avx) : "S"(id), "D"(&vectors), [mxcsr] "m"(mxcsr) : KEPT);
}

static DEEP void holds_in_call(long id)
{
	struct vectors vectors;
	long avx = word[49];

	fill(&vectors, id);
	asm volatile(KEEP "1:	movl %[pause], %%eax\n syscall\n jmp 1b\n"
		     : "+a"(avx) : "S"(id), "D"(&vectors), [mxcsr] "m"(mxcsr), [pause] "i"(SYS_pause) : KEPT);
}

static void *work(void *arg)
{
	long n = (long)arg;

	arrive(n);
	switch (n) {
	case 1: sleeps_outer(1); break;
	case 2: spins(ID(n)); break;
	case 3: library_waits(ID(n)); break;
	case 4: reads_numbers(); break;
	case 5: holds_in_call(ID(n)); break;
	}
	return NULL;
}

/* Pages here and there, and one of a file that is not the file's any more. */
static void scatter(const char *program)
{
	char *sparse = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int file = open(program, O_RDONLY);
	char *modified = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);

	need(sparse != MAP_FAILED && modified != MAP_FAILED, "mmap");
	madvise(sparse, 16 << 20, MADV_NOHUGEPAGE);
	for (long page = 0; page < 2000; page += 1 + page % 29)
		memset(sparse + page * PAGE + page % PAGE, 0x40 + page % 64, PAGE / 2);
	strcpy(modified + PAGE + 100, "not as in the file");
	for (int i = 0; i < 3; i++) {
		struct record *record = calloc(1, sizeof(*record));

		snprintf(record->name, sizeof(record->name), "record %d", i);
		record->next = records;
		records = record;
	}
}

int main(int argc, char **argv)
{
	pthread_t thread;
	pthread_attr_t small;

	(void)argc;
	word[49] = __builtin_cpu_supports("avx") != 0;
	word[50] = &__rseq_offset ? __rseq_offset : 0;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 256 << 10);
	scatter(argv[0]);
	for (long n = 1; n < 6; n++)
		need(!pthread_create(&thread, &small, work, (void *)n), "pthread_create");
	arrive(0);
	ready();
	for (;;)
		pause();
}
