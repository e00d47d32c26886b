// SPDX-License-Identifier: MIT
/* A duplicate that was injected into its target. */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include "duplicate/burial.h"
#include "duplicate/child.h"
#include "tracer/area.h"
#include "tracer/held.h"
#include "tracer/reader.h"

/* In the data, behind what is told of calls. */
#define LEFT_OUT_AT	((sizeof(struct ps_calls) + 4095) / 4096 * 4096)

static struct ps_duplicate duplicate;

/* A duplicate that had to be ended before it was asked for. */
static struct {
	bool	ended;
	pid_t	pid, target;
	char	why[224];
	int	err;			/* it was not buried then */
	char	left[224];		/* and why not */
	struct ps_ended figures;
} early;

#define INJECT_RESULTS(R) \
	R(pid) R(threads) R(take_ns) R(pause_ns) R(window_ns) R(clone_ns) R(moment_ns) R(registers) \
	R(left_out_bytes) R(left_out_at) R(left_out_page_bytes) R(left_out_regions) R(left_out_runs)

/*
 * Asked with: a CPU. Data: at left_out_at what a fork leaves out: pages, behind
 * them struct ps_left_out_region, struct ps_left_out_run, as many as there are,
 * and lines of maps.
 */
OPERATION(inject, INJECT_RESULTS)
{
	struct ps_left_out left_out = { .room = data + LEFT_OUT_AT };
	struct ps_duplicate taken;
	int err;

	left_out.room_bytes = data_bytes > LEFT_OUT_AT ? data_bytes - LEFT_OUT_AT : 0;
	touch_registers(request->pid);
	err = ps_inject(request->pid, request->argument[0], request->timeout_ns, request->limit_ns, &taken, registers,
			PS_MAX_THREADS, &left_out);
	tell_calls(&taken.calls);
	result->pause_ns = taken.pause_ns;
	if (err)
		return err;
	duplicate = taken;
	*result = (struct inject_results){
		.pid = taken.pid,
		.threads = taken.threads,
		.take_ns = taken.take_ns,
		.pause_ns = taken.pause_ns,
		.window_ns = taken.window_ns,
		.clone_ns = taken.clone_ns,
		.moment_ns = taken.moment_ns,
		.registers = taken.registers,
		.left_out_bytes = left_out.total_bytes,
		.left_out_at = LEFT_OUT_AT,
		.left_out_page_bytes = left_out.page_bytes,
	};
	/* Behind the pages. */
	if (left_out.regions && ps_write_left_out(&left_out, left_out.room + left_out.page_bytes,
						  left_out.room_bytes - left_out.page_bytes)) {
		result->left_out_regions = left_out.regions;
		result->left_out_runs = left_out.runs;
	}
	return 0;
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
	if (!waitid(P_PID, duplicate.pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) && info.si_pid &&
		info.si_code != CLD_TRAPPED)
		end_early("the duplicate was killed from outside: its container or cgroup was ended, or memory ran out");
}

static bool duplicate_is_held(void)
{
	return duplicate.pid || early.ended;
}

static bool duplicate_is_watched(void)
{
	return duplicate.pid;
}

static int end_duplicate(const struct tracer_request *request, struct tracer_reply *reply, struct ending *ending)
{
	if (duplicate.pid && held_process() == duplicate.target)
		return ps_fail(
			-EBUSY, "process %d is held, and has to run to end its duplicate: let it go first", held_process());
	look_after_duplicate();		/* has it ended by itself? */
	close_reader(duplicate.pid);
	if (early.ended) {
		ending->target = early.target;
		ending->figures = early.figures;
		early.ended = false;
		ending->early = true;
		snprintf(reply->message, sizeof(reply->message), "%s", early.why);
		/* It may have been buried since; where there was no room to note it, nobody ever will. */
		ending->unburied = ps_burying(early.pid) || early.err == -ENOSPC;
		snprintf(reply->left, sizeof(reply->left), "%s", early.left);
		return 0;
	}
	ending->target = duplicate.target;
	/* What is left of it harms nothing, and is seen to later: no reason to call the end a failure. */
	if (ps_end(&duplicate, request->timeout_ns, request->limit_ns, &ending->figures)) {
		ending->unburied = true;
		snprintf(reply->left, sizeof(reply->left), "%s", ps_error());
	}
	duplicate.pid = 0;
	return 0;
}

static void forget_duplicate(void)
{
	if (duplicate.pid)
		end_early("the duplicate had to be ended: a thread of a process could not be stopped, and only the end of the "
				  "tracing thread "
				  "lets it go");
}

static int64_t duplicate_next_ns(void)
{
	int64_t next_ns = ps_watch_next_ns(), look_ns = ps_now_ns() + LOOK_NS;

	return duplicate.pid && duplicate.shares_files && look_ns < next_ns ? look_ns : next_ns;
}

KIND(duplicates) = {
	.taken_by = &op_inject,
	.beside = true,
	.is_held = duplicate_is_held,
	.end = end_duplicate,
	.forget = forget_duplicate,
	.look_after = look_after_duplicate,
	.next_ns = duplicate_next_ns,
	.is_watched = duplicate_is_watched,
};
