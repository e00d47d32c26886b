// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "area.h"

struct ps_registers *registers;
uint8_t *data;
size_t data_bytes;

int check_length(int64_t length)
{
	if (length < 1 || (size_t)length > data_bytes)
		return ps_fail(-EINVAL, "%lld bytes cannot be read at once: 1 to %zu can (Tracer.start({dataBytes}))",
			       (long long)length, data_bytes);
	return 0;
}

int read_bytes(const struct tracer_request *request, char *to, size_t size)
{
	if (request->bytes >= size || (request->bytes && TRACER_BYTES_AT + request->bytes > data_bytes))
		return ps_fail(-E2BIG, "%llu bytes go with a request that takes fewer than %zu",
			       (unsigned long long)request->bytes, size);
	memcpy(to, data + TRACER_BYTES_AT, request->bytes);
	to[request->bytes] = 0;
	return 0;
}

/* Their memory is there before the target is stopped: a first touch may be slow. */
void touch_registers(pid_t pid)
{
	struct stat task;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	if (stat(path, &task))
		return;
	for (int i = 0; i < (int)task.st_nlink && i < PS_MAX_THREADS; i++) {
		((volatile struct ps_registers *)registers)[i].tid = 0;
		((volatile struct ps_registers *)registers)[i].xstate[4096] = 0;
	}
}

/* The counts by call, where the requester finds them. */
void tell_calls(const struct ps_calls *calls)
{
	memcpy(data, calls, sizeof(*calls) < data_bytes ? sizeof(*calls) : data_bytes);
}
