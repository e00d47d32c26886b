// SPDX-License-Identifier: MIT
/*
 * inject - a still duplicate of any process, on a kernel as it is
 *
 * The target is stopped, made to execute one clone() from an instruction that
 * it already has, and put back exactly as it was; nothing is written to its
 * memory. What the flags are for:
 *   CLONE_PTRACE	the child is ours before it can run, with no stop of the
 *			target for it
 *   CLONE_FILES	the child holds no descriptors of its own: pipes and
 *			sockets close when the target closes them. It is then
 *			given an empty table, so that they also close when the
 *			target ends or calls exec(). That closes them (the
 *			kernel copies the first 64 even for an empty table),
 *			which a file server would be told of: with files of
 *			such it shares the table until the target has let go
 *   exit signal 0	the target sees no SIGCHLD, and its wait() does not see
 *			the child
 * The child would stay in the target's list of children when it has ended:
 * ps_end() has the target wait for it, by a second injection.
 * Not CLONE_FS: while it is shared, setns() fails in the target, and exec() of a
 * set-user-id program does not change the user.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "burial.h"
#include "child.h"
#include "flushed.h"
#include "injected_call.h"
#include "left_out.h"
#include "locks.h"

#define CLONE_STILL	(CLONE_PTRACE | CLONE_FILES)
/* A file server may not answer when it is told of a close(). */
#define FILES_NS	PS_NSEC_PER_SEC

static int clone_failed(pid_t target, long result)
{
	switch (result) {
	case -EAGAIN:
		return ps_fail(result, "process %d may have no further child: RLIMIT_NPROC, its pids cgroup (pids.max) "
			       "or SCHED_DEADLINE forbids it", target);
	case -ENOMEM:
		return ps_fail(result,
			"there is not enough memory to duplicate process %d: vm.overcommit_memory=2 or its memory cgroup "
			"forbids it",
			target);
	default:
		return ps_fail(result, "clone() in process %d failed: %s", target, strerror(-result));
	}
}

/* The child is found and held. -ETIMEDOUT: it has not stopped yet, try again. */
static int hold(
	struct ps_duplicate *duplicate, const struct injection *in, int cpu, int64_t timeout_ns, bool hurry, bool watch)
{
	int err;

	if (!duplicate->pid)
		duplicate->pid = ps_find_child(in, duplicate->inner_pid);
	if (!duplicate->pid)
		return ps_fail(-ECHILD, "the duplicate of process %d was ended by somebody else", duplicate->target);
	/* To hold it may take some milliseconds, in which the target goes on, and takes memory. */
	if (watch)
		ps_watch_begin(duplicate);
	err = ps_hold_child(duplicate, in, cpu, timeout_ns, hurry);
	if (err == -ETIMEDOUT)
		return ps_fail(err,
			"the duplicate of process %d does not get to run: its cgroup is frozen, or others keep its CPU",
			duplicate->target);
	if (!err && !duplicate->shares_files)
		err = ps_drop_files(duplicate, timeout_ns);
	if (hurry)
		ps_calm_child(duplicate->pid);
	return err ? ps_fail(-ECHILD, "the duplicate of process %d was ended by somebody else", duplicate->target) : 0;
}

/* In the stop, to see what the duplicate lacks: it is longer by as much as the fork took, or by some milliseconds. */
static int64_t time_for(const struct injection *in, const struct ps_duplicate *duplicate)
{
	int64_t most_ns = duplicate->clone_ns > PS_LEFT_OUT_NS ? duplicate->clone_ns : PS_LEFT_OUT_NS;

	return most_ns < in->stop.limit_ns ? most_ns : in->stop.limit_ns;
}

int ps_inject(pid_t target, int cpu, int64_t timeout_ns, int64_t limit_ns, struct ps_duplicate *duplicate,
	      struct ps_registers *registers, int max_registers, struct ps_left_out *left_out)
{
	const long arguments[4] = { CLONE_STILL, NOWHERE, 0, 0 };
	struct ps_preflight preflight;
	struct ps_ended ended;
	struct injection in;
	int64_t start = ps_now_ns();
	bool held = false, watched = false, has_locks;
	long result = 0;
	int err;
	char why[256];

	*duplicate = (struct ps_duplicate){ .target = target, .target_fd = syscall(SYS_pidfd_open, target, 0) };
	err = ps_preflight(target, PS_FOR_INJECT, &preflight);
	if (err)
		goto out;
	ps_at(PS_STEP_CHECKED);
	has_locks = ps_holds_posix_locks(target);
	if (left_out)
		ps_prepare_left_out(target, left_out);
	duplicate->shares_files = !has_locks && ps_has_flushed_files(target);
	err = ps_begin_injection(&in, &(struct ps_patience){ target, duplicate->target_fd, timeout_ns, limit_ns });
	/* If it failed, too: of stops that were undone. */
	duplicate->calls = in.calls;
	if (err) {
		duplicate->pause_ns = in.stop.undone_ns;
		goto out;
	}
	ps_at(PS_STEP_STOPPED);
	duplicate->threads = in.stop.threads;
	duplicate->first = in.stop.thread[0];
	duplicate->mask = in.mask;
	duplicate->instruction = in.instruction;
	if (registers)
		duplicate->registers = ps_read_registers(&in.stop, registers, max_registers);
	ps_at(PS_STEP_REGISTERS);

	err = ps_inject_call(&in, SYS_clone, arguments, &result, &duplicate->clone_ns);
	duplicate->moment_ns = ps_now_ns();
	if (in.stranded)
		goto out;
	if (!err && result > 0)
		ps_at(PS_STEP_CLONED);
	ps_put_back(&in);
	duplicate->inner_pid = result;
	if (!err && result < 0)
		err = clone_failed(target, result);
	if (!err && left_out)
		ps_keep_left_out(&in, ps_find_child_now(&in, result), time_for(&in, duplicate), left_out);
	/* Where memory is tight, before the target goes on: this process may lose its CPU then. */
	if (!err && ps_watch_is_tight(target) && (duplicate->pid = ps_find_child(&in, result))) {
		ps_offer_to_oom_killer(duplicate->pid);
		ps_watch_begin(duplicate);
		watched = true;
	}
	/*
	 * POSIX locks belong to the table of descriptors, and a table that is shared
	 * is left to the child when the target calls exec(): so where the target has
	 * such locks, it goes on only when nothing is shared, or when it has waited
	 * for as long as it may.
	 */
	if (!err && has_locks) {
		err = hold(duplicate, &in, cpu, in.stop.limit_ns, true, false);
		held = !err;
		if (err == -ETIMEDOUT)
			err = 0;
	}
	ps_release(&in.stop, -1);
	duplicate->pause_ns = in.stop.let_go_ns - in.stop.first_ns;
	duplicate->window_ns = in.window_ns;
	ps_at(PS_STEP_RELEASED);
	if (!err && !held)
		err = hold(duplicate, &in, cpu, in.timeout_ns + PS_NSEC_PER_SEC, false, !watched);
	else if (!err && !watched)
		ps_watch_begin(duplicate);
	if (!err) {
		ps_at(PS_STEP_HELD);
		if (left_out)
			ps_note_left_out(duplicate->pid, left_out);
		duplicate->dropped = ps_drop_shared(duplicate, in.timeout_ns);
		ps_dress_child(duplicate);
		duplicate->take_ns = ps_now_ns() - start;
		return 0;
	}
	snprintf(why, sizeof(why), "%s", ps_error());
	if (!duplicate->pid && result > 0 && err != -ESRCH)
		duplicate->pid = ps_stray_child();
	if (duplicate->pid) {
		ps_end(duplicate, timeout_ns, limit_ns, &ended);
		ps_add_calls(&duplicate->calls, &ended.calls);
	} else if (err == -ESRCH) {
		ps_end_stray_child();
	}
	if (err == -ESRCH)
		ps_fail(err, "process %d ended while it was being duplicated", target);
	else
		ps_fail(err, "%s", why);
out:
	if (duplicate->target_fd >= 0 && !duplicate->pid)
		close(duplicate->target_fd);
	return err;
}

void ps_see_to_files(struct ps_duplicate *duplicate)
{
	if (!duplicate->shares_files || ps_shares_files(duplicate->target, duplicate->pid))
		return;
	duplicate->shares_files = false;
	ps_drop_files(duplicate, FILES_NS);
	ps_dress_child(duplicate);
}

int ps_end(struct ps_duplicate *duplicate, int64_t timeout_ns, int64_t limit_ns, struct ps_ended *ended)
{
	int64_t start = ps_now_ns();
	int err;

	*ended = (struct ps_ended){ 0 };
	ps_watch_end();
	ps_kill_child(duplicate->pid);
	ended->kill_ns = ps_now_ns() - start;
	ps_at(PS_STEP_KILLED);
	err = ps_bury(duplicate, duplicate->target_fd, timeout_ns, limit_ns, ended);
	ended->reap_ns = ps_now_ns() - start;
	return err;
}
