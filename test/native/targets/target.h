/* SPDX-License-Identifier: MIT */
/* What every target begins with: 4,096 bytes shared with the test on descriptor 3, and an end with the test's. */
#ifndef TARGET_H
#define TARGET_H

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The test names the words as it needs; word 0 is always "I am ready". */
static volatile int64_t *word;

static inline void __attribute__((constructor)) begin(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
	if (word == MAP_FAILED)		/* run by hand */
		word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

static inline void ready(void)
{
	__atomic_store_n(&word[0], 1, __ATOMIC_RELEASE);
}

static inline void add(int index, int64_t value)
{
	__atomic_add_fetch(&word[index], value, __ATOMIC_RELAXED);
}

static inline int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static inline void need(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(2);
	}
}

#endif
