/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A target makes memory of some kind, is taken, and then changes it: what the
 * duplicate has must be as it was. What tests of memory share.
 */
#ifndef FROZEN_H
#define FROZEN_H

#include "lib/snap.h"

/* Words; a test's own begin at FREE. */
enum { READY = 1, COMMAND, ADDRESS, FAILED, FREE };
#define BEFORE	0x6265666f7265L
#define AFTER	0x6166746572L

/* --- in the target --- */

/* Fill each page so that one page in another's place shows. */
void fill(volatile long *at, size_t bytes, long with);
/* Done with making it. Returns when it is told to go on. */
void ready(const volatile void *address);
/* It cannot be made here. */
void unable(long why) __attribute__((noreturn));
/* It is made: let it be taken, then change it. */
void change(long *at, size_t bytes);
void fill_and_change(long *at, size_t bytes);

/* --- in the test --- */

extern pid_t target, dup_pid;
extern struct proc_snap_args args;

/* A target that runs @run(@argument) to be ready; false and skipped if it is unable. */
bool begin(void (*run)(void *), void *argument, const char *what);
void take(void);
bool begin_and_take(void (*run)(void *), void *argument, const char *what);
/* The target goes on until it is ready again. */
bool go_on(void);
bool filled(pid_t pid, size_t bytes, long with);
/* The duplicate's first, by /proc/PID/mem; -1 if it cannot be read. */
long first_long(void);
/* Taken, then changed by the target: the duplicate's is as before. */
void frozen(size_t bytes);
void finish(void);

#endif
