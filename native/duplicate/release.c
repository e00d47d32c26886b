// SPDX-License-Identifier: MIT
#include <sys/ptrace.h>
#include "deaths.h"
#include "first_thread.h"
#include "late.h"
#include "release.h"
#include "wait.h"

/* 1 if it was killed meanwhile. */
static int let_thread_go(struct ps_stop *stop, struct ps_thread *thread)
{
	if (!thread->stopped)
		return 0;
	if (thread->changed)
		ptrace(PTRACE_SETREGS, thread->tid, 0, &thread->mended);
	if (thread->follow)
		ps_follow(stop->pid, thread);
	else if (!ptrace(PTRACE_DETACH, thread->tid, 0, 0))
		thread->stopped = false;
	return thread->stopped;
}

/* How many were killed meanwhile: their deaths have to be noted. */
int let_threads_go(struct ps_stop *stop, int except)
{
	int dead = 0, first = 0;
	int64_t before;
	bool stopped;

	while (first < stop->threads && stop->thread[first].tid != stop->pid)
		first++;
	if (first < stop->threads && first != except) {
		stopped = stop->thread[first].stopped;
		before = stop->threads > 1 ? ps_before_first(stop) : -1;
		dead += let_thread_go(stop, &stop->thread[first]);
		if (stop->threads > 1 && stopped && !stop->thread[first].stopped)
			ps_await_first(stop, &stop->thread[!first], before);
	}
	for (int i = 0; i < stop->threads; i++)
		if (i != except && i != first)
			dead += let_thread_go(stop, &stop->thread[i]);
	return dead;
}

void ps_release(struct ps_stop *stop, int except)
{
	int64_t start = ps_now_ns();
	int dead = let_threads_go(stop, except);

	ps_follow_entered();
	stop->let_go_ns = ps_now_ns();
	ps_restore_cpu();
	/* Their parent, or an exec() of theirs, waits until we have taken note. */
	while (dead && ps_now_ns() - start < stop->timeout_ns) {
		for (int i = 0; i < stop->threads; i++)
			if (i != except && stop->thread[i].stopped && has_died(&stop->thread[i])) {
				stop->thread[i].stopped = false;
				dead--;
			}
		if (dead)
			ps_nap();
	}
	/* Giving back much memory takes long: late.c takes note of them. */
	for (int i = 0; dead && i < stop->threads; i++)
		if (i != except && stop->thread[i].stopped)
			ps_add_late(stop->pid, &stop->thread[i]);
}
