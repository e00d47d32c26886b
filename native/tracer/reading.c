// SPDX-License-Identifier: MIT
/* Reading into the data that the requester maps: from a process's memory. */
#include <errno.h>
#include <string.h>
#include "area.h"
#include "held.h"
#include "operations.h"
#include "reader.h"

/*
 * So much is read before somebody else is seen to: by PTRACE_PEEKTEXT, a word a call, it takes 40 ms; by
 * others less than 4.
 */
#define PEEK_BLOCK	(64UL << 10)
#define BLOCK		(4UL << 20)

/* As ps_read(), which ends at the first byte that cannot be read. */
static ssize_t read_in_blocks(uint64_t address, size_t length)
{
	const size_t block = reader.way == PS_WAY_PEEK ? PEEK_BLOCK : BLOCK;
	size_t done = 0;

	while (done < length) {
		size_t wanted = length - done < block ? length - done : block;
		ssize_t got = ps_read(&reader, address + done, data + done, wanted);

		if (got < 0)
			return done ? (ssize_t)done : got;
		done += got;
		if ((size_t)got < wanted)
			break;
		if (done < length)
			ps_see_to_others();
	}
	return done;
}

#define READ_RESULTS(R)	R(ns) R(bytes)

/* Asked with: way, address, length. Data: the bytes. */
OPERATION(read, READ_RESULTS)
{
	enum ps_way way = request->argument[0];
	uint64_t address = request->argument[1];
	size_t length = request->argument[2];
	int64_t start;
	ssize_t got;
	int err = check_length(request->argument[2]);

	if (!err && way == PS_WAY_PEEK)
		err = prepare_peek(request->pid, request->timeout_ns);
	if (err)
		return err;
	if (reader.pid != request->pid || reader.way != way) {
		if (reader.pid >= 0)
			ps_reader_close(&reader);
		reader.pid = -1;
		err = ps_reader_open(&reader, way, request->pid);
		if (err) {
			reader.pid = -1;
			return err;
		}
	}
	start = ps_now_ns();
	got = read_in_blocks(address, length);
	result->ns = ps_now_ns() - start;
	result->bytes = got;
	if (got == -ESRCH && way == PS_WAY_PEEK)
		return ps_fail(got,
			"process %d is neither a duplicate nor held by this tracer, and peek reads no others: hold it first",
			request->pid);
	if (!got) {		/* /proc/PID/mem that was opened before */
		ps_reader_close(&reader);
		reader.pid = -1;
		return ps_fail(-ESRCH, "process %d has ended or called exec(): the memory that it had is gone", request->pid);
	}
	if (got < 0)
		return ps_fail(got, "%zu bytes at 0x%llx of process %d cannot be read: %s", length,
			       (unsigned long long)address, request->pid, strerror(-got));
	return 0;
}
