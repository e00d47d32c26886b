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
 *			sockets close when the target closes them. child.c
 *			then gives it an empty table, so that they also close
 *			when the target ends or calls exec()
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
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "child.h"

#define CLONE_STILL	(CLONE_PTRACE | CLONE_FILES)

static int clone_failed(pid_t target, long result)
{
	switch (result) {
	case -EAGAIN:
		return ps_fail(result, "process %d may have no further child: RLIMIT_NPROC, its pids cgroup (pids.max) "
			       "or SCHED_DEADLINE forbids it", target);
	case -ENOMEM:
		return ps_fail(result, "there is not enough memory to duplicate process %d: vm.overcommit_memory=2 or its memory cgroup forbids it", target);
	default:
		return ps_fail(result, "clone() in process %d failed: %s", target, strerror(-result));
	}
}

static int call_failed(pid_t target, int err)
{
	if (err == -EBUSY)
		return ps_fail(err, "process %d does not get to run: its cgroup is frozen, or others keep its CPU; try when it runs again", target);
	return ps_fail(err, "process %d ended while it was being duplicated", target);
}

int ps_inject(pid_t target, int cpu, int64_t timeout_ns, struct ps_duplicate *duplicate,
	      struct ps_registers *registers, int max_registers)
{
	const long arguments[4] = { CLONE_STILL, NOWHERE, 0, 0 };
	struct ps_preflight preflight;
	struct ps_ended ended;
	struct injection in;
	int64_t start = ps_now_ns();
	long result = 0;
	bool watched;
	int err;

	*duplicate = (struct ps_duplicate){ .target = target };
	err = ps_preflight(target, &preflight);
	if (err)
		return err;
	ps_at(PS_STEP_CHECKED);
	err = ps_begin_injection(&in, target, timeout_ns);
	if (err)
		return err;
	ps_at(PS_STEP_STOPPED);
	duplicate->threads = in.stop.threads;
	duplicate->calls = in.calls;
	if (registers)
		duplicate->registers = ps_read_registers(&in.stop, registers, max_registers);
	ps_at(PS_STEP_REGISTERS);

	err = ps_inject_call(&in, SYS_clone, arguments, &result, &duplicate->clone_ns);
	duplicate->moment_ns = ps_now_ns();
	if (!err && result > 0) {
		ps_at(PS_STEP_CLONED);
		/* Some 100 us more for the target, where it might be killed otherwise. */
		if (ps_watch_is_tight(target))
			duplicate->pid = ps_find_child_now(&in, result);
		if (duplicate->pid) {
			ps_offer_to_oom_killer(duplicate->pid);
			ps_watch_begin(duplicate);
		}
	}
	ps_put_back(&in);
	ps_release(&in.stop, -1);
	duplicate->pause_ns = ps_now_ns() - in.stop.first_ns;
	duplicate->window_ns = in.window_ns;
	ps_at(PS_STEP_RELEASED);
	if (err) {
		ps_end_stray_child();
		return call_failed(target, err);
	}
	if (result < 0)
		return clone_failed(target, result);

	duplicate->inner_pid = result;
	watched = duplicate->pid;
	if (!watched)
		duplicate->pid = ps_find_child(&in, result);
	if (!duplicate->pid)
		return ps_fail(-ECHILD, "the duplicate of process %d was ended by somebody else", target);
	/* From now on: to hold it may take some milliseconds, in which the target goes on. */
	if (!watched)
		ps_watch_begin(duplicate);
	err = ps_hold_child(duplicate, &in, cpu);
	if (err)
		ps_end(duplicate, timeout_ns, &ended);
	duplicate->take_ns = ps_now_ns() - start;
	return err ? ps_fail(err, "the duplicate of process %d was ended by somebody else", target) : 0;
}

/* The ended duplicate is the target's child: have the target wait for it. */
static int bury(const struct ps_duplicate *duplicate, int64_t timeout_ns, struct ps_ended *ended)
{
	const long arguments[4] = { duplicate->inner_pid, 0, __WALL | WNOHANG, 0 };
	struct injection in;
	int64_t took_ns;
	long result = 0;
	int err;

	err = ps_begin_injection(&in, duplicate->target, timeout_ns);
	if (err)
		return err == -ESRCH ? 0 : err;		/* no target, no child of it */
	err = ps_inject_call(&in, SYS_wait4, arguments, &result, &took_ns);
	ps_put_back(&in);
	ps_release(&in.stop, -1);
	ended->pause_ns = ps_now_ns() - in.stop.first_ns;
	ps_at(PS_STEP_BURIED);
	if (err == -ESRCH || result == -ECHILD || result == duplicate->inner_pid)
		return 0;
	return ps_fail(err ? err : -EBUSY, "the ended duplicate %d stays in the process table until process %d ends",
		       duplicate->pid, duplicate->target);
}

int ps_end(struct ps_duplicate *duplicate, int64_t timeout_ns, struct ps_ended *ended)
{
	int64_t start = ps_now_ns();
	int err = 0, status;

	*ended = (struct ps_ended){ 0 };
	ps_watch_end();
	ps_kill_child(duplicate->pid);
	ended->kill_ns = ps_now_ns() - start;
	ps_at(PS_STEP_KILLED);
	/* Ended is when its memory has been given back, and that takes as long as the target is large. */
	while (waitpid(duplicate->pid, &status, __WALL) == duplicate->pid && WIFSTOPPED(status))
		;
	err = bury(duplicate, timeout_ns, ended);
	ended->reap_ns = ps_now_ns() - start;
	return err;
}
