// SPDX-License-Identifier: MIT
/* Which function answers a request; and the hook by which tests end a process at a step. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include "area.h"
#include "held.h"
#include "requests.h"

static enum ps_step hook_step;
static enum hook_action hook_action;

void hook(enum ps_step step)
{
	if (step != hook_step || hook_action == HOOK_NONE)
		return;
	if (hook_action == HOOK_KILL_TRACER)
		kill(getpid(), SIGKILL);
	if (hook_action == HOOK_KILL_REQUESTER)
		kill(ps_requester, SIGKILL);
	hook_action = HOOK_NONE;
}

int do_hook(const struct tracer_request *request, struct tracer_reply *reply)
{
	(void)reply;
	hook_step = request->argument[0];
	hook_action = request->argument[1];
	return 0;
}

int do_count(const struct tracer_request *request, struct tracer_reply *reply)
{
	(void)reply;
	if (check_length(TRACER_COUNTED_CALLS * sizeof(uint32_t)))
		return -EINVAL;
	return ps_count_calls(request->argument[0], request->argument[1], (uint32_t *)data, TRACER_COUNTED_CALLS);
}

#define FUNCTION(OP, name) [OP_##OP] = do_##name,
static int (*const operations[TRACER_OPERATIONS])(
	const struct tracer_request *, struct tracer_reply *) = { TRACER_OPS(FUNCTION) };

int answer(const struct tracer_request *request, struct tracer_reply *reply)
{
	if (request->op < 0 || request->op >= TRACER_OPERATIONS || !operations[request->op])
		return ps_fail(-ENOSYS, "the tracer has no operation %d", request->op);
	return check_free_for(request->op) ?: operations[request->op](request, reply);
}
