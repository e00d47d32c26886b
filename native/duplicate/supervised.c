// SPDX-License-Identifier: MIT
#include <errno.h>
#include "supervised.h"
#include "task_file.h"

#define LOOK_NS		(200 * 1000L)
/* While others may be stopped. */
#define SHORT_LOOK_NS	(20 * 1000L)
/* For how long a thread that has a supervisor is waited for to sleep; twice that, if it computes. */
#define RUNS_NS		(10 * 1000 * 1000LL)

struct look { int syscall, wchan; };

static bool has(int fd, const char *words)
{
	char text[256];
	ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

	text[got > 0 ? got : 0] = '\0';
	return strstr(text, words);
}

/*
 * ASKS: in seccomp_do_user_notification(), or what that is compiled into. Since
 * Linux 6.12 a thread may be asleep and still be in its run queue, and then wchan
 * is empty; a look at its system call takes it out of there. RUNS: it may be
 * anywhere, in that function too: the supervisor is woken before the thread sleeps.
 */
enum whereabouts { ASKS, RUNS, SLEEPS };

static enum whereabouts look_at(const struct look *look)
{
	if (has(look->syscall, "running"))
		return RUNS;
	return has(look->wchan, "seccomp") ? ASKS : SLEEPS;
}

static int open_file(pid_t pid, pid_t tid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool open_look(pid_t pid, const struct ps_thread *thread, struct look *look)
{
	if (!thread->filtered)
		return false;
	look->syscall = open_file(pid, thread->tid, "syscall");
	look->wchan = open_file(pid, thread->tid, "wchan");
	return true;
}

static void close_look(const struct look *look)
{
	if (look->syscall >= 0)
		close(look->syscall);
	if (look->wchan >= 0)
		close(look->wchan);
}

int ps_await_supervisor(pid_t pid, struct ps_thread *thread, int64_t timeout_ns)
{
	int64_t first;
	int64_t start = ps_now_ns();
	struct look look;
	int err = 0;

	if (!open_look(pid, thread, &look))
		return 0;
	first = task_slices(pid, thread->tid);
	/* One that has been on a CPU has had its answer, and asks for something else by now. */
	while (look_at(&look) == ASKS && task_slices(pid, thread->tid) == first && !err) {
		thread->supervised = true;
		ps_sleep(LOOK_NS);
		err = ps_now_ns() - start > timeout_ns ? -ETIMEDOUT : 0;
	}
	close_look(&look);
	return err;
}

void ps_await_answer(pid_t pid, struct ps_thread *thread, int64_t limit_ns, bool spin)
{
	static struct look look = { -1, -1 };
	int64_t start = ps_now_ns(), waited;
	enum whereabouts now, before = RUNS;

	close_look(&look);		/* the last one: not when every microsecond counts */
	look.syscall = look.wchan = -1;
	if (!open_look(pid, thread, &look))
		return;
	for (;;) {
		now = look_at(&look);
		thread->supervised |= now == ASKS;
		/* Asleep elsewhere, it has some way to its next call. */
		if (!thread->supervised || now == SLEEPS)
			return;
		waited = ps_now_ns() - start;
		/* One that never sleeps: when it has just been answered it has the longest way, but that may be a microsecond.
		 */
		if (waited > limit_ns || (now == RUNS && waited > (before == ASKS ? RUNS_NS : 2 * RUNS_NS)))
			return;
		before = now;
		if (!spin)
			ps_sleep(SHORT_LOOK_NS);
	}
}
