/* SPDX-License-Identifier: MIT */
/* What answers a request: with 0, or with -errno and a text in ps_error(). */
#ifndef PROCSNAP_REQUESTS_H
#define PROCSNAP_REQUESTS_H
#include "protocol.h"

/* Write what can be asked for to @text, as protocol.h has it. */
int tell_operations(char *text, size_t size);
int answer(const struct tracer_request *request, struct tracer_reply *reply);
void hook(enum ps_step step);		/* what the operation `hook` asked for */

#endif
