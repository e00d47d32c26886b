// SPDX-License-Identifier: MIT
/* All of a target's memory, copied while it stood still. */
#include <errno.h>
#include <string.h>
#include "tracer/area.h"
#include "tracer/kinds.h"

static struct ps_copy copy;
static pid_t copied;			/* the target that the copy is of */

#define STOP_COPY_RESULTS(R)	R(bytes) R(threads) R(take_ns) R(pause_ns) R(unreadable_bytes) R(regions) R(registers)
OPERATION(stop_copy, STOP_COPY_RESULTS)
{
	int err;

	copied = request->pid;
	err = ps_stop_copy(request->pid, request->timeout_ns, request->limit_ns, &copy, registers, PS_MAX_THREADS);
	tell_calls(&copy.calls);
	if (err)
		return err;
	*result = (struct stop_copy_results){
		.bytes = copy.used, .threads = copy.threads, .take_ns = copy.take_ns, .pause_ns = copy.pause_ns,
		.unreadable_bytes = copy.unreadable, .regions = copy.regions, .registers = copy.registers,
	};
	return 0;
}

#define READ_COPY_RESULTS(R)	R(bytes)

/* Asked with: address, length. Data: the bytes. */
OPERATION(read_copy, READ_COPY_RESULTS)
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
		result->bytes = length;
		return 0;
	}
	return ps_fail(-EFAULT, "the copy has nothing at 0x%llx", (unsigned long long)address);
}

static bool copy_is_held(void)
{
	return copy.bytes;
}

static int end_copy(const struct tracer_request *request, struct tracer_reply *reply, struct ending *ending)
{
	int64_t start = ps_now_ns();

	(void)request;
	(void)reply;
	ending->target = copied;
	ps_copy_free(&copy);
	ending->figures.reap_ns = ps_now_ns() - start;
	return 0;
}

KIND(copies) = { .taken_by = &op_stop_copy, .is_held = copy_is_held, .end = end_copy };
