/* SPDX-License-Identifier: MIT */
/* What answers a request: with 0, or with -errno and a text in ps_error(). */
#ifndef PROCSNAP_REQUESTS_H
#define PROCSNAP_REQUESTS_H
#include "protocol.h"

int answer(const struct tracer_request *request, struct tracer_reply *reply);
void hook(enum ps_step step);		/* what OP_HOOK asked for */

/* holding.c */
int do_inject(const struct tracer_request *request, struct tracer_reply *reply);
int do_snap(const struct tracer_request *request, struct tracer_reply *reply);
int do_registers(const struct tracer_request *request, struct tracer_reply *reply);
int do_stop_copy(const struct tracer_request *request, struct tracer_reply *reply);
int do_end(const struct tracer_request *request, struct tracer_reply *reply);
int do_hold(const struct tracer_request *request, struct tracer_reply *reply);
int do_let_go(struct tracer_reply *reply);
int do_untold(struct tracer_reply *reply);

/* checking.c */
int do_check(const struct tracer_request *request, struct tracer_reply *reply);

/* reading.c */
int do_read(const struct tracer_request *request, struct tracer_reply *reply);
int do_read_copy(const struct tracer_request *request, struct tracer_reply *reply);
/* Does so much fit into the data? */
int check_length(int64_t length);

#endif
