// SPDX-License-Identifier: MIT
/* Which function answers a request; and the hook by which tests end a process at a step. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include "area.h"
#include "held.h"
#include "operations.h"
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

#define HOOK_RESULTS(R)
OPERATION(hook, HOOK_RESULTS)
{
	hook_step = request->argument[0];
	hook_action = request->argument[1];
	return 0;
}

#define COUNT_RESULTS(R)
OPERATION(count, COUNT_RESULTS)
{
	if (check_length(TRACER_COUNTED_CALLS * sizeof(uint32_t)))
		return -EINVAL;
	return ps_count_calls(request->argument[0], request->argument[1], (uint32_t *)data, TRACER_COUNTED_CALLS);
}

extern const struct operation *const __start_tracer_operations[], *const __stop_tracer_operations[];

int tell_operations(char *text, size_t size)
{
	const struct operation *const *operation = __start_tracer_operations;
	size_t used = 0;

	text[0] = 0;
	for (; operation < __stop_tracer_operations; operation++) {
		used += snprintf(text + used, size - used, "%s%s\n", (*operation)->name, (*operation)->results);
		if (used >= size)
			return ps_fail(-E2BIG, "the names of what the tracer can be asked for take more than %zu bytes", size);
	}
	return 0;
}

int answer(const struct tracer_request *request, struct tracer_reply *reply)
{
	const struct operation *operation;

	if (request->op < 0 || request->op >= __stop_tracer_operations - __start_tracer_operations)
		return ps_fail(-ENOSYS, "the tracer has no operation %d", request->op);
	operation = __start_tracer_operations[request->op];
	return check_free_for(operation) ?: operation->answer(request, reply);
}
