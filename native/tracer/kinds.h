/* SPDX-License-Identifier: MIT */
/*
 * One kind of thing that the tracer holds for its requester = one of these, in a
 * file of kinds/. What is NULL is not done for that kind.
 */
#ifndef PROCSNAP_KINDS_H
#define PROCSNAP_KINDS_H
#include "operations.h"

/* What the end of one has to tell. */
struct ending {
	pid_t	target;			/* that it was of */
	struct ps_ended figures;
	bool	unburied;		/* why: in the reply's text `left` */
	bool	early;			/* it had ended before; why: in the reply's message */
};

struct kind {
	/* The operation that takes one: refused while the tracer holds another, but for what `beside` says. */
	const struct operation *taken_by;
	/* The target stands still meanwhile, and forget() lets it go. */
	bool	stops_target;
	/* Something that stops a target may be taken while this is held: that is how the two are compared. */
	bool	beside;

	bool	(*is_held)(void);
	/* What the operation `end` is asked for. */
	int	(*end)(const struct tracer_request *request, struct tracer_reply *reply, struct ending *ending);
	/* The tracing thread is about to end, and with it all that it traces. */
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

/* KIND(copies) = { ... }; and it is in the table. */
#define KIND(name) \
	static const struct kind name; \
	IN_TABLE(tracer_kinds, name); \
	static const struct kind name

extern const struct kind *const __start_tracer_kinds[], *const __stop_tracer_kinds[];
#define for_each_kind(kind) \
	for (const struct kind *const *at_ = __start_tracer_kinds, *kind; \
		at_ < __stop_tracer_kinds && (kind = *at_); at_++)

/* The process that is stopped for the requester, 0: none. */
pid_t held_process(void);

#endif
