// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include "supervised.h"
#include "task_file.h"
#include "willing.h"

/* How often a thread is looked at that cannot be stopped yet; nobody waits meanwhile. */
#define LOOK_NS		(1000 * 1000L)

void wchan_of(pid_t pid, pid_t tid, char *name, size_t size)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/wchan", pid, tid);
	file = fopen(path, "re");
	if (!file || !fgets(name, size, file))
		snprintf(name, size, "?");
	if (file)
		fclose(file);
}

static int waits_for_supervisor(const struct ps_stop *stop, pid_t tid)
{
	return ps_fail(-ETIMEDOUT,
		"thread %d of process %d waits for the supervisor of its seccomp filter (seccomp_unotify(2)), which would "
		"act a second time if it were interrupted; nothing was touched: try again later",
		tid, stop->pid);
}

/*
 * What waits in the kernel and cannot be interrupted (the parent of a vfork(2),
 * a dead disk) does not stop, and the others would stand still for it: wait
 * until it has passed, while nobody is stopped. Notes which threads are sure to
 * stop at once, since they sleep.
 */
int await_willing(struct ps_stop *stop, int first)
{
	int64_t start = ps_now_ns();
	char wchan[64];

	for (int i = first; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];
		int policy;
		char state;

		policy = sched_getscheduler(thread->tid);
		stop->real_time |= policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_DEADLINE;
		ps_note_wait(stop->pid, thread);
		if (thread->tracer && ps_ask_to_go(thread->tid, thread->tracer))
			ps_note_wait(stop->pid, thread);
		if (ps_await_supervisor(stop->pid, thread, start + stop->timeout_ns - ps_now_ns()))
			return waits_for_supervisor(stop, thread->tid);
		while ((state = task_state(stop->pid, thread->tid)) == 'D') {
			if (ps_now_ns() - start > stop->timeout_ns) {
				wchan_of(stop->pid, thread->tid, wchan, sizeof(wchan));
				return ps_fail(-ETIMEDOUT,
					"thread %d of process %d waits in the kernel and cannot be stopped (state D, in %s: vfork(2), "
					"or a device or file server that does not answer); nothing was touched: try again later",
					thread->tid, stop->pid, wchan);
			}
			ps_sleep(LOOK_NS);
			ps_note_wait(stop->pid, thread);
		}
		thread->asleep = state == 'S';
	}
	return 0;
}
