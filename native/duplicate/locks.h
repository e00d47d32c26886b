/* SPDX-License-Identifier: MIT */
/* File locks, as /proc/locks has them: proc(5). */
#ifndef PROCSNAP_LOCKS_H
#define PROCSNAP_LOCKS_H
#include "procsnap.h"

#define MAX_LOCKED	4096		/* on the whole machine */

/*
 * Files with a lock that belongs to an open file: flock(2), and F_OFD_SETLK of fcntl(2). A mapping keeps that
 * file open.
 */
struct locked_files {
	int	count;
	struct { uint32_t major, minor; uint64_t inode; } file[MAX_LOCKED];
};

void ps_find_locked_files(struct locked_files *locked);
bool ps_is_locked(const struct locked_files *locked, const struct ps_region *region);
/* Has @pid a lock that belongs to its table of descriptors: F_SETLK of fcntl(2), lockf(3)? */
bool ps_holds_posix_locks(pid_t pid);

#endif
