/* SPDX-License-Identifier: MIT */
/* Where in cgroupfs a process is, in version 1, version 2, or both (hybrid): cgroups(7). */
#ifndef PROCSNAP_CGROUP_H
#define PROCSNAP_CGROUP_H
#include <stdbool.h>
#include <sys/types.h>
#include "small_file.h"

enum ps_reach {
	PS_REACHED,		/* every level that this cgroup namespace has */
	PS_NO_CGROUP,		/* the process is in the root, or in none */
	PS_OUT_OF_REACH,	/* it is in a cgroup that no cgroup file system here shows */
};

/* The folder of one level, from the process's own upwards. */
typedef void ps_visit_level(const char *folder, bool version_2, void *arg);

/*
 * @controller: "memory", "pids", "freezer", "hugetlb": in its version 1
 * hierarchy if it has one, else in version 2; "": in version 2 alone.
 */
enum ps_reach ps_cgroup_levels(pid_t pid, const char *controller, ps_visit_level *visit, void *arg);
/* Look anew at what is mounted, the next time. */
void ps_cgroup_forget(void);
/* Are there levels above the ones that can be seen from here, in another cgroup namespace? */
bool ps_cgroup_is_nested(void);

#endif
