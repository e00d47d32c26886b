/* SPDX-License-Identifier: MIT */
/* One kind of blocked call: how it comes to block, and what ends it. */
#ifndef BLOCKED_H
#define BLOCKED_H

#include "target.h"

struct kind {
	const char *name;
	void	(*prepare)(void);	/* before the fork of the helper */
	void	(*occupy)(void);	/* in the helper, before the call */
	long	(*block)(int ms);	/* ms: timeout, or -1. Returns -errno on failure */
	void	(*wake)(void);		/* in the helper; NULL: only time ends it */
	long	right;			/* what the call returns when it has been woken */
	long	expired;		/* when its time has run out */
};

extern const struct kind poll_kinds[], socket_kinds[], ipc_kinds[], file_kinds[];
extern int pair[2];			/* at hand for all: a pipe, or what prepare() makes */
extern char folder[];			/* a new one in /tmp, removed at the end */
extern volatile uint32_t *shared_word;

void make_pipe(void);
void write_byte(void);			/* to pair[1] */
void signal_target(void);		/* SIGUSR1 */
struct timespec *span(int ms);		/* NULL for -1 */

/* A C library's function as a kernel's: -errno. */
static inline long raw(long result)
{
	return result < 0 ? -errno : result;
}

#endif
