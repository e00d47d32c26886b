/* SPDX-License-Identifier: MIT */
/*
 * What the preflight knows of a target: read from /proc and from cgroup file
 * systems, with nothing done to the target. reasons.c judges it, and needs
 * nothing else.
 */
#ifndef PROCSNAP_FACTS_H
#define PROCSNAP_FACTS_H
#include "limits.h"
#include "procsnap.h"

#define PS_HUGE_SIZES	4

struct ps_huge {			/* private huge pages of one size that the target has */
	int64_t	page_kib;
	int64_t	unreserved_kib;		/* mapped with MAP_NORESERVE */
	int64_t	reserved_kib;
};

struct ps_facts {
	pid_t	pid;
	/* Who it is. */
	bool	own;			/* procsnap itself, or who asks */
	bool	gone;			/* no such process */
	struct ps_identity identity;
	pid_t	tracer;			/* the process of whose threads one traces it */
	bool	zombie;			/* no thread lives */
	bool	is_32_bit;
	bool	denied;			/* /proc shows us no more than it shows anybody */
	bool	complete;		/* what follows was looked at */

	/* Its threads. */
	pid_t	first;			/* the one that makes the call: the first that lives */
	int	threads;
	int	cpus;			/* that they may use */
	char	frozen[PS_PATH];	/* the file that says so */
	pid_t	stuck;			/* it did not leave its uninterruptible sleep */
	char	stuck_in[64];
	pid_t	supervised;		/* it waits for its seccomp supervisor's answer */
	bool	filtered;		/* a seccomp filter */
	bool	may_suspend;		/* we have CAP_SYS_ADMIN */
	bool	deadline;		/* SCHED_DEADLINE without SCHED_FLAG_RESET_ON_FORK */
	bool	new_pid_pending, new_time_pending;
	pid_t	sharer;			/* another process that has its memory, and is not stopped */
	bool	sharing_unknown;	/* not all processes could be looked at for that */

	/* Memory, in KiB. */
	int64_t	resident, anonymous, swapped, tables, data, huge;
	int	regions;
	struct ps_limits limits;
	int64_t	user_processes, user_limit;	/* RLIMIT_NPROC; -1: it does not matter */
	int	huge_sizes;
	struct ps_huge huge_size[PS_HUGE_SIZES];

	/* What it has open or mapped; -1: none. */
	bool	descriptors_hidden;
	int	fork_events;		/* a userfaultfd with UFFD_FEATURE_EVENT_FORK */
	int	direct;			/* opened with O_DIRECT, where that is a hazard to a fork */
	int	direct_any;		/* opened with O_DIRECT */
	bool	direct_remote;		/* on a network file system */
	int	io_uring;
	bool	aio, sysv;
	int	locks;			/* flock(2): held by the open file, not by the process */
	int	kernel;			/* 6.12 is 6012 */
};

/* Identity alone: what stop and hold ask. */
void ps_gather_identity(pid_t pid, struct ps_facts *facts);
/* All. The limits stay open: ps_limits_close(). */
void ps_gather(pid_t pid, struct ps_facts *facts);

/* waiting.c: threads that do not stop, or not without harm; waits for a moment whether that passes. */
void ps_gather_waiting(struct ps_facts *facts);
/* sharing.c: looks at every process of the machine, for 200 ms at most. */
void ps_gather_sharing(struct ps_facts *facts);
/* descriptors.c */
void ps_gather_descriptors(struct ps_facts *facts);
/* mappings.c: and whether it is 32-bit, where nothing else says so. */
void ps_gather_mappings(struct ps_facts *facts);
/* Which part of the target's anonymous memory is in transparent huge pages, in thousandths; 0 where it cannot be told.
 */
int ps_huge_share(pid_t pid);

/* What a duplicate costs at most. */
struct ps_cost {
	int64_t	growth;			/* all that the target may write to, and the duplicate's own */
	int64_t	clone;			/* at once */
	int64_t	reserve;		/* by how much the target can grow until a duplicate that is to end is gone */
};
void ps_cost_of(const struct ps_facts *facts, struct ps_cost *cost);

/* The table: fill in what speaks against a copy, or is to be known; how many. */
int ps_judge(const struct ps_facts *facts, enum ps_purpose purpose, struct ps_reason *reasons, int max);

#endif
