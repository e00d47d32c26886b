// SPDX-License-Identifier: MIT
/* A duplicate that a patched kernel has made. */
#include <errno.h>
#include "tracer/area.h"
#include "tracer/kinds.h"
#include "tracer/reader.h"

static struct ps_snapshot snapshot;

#define SNAP_RESULTS(R) \
	R(pid) R(threads) R(take_ns) R(pause_ns) R(moment_ns) R(lock_wait_ns) R(skew_ns) R(pages_shared) R(pages_copied) \
	R(regions_taken) R(regions_live) R(regions_uncovered) R(regions_left_out)

/* Asked with: plain? */
OPERATION(snap, SNAP_RESULTS)
{
	int err = ps_snap(request->pid, request->argument[0], &snapshot);

	if (err)
		return err;
	*result = (struct snap_results){
		.pid = snapshot.pid, .threads = snapshot.threads, .take_ns = snapshot.take_ns, .pause_ns = snapshot.pause_ns,
		.moment_ns = snapshot.moment_ns, .lock_wait_ns = snapshot.told.lock_wait_ns,
		.skew_ns = snapshot.told.registers_skew_ns, .pages_shared = snapshot.told.pages_shared,
		.pages_copied = snapshot.told.pages_copied, .regions_taken = snapshot.told.regions_taken,
		.regions_live = snapshot.told.regions_live, .regions_uncovered = snapshot.told.regions_uncovered,
		.regions_left_out = snapshot.told.regions_left_out,
	};
	return 0;
}

#define REGISTERS_RESULTS(R)	R(registers)

/* Those of the snapshot. */
OPERATION(registers, REGISTERS_RESULTS)
{
	int count;

	if (!snapshot.pid)
		return ps_fail(
			-ENOENT, "a snapshot's registers are read from it, and this tracer holds none: read them before its end");
	count = ps_snapshot_registers(&snapshot, request->timeout_ns, registers, PS_MAX_THREADS);
	result->registers = count;
	return count < 0 ? count : 0;
}

static bool snapshot_is_held(void)
{
	return snapshot.pid;
}

static int end_snapshot(const struct tracer_request *request, struct tracer_reply *reply, struct ending *ending)
{
	(void)request;
	(void)reply;
	close_reader(snapshot.pid);
	ending->target = snapshot.target;
	ps_snapshot_end(&snapshot, &ending->figures);
	return 0;
}

/* PEEKTEXT works on what is traced and stopped; a snapshot is parked, and traced only for this. */
static int attach_snapshot(pid_t pid, int64_t timeout_ns)
{
	return snapshot.pid && pid == snapshot.pid ? ps_snapshot_attach(&snapshot, timeout_ns) : 0;
}

KIND(snapshots) = {
	.taken_by = &op_snap,
	.beside = true,
	.is_held = snapshot_is_held,
	.end = end_snapshot,
	.prepare_peek = attach_snapshot,
};
