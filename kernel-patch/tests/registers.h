/* SPDX-License-Identifier: GPL-2.0 */
/* Each thread's registers: what its files share, file by file. */
#ifndef REGISTERS_H
#define REGISTERS_H

#include "lib/snap.h"

#define THREADS_MOST	4
enum { READY = 1, PAGES = 10, SELF = 20, TID = 30 };

/* --- registers-loop.c --- */

/* The loop uses AVX registers, too. */
extern bool avx;
/* The loop writes to shared memory: then nothing ever takes a thread off its CPU. */
extern bool shared;
#define STEPS 7
/* The address of a step of the loop, from 1. */
char *step(int number);
/* A target of so many threads in the loop. */
void counting(void *threads);
/* In a thread: its name, and its words at @index. */
void begin_thread(long index);
/* That of a thread; -1 if it is none of the target's. */
int index_of(pid_t tid, int threads);

/* --- registers-asleep.c --- */

void test_asleep(bool stopped);
void test_room(void);

#endif
