/* SPDX-License-Identifier: MIT */
/*
 * serve.h - the workload's side of control.h
 */
#ifndef WORKLOADS_SERVE_H
#define WORKLOADS_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "control.h"

/* map the page from CONTROL_FD and close that; exits with status 2 if it is not there */
struct control *control_map(void);

/* tell the requester that the workload is set up, and where its own memory is */
void control_ready(struct control *control, const void *region, size_t bytes);

/* two loads: cheap enough for every round of a loop */
static inline bool control_pending(const struct control *control)
{
	return __atomic_load_n(&control->command_seq, __ATOMIC_ACQUIRE) != control->done_seq;
}

/* sleep until a command is there (true) or CLOCK_MONOTONIC reaches `until` (false) */
bool control_wait(struct control *control, const struct timespec *until);

/* do the pending command, one of those that every workload knows, and answer it */
void control_obey(struct control *control);

/* answer the pending command: result[] is written */
void control_done(struct control *control);

#endif
