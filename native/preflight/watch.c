// SPDX-License-Identifier: MIT
/*
 * While a duplicate is there, each page that the target writes to is copied, and
 * counts against the target's cgroups and the machine. Before any limit is
 * reached the duplicate is ended: the target would be killed, or slowed down.
 *
 * A thread of its own does that, and kills the duplicate by itself: the tracer's
 * other thread may be in a long read. It tells the kernel to take the memory
 * back at once (process_mrelease(2)), since a killed process does so only when it
 * gets a CPU. Where we may not send the duplicate a signal (another user's
 * process, CAP_SYS_PTRACE without CAP_KILL), ps_watch_run() looks instead, and
 * its caller ends the duplicate by ptrace(2).
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "preflight.h"

#define MS			1000000LL
#define SHORTEST_NS		MS
#define LONGEST_NS		(100 * MS)
/* How often a thread's findings are asked for, or a limit on processes is looked at. */
#define ASKED_NS		(20 * MS)
/* Faster than this nothing takes memory: KiB in a millisecond. */
#define RATE_KIB		2048
#define HUGE_RATE_KIB		12288
#define MOST_WRITERS		8
/* A duplicate up to this size is asked how much of it is still shared: that takes some milliseconds. */
#define EXACT_KIB		(512 << 10)
#define SLACK_KIB		4096
#define COMMIT_LEFT_KIB		8192

static struct {
	bool	on, by_thread;
	pid_t	pid, target;
	int	pidfd, wake;
	int	writers;
	bool	small;			/* EXACT_KIB */
	int64_t	next_ns;
	pthread_t thread;
	/* Set by whoever looks, under the lock. */
	pthread_mutex_t lock;
	bool	over;
	char	why[224];
} watch = { .pidfd = -1, .wake = -1, .lock = PTHREAD_MUTEX_INITIALIZER };

static void over(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void over(const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&watch.lock);
	if (!watch.over) {
		va_start(args, format);
		vsnprintf(watch.why, sizeof(watch.why), format, args);
		va_end(args);
		watch.over = true;
	}
	pthread_mutex_unlock(&watch.lock);
}

/*
 * What the target and its duplicate still have in common: by so much, and no more, can the target's writing
 * make it grow.
 */
static int64_t still_shared_kib(void)
{
	char text[4096];

	if (ps_small_read(text, sizeof(text), "/proc/%d/smaps_rollup", watch.pid) <= 0)
		return INT64_MAX;
	return ps_line_number(text, "Shared_Clean") + ps_line_number(text, "Shared_Dirty") + ps_line_number(text, "Swap");
}

static const char *unit(const struct ps_limit *limit)
{
	return limit->of == PS_PROCESSES ? "processes" : "KiB";
}

/* Look at everything; true: the duplicate has to be ended. @next_ns: in which time nothing can become too little. */
static bool look(int64_t *next_ns)
{
	struct ps_limits *limits = ps_limits_for_watch();
	int64_t shared = -1;

	*next_ns = LONGEST_NS;
	for (int i = 0; i < limits->count; i++) {
		struct ps_limit *limit = &limits->limit[i];
		int64_t spare, rate = limit->of == PS_HUGE_PAGES ? HUGE_RATE_KIB : RATE_KIB, soon;

		if (limit->need < 0)
			continue;
		ps_limit_look(limit, false);
		if (limit->room == PS_UNLIMITED)
			continue;
		spare = limit->room - limit->need;
		soon = limit->of == PS_PROCESSES ? ASKED_NS : spare * MS / (rate * watch.writers) / 2;
		if (spare < 0 && watch.small && (limit->of == PS_CGROUP_MEMORY || limit->of == PS_MACHINE_MEMORY)) {
			if (shared < 0)
				shared = still_shared_kib();
			if (shared < limit->room - SLACK_KIB) {
				spare = 0;
				soon = 10 * MS;		/* others could still fill it */
			}
		}
		if (spare < 0) {
			over("the duplicate was ended so that process %d is not harmed: %s has room for %lld %s (%lld of %lld "
				 "used), and %lld are kept free",
				watch.target, strlen(limit->file) > 80 ? limit->file + strlen(limit->file) - 80 : limit->file,
				(long long)limit->room, unit(limit), (long long)limit->used, (long long)limit->limit,
				(long long)limit->need);
			return true;
		}
		if (soon < *next_ns)
			*next_ns = soon;
	}
	if (*next_ns < SHORTEST_NS)
		*next_ns = SHORTEST_NS;
	return false;
}

/*
 * To take memory apart takes a while, in which a CPU is not to be kept from the
 * target; but where it is little, the sooner it is done the better.
 */
static void do_not_hurry(void)
{
	struct sched_param other = { 0 };

	if (watch.small)
		return;
	sched_setscheduler(0, SCHED_OTHER, &other);
	setpriority(PRIO_PROCESS, 0, -20);
}

static void *run(void *arg)
{
	struct pollfd polled[2] = { { .fd = watch.wake, .events = POLLIN }, { .fd = watch.pidfd, .events = POLLIN } };

	for (;;) {
		struct timespec timeout = { 0 };
		int64_t next_ns;

		if (look(&next_ns)) {
			syscall(SYS_pidfd_send_signal, watch.pidfd, SIGKILL, NULL, 0);
			do_not_hurry();
			syscall(SYS_process_mrelease, watch.pidfd, 0);
			return arg;
		}
		timeout.tv_nsec = next_ns;
		if (ppoll(polled, 2, &timeout, NULL) <= 0)
			continue;
		if (polled[1].revents)
			over("the duplicate of process %d was ended by somebody else (out of memory, or the end of its container)",
				watch.target);
		return arg;
	}
}

/* From its first moment ahead of what keeps the CPUs busy, where that is allowed. It sleeps nearly all the time. */
static bool start(void)
{
	struct sched_param first = { .sched_priority = 1 };
	pthread_attr_t attributes;
	bool started = false;

	if (sched_getscheduler(0) != SCHED_FIFO && !pthread_attr_init(&attributes)) {
		pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
		pthread_attr_setschedparam(&attributes, &first);
		started = !pthread_create(&watch.thread, &attributes, run, NULL);
		pthread_attr_destroy(&attributes);
	}
	return started || !pthread_create(&watch.thread, NULL, run, NULL);
}

static void set_needs(const struct ps_facts *facts)
{
	struct ps_limits *limits = ps_limits_for_watch();
	struct ps_cost cost;

	ps_cost_of(facts, &cost);
	for (int i = 0; i < limits->count; i++) {
		struct ps_limit *limit = &limits->limit[i];

		limit->need = -1;	/* not looked at */
		if (limit->of == PS_CGROUP_MEMORY || limit->of == PS_MACHINE_MEMORY)
			limit->need = cost.reserve;
		if (limit->of == PS_COMMIT)
			limit->need = COMMIT_LEFT_KIB;
		if (limit->of == PS_PROCESSES)
			limit->need = 1;
		/* Where nothing is reserved, what the target has not written to yet it must find free. */
		for (int k = 0; limit->of == PS_HUGE_PAGES && k < facts->huge_sizes; k++)
			if (facts->huge_size[k].page_kib == limit->page_kib && facts->huge_size[k].unreserved_kib)
				limit->need = limit->page_kib;
	}
}

void ps_watch_begin(const struct ps_duplicate *duplicate)
{
	const struct ps_facts *facts = ps_facts_of(duplicate->target);

	ps_watch_end();
	set_needs(facts);
	watch.over = false;
	watch.pid = duplicate->pid;
	watch.target = duplicate->target;
	watch.writers = facts->threads < facts->cpus ? facts->threads : facts->cpus;
	if (watch.writers < 1)
		watch.writers = 1;
	if (watch.writers > MOST_WRITERS)
		watch.writers = MOST_WRITERS;
	watch.small = facts->resident < EXACT_KIB;
	watch.on = true;
	watch.next_ns = 0;
	watch.pidfd = syscall(SYS_pidfd_open, duplicate->pid, 0);
	watch.wake = eventfd(0, EFD_CLOEXEC);
	watch.by_thread = watch.pidfd >= 0 && watch.wake >= 0 && !syscall(SYS_pidfd_send_signal, watch.pidfd, 0, NULL, 0) &&
			  start();
}

bool ps_watch_is_tight(pid_t target)
{
	const struct ps_facts *facts = ps_facts_of(target);
	struct ps_cost cost;

	ps_cost_of(facts, &cost);
	for (int i = 0; i < facts->limits.count; i++) {
		const struct ps_limit *limit = &facts->limits.limit[i];

		if ((limit->of == PS_CGROUP_MEMORY || limit->of == PS_MACHINE_MEMORY) &&
			limit->room < cost.growth + cost.reserve)
			return true;
	}
	return false;
}

void ps_watch_end(void)
{
	const uint64_t one = 1;

	if (!watch.on)
		return;
	if (watch.by_thread) {
		if (write(watch.wake, &one, sizeof(one)) == sizeof(one))
			pthread_join(watch.thread, NULL);
	}
	if (watch.pidfd >= 0)
		close(watch.pidfd);
	if (watch.wake >= 0)
		close(watch.wake);
	watch.pidfd = watch.wake = -1;
	watch.on = watch.by_thread = false;
}

int64_t ps_watch_next_ns(void)
{
	return watch.on ? watch.next_ns : INT64_MAX;
}

bool ps_watch_run(void)
{
	struct pollfd ended = { .fd = watch.pidfd, .events = POLLIN };
	int64_t next_ns = ASKED_NS;
	bool is_over;

	if (!watch.on)
		return false;
	if (!watch.by_thread) {
		if (watch.pidfd >= 0 && poll(&ended, 1, 0) == 1)
			over("the duplicate of process %d was ended by somebody else", watch.target);
		else
			look(&next_ns);
	}
	watch.next_ns = ps_now_ns() + next_ns;
	pthread_mutex_lock(&watch.lock);
	is_over = watch.over;
	if (is_over)
		ps_fail(-ENOMEM, "%s", watch.why);
	pthread_mutex_unlock(&watch.lock);
	return is_over;
}
