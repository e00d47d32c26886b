/* SPDX-License-Identifier: MIT */
/*
 * What every target of the soak shares with it: a page in which it counts its
 * turns and says how it was harmed. The soak reads it (page.ts has the offsets),
 * and writes one word: the excuse.
 */
#ifndef SOAK_PAGE_H
#define SOAK_PAGE_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS	1000000000LL
#define MS_NS		1000000LL
/* Wide: the machine is kept busy, and a target may be held. A timeout that starts anew at each take exceeds it. */
#define LATE_NS		(10 * SECOND_NS)
#define HARMS		24

struct harm {
	uint64_t count;
	char	 text[120];
};

struct page {
	uint64_t ready;			/* 0: 1 when it may be taken */
	uint64_t turns;			/* 8 */
	uint64_t pid;			/* 16: which process to take; 0: none at present */
	uint64_t excuse;		/* 24: odd while a fault is in force that ends blocked calls by itself */
	uint64_t excused;		/* 32: what would have been a harm otherwise */
	uint64_t harms;			/* 40 */
	uint64_t handle[4];		/* 48: addresses and descriptors, for the self-test */
	uint64_t leave;			/* 80: the soak asks for the target's end */
	uint64_t state[16];		/* 88: what a kind keeps over exec() and between its processes */
	char	 unable[200];		/* 216: why this kind cannot be here */
	uint64_t rival;			/* 416: odd while another tracer is attached or lets go, which may lose a signal */
	uint64_t lost;			/* 424: signals that were lost meanwhile */
	char	 padding[80];
	struct harm harm[HARMS];	/* 512 */
};

extern struct page *page;
extern const char *page_path;
extern pid_t self;			/* of the process that runs: code that runs in another is a duplicate's */

int64_t now_ns(void);
void nap_ms(int ms);
uint32_t draw(uint32_t below);		/* seeded, for each process */
void seed(uint32_t by);

/* A harm is counted under its text, which has no figures in it that differ each time. */
void harm(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Before a call: the excuse as it is; after it, was it in force at any time? */
uint64_t excuse(void);
bool excused(uint64_t before);
/* harm() unless it was excused. */
#define HARM_UNLESS_EXCUSED(before, ...) do { if (!excused(before)) harm(__VA_ARGS__); } while (0)

/* Before a signal comes that follows another one: the rival as it is. */
uint64_t rival(void);
/* One in between was lost: a harm, unless a rival was there at any time, which may have lost it. */
void lost(uint64_t rival_before, const char *text);

/* A call with a timeout has returned by it: not early, not very late. */
void check_time(const char *call, int64_t began_ns, int64_t asked_ns, uint64_t before);

/* Progress. Ends the process when the soak wants it to. */
void turn(void);
void ready(void);
/* This kind cannot be here: said, and the end. */
void unable(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void need(bool ok, const char *what);
/* In a process that was forked: it ends with its parent, and is who it is. */
void born(void);

#endif
