/* SPDX-License-Identifier: MIT */
/*
 * A thread that does not come back from the call that was injected into it: taken over from its injection
 * (stranded.c), waited for, however long that takes, and put back (strand_run.c).
 */
#ifndef PROCSNAP_STRANDED_H
#define PROCSNAP_STRANDED_H
#include "injection.h"

/* One at a time. Filled by ps_strand(), emptied by ps_strand_run(). */
extern struct stranded {
	pid_t	 target, tid;		/* 0: there is none */
	int	 pidfd;
	struct ps_thread thread;
	uint64_t mask;
	bool	 cloning, cancelled;
} stranded;

/*
 * The thread that was to make a call does not come back from it: it is frozen,
 * or waits in the kernel for somebody. It cannot be given up, since it has
 * registers that are not its own. The other threads go on, and this one is put
 * back as soon as it stops: ps_strand_run() sees to it. @cloning: a child that
 * it may have made by then is ended. Returns -EBUSY.
 */
int ps_strand(struct injection *in, bool cloning);
pid_t ps_stranded(void);			/* the target's pid, or 0 */
/* What has happened to it since. */
void ps_strand_run(void);

#endif
