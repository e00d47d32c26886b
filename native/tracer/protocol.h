/* SPDX-License-Identifier: MIT */
/*
 * What requester and tracer say to each other: one request, one reply, over a
 * SOCK_SEQPACKET pair. The end of the pair is how either learns that the other
 * is gone. Bulk goes through an area of memory that both map: first the
 * registers, then data.
 */
#ifndef PROCSNAP_PROTOCOL_H
#define PROCSNAP_PROTOCOL_H

#include <assert.h>
#include "procsnap.h"

#define TRACER_SOCKET_FD	3
#define TRACER_AREA_FD		4
#define TRACER_REGISTERS_BYTES	(PS_MAX_THREADS * sizeof(struct ps_registers))
#define TRACER_RESULTS		24
#define TRACER_COUNTED_CALLS	512

/*
 * Every operation, in one table. From it come the operations' numbers, the
 * functions that answer them (do_inject() ...), and their names for TypeScript:
 * stop_copy is stopCopy there. What each is asked with, and what is in the area
 * afterwards:
 *
 * inject	pid, cpu, limit; registers; data: struct ps_calls; at left_out_at what a fork leaves out: pages, behind
 *		them struct ps_left_out_region, struct ps_left_out_run, as many as there are, and lines of maps
 * end		the duplicate, snapshot or copy, -, limit; message: why it ended early; left: why it is not buried;
 *		data: struct ps_calls
 * stop_copy	pid, -, limit; registers; data: struct ps_calls
 * read_copy	address, length; data
 * hold		pid, -, limit: stopped until let_go; registers; data: struct ps_calls
 * let_go
 * read		pid, way, address, length; data
 * count	way, length; data: uint32_t calls[TRACER_COUNTED_CALLS]
 * hook		step, action: tests only
 * snap		pid, plain
 * registers	of the snapshot; registers
 * check	pid, purpose; data: struct ps_reason, as many as there are
 * calibrate	what precopy costs here, on memory of the tracer's own
 * precopy	pid, most bytes, limit; data: behind a struct ps_calls, the folder for the copy, or ""; afterwards the
 *		struct
 * precopy_go_on	budget, -, limit; when it is done: registers; data: struct ps_calls, behind it struct ps_spells
 * untold	what stops did that belong to no request, which end tells too of its own target; data: struct ps_calls
 */
#define TRACER_OPS(X) \
	X(INJECT, inject) X(END, end) X(STOP_COPY, stop_copy) X(READ_COPY, read_copy) X(HOLD, hold) X(LET_GO, let_go) \
	X(READ, read) X(COUNT, count) X(HOOK, hook) X(SNAP, snap) X(REGISTERS, registers) X(CHECK, check) \
	X(UNTOLD, untold) X(CALIBRATE, calibrate) X(PRECOPY, precopy) X(PRECOPY_GO_ON, precopy_go_on)
/* Not asked for: what the tracer says first. */
#define TRACER_HELLO(X) X(HELLO, hello)

/*
 * The results of each, by name: the struct that the tracer fills in and the record
 * that TypeScript gets (take_ns is takeNs there) are made from the same list.
 */
#define HELLO_RESULTS(R)	R(affinity_code) R(priority_code) R(oom_code) R(pid)
#define INJECT_RESULTS(R) \
	R(pid) R(threads) R(take_ns) R(pause_ns) R(window_ns) R(clone_ns) R(moment_ns) R(registers) \
	R(left_out_bytes) R(left_out_at) R(left_out_page_bytes) R(left_out_regions) R(left_out_runs)
#define END_RESULTS(R)		R(kill_ns) R(reap_ns) R(pause_ns) R(unasked_pause_ns) R(unburied) R(ended_early)
#define STOP_COPY_RESULTS(R)	R(bytes) R(threads) R(take_ns) R(pause_ns) R(unreadable_bytes) R(regions) R(registers)
#define READ_COPY_RESULTS(R)	R(bytes)
#define HOLD_RESULTS(R)		R(threads) R(registers)
#define LET_GO_RESULTS(R)	R(held_ns)
#define READ_RESULTS(R)		R(ns) R(bytes)
#define COUNT_RESULTS(R)
#define HOOK_RESULTS(R)
#define SNAP_RESULTS(R) \
	R(pid) R(threads) R(take_ns) R(pause_ns) R(moment_ns) R(lock_wait_ns) R(skew_ns) R(pages_shared) R(pages_copied) \
	R(regions_taken) R(regions_live) R(regions_uncovered) R(regions_left_out)
#define REGISTERS_RESULTS(R)	R(registers)
#define CHECK_RESULTS(R) \
	R(reasons) R(threads) R(resident_kib) R(tables_kib) R(growth_kib) R(headroom_kib) R(pause_ns)
#define CALIBRATE_RESULTS(R)	R(protect_ns) R(unprotect_ns)
#define PRECOPY_RESULTS(R)	R(pause_ns) R(window_ns)
#define PRECOPY_GO_ON_RESULTS(R) \
	R(phase) R(passes) R(attempts) R(bytes_read) R(resident_bytes) R(threads) R(registers) R(take_ns) \
	R(setup_pause_ns) R(pause_ns) R(moment_ns) R(written_pages) R(last_pages) R(longest_step_ns) R(image_file) \
	R(index_file) R(whole_bytes) R(copy_bytes) R(steps) R(waits) R(waited_ns) \
	R(steps_in_rhythm) R(steps_awake)
#define UNTOLD_RESULTS(R)	R(pause_ns)

#define TRACER_NUMBER(OP, name)	OP_##OP,
enum tracer_op { TRACER_HELLO(TRACER_NUMBER) TRACER_OPS(TRACER_NUMBER) TRACER_OPERATIONS };
#undef TRACER_NUMBER

#define TRACER_RESULT(name)	int64_t name;
#define TRACER_STRUCT(OP, name)	struct name##_results { OP##_RESULTS(TRACER_RESULT) } name;
union tracer_results {
	int64_t	all[TRACER_RESULTS];
	TRACER_HELLO(TRACER_STRUCT)
	TRACER_OPS(TRACER_STRUCT)
};
#undef TRACER_STRUCT
#undef TRACER_RESULT
static_assert(sizeof(union tracer_results) == TRACER_RESULTS * sizeof(int64_t),
	"an operation has more than TRACER_RESULTS results");

/*
 * "limit" is how long, in nanoseconds, threads that are stopped may wait for
 * others to stop; 0 is PS_STOP_LIMIT_NS. struct ps_calls and pause_ns are told also
 * where the request was refused: by then, stops may have been made in vain.
 */

enum hook_action { HOOK_NONE, HOOK_KILL_TRACER, HOOK_KILL_REQUESTER };

struct tracer_request {
	int32_t	op, pid;
	int64_t	timeout_ns;
	int64_t	argument[4];
	uint64_t id;			/* a reply has that of its request: a late one is told apart */
};

struct tracer_reply {
	int32_t	code;			/* 0, or a negative errno */
	char	message[256];
	char	left[256];
	union tracer_results result;
	uint64_t id;
};

#endif
