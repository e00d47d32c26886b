/* SPDX-License-Identifier: MIT */
/* What the tracer holds for its requester. */
#ifndef PROCSNAP_STATE_H
#define PROCSNAP_STATE_H
#include "procsnap.h"

extern struct ps_duplicate duplicate;
extern struct ps_snapshot snapshot;
extern struct ps_copy copy;
extern struct ps_stop held;

/* End whatever is held, for a requester that has gone. */
void end_all(void);
/* The tracing thread is about to end, and with it all that it traces. */
void forget_all(void);
/* Has the duplicate ended, or must it, before it was asked for? Then it is ended, and OP_END will say why. */
void look_after_duplicate(void);

#endif
