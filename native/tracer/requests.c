// SPDX-License-Identifier: MIT
/* Which function answers a request; and the hook by which tests end a process at a step. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include "requests.h"
#include "state.h"

#define COUNTED_CALLS	512		/* as index.ts has it */

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

int answer(const struct tracer_request *request, struct tracer_reply *reply)
{
	switch (request->op) {
	case OP_INJECT:
		return do_inject(request, reply);
	case OP_END:
		return do_end(request, reply);
	case OP_SNAP:
		return do_snap(request, reply);
	case OP_REGISTERS:
		return do_registers(request, reply);
	case OP_STOP_COPY:
		return do_stop_copy(request, reply);
	case OP_READ_COPY:
		return do_read_copy(request, reply);
	case OP_HOLD:
		return do_hold(request, reply);
	case OP_LET_GO:
		return do_let_go(reply);
	case OP_READ:
		return do_read(request, reply);
	case OP_COUNT:
		if (check_length(COUNTED_CALLS * sizeof(uint32_t)))
			return -EINVAL;
		return ps_count_calls(request->argument[0], request->argument[1], (uint32_t *)data, COUNTED_CALLS);
	case OP_CHECK:
		return do_check(request, reply);
	case OP_UNTOLD:
		return do_untold(reply);
	case OP_HOOK:
		hook_step = request->argument[0];
		hook_action = request->argument[1];
		return 0;
	default:
		return ps_fail(-ENOSYS, "the tracer has no operation %d", request->op);
	}
}
