// SPDX-License-Identifier: MIT
#include <errno.h>
#include "duplicate/stranded.h"
#include "area.h"
#include "held.h"
#include "reader.h"
#include "requests.h"

/* And what has not been told of @target (0: of all). */
static void tell_with_untold(pid_t target, struct ps_calls *calls, int64_t *pause_ns)
{
	ps_tell_untold(target, calls, pause_ns);
	tell_calls(calls);
}

int do_untold(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_calls calls = { 0 };

	(void)request;
	tell_with_untold(0, &calls, &reply->result.untold.pause_ns);
	return 0;
}

int do_end(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_ended ended = { 0 };
	pid_t target = 0;
	int err;

	for_each_kind(kind) {
		if (!kind->end || !kind->is_held())
			continue;
		err = kind->end(request, reply, &ended, &target);
		if (err)
			return err;
		reply->result.end.kill_ns = ended.kill_ns;
		reply->result.end.reap_ns = ended.reap_ns;
		reply->result.end.pause_ns = ended.pause_ns;
		/* What was done to other targets is not this one's to tell, and is left to OP_UNTOLD or to their ends. */
		tell_with_untold(target, &ended.calls, &reply->result.end.unasked_pause_ns);
		return 0;
	}
	return ps_fail(-ENOENT, "this tracer holds nothing that could be ended");
}

int check_free_for(enum tracer_op op)
{
	bool takes = false, stops = false, in_the_way = false;

	for_each_kind(kind)
		if (kind->taken_by == op) {
			takes = true;
			stops = kind->stops_target;
		}
	if (!takes)
		return 0;
	for_each_kind(kind)
		in_the_way |= kind->is_held() && !(stops && kind->beside);
	if (ps_stranded())
		return ps_fail(-EBUSY,
			"this tracer still waits for a thread of process %d to come back from the kernel, to put it back",
			ps_stranded());
	if (in_the_way)
		return ps_fail(-EBUSY, "this tracer still holds a duplicate, a copy or a stopped process: end it first");
	return 0;
}

bool holds_stopped(void)
{
	for_each_kind(kind)
		if (kind->stops_target && kind->is_held())
			return true;
	return false;
}

void end_all(void)
{
	struct tracer_request none = { .timeout_ns = PS_NSEC_PER_SEC };
	struct tracer_reply reply;

	for_each_kind(kind) {
		if (!kind->is_held())
			continue;
		if (kind->end)
			do_end(&none, &reply);
		else
			kind->forget();
	}
}

void forget_all(void)
{
	for_each_kind(kind)
		if (kind->forget && kind->is_held())
			kind->forget();
	ps_reader_close(&reader);
	reader.pid = -1;
}

void note_held_deaths(void)
{
	for_each_kind(kind)
		if (kind->note_deaths && kind->is_held())
			kind->note_deaths();
}

void look_after_held(void)
{
	for_each_kind(kind)
		if (kind->look_after)
			kind->look_after();
}

int64_t held_next_ns(void)
{
	int64_t next_ns = INT64_MAX, of_kind_ns;

	for_each_kind(kind) {
		of_kind_ns = kind->next_ns ? kind->next_ns() : INT64_MAX;
		next_ns = of_kind_ns < next_ns ? of_kind_ns : next_ns;
	}
	return next_ns;
}

bool watches(void)
{
	for_each_kind(kind)
		if (kind->is_watched && kind->is_watched())
			return true;
	return false;
}

int prepare_peek(pid_t pid, int64_t timeout_ns)
{
	int err = 0;

	for_each_kind(kind)
		if (!err && kind->prepare_peek)
			err = kind->prepare_peek(pid, timeout_ns);
	return err;
}
