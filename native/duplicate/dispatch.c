// SPDX-License-Identifier: MIT
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include "dispatch.h"

/* PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG is there since Linux 6.4. */
#define GET_DISPATCH	0x4211
#define DISPATCHED	2		/* si_code SYS_USER_DISPATCH */
#define REFUSED		(-ENOTSUP)

static int refuse_dispatch(pid_t pid)
{
	return ps_fail(REFUSED,
		"process %d uses syscall user dispatch (Wine and others do, prctl(2)): a call made in its name would be "
		"taken for one of its own, and end it; use the patched kernel's system call instead",
		pid);
}

int check_dispatch(struct injection *in)
{
	struct { uint64_t mode, selector, offset, length; } dispatch = { 0 };

	if (ptrace(GET_DISPATCH, in->stop.thread[0].tid, sizeof(dispatch), &dispatch) < 0)
		in->dispatch_unknown = true;
	return dispatch.mode ? refuse_dispatch(in->target) : 0;
}

int on_sigsys(struct injection *in, pid_t tid)
{
	siginfo_t info = { 0 };

	ptrace(PTRACE_GETSIGINFO, tid, 0, &info);
	if (info.si_code == DISPATCHED)
		return refuse_dispatch(in->target);
	in->sigsys = true;	/* another's: sent again when it can be delivered */
	return 0;
}
