// SPDX-License-Identifier: MIT
/* What the tracer holds: one duplicate, copy or stopped target at a time; taken, held, ended. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "duplicate/burial.h"
#include "duplicate/child.h"
#include "area.h"
#include "reader.h"
#include "requests.h"
#include "state.h"

struct ps_duplicate duplicate;
struct ps_snapshot snapshot;
struct ps_copy copy;
static pid_t copied;			/* the target that the copy is of */
static struct ps_thread held_threads[PS_MAX_THREADS];
struct ps_stop held = { .thread = held_threads };

/* A duplicate that had to be ended before it was asked for. */
static struct {
	bool	ended;
	pid_t	pid, target;
	char	why[224];
	int	err;			/* it was not buried then */
	char	left[224];		/* and why not */
	struct ps_ended figures;
} early;

static int busy(void)
{
	if (ps_stranded())
		return ps_fail(-EBUSY, "this tracer still waits for a thread of process %d to come back from the kernel, to put it back", ps_stranded());
	if (duplicate.pid || early.ended || snapshot.pid || copy.bytes || held.threads)
		return ps_fail(-EBUSY, "this tracer still holds a duplicate, a copy or a stopped process: end it first");
	return 0;
}

int do_inject(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_duplicate taken;
	int err = busy();

	if (err)
		return err;
	touch_registers(request->pid);
	err = ps_inject(request->pid, request->argument[0], request->timeout_ns, request->argument[1], &taken, registers,
			PS_MAX_THREADS);
	tell_calls(&taken.calls);
	if (err)
		return err;
	duplicate = taken;
	reply->result.inject = (struct inject_results){
		.pid = taken.pid, .threads = taken.threads, .take_ns = taken.take_ns, .pause_ns = taken.pause_ns,
		.window_ns = taken.window_ns, .clone_ns = taken.clone_ns, .moment_ns = taken.moment_ns, .registers = taken.registers,
	};
	return 0;
}

int do_snap(const struct tracer_request *request, struct tracer_reply *reply)
{
	int err = busy();

	if (err)
		return err;
	err = ps_snap(request->pid, request->argument[0], &snapshot);
	if (err)
		return err;
	reply->result.snap = (struct snap_results){
		.pid = snapshot.pid, .threads = snapshot.threads, .take_ns = snapshot.take_ns, .pause_ns = snapshot.pause_ns,
		.moment_ns = snapshot.moment_ns, .lock_wait_ns = snapshot.told.lock_wait_ns,
		.skew_ns = snapshot.told.registers_skew_ns, .pages_shared = snapshot.told.pages_shared,
		.pages_copied = snapshot.told.pages_copied, .regions_taken = snapshot.told.regions_taken,
		.regions_live = snapshot.told.regions_live, .regions_uncovered = snapshot.told.regions_uncovered,
		.regions_left_out = snapshot.told.regions_left_out,
	};
	return 0;
}

int do_registers(const struct tracer_request *request, struct tracer_reply *reply)
{
	int count;

	if (!snapshot.pid)
		return ps_fail(-ENOENT, "a snapshot's registers are read from it, and this tracer holds none: read them before its end");
	count = ps_snapshot_registers(&snapshot, request->timeout_ns, registers, PS_MAX_THREADS);
	reply->result.registers.registers = count;
	return count < 0 ? count : 0;
}

int do_stop_copy(const struct tracer_request *request, struct tracer_reply *reply)
{
	int err = busy();

	if (err)
		return err;
	copied = request->pid;
	err = ps_stop_copy(request->pid, request->timeout_ns, request->argument[1], &copy, registers, PS_MAX_THREADS);
	tell_calls(&copy.calls);
	if (err)
		return err;
	reply->result.stop_copy = (struct stop_copy_results){
		.bytes = copy.used, .threads = copy.threads, .take_ns = copy.take_ns, .pause_ns = copy.pause_ns,
		.unreadable_bytes = copy.unreadable, .regions = copy.regions, .registers = copy.registers,
	};
	return 0;
}

int do_read_copy(const struct tracer_request *request, struct tracer_reply *reply)
{
	uint64_t address = request->argument[0], length = request->argument[1];
	int err = check_length(request->argument[1]);

	if (err)
		return err;
	for (int i = 0; i < copy.regions; i++) {
		uint64_t offset = address - copy.region[i].address;

		if (offset >= copy.region[i].length)
			continue;
		if (length > copy.region[i].length - offset)
			length = copy.region[i].length - offset;
		memcpy(data, copy.bytes + copy.region[i].offset + offset, length);
		reply->result.read_copy.bytes = length;
		return 0;
	}
	return ps_fail(-EFAULT, "the copy has nothing at 0x%llx", (unsigned long long)address);
}

static void end_early(const char *why)
{
	early.ended = true;
	early.pid = duplicate.pid;
	early.target = duplicate.target;
	/* @why may be ps_error(), which the end changes. */
	snprintf(early.why, sizeof(early.why), "%s", why);
	close_reader(duplicate.pid);
	if (held.threads && held.pid == duplicate.target) {	/* it is buried when the target runs again */
		ps_watch_end();
		ps_kill_child(duplicate.pid);
		ps_bury_later(&duplicate, duplicate.target_fd);
		early.figures = (struct ps_ended){ 0 };
		early.err = ps_fail(ps_burying(duplicate.pid) ? -EBUSY : -ENOSPC,
				    "process %d is held, and can only wait for its ended duplicate %d when it runs again",
				    duplicate.target, duplicate.pid);
	} else {
		early.err = ps_end(&duplicate, PS_NSEC_PER_SEC, 0, &early.figures);
	}
	snprintf(early.left, sizeof(early.left), "%s", early.err ? ps_error() : "");
	duplicate.pid = 0;
}

void look_after_duplicate(void)
{
	siginfo_t info = { 0 };

	if (!duplicate.pid)
		return;
	if (ps_watch_run()) {
		end_early(ps_error());
		return;
	}
	ps_see_to_files(&duplicate);
	/* The init of its pid namespace, when that is killed, waits until we have taken note of its death. */
	if (!waitid(P_PID, duplicate.pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) && info.si_pid && info.si_code != CLD_TRAPPED)
		end_early("the duplicate was killed from outside: its container or cgroup was ended, or memory ran out");
}

/* And what has not been told of @target (0: of all). */
static void tell_with_untold(pid_t target, struct ps_calls *calls, int64_t *pause_ns)
{
	ps_tell_untold(target, calls, pause_ns);
	tell_calls(calls);
}

int do_untold(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_calls calls = { 0 };

	(void)request;
	tell_with_untold(0, &calls, &reply->result.untold.pause_ns);
	return 0;
}

int do_end(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_ended ended = { 0 };
	int64_t start = ps_now_ns();
	pid_t target;

	if (duplicate.pid && held.threads && held.pid == duplicate.target)
		return ps_fail(-EBUSY, "process %d is held, and has to run to end its duplicate: let it go first", held.pid);
	look_after_duplicate();		/* has it ended by itself? */
	close_reader(duplicate.pid ? duplicate.pid : snapshot.pid);
	if (snapshot.pid) {
		target = snapshot.target;
		ps_snapshot_end(&snapshot, &ended);
	} else if (early.ended) {
		target = early.target;
		ended = early.figures;
		early.ended = false;
		reply->result.end.ended_early = 1;
		snprintf(reply->message, sizeof(reply->message), "%s", early.why);
		/* It may have been buried since; where there was no room to note it, nobody ever will. */
		reply->result.end.unburied = ps_burying(early.pid) || early.err == -ENOSPC;
		snprintf(reply->left, sizeof(reply->left), "%s", early.left);
	} else if (duplicate.pid) {
		target = duplicate.target;
		/* What is left of it harms nothing, and is seen to later: no reason to call the end a failure. */
		if (ps_end(&duplicate, request->timeout_ns, request->argument[1], &ended)) {
			reply->result.end.unburied = 1;
			snprintf(reply->left, sizeof(reply->left), "%s", ps_error());
		}
		duplicate.pid = 0;
	} else if (copy.bytes) {
		target = copied;
		ps_copy_free(&copy);
		ended.reap_ns = ps_now_ns() - start;
	} else {
		return ps_fail(-ENOENT, "this tracer holds nothing that could be ended");
	}
	reply->result.end.kill_ns = ended.kill_ns;
	reply->result.end.reap_ns = ended.reap_ns;
	reply->result.end.pause_ns = ended.pause_ns;
	/* What was done to other targets is not this one's to tell, and is left to OP_UNTOLD or to their ends. */
	tell_with_untold(target, &ended.calls, &reply->result.end.unasked_pause_ns);
	return 0;
}

void end_all(void)
{
	struct tracer_request none = { .timeout_ns = PS_NSEC_PER_SEC };
	struct tracer_reply reply;

	if (held.threads)
		do_let_go(&none, &reply);
	if (duplicate.pid || early.ended || snapshot.pid || copy.bytes)
		do_end(&none, &reply);
}

void forget_all(void)
{
	struct tracer_request none = { 0 };
	struct tracer_reply reply;

	if (held.threads)
		do_let_go(&none, &reply);
	ps_reader_close(&reader);
	reader.pid = -1;
	if (duplicate.pid)
		end_early("the duplicate had to be ended: a thread of a process could not be stopped, and only the end of the tracing thread "
			  "lets it go");
}

int do_hold(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_calls calls = { 0 };
	int err, pidfd;

	/* Beside a duplicate a target may be held: that is how the two are compared. */
	if (held.threads || copy.bytes || ps_stranded())
		return busy();
	/* Before it is looked at: so it is that process which is stopped, and no later one with its pid. */
	pidfd = syscall(SYS_pidfd_open, request->pid, 0);
	err = ps_check_target(request->pid);
	if (!err) {
		ps_prepare_stop(&held, held_threads, request->pid, request->timeout_ns, request->argument[1]);
		held.calls = &calls;
		held.pidfd = pidfd;
		err = ps_stop_all(&held);
		held.calls = NULL;
		held.pidfd = -1;
	}
	if (pidfd >= 0)
		close(pidfd);
	if (err)
		held.threads = 0;
	for (int i = 0; i < held.threads; i++)
		ps_mend_call(request->pid, &held.thread[i], &calls);
	tell_calls(&calls);
	if (err)
		return err;
	reply->result.hold.threads = held.threads;
	reply->result.hold.registers = ps_read_registers(&held, registers, PS_MAX_THREADS);
	return 0;
}

int do_let_go(const struct tracer_request *request, struct tracer_reply *reply)
{
	(void)request;
	if (!held.threads)
		return ps_fail(-ENOENT, "this tracer holds no stopped process");
	ps_release(&held, -1);
	reply->result.let_go.held_ns = ps_now_ns() - held.first_ns;
	held.threads = 0;
	return 0;
}
