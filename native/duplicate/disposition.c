// SPDX-License-Identifier: MIT
#include <signal.h>
#include "disposition.h"
#include "task_file.h"

static uint64_t signal_set(const char *status, const char *key)
{
	return task_number(status, key, 16);
}

enum disposition disposition(const struct followed *followed, int sig)
{
	uint64_t bit = 1ULL << (sig - 1);
	char status[4096];

	read_task_file(followed->pid, followed->tid, "status", status, sizeof(status));
	if (signal_set(status, "\nSigCgt:") & bit && *status)
		return CAUGHT;
	if (signal_set(status, "\nSigIgn:") & bit || sig == SIGCHLD || sig == SIGCONT || sig == SIGURG || sig == SIGWINCH)
		return IGNORED;
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU ? STOPS : CAUGHT;
}

/* A signal that the thread is about to take, and that has ended the call. */
bool signal_waits(const struct followed *followed)
{
	char status[4096];

	if (!read_task_file(followed->pid, followed->tid, "status", status, sizeof(status)))
		return false;
	return (signal_set(status, "\nSigPnd:") | signal_set(status, "\nShdPnd:")) & ~signal_set(status, "\nSigBlk:");
}
