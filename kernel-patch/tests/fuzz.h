/* SPDX-License-Identifier: GPL-2.0 */
/* The parts of the fuzzer, file by file, and the words that they share. */
#ifndef FUZZ_H
#define FUZZ_H

#include "lib/snap.h"

#define HOSTILE	6
#define CALLERS	2
enum { STOP = 1, CALLS = 16, TAKEN, WRONG_ERRNO, WRONG_LEFT, WRONG_END, PIDS = 32, LAST = 48, ERRNOS = 64 };

/* --- fuzz-chance.c; each thread has its own --- */

void begin_chance(unsigned long seed);
/* Less than @below; if that is 0, anything. */
unsigned long chance(unsigned long below);

/* --- fuzz-hostile.c --- */

/* A target that never ends on purpose; @seed is a number. */
void hostile(void *seed);

/* --- fuzz-calls.c --- */

/* In a caller, before its first. */
void begin_calls(void);
/* The duplicate's pid or -errno. */
pid_t random_call(void);

/* --- fuzz-treatment.c --- */

void maltreat(pid_t pid);
/* Counts one that ends otherwise than it must. */
void end_maltreated(pid_t pid);

#endif
