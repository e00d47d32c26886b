// SPDX-License-Identifier: MIT
#include <errno.h>
#include "duplicate/stranded.h"
#include "area.h"
#include "held.h"
#include "reader.h"

/* And what has not been told of @target (0: of all). */
static void tell_with_untold(pid_t target, struct ps_calls *calls, int64_t *pause_ns)
{
	ps_tell_untold(target, calls, pause_ns);
	tell_calls(calls);
}

#define UNTOLD_RESULTS(R)	R(pause_ns)

/* What stops did that belong to no request, which end tells too of its own target. */
OPERATION(untold, UNTOLD_RESULTS)
{
	struct ps_calls calls = { 0 };

	tell_with_untold(0, &calls, &result->pause_ns);
	return 0;
}

#define END_RESULTS(R)	R(kill_ns) R(reap_ns) R(pause_ns) R(unasked_pause_ns) R(unburied) R(ended_early)

/* What is held, but for a process that is stopped: that is let go. */
OPERATION(end, END_RESULTS)
{
	struct ending ending = { 0 };
	int err;

	for_each_kind(kind) {
		if (!kind->end || !kind->is_held())
			continue;
		err = kind->end(request, reply, &ending);
		if (err)
			return err;
		*result = (struct end_results){
			.kill_ns = ending.figures.kill_ns, .reap_ns = ending.figures.reap_ns,
			.pause_ns = ending.figures.pause_ns, .unburied = ending.unburied, .ended_early = ending.early,
		};
		/* What was done to other targets is not this one's to tell, and is left to `untold` or to their ends. */
		tell_with_untold(ending.target, &ending.figures.calls, &result->unasked_pause_ns);
		return 0;
	}
	return ps_fail(-ENOENT, "this tracer holds nothing that could be ended");
}

int check_free_for(const struct operation *operation)
{
	bool takes = false, stops = false, in_the_way = false;

	for_each_kind(kind)
		if (kind->taken_by == operation) {
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

/* Before all else: a target that is held has to run to end its duplicate. */
static void let_go_stopped(void)
{
	for_each_kind(kind)
		if (kind->stops_target && kind->is_held())
			kind->forget();
}

void end_all(void)
{
	struct tracer_request none = { .timeout_ns = PS_NSEC_PER_SEC };
	struct tracer_reply reply;
	struct end_results unused;

	let_go_stopped();
	for_each_kind(kind)
		if (kind->end && kind->is_held())
			do_end(&none, &reply, &unused);
}

void forget_all(void)
{
	let_go_stopped();
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
