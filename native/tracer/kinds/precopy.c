// SPDX-License-Identifier: MIT
/* A copy that is made while its target runs, and that this process keeps in a file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "tracer/area.h"
#include "tracer/kinds.h"

static struct ps_precopy copy;
static pid_t copied;			/* the target; 0: there is none */

/* Where the requester finds what was done when: behind what is told of calls. */
static void tell_spells(void)
{
	if (sizeof(copy.calls) + sizeof(copy.spells) <= data_bytes)
		memcpy(data + sizeof(copy.calls), &copy.spells, sizeof(copy.spells));
}

#define PRECOPY_RESULTS(R)	R(pause_ns) R(window_ns)

/* Asked with: the most bytes; its bytes are the folder for the copy, or none. */
OPERATION(precopy, PRECOPY_RESULTS)
{
	char folder[4096];
	int err;

	err = read_bytes(request, folder, sizeof(folder));
	if (err)
		return err;
	touch_registers(request->pid);
	err = ps_precopy_begin(request->pid, folder, request->argument[0], request->timeout_ns, request->limit_ns, &copy);
	tell_calls(&copy.calls);
	*result = (struct precopy_results){ .pause_ns = copy.setup_pause_ns, .window_ns = copy.window_ns };
	if (!err)
		copied = request->pid;
	return err;
}

#define PRECOPY_GO_ON_RESULTS(R) \
	R(phase) R(passes) R(attempts) R(bytes_read) R(resident_bytes) R(threads) R(registers) R(take_ns) \
	R(setup_pause_ns) R(pause_ns) R(moment_ns) R(written_pages) R(last_pages) R(longest_step_ns) R(image_file) \
	R(index_file) R(whole_bytes) R(copy_bytes) R(steps) R(waits) R(waited_ns) \
	R(steps_in_rhythm) R(steps_awake)

/* Asked with: the budget, in nanoseconds. Data: behind what is told of calls, struct ps_spells. */
OPERATION(precopy_go_on, PRECOPY_GO_ON_RESULTS)
{
	int err;

	if (!copied)
		return ps_fail(-ENOENT, "this tracer makes no such copy");
	err = ps_precopy_go_on(request->argument[0], request->timeout_ns, request->limit_ns, registers, PS_MAX_THREADS);
	tell_calls(&copy.calls);
	tell_spells();
	/* Refused as well: the stops that it has made by then were in vain. */
	*result = (struct precopy_go_on_results){
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

static int end_precopy(const struct tracer_request *request, struct tracer_reply *reply, struct ending *ending)
{
	int64_t start = ps_now_ns();

	(void)request;
	(void)reply;
	ending->target = copied;
	/* What its stops did was told by each request; of one that was refused, this is the last word. */
	if (copy.phase != PS_PRECOPY_DONE)
		ending->figures.calls = copy.calls;
	ps_precopy_end();
	copied = 0;
	ending->figures.reap_ns = ps_now_ns() - start;
	return 0;
}

KIND(precopies) = {
	.taken_by = &op_precopy, .beside = true, .is_held = precopy_is_held, .end = end_precopy,
};
