// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "burial.h"
#include "injected_call.h"
#include "wait.h"

#define MAX_GRAVES	4096
/* How often it is tried again: twice as long after each failure, since each try may stop the target. */
#define FIRST_NS	(50 * 1000 * 1000LL)
#define LAST_NS		(2 * PS_NSEC_PER_SEC)
#define TIMEOUT_NS	(100 * 1000 * 1000LL)

static struct grave {
	pid_t	pid, target, inner_pid;
	int	pidfd;			/* the target's: its pid may be another process's later */
	int	own_pidfd;		/* the duplicate's */
	uint64_t started;		/* the duplicate: so may its pid */
	bool	dead;			/* it has ended, and we have taken note */
	int64_t	next_ns, pause_ns;
} graves[MAX_GRAVES];
static int count;

bool ps_burying(pid_t pid)
{
	for (int i = 0; i < count; i++)
		if (graves[i].pid == pid)
			return true;
	return false;
}

void ps_bury_later(const struct ps_duplicate *duplicate, int pidfd)
{
	struct ps_identity identity = { 0 };

	if (count == MAX_GRAVES) {	/* the target, which nobody could stop for so long, keeps it until it ends */
		if (pidfd >= 0)
			close(pidfd);
		return;
	}
	/* It is traced, and its number is not another's before its death is noted here. */
	ps_identify(duplicate->pid, &identity);
	graves[count++] = (struct grave){
		.pid = duplicate->pid, .target = duplicate->target, .inner_pid = duplicate->inner_pid, .pidfd = pidfd,
		.own_pidfd = syscall(SYS_pidfd_open, duplicate->pid, 0), .started = identity.started,
		.next_ns = ps_now_ns() + FIRST_NS, .pause_ns = FIRST_NS,
	};
}

static void forget(int index)
{
	if (graves[index].pidfd >= 0)
		close(graves[index].pidfd);
	if (graves[index].own_pidfd >= 0)
		close(graves[index].own_pidfd);
	graves[index] = graves[--count];
}

/* @identity: of the process that has its number now. */
static bool is_it(const struct grave *grave, struct ps_identity *identity)
{
	return !ps_look_at(grave->pid, identity) && identity->started == grave->started;
}

/*
 * Its memory is given back before it has ended, which takes as long as it is
 * large. Where its tracing thread has ended before, nobody is told of its death.
 */
static bool has_ended(struct grave *grave, int64_t timeout_ns)
{
	struct ps_identity identity;
	int64_t start = ps_now_ns();
	int err, status;

	while (!grave->dead) {
		err = ps_wait_stop(grave->pid, timeout_ns, 0, &status);
		grave->dead = err == -ESRCH && (!is_it(grave, &identity) || identity.state == 'Z');
		if (err == -ETIMEDOUT || ps_now_ns() - start > timeout_ns)
			break;
		if (err == -ESRCH && !grave->dead)
			ps_nap();
	}
	return grave->dead;
}

/* Does the target still have it as a child? Else its number may be another child's by now. */
static bool is_left(const struct grave *grave)
{
	struct ps_identity identity;

	return is_it(grave, &identity) && identity.state == 'Z' && identity.parent == grave->target;
}

/* A zombie has not gone: not before it was waited for. */
static bool has_gone(int pidfd)
{
	return pidfd >= 0 && syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) && errno == ESRCH;
}

/*
 * The same for one that has ended, in its target's stop: there the question takes a thirtieth of the time. As long as
 * its parent lives, it is nobody else's child.
 */
static bool is_left_now(const struct grave *grave)
{
	if (grave->pidfd < 0 || grave->own_pidfd < 0)
		return is_left(grave);
	return !has_gone(grave->pidfd) && !has_gone(grave->own_pidfd);
}

/* All that are this target's, in one stop. */
static int wait_for_all(struct injection *in, pid_t target)
{
	int64_t took_ns;
	long result;
	int err = 0;

	for (int i = 0; i < count && !err; i++) {
		const long arguments[4] = { graves[i].inner_pid, 0, __WALL | WNOHANG, 0 };

		if (graves[i].target == target && graves[i].dead && is_left_now(&graves[i]))
			err = ps_inject_call(in, SYS_wait4, arguments, &result, &took_ns);
	}
	return err;
}

static int bury_all(pid_t target, int pidfd, int64_t timeout_ns, int64_t limit_ns, struct ps_ended *ended)
{
	struct injection in;
	int err = ps_begin_injection(&in, &(struct ps_patience){ target, pidfd, timeout_ns, limit_ns });

	/* Stops that were undone have mended calls, too. */
	ps_add_calls(&ended->calls, &in.calls);
	ended->pause_ns = in.stop.undone_ns;
	if (err)
		return err;
	err = wait_for_all(&in, target);
	ps_put_back(&in);
	if (!in.stranded)
		ps_release(&in.stop, -1);
	ended->pause_ns = (in.stranded ? ps_now_ns() : in.stop.let_go_ns) - in.stop.first_ns;
	ps_at(PS_STEP_BURIED);
	return err;
}

/* 0: nothing is left of it, and the grave is forgotten. */
static int try_now(int index, int64_t timeout_ns, int64_t limit_ns, struct ps_ended *ended)
{
	struct grave *grave = &graves[index];
	pid_t target = grave->target;
	int err = 0;

	if (!has_ended(grave, timeout_ns))
		err = ps_fail(-ETIMEDOUT, "the killed duplicate %d has not ended yet (its cgroup is frozen?)", grave->pid);
	else if (is_left(grave) && !has_gone(grave->pidfd))
		err = bury_all(target, grave->pidfd, timeout_ns, limit_ns, ended);
	if (err && err != -ESRCH)
		return err;
	if (is_left(grave))
		return ps_fail(-EBUSY, "the ended duplicate %d stays in the process table", grave->pid);
	for (int i = count - 1; i >= 0; i--)
		if (i == index || (graves[i].target == target && graves[i].dead && !is_left(&graves[i])))
			forget(i);
	return 0;
}

int ps_bury(
	const struct ps_duplicate *duplicate, int pidfd, int64_t timeout_ns, int64_t limit_ns, struct ps_ended *ended)
{
	int before = count;

	ps_bury_later(duplicate, pidfd);
	if (count == before)
		return ps_fail(-ENOSPC, "the ended duplicate %d stays in the process table until process %d ends",
			duplicate->pid, duplicate->target);
	return try_now(count - 1, timeout_ns, limit_ns, ended);
}

int64_t ps_burial_next_ns(void)
{
	int64_t next = INT64_MAX;

	for (int i = 0; i < count; i++)
		if (graves[i].next_ns < next)
			next = graves[i].next_ns;
	return next;
}

static int try_unasked(int index)
{
	pid_t target = graves[index].target;	/* it may be forgotten by what follows */
	struct ps_ended ended = { 0 };
	int err = try_now(index, TIMEOUT_NS, 0, &ended);
	struct ps_untold *untold;

	if (!ended.pause_ns && !ended.calls.kinds)
		return err;		/* it was not stopped */
	untold = ps_untold_of(target);
	ps_add_calls(&untold->calls, &ended.calls);
	untold->pause_ns += ended.pause_ns;
	return err;
}

void ps_burial_run(void)
{
	int64_t now = ps_now_ns();

	for (int i = 0; i < count; i++) {
		if (graves[i].next_ns > now)
			continue;
		if (!try_unasked(i))
			return;		/* the table has changed; the rest comes with the next turn */
		if (graves[i].pause_ns < LAST_NS)
			graves[i].pause_ns *= 2;
		graves[i].next_ns = ps_now_ns() + graves[i].pause_ns;
	}
}
