// SPDX-License-Identifier: MIT
/*
 * floors.c - what small things cost here: a system call, the copy of a page, a
 * wake-up on another CPU; and the resolution of timers
 */
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "options.h"

#define SAMPLES		1000
#define CALLS		100		/* one reading of the clock is near what a call costs */
#define COPY_PAGES	(64LL << 20 >> 12)	/* on each side: more than a cache holds */
#define WAKES		500
#define NAP_NS		(300 * 1000LL)	/* long enough for the other CPU to be idle */

static int64_t sample_ns[SAMPLES];

static int in_order(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

	return (one > other) - (one < other);
}

static int64_t median(size_t count)
{
	qsort(sample_ns, count, sizeof(*sample_ns), in_order);
	return sample_ns[count / 2];
}

static int64_t call_ns(void)
{
	for (int i = 0; i < SAMPLES; i++) {
		int64_t start = now_ns();

		for (int j = 0; j < CALLS; j++)
			syscall(SYS_getppid);
		sample_ns[i] = (now_ns() - start) / CALLS;
	}
	return median(SAMPLES);
}

/* Pages in an order that no prefetcher follows; each is met once. */
static int64_t copy_ns(void)
{
	size_t bytes = COPY_PAGES * PAGE_BYTES;
	char *from = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *to = from + bytes;

	if (from == MAP_FAILED)
		fail(EXIT_FAILURE, "no memory of %zu bytes", 2 * bytes);
	memset(from, 1, 2 * bytes);
	for (size_t i = 0; i < SAMPLES; i++) {
		size_t at = i * 7919 % COPY_PAGES * PAGE_BYTES;
		int64_t start = now_ns();

		memcpy(to + at, from + at, PAGE_BYTES);
		__asm__ volatile("" : : "r"(to + at) : "memory");
		sample_ns[i] = now_ns() - start;
	}
	munmap(from, 2 * bytes);
	return median(SAMPLES);
}

static struct {
	uint32_t	turn;		/* futex word: the number of the wake-up */
	int64_t		woken_ns;	/* when the other side read the clock */
	uint32_t	seen;		/* the turn that it was */
	int64_t		cpu;
} wake;

static void pin(int64_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		fail(EXIT_FAILURE, "may not run on CPU %" PRId64, cpu);
}

static void *be_woken(void *unused)
{
	pin(wake.cpu);
	for (uint32_t turn = 1; turn <= WAKES; turn++) {
		while (__atomic_load_n(&wake.turn, __ATOMIC_ACQUIRE) < turn)
			syscall(SYS_futex, &wake.turn, FUTEX_WAIT_PRIVATE, turn - 1, NULL);
		wake.woken_ns = now_ns();
		__atomic_store_n(&wake.seen, turn, __ATOMIC_RELEASE);
	}
	return unused;
}

static void wake_on(int64_t cpu)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	pthread_t other;

	wake.cpu = cpu;
	if (pthread_create(&other, NULL, be_woken, NULL))
		fail(EXIT_FAILURE, "no thread");
	for (uint32_t turn = 1; turn <= WAKES; turn++) {
		int64_t start;

		nanosleep(&nap, NULL);
		start = now_ns();
		__atomic_store_n(&wake.turn, turn, __ATOMIC_RELEASE);
		syscall(SYS_futex, &wake.turn, FUTEX_WAKE_PRIVATE, 1);
		while (__atomic_load_n(&wake.seen, __ATOMIC_ACQUIRE) != turn)
			nanosleep(&nap, NULL);
		sample_ns[turn - 1] = wake.woken_ns - start;
	}
	pthread_join(other, NULL);
}

int main(int argc, char **argv)
{
	struct placement placement = PLACEMENT_INHERITED;
	int64_t other = -1, call, copy;
	const struct option_row rows[] = {
		PLACEMENT_OPTIONS(placement),
		{ "wake", OPTION_NUMBER, &other, 0, CPU_SETSIZE - 1, "wake a thread on this CPU" },
		OPTIONS_END,
	};
	struct timespec resolution;

	die_with_parent(getppid());
	options_parse(argc, argv, rows, NULL);
	placement_apply(&placement);
	clock_getres(CLOCK_MONOTONIC, &resolution);
	call = call_ns();
	copy = copy_ns();
	printf("{\"callNs\":%" PRId64 ",\"copyNs\":%" PRId64 ",\"timerResolutionNs\":%" PRId64 ",\"wakeNs\":",
	       call, copy, (int64_t)(resolution.tv_sec * NS_PER_S + resolution.tv_nsec));
	if (other < 0) {
		puts("null}");
		return 0;
	}
	wake_on(other);
	median(WAKES);
	printf("{\"median\":%" PRId64 ",\"p99\":%" PRId64 ",\"largest\":%" PRId64 ",\"n\":%d}}\n",
	       sample_ns[WAKES / 2], sample_ns[WAKES * 99 / 100], sample_ns[WAKES - 1], WAKES);
	return 0;
}
