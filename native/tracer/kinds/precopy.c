// SPDX-License-Identifier: MIT
/* A copy that is made while its target runs, and that this process keeps in a file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "tracer/area.h"
#include "tracer/kinds.h"
#include "tracer/requests.h"

static struct ps_precopy copy;
static pid_t copied;			/* the target; 0: there is none */

/* Where the requester finds what was done when: behind what is told of calls. */
static void tell_spells(void)
{
	if (sizeof(copy.calls) + sizeof(copy.spells) <= data_bytes)
		memcpy(data + sizeof(copy.calls), &copy.spells, sizeof(copy.spells));
}

int do_precopy(const struct tracer_request *request, struct tracer_reply *reply)
{
	char folder[4096];
	int err;

	/* Behind what is told of calls. */
	if (check_length(sizeof(copy.calls) + sizeof(folder)))
		return -EINVAL;
	snprintf(folder, sizeof(folder), "%.*s", (int)sizeof(folder) - 1, (const char *)data + sizeof(copy.calls));
	touch_registers(request->pid);
	err = ps_precopy_begin(request->pid, folder, request->argument[0], request->timeout_ns, request->argument[1],
			       &copy);
	tell_calls(&copy.calls);
	reply->result.precopy = (struct precopy_results){ .pause_ns = copy.setup_pause_ns, .window_ns = copy.window_ns };
	if (!err)
		copied = request->pid;
	return err;
}

int do_precopy_go_on(const struct tracer_request *request, struct tracer_reply *reply)
{
	int err;

	if (!copied)
		return ps_fail(-ENOENT, "this tracer makes no such copy");
	err = ps_precopy_go_on(request->argument[0], request->timeout_ns, request->argument[1], registers, PS_MAX_THREADS);
	tell_calls(&copy.calls);
	tell_spells();
	/* Refused as well: the stops that it has made by then were in vain. */
	reply->result.precopy_go_on = (struct precopy_go_on_results){
		.phase = copy.phase, .passes = copy.passes, .attempts = copy.attempts, .bytes_read = copy.bytes_read,
		.resident_bytes = copy.resident_bytes, .threads = copy.threads, .registers = copy.registers,
		.take_ns = copy.take_ns, .setup_pause_ns = copy.setup_pause_ns, .pause_ns = copy.longest_pause_ns,
		.moment_ns = copy.moment_ns, .written_pages = copy.written_pages, .last_pages = copy.last_pages,
		.longest_step_ns = copy.longest_step_ns, .image_file = copy.image_file, .index_file = copy.index_file,
		.whole_bytes = copy.whole_bytes, .copy_bytes = copy.copy_bytes, .steps = copy.steps.made,
		.waits = copy.steps.waits, .waited_ns = copy.steps.waited_ns, .steps_in_rhythm = copy.steps.in_rhythm,
		.steps_awake = copy.steps.awake,
	};
	return err;
}

static bool precopy_is_held(void)
{
	return copied;
}

static int end_precopy(
	const struct tracer_request *request, struct tracer_reply *reply, struct ps_ended *ended, pid_t *target)
{
	int64_t start = ps_now_ns();

	(void)request;
	(void)reply;
	*target = copied;
	/* What its stops did was told by each request; of one that was refused, this is the last word. */
	if (copy.phase != PS_PRECOPY_DONE)
		ended->calls = copy.calls;
	ps_precopy_end();
	copied = 0;
	ended->reap_ns = ps_now_ns() - start;
	return 0;
}

const struct kind precopies = {
	.taken_by = OP_PRECOPY, .beside = true, .is_held = precopy_is_held, .end = end_precopy,
};
