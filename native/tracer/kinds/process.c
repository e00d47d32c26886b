// SPDX-License-Identifier: MIT
/* A process that is stopped until it is let go. */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "tracer/area.h"
#include "tracer/kinds.h"

static struct ps_thread held_threads[PS_MAX_THREADS];
static struct ps_stop held = { .thread = held_threads };

/* The process that is stopped for the requester, 0: none. */
pid_t held_process(void)
{
	return held.threads ? held.pid : 0;
}

#define HOLD_RESULTS(R)	R(threads) R(registers)

/* It is stopped until let_go. */
OPERATION(hold, HOLD_RESULTS)
{
	struct ps_calls calls = { 0 };
	int err, pidfd;

	/* Before it is looked at: so it is that process which is stopped, and no later one with its pid. */
	pidfd = syscall(SYS_pidfd_open, request->pid, 0);
	err = ps_check_target(request->pid);
	if (!err) {
		ps_prepare_stop(&held, held_threads, request->pid, request->timeout_ns, request->limit_ns);
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
	result->threads = held.threads;
	result->registers = ps_read_registers(&held, registers, PS_MAX_THREADS);
	return 0;
}

#define LET_GO_RESULTS(R)	R(held_ns)
OPERATION(let_go, LET_GO_RESULTS)
{
	if (!held.threads)
		return ps_fail(-ENOENT, "this tracer holds no stopped process");
	ps_release(&held, -1);
	result->held_ns = ps_now_ns() - held.first_ns;
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
	struct let_go_results unused;

	do_let_go(&none, &reply, &unused);
}

static void note_process_deaths(void)
{
	ps_note_deaths(&held);
}

KIND(processes) = {
	.taken_by = &op_hold,
	.stops_target = true,
	.is_held = process_is_held,
	.forget = let_go_process,
	.note_deaths = note_process_deaths,
};
