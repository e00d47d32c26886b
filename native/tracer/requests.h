/* SPDX-License-Identifier: MIT */
/* What answers a request: with 0, or with -errno and a text in ps_error(). */
#ifndef PROCSNAP_REQUESTS_H
#define PROCSNAP_REQUESTS_H
#include "protocol.h"

/* With what a request is answered: one for each operation of protocol.h. */
#define TRACER_FUNCTION(OP, name) int do_##name(const struct tracer_request *request, struct tracer_reply *reply);
TRACER_OPS(TRACER_FUNCTION)
#undef TRACER_FUNCTION

int answer(const struct tracer_request *request, struct tracer_reply *reply);
void hook(enum ps_step step);		/* what OP_HOOK asked for */

#endif
