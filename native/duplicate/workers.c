// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "workers.h"

/*
 * Workers of io_uring and of vhost are listed among the threads, and never run
 * the program's code: an interruption would end what they do for it, with an
 * error. include/linux/sched.h; the latter flag means something else before 6.4.
 */
#define PF_IO_WORKER	0x10
#define PF_USER_WORKER	0x4000

static unsigned int worker_flags(void)
{
	static unsigned int flags;

	if (!flags)
		flags = ps_kernel_version() < 6004 ? PF_IO_WORKER : PF_IO_WORKER | PF_USER_WORKER;
	return flags;
}

bool is_worker(pid_t pid, pid_t tid)
{
	char path[64], stat[512] = "", *end;
	unsigned int flags = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, stat, sizeof(stat) - 1) > 0 && (end = strrchr(stat, ')')))
		sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags);
	close(fd);
	return flags & worker_flags();
}
