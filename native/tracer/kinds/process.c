// SPDX-License-Identifier: MIT
/* A process that is stopped until it is let go. */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "tracer/area.h"
#include "tracer/kinds.h"
#include "tracer/requests.h"

static struct ps_thread held_threads[PS_MAX_THREADS];
static struct ps_stop held = { .thread = held_threads };

/* The process that is stopped for the requester, 0: none. */
pid_t held_process(void)
{
	return held.threads ? held.pid : 0;
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

const struct kind processes = {
	.taken_by = OP_HOLD,
	.stops_target = true,
	.is_held = process_is_held,
	.forget = let_go_process,
	.note_deaths = note_process_deaths,
};
