// SPDX-License-Identifier: GPL-2.0
/* A task under ptrace. */
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "snap.h"

static int await_stop(pid_t tid)
{
	double end = now() + patience_s();
	int status;
	pid_t got;

	do {
		got = waitpid(tid, &status, __WALL | WNOHANG);
		if (got < 0)
			return -errno;
		if (got == tid)
			return WIFSTOPPED(status) ? status >> 8 : -ESRCH;
		pause_ms(1);
	} while (now() < end);
	return -ETIMEDOUT;
}

int trace_again(pid_t tid)
{
	return ptrace(PTRACE_INTERRUPT, tid, 0, 0) ? -errno : await_stop(tid);
}

int trace_stop(pid_t tid)
{
	return ptrace(PTRACE_SEIZE, tid, 0, 0) ? -errno : trace_again(tid);
}

void trace_detach(pid_t tid)
{
	ptrace(PTRACE_DETACH, tid, 0, 0);
}

long get_regset(pid_t tid, int type, void *into, size_t room)
{
	struct iovec vector = { into, room };

	return ptrace(PTRACE_GETREGSET, tid, type, &vector) ? -errno : (long)vector.iov_len;
}

long get_regs(pid_t tid, struct user_regs_struct *regs)
{
	return get_regset(tid, NT_PRSTATUS, regs, sizeof(*regs));
}
