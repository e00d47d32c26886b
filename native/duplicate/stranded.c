// SPDX-License-Identifier: MIT
/*
 * A thread that does not come back from the call that was injected into it: taken over from its injection,
 * which ends with that.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include "stranded.h"

struct stranded stranded;

pid_t ps_stranded(void)
{
	return stranded.target;
}

int ps_strand(struct injection *in, bool cloning)
{
	stranded.target = in->target;
	stranded.thread = in->stop.thread[0];
	stranded.tid = stranded.thread.tid;
	/* Its own: the other is the duplicate's, or the grave's, and closed with it. */
	stranded.pidfd = in->stop.pidfd < 0 ? -1 : fcntl(in->stop.pidfd, F_DUPFD_CLOEXEC, 0);
	stranded.mask = in->mask;
	stranded.cloning = cloning;
	stranded.cancelled = false;
	in->stranded = true;
	in->masked = false;
	ps_release(&in->stop, 0);
	/* Where it is frozen, it stops for this before it makes the call. */
	ptrace(PTRACE_INTERRUPT, stranded.tid, 0, 0);
	return ps_fail(-EBUSY,
		"process %d: its first thread, which was to make the copy, does not come back from the kernel (frozen, or "
		"its own userfaultfd monitor does not answer); its other threads go on, and it is put back as soon as it "
		"comes",
		in->target);
}
