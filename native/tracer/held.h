/* SPDX-License-Identifier: MIT */
/* What the tracer holds for its requester, of whatever kind (kinds.h). */
#ifndef PROCSNAP_HELD_H
#define PROCSNAP_HELD_H
#include "kinds.h"

/* So often is looked at what brings no news by SIGCHLD. */
#define LOOK_NS		(5 * 1000 * 1000LL)

/* Refused, if @operation takes something and what is held forbids that. */
int check_free_for(const struct operation *operation);
/* A target stands still: nothing that has to stop one is begun. */
bool holds_stopped(void);
/* End whatever is held, for a requester that has gone. */
void end_all(void);
/* The tracing thread is about to end, and with it all that it traces. */
void forget_all(void);
void note_held_deaths(void);
/* Has something ended, or must it, before it was asked for? Then it is ended, and the operation `end` will say why. */
void look_after_held(void);
int64_t held_next_ns(void);
bool watches(void);
int prepare_peek(pid_t pid, int64_t timeout_ns);

#endif
