/* SPDX-License-Identifier: MIT */
/*
 * Everything of which there may be too little for a target and its duplicate:
 * memory of each cgroup that the target is in, the machine's, processes, huge
 * pages. Files stay open, so that a look at them again costs a few microseconds.
 */
#ifndef PROCSNAP_LIMITS_H
#define PROCSNAP_LIMITS_H
#include "cgroup.h"
#include "procsnap.h"

#define PS_MAX_LIMITS	64

enum ps_limit_of {
	PS_CGROUP_MEMORY,	/* in KiB, as are all but processes */
	PS_MACHINE_MEMORY,
	PS_COMMIT,		/* vm.overcommit_memory=2 */
	PS_HUGE_PAGES,		/* of the machine's pools, and of hugetlb cgroups */
	PS_PROCESSES,
};

struct ps_limit {
	enum ps_limit_of of;
	char	file[PS_PATH];		/* that sets it, for the user to look at */
	int64_t	page_kib;		/* of huge pages: their size */
	int64_t	limit, used, reclaimable;
	int64_t	room;			/* limit - used + reclaimable; PS_UNLIMITED */
	int64_t	need;			/* the duplicate must end where there is less room; set by whoever watches */
	/* Where the figures come from. */
	int	limit_fd, used_fd, stat_fd;
	bool	version_2;
};

struct ps_limits {
	int	count;
	bool	out_of_reach;		/* its cgroups are in another cgroup namespace */
	bool	nested;			/* there may be further limits, above this cgroup namespace */
	bool	oom_group;		/* memory.oom.group: out of memory, the whole cgroup is killed */
	struct ps_limit limit[PS_MAX_LIMITS];
};

/* Find them all and open them. */
void ps_limits_open(pid_t pid, struct ps_limits *limits);
void ps_limits_close(struct ps_limits *limits);
/* Read the figures again; @exact: what could be reclaimed, too, though there is room without. */
void ps_limit_look(struct ps_limit *limit, bool exact);
/* The one with least room of a kind; NULL: there is none. */
const struct ps_limit *ps_tightest(const struct ps_limits *limits, enum ps_limit_of of, int64_t page_kib);

#endif
