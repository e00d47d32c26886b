/* SPDX-License-Identifier: MIT */
/*
 * One kind of thing that the tracer holds for its requester = one of these, and
 * its line in the table. What is NULL is not done for that kind.
 */
#ifndef PROCSNAP_KINDS_H
#define PROCSNAP_KINDS_H
#include "protocol.h"

struct kind {
	/* The operation that takes one: refused while the tracer holds another, but for what `beside` says. */
	enum tracer_op taken_by;
	/* The target stands still meanwhile. */
	bool	stops_target;
	/* Something that stops a target may be taken while this is held: that is how the two are compared. */
	bool	beside;

	bool	(*is_held)(void);
	/* OP_END: fill in @ended and what of the reply is this kind's own; the target that it was of. */
	int	(*end)(const struct tracer_request *request, struct tracer_reply *reply, struct ps_ended *ended, pid_t *target);
	/* The tracing thread is about to end, and with it all that it traces; of one without end(): the requester is gone.
	 */
	void	(*forget)(void);
	/* Before anything else is seen to: deaths that somebody waits for are noted. */
	void	(*note_deaths)(void);
	/* From time to time, and when it is due by next_ns(), INT64_MAX: it is not. Also while none is held. */
	void	(*look_after)(void);
	int64_t	(*next_ns)(void);
	/* Its limits are watched: what a preflight gathers would be in the way. */
	bool	(*is_watched)(void);
	/* Before PTRACE_PEEKTEXT on @pid, which is perhaps this kind's. */
	int	(*prepare_peek)(pid_t pid, int64_t timeout_ns);
};

extern const struct kind duplicates, snapshots, copies, precopies, processes;
extern const struct kind *const kinds[];	/* NULL ends them */
#define for_each_kind(kind) for (const struct kind *const *at_ = kinds, *kind; (kind = *at_); at_++)

/* The process that is stopped for the requester, 0: none. */
pid_t held_process(void);

#endif
