// SPDX-License-Identifier: MIT
#include <errno.h>
#include <time.h>
#include "supervised.h"
#include "task_file.h"

/* A thread that asks for one call after the other is between two of them for some microseconds. */
#define ASKS_AGAIN_NS	(2 * 1000 * 1000LL)
#define LOOK_NS		(200 * 1000L)

struct look { int syscall, wchan; };

static bool has(int fd, const char *words)
{
	char text[256];
	ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

	text[got > 0 ? got : 0] = '\0';
	return strstr(text, words);
}

/*
 * In seccomp_do_user_notification(), or what that is compiled into. Since Linux
 * 6.12 a thread may be asleep and still be in its run queue, and then wchan is
 * empty; a look at its system call takes it out of there.
 */
static bool is_asking(const struct look *look)
{
	return !has(look->syscall, "running") && has(look->wchan, "seccomp");
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

/* How often it has been on a CPU. */
static unsigned long long turns(pid_t pid, const struct ps_thread *thread)
{
	unsigned long long ran, waited, times = 0;
	char text[128];

	read_task_file(pid, thread->tid, "schedstat", text, sizeof(text));
	sscanf(text, "%llu %llu %llu", &ran, &waited, &times);
	return times;
}

int ps_await_supervisor(pid_t pid, struct ps_thread *thread, int64_t timeout_ns)
{
	const struct timespec nap = { .tv_nsec = LOOK_NS };
	unsigned long long first;
	int64_t start = ps_now_ns();
	struct look look;
	int err = 0;

	if (!open_look(pid, thread, &look))
		return 0;
	first = turns(pid, thread);
	/* One that has been on a CPU has had its answer, and asks for something else by now. */
	while (is_asking(&look) && turns(pid, thread) == first && !err) {
		thread->supervised = true;
		nanosleep(&nap, NULL);
		err = ps_now_ns() - start > timeout_ns ? -ETIMEDOUT : 0;
	}
	close_look(&look);
	return err;
}

void ps_await_answer(pid_t pid, struct ps_thread *thread, int64_t limit_ns)
{
	static struct look look = { -1, -1 };
	int64_t start = ps_now_ns(), waited;
	bool asks;

	close_look(&look);		/* the last one: not when every microsecond counts */
	look.syscall = look.wchan = -1;
	if (!open_look(pid, thread, &look))
		return;
	do {
		asks = is_asking(&look);
		waited = ps_now_ns() - start;
	} while (!asks && thread->supervised && waited < ASKS_AGAIN_NS);
	thread->supervised = thread->supervised || asks;
	/* Just when it has its answer: when it will ask again nobody knows. */
	while (asks && waited < limit_ns) {
		asks = has(look.wchan, "seccomp");
		waited = ps_now_ns() - start;
	}
}
