// SPDX-License-Identifier: MIT
/* All of a target's memory, copied while it stood still. */
#include <errno.h>
#include <string.h>
#include "tracer/area.h"
#include "tracer/kinds.h"
#include "tracer/requests.h"

static struct ps_copy copy;
static pid_t copied;			/* the target that the copy is of */

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

static bool copy_is_held(void)
{
	return copy.bytes;
}

static int end_copy(
	const struct tracer_request *request, struct tracer_reply *reply, struct ps_ended *ended, pid_t *target)
{
	int64_t start = ps_now_ns();

	(void)request;
	(void)reply;
	*target = copied;
	ps_copy_free(&copy);
	ended->reap_ns = ps_now_ns() - start;
	return 0;
}

const struct kind copies = { .taken_by = OP_STOP_COPY, .is_held = copy_is_held, .end = end_copy };
