// SPDX-License-Identifier: MIT
/* A thread that was stranded in an injected call: waited for, however long that takes, and put back. */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include "burial.h"
#include "child.h"
#include "stranded.h"

/* The clone() was made after all: nobody wants its child any more. */
static void end_child(long inner_pid)
{
	struct injection in = {
		.target = stranded.target, .stop = { .threads = 1, .thread = &stranded.thread, .limit_ns = PS_NSEC_PER_SEC },
	};
	struct ps_duplicate child = {
		.pid = ps_find_child(&in, inner_pid), .target = stranded.target, .inner_pid = inner_pid
	};

	if (!child.pid)
		return;
	ps_kill_child(child.pid);
	ps_bury_later(&child, stranded.pidfd);
	stranded.pidfd = -1;
}

static void forget(void)
{
	if (stranded.pidfd >= 0)
		close(stranded.pidfd);
	stranded.target = 0;
}

static void put_back(void)
{
	struct ps_thread *thread = &stranded.thread;

	ptrace(PTRACE_SETREGS, stranded.tid, 0, &thread->mended);
	ptrace(PTRACE_SETSIGMASK, stranded.tid, sizeof(stranded.mask), &stranded.mask);
	if (thread->follow)
		ps_follow(stranded.target, thread);
	else
		thread->stopped = !!ptrace(PTRACE_DETACH, stranded.tid, 0, 0);
	if (!thread->stopped)		/* else it was killed: ps_strand_run() notes its death */
		forget();
}

/* It has stopped in or around the call: on to where it can be put back. */
static void go_on(int status)
{
	struct __ptrace_syscall_info info = { 0 };
	struct user_regs_struct regs;

	if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
		/* The interruption, before the call was begun; or SIGSTOP, which is delivered. */
		if (status >> 16 == PTRACE_EVENT_STOP) {
			put_back();
			return;
		}
		ptrace(PTRACE_SYSCALL, stranded.tid, 0, (long)WSTOPSIG(status));
		return;
	}
	ptrace(PTRACE_GET_SYSCALL_INFO, stranded.tid, sizeof(info), &info);
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {	/* the call is not wanted any more */
		stranded.cancelled = !ptrace(PTRACE_GETREGS, stranded.tid, 0, &regs);
		if (stranded.cancelled) {
			regs.orig_rax = -1;
			ptrace(PTRACE_SETREGS, stranded.tid, 0, &regs);
		}
		ptrace(PTRACE_SYSCALL, stranded.tid, 0, 0);
		return;
	}
	if (stranded.cloning && !stranded.cancelled && info.exit.rval > 0)
		end_child(info.exit.rval);
	put_back();
}

void ps_strand_run(void)
{
	int status;
	pid_t got;

	while (stranded.target && (got = waitpid(stranded.tid, &status, __WALL | WNOHANG))) {
		if (got < 0 || !WIFSTOPPED(status)) {	/* killed */
			if (stranded.cloning)
				ps_end_stray_child();
			forget();
			return;
		}
		go_on(status);
	}
}
