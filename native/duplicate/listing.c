// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include "late.h"
#include "listing.h"
#include "task_file.h"
#include "tids.h"
#include "wait.h"
#include "workers.h"

#define MAX_GONE	64

/*
 * The threads of the stop that is being made: one at a time. Those that had ended
 * when they were to be seized are listed again; the workers are among the known.
 */
static struct tids known, ended, workers;
/* Those of the last listing that had ended, or seemed to. */
static pid_t gone[MAX_GONE];
static int gone_count;

/* None is known yet: another stop begins. */
void begin_listing(void)
{
	tids_clear(&known);
	tids_clear(&ended);
	tids_clear(&workers);
}

void forget_thread(struct ps_stop *stop, int index)
{
	tids_remove(&known, stop->thread[index].tid);
	stop->thread[index] = stop->thread[--stop->threads];
}

/* It had ended when it was to be seized, or seemed to. */
void forget_ended(struct ps_stop *stop, int index)
{
	pid_t tid = stop->thread[index].tid;

	tids_add(&ended, tid);
	if (gone_count < MAX_GONE)
		gone[gone_count++] = tid;
	forget_thread(stop, index);
}

/* exec() has given it the first thread's tid, if that one is none of those that are known: true. */
bool rename_first(const struct ps_stop *stop, struct ps_thread *thread)
{
	if (tids_has(&known, stop->pid) || !ps_took_first_tid(stop->pid, thread->tid))
		return false;
	tids_remove(&known, thread->tid);
	thread->tid = stop->pid;
	tids_add(&known, thread->tid);
	return true;
}

/* Make a list of the threads that are not known yet; how many of them are new, and not only still listed. */
int list_new(struct ps_stop *stop)
{
	static pid_t tids[PS_MAX_THREADS];
	int count = ps_list_threads(stop->pid, tids, PS_MAX_THREADS), found = 0;

	if (count > 0 && !stop->first_ns)
		ps_choose_cpu(stop, tids, count);
	stop->workers = gone_count = 0;
	for (int i = 0; i < count; i++) {
		if (tids_has(&known, tids[i])) {
			stop->workers += tids_has(&workers, tids[i]);
			continue;
		}
		if (stop->threads == PS_MAX_THREADS)
			return ps_fail(-E2BIG, "process %d has more than %d threads", stop->pid, PS_MAX_THREADS);
		tids_add(&known, tids[i]);
		if (is_worker(stop->pid, tids[i])) {
			tids_add(&workers, tids[i]);
			stop->workers++;
			continue;
		}
		found += !tids_has(&ended, tids[i]);
		stop->thread[stop->threads++] =
			(struct ps_thread){ .tid = tids[i], .waited_call = -1, .waited_ns = -1, .due_ns = -1 };
	}
	return count < 0 ? count : found;
}

/*
 * The links of /proc/PID/task are its threads, and two (fs/proc/base.c,
 * proc_task_getattr()): a quarter of the time of a listing, and the target waits.
 */
static int count_threads(pid_t pid)
{
	struct stat task;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return stat(path, &task) ? -errno : (int)task.st_nlink - 2;
}

/*
 * It has ended, and makes nothing any more, but is listed still: a first one as
 * long as others live, any as long as its tracer takes no note.
 */
bool is_dead(pid_t pid, pid_t tid)
{
	char state = task_state(pid, tid);

	return state == 'Z' || state == 'X';
}

/*
 * A listing that has nothing new does not show it: one that meets a thread on its
 * way out ends there (fs/proc/base.c, next_tid()), and misses what that has made.
 */
bool all_are_stopped(const struct ps_stop *stop)
{
	int others = count_threads(stop->pid) - stop->threads - stop->workers;

	for (int i = 0; others > 0 && i < gone_count; i++)
		others -= is_dead(stop->pid, gone[i]);
	return !others;
}
