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
#include "held.h"
#include "reader.h"
#include "requests.h"

static struct ps_duplicate duplicate;
static struct ps_snapshot snapshot;
static struct ps_copy copy;
static pid_t copied;			/* the target that the copy is of */
static struct ps_thread held_threads[PS_MAX_THREADS];
static struct ps_stop held = { .thread = held_threads };

/* A duplicate that had to be ended before it was asked for. */
static struct {
	bool	ended;
	pid_t	pid, target;
	char	why[224];
	int	err;			/* it was not buried then */
	char	left[224];		/* and why not */
	struct ps_ended figures;
} early;

int do_inject(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_duplicate taken;
	int err;

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
	int err = ps_snap(request->pid, request->argument[0], &snapshot);

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
	int err;

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

/* The process that is stopped for the requester, 0: none. */
static pid_t held_process(void)
{
	return held.threads ? held.pid : 0;
}

static void end_early(const char *why)
{
	early.ended = true;
	early.pid = duplicate.pid;
	early.target = duplicate.target;
	/* @why may be ps_error(), which the end changes. */
	snprintf(early.why, sizeof(early.why), "%s", why);
	close_reader(duplicate.pid);
	if (held_process() == duplicate.target) {	/* it is buried when the target runs again */
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

static void look_after_duplicate(void)
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

static bool duplicate_is_held(void)
{
	return duplicate.pid || early.ended;
}

static bool duplicate_is_watched(void)
{
	return duplicate.pid;
}

static int end_duplicate(const struct tracer_request *request, struct tracer_reply *reply, struct ps_ended *ended, pid_t *target)
{
	if (duplicate.pid && held_process() == duplicate.target)
		return ps_fail(-EBUSY, "process %d is held, and has to run to end its duplicate: let it go first", held_process());
	look_after_duplicate();		/* has it ended by itself? */
	close_reader(duplicate.pid);
	if (early.ended) {
		*target = early.target;
		*ended = early.figures;
		early.ended = false;
		reply->result.end.ended_early = 1;
		snprintf(reply->message, sizeof(reply->message), "%s", early.why);
		/* It may have been buried since; where there was no room to note it, nobody ever will. */
		reply->result.end.unburied = ps_burying(early.pid) || early.err == -ENOSPC;
		snprintf(reply->left, sizeof(reply->left), "%s", early.left);
		return 0;
	}
	*target = duplicate.target;
	/* What is left of it harms nothing, and is seen to later: no reason to call the end a failure. */
	if (ps_end(&duplicate, request->timeout_ns, request->argument[1], ended)) {
		reply->result.end.unburied = 1;
		snprintf(reply->left, sizeof(reply->left), "%s", ps_error());
	}
	duplicate.pid = 0;
	return 0;
}

static void forget_duplicate(void)
{
	if (duplicate.pid)
		end_early("the duplicate had to be ended: a thread of a process could not be stopped, and only the end of the tracing thread "
			  "lets it go");
}

static int64_t duplicate_next_ns(void)
{
	int64_t next_ns = ps_watch_next_ns(), look_ns = ps_now_ns() + LOOK_NS;

	return duplicate.pid && duplicate.shares_files && look_ns < next_ns ? look_ns : next_ns;
}

static const struct kind duplicates = {
	.taken_by = OP_INJECT, .beside = true, .is_held = duplicate_is_held, .end = end_duplicate, .forget = forget_duplicate,
	.look_after = look_after_duplicate, .next_ns = duplicate_next_ns, .is_watched = duplicate_is_watched,
};

static bool snapshot_is_held(void)
{
	return snapshot.pid;
}

static int end_snapshot(const struct tracer_request *request, struct tracer_reply *reply, struct ps_ended *ended, pid_t *target)
{
	(void)request;
	(void)reply;
	close_reader(snapshot.pid);
	*target = snapshot.target;
	ps_snapshot_end(&snapshot, ended);
	return 0;
}

/* PEEKTEXT works on what is traced and stopped; a snapshot is parked, and traced only for this. */
static int attach_snapshot(pid_t pid, int64_t timeout_ns)
{
	return snapshot.pid && pid == snapshot.pid ? ps_snapshot_attach(&snapshot, timeout_ns) : 0;
}

static const struct kind snapshots = {
	.taken_by = OP_SNAP, .beside = true, .is_held = snapshot_is_held, .end = end_snapshot, .prepare_peek = attach_snapshot,
};

static bool copy_is_held(void)
{
	return copy.bytes;
}

static int end_copy(const struct tracer_request *request, struct tracer_reply *reply, struct ps_ended *ended, pid_t *target)
{
	int64_t start = ps_now_ns();

	(void)request;
	(void)reply;
	*target = copied;
	ps_copy_free(&copy);
	ended->reap_ns = ps_now_ns() - start;
	return 0;
}

static const struct kind copies = { .taken_by = OP_STOP_COPY, .is_held = copy_is_held, .end = end_copy };

int do_end(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_ended ended = { 0 };
	pid_t target = 0;
	int err;

	for_each_kind(kind) {
		if (!kind->end || !kind->is_held())
			continue;
		err = kind->end(request, reply, &ended, &target);
		if (err)
			return err;
		reply->result.end.kill_ns = ended.kill_ns;
		reply->result.end.reap_ns = ended.reap_ns;
		reply->result.end.pause_ns = ended.pause_ns;
		/* What was done to other targets is not this one's to tell, and is left to OP_UNTOLD or to their ends. */
		tell_with_untold(target, &ended.calls, &reply->result.end.unasked_pause_ns);
		return 0;
	}
	return ps_fail(-ENOENT, "this tracer holds nothing that could be ended");
}

int check_free_for(enum tracer_op op)
{
	bool takes = false, stops = false, in_the_way = false;

	for_each_kind(kind)
		if (kind->taken_by == op) {
			takes = true;
			stops = kind->stops_target;
		}
	if (!takes)
		return 0;
	for_each_kind(kind)
		in_the_way |= kind->is_held() && !(stops && kind->beside);
	if (ps_stranded())
		return ps_fail(-EBUSY, "this tracer still waits for a thread of process %d to come back from the kernel, to put it back", ps_stranded());
	if (in_the_way)
		return ps_fail(-EBUSY, "this tracer still holds a duplicate, a copy or a stopped process: end it first");
	return 0;
}

bool holds_stopped(void)
{
	for_each_kind(kind)
		if (kind->stops_target && kind->is_held())
			return true;
	return false;
}

void end_all(void)
{
	struct tracer_request none = { .timeout_ns = PS_NSEC_PER_SEC };
	struct tracer_reply reply;

	for_each_kind(kind) {
		if (!kind->is_held())
			continue;
		if (kind->end)
			do_end(&none, &reply);
		else
			kind->forget();
	}
}

void forget_all(void)
{
	for_each_kind(kind)
		if (kind->forget && kind->is_held())
			kind->forget();
	ps_reader_close(&reader);
	reader.pid = -1;
}

void note_held_deaths(void)
{
	for_each_kind(kind)
		if (kind->note_deaths && kind->is_held())
			kind->note_deaths();
}

void look_after_held(void)
{
	for_each_kind(kind)
		if (kind->look_after)
			kind->look_after();
}

int64_t held_next_ns(void)
{
	int64_t next_ns = INT64_MAX, of_kind_ns;

	for_each_kind(kind) {
		of_kind_ns = kind->next_ns ? kind->next_ns() : INT64_MAX;
		next_ns = of_kind_ns < next_ns ? of_kind_ns : next_ns;
	}
	return next_ns;
}

bool watches(void)
{
	for_each_kind(kind)
		if (kind->is_watched && kind->is_watched())
			return true;
	return false;
}

int prepare_peek(pid_t pid, int64_t timeout_ns)
{
	int err = 0;

	for_each_kind(kind)
		if (!err && kind->prepare_peek)
			err = kind->prepare_peek(pid, timeout_ns);
	return err;
}

int do_hold(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_calls calls = { 0 };
	int err, pidfd;

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

static bool process_is_held(void)
{
	return held.threads;
}

static void let_go_process(void)
{
	struct tracer_request none = { 0 };
	struct tracer_reply reply;

	do_let_go(&none, &reply);
}

static void note_process_deaths(void)
{
	ps_note_deaths(&held);
}

static const struct kind processes = {
	.taken_by = OP_HOLD, .stops_target = true, .is_held = process_is_held, .forget = let_go_process, .note_deaths = note_process_deaths,
};

/* Of a duplicate whose target is held, too, the target comes first: it has to run to end its duplicate. */
const struct kind *const kinds[] = { &processes, &duplicates, &snapshots, &copies, NULL };
