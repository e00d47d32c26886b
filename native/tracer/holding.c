// SPDX-License-Identifier: MIT
/* What the tracer holds: one duplicate, copy or stopped target at a time; taken, held, ended. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "requests.h"
#include "state.h"

struct ps_duplicate duplicate;
struct ps_snapshot snapshot;
struct ps_copy copy;
static struct ps_thread held_threads[PS_MAX_THREADS];
struct ps_stop held = { .thread = held_threads };

static char early[256];

void end_early(void)
{
	struct ps_ended ended;

	snprintf(early, sizeof(early), "%s", ps_error());
	if (reader.pid >= 0 && reader.pid == duplicate.pid) {
		ps_reader_close(&reader);
		reader.pid = -1;
	}
	ps_end(&duplicate, PS_NSEC_PER_SEC, &ended);
	duplicate.pid = 0;
}

static int busy(void)
{
	if (duplicate.pid || snapshot.pid || copy.bytes || held.threads)
		return ps_fail(-EBUSY, "this tracer still holds a duplicate, a copy or a stopped process: end it first");
	return 0;
}

int do_inject(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_duplicate taken;
	int err = busy();

	if (err)
		return err;
	err = ps_inject(request->pid, request->argument[0], request->timeout_ns, &taken, registers, PS_MAX_THREADS);
	if (err)
		return err;
	duplicate = taken;
	*early = 0;
	const int64_t result[] = { taken.pid, taken.threads, taken.take_ns, taken.pause_ns, taken.window_ns, taken.clone_ns,
				   taken.moment_ns, taken.calls.restarted, taken.calls.lengthened, taken.registers };
	memcpy(reply->result, result, sizeof(result));
	return 0;
}

int do_snap(const struct tracer_request *request, struct tracer_reply *reply)
{
	int err = busy();

	if (err)
		return err;
	err = ps_snap(request->pid, request->argument[0], &snapshot);
	if (err)
		return err;
	const int64_t result[] = { snapshot.pid, snapshot.threads, snapshot.take_ns, snapshot.pause_ns, snapshot.moment_ns,
				   snapshot.told.lock_wait_ns, snapshot.told.registers_skew_ns, snapshot.told.pages_shared,
				   snapshot.told.pages_copied, snapshot.told.regions_taken, snapshot.told.regions_live,
				   snapshot.told.regions_uncovered, snapshot.told.regions_left_out };
	memcpy(reply->result, result, sizeof(result));
	return 0;
}

int do_registers(const struct tracer_request *request, struct tracer_reply *reply)
{
	int count;

	if (!snapshot.pid)
		return ps_fail(-ENOENT, "a snapshot's registers are read from it, and this tracer holds none: read them before its end");
	count = ps_snapshot_registers(&snapshot, request->timeout_ns, registers, PS_MAX_THREADS);
	reply->result[0] = count;
	return count < 0 ? count : 0;
}

int do_stop_copy(const struct tracer_request *request, struct tracer_reply *reply)
{
	int err = busy();

	if (!err)
		err = ps_stop_copy(request->pid, request->timeout_ns, &copy, registers, PS_MAX_THREADS);
	if (err)
		return err;
	const int64_t result[] = { copy.used, copy.threads, copy.take_ns, copy.pause_ns, copy.unreadable, copy.regions,
				   0, copy.calls.restarted, copy.calls.lengthened, copy.registers };
	memcpy(reply->result, result, sizeof(result));
	return 0;
}

int do_end(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_ended ended = { 0 };
	int64_t start = ps_now_ns();
	int err = 0;

	if (duplicate.pid && held.threads && held.pid == duplicate.target)
		return ps_fail(-EBUSY, "process %d is held, and has to run to end its duplicate: let it go first", held.pid);
	if (reader.pid >= 0 && (reader.pid == duplicate.pid || reader.pid == snapshot.pid)) {
		ps_reader_close(&reader);
		reader.pid = -1;
	}
	if (snapshot.pid) {
		ps_snapshot_end(&snapshot, &ended);
	} else if (duplicate.pid) {
		err = ps_end(&duplicate, request->timeout_ns, &ended);
		duplicate.pid = 0;
	} else if (*early) {
		err = ps_fail(-ENOMEM, "%s", early);
		*early = 0;
	} else if (copy.bytes) {
		ps_copy_free(&copy);
		ended.reap_ns = ps_now_ns() - start;
	} else {
		return ps_fail(-ENOENT, "this tracer holds nothing that could be ended");
	}
	reply->result[0] = ended.kill_ns;
	reply->result[1] = ended.reap_ns;
	reply->result[2] = ended.pause_ns;
	return err;
}

int do_hold(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_calls calls = { 0 };
	int err;

	/* Beside a duplicate a target may be held: that is how the two are compared. */
	if (held.threads || copy.bytes)
		return busy();
	err = ps_check_target(request->pid);
	if (!err)
		err = ps_stop_all(&held, request->pid, request->timeout_ns);
	if (err) {
		held.threads = 0;
		return err;
	}
	for (int i = 0; i < held.threads; i++)
		ps_mend_call(request->pid, &held.thread[i], &calls);
	reply->result[0] = held.threads;
	reply->result[1] = ps_read_registers(&held, registers, PS_MAX_THREADS);
	return 0;
}

int do_let_go(struct tracer_reply *reply)
{
	if (!held.threads)
		return ps_fail(-ENOENT, "this tracer holds no stopped process");
	ps_release(&held, -1);
	reply->result[0] = ps_now_ns() - held.first_ns;
	held.threads = 0;
	return 0;
}
