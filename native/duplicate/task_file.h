/* SPDX-License-Identifier: MIT */
/* A small file of /proc/PID/task/TID as text: for what is read of each of ten thousand threads. */
#ifndef PROCSNAP_TASK_FILE_H
#define PROCSNAP_TASK_FILE_H
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "procsnap.h"

/* Empty where it cannot be read. */
static inline bool read_task_file(pid_t pid, pid_t tid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t got = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		got = read(fd, text, size - 1);
		close(fd);
	}
	text[got > 0 ? got : 0] = '\0';
	return got > 0;
}

/* The letter of its state, proc_pid_stat(5): Z and X have ended; '\0': there is none such. */
static inline char task_state(pid_t pid, pid_t tid)
{
	char text[512], *end;

	read_task_file(pid, tid, "stat", text, sizeof(text));
	end = strrchr(text, ')');	/* the name may hold anything, brackets too */
	return end && end[1] ? end[2] : '\0';
}

/* The number after @key at the start of a line, such as "\nSeccomp:"; -1: there is none. */
static inline int64_t task_number(const char *text, const char *key, int base)
{
	const char *found = strstr(text, key);

	return found ? (int64_t)strtoull(found + strlen(key), NULL, base) : -1;
}

/* How often the thread has been put on a CPU, sched_info.pcount of the kernel. -1: this kernel does not count. */
static inline int64_t task_slices(pid_t pid, pid_t tid)
{
	unsigned long long ran, waited, times;
	char text[128];

	read_task_file(pid, tid, "schedstat", text, sizeof(text));
	return sscanf(text, "%llu %llu %llu", &ran, &waited, &times) == 3 && ran ? (int64_t)times : -1;
}

#endif
