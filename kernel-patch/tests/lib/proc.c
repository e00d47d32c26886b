// SPDX-License-Identifier: GPL-2.0
/* What the kernel says of processes and of itself in /proc. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "snap.h"

ssize_t slurp(const char *path, char *buffer, size_t room)
{
	ssize_t got, length = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (length < (ssize_t)room - 1) {
		got = read(fd, buffer + length, room - 1 - length);
		if (got < 0)
			length = -errno;
		if (got <= 0)
			break;
		length += got;
	}
	close(fd);
	if (length >= 0)
		buffer[length] = 0;
	return length;
}

ssize_t slurp_of(pid_t pid, const char *file, char *buffer, size_t room)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	return slurp(path, buffer, room);
}

long read_of(pid_t pid, const char *file, off_t from, void *into, size_t bytes)
{
	char path[96];
	long got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = pread(fd, into, bytes, from);
	if (got < 0)
		got = -errno;
	close(fd);
	return got;
}

const char *status_of(pid_t pid, const char *key)
{
	static char text[8192];
	char *line, *end;
	size_t length = strlen(key);

	if (slurp_of(pid, "status", text, sizeof(text)) < 0)
		return "";
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length) || line[length] != ':')
			continue;
		line += length + 1;
		line += strspn(line, " \t");
		end = strchr(line, '\n');
		if (end)
			*end = 0;
		return line;
	}
	return "";
}

long status_number(pid_t pid, const char *key)
{
	const char *text = status_of(pid, key);

	return *text ? atol(text) : -1;
}

char state_of(pid_t pid)
{
	return *status_of(pid, "State");
}

bool await_state(pid_t pid, const char *states)
{
	return UNTIL(state_of(pid) && strchr(states, state_of(pid)));
}

static long stat_field(pid_t pid, int field)
{
	char text[2048], *at;

	if (slurp_of(pid, "stat", text, sizeof(text)) < 0)
		return -1;
	at = strrchr(text, ')');
	for (field -= 2; at && field > 0; field--)
		at = strchr(at + 1, ' ');
	return at ? atol(at) : -1;
}

long switches(pid_t tid)
{
	return status_number(tid, "voluntary_ctxt_switches") +
	       status_number(tid, "nonvoluntary_ctxt_switches");
}

bool at_rest(pid_t pid)
{
	long before;

	if (!UNTIL(state_of(pid) == 'S'))
		return false;
	before = switches(pid);
	pause_ms(3);
	return before >= 0 && switches(pid) == before && state_of(pid) == 'S';
}

long meminfo(const char *key)
{
	char text[8192], *at;

	if (slurp("/proc/meminfo", text, sizeof(text)) < 0)
		return -1;
	at = strstr(text, key);
	return at ? atol(at + strlen(key) + 1) : 0;
}

static int numbers(const char *path, int (*each)(int))
{
	DIR *all = opendir(path);
	struct dirent *entry;
	int sum = 0;

	while (all && (entry = readdir(all)))
		if (isdigit(*entry->d_name))
			sum += each(atoi(entry->d_name));
	if (all)
		closedir(all);
	return sum;
}

static pid_t children_of;

static int thread_children(int tid)
{
	char path[64], text[16384], *at;
	int count = 0;

	snprintf(path, sizeof(path), "task/%d/children", tid);
	if (slurp_of(children_of, path, text, sizeof(text)) < 0)
		return 0;
	for (at = text; *at; at++)
		count += *at == ' ';
	return count;
}

int children(pid_t pid)
{
	char path[64];

	children_of = pid;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return numbers(path, thread_children);
}

static int one(int number)
{
	(void)number;
	return 1;
}

static int process_tasks(int pid)
{
	char path[64];

	if (stat_field(pid, 9) & 0x00200000)	/* PF_KTHREAD */
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return numbers(path, one);
}

int user_tasks(void)
{
	return numbers("/proc", process_tasks);
}

int threads_of(pid_t pid)
{
	return status_number(pid, "Threads");
}

/* Of the region holding @address, or of all: the sum of @key, or whether it has @flag. */
static long smaps(pid_t pid, const void *address, const char *key, const char *flag)
{
	unsigned long start, end, at = (unsigned long)address;
	char path[64], line[1024];
	bool inside = !address;
	long sum = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2 && address)
			inside = at >= start && at < end;
		if (!inside || strncmp(line, key, strlen(key)) || line[strlen(key)] != ':')
			continue;
		if (!flag)
			sum += atol(line + strlen(key) + 1);
		else if (strstr(line + strlen(key) + 1, flag))
			sum = 1;
	}
	fclose(file);
	return sum;
}

long smaps_kib(pid_t pid, const char *key, const void *address)
{
	return smaps(pid, address, key, NULL);
}

int smaps_flag(pid_t pid, const void *address, const char *flag)
{
	char padded[8];

	snprintf(padded, sizeof(padded), " %s ", flag);
	return smaps(pid, address, "VmFlags", padded);
}

bool write_text(const char *path, const char *text, ...)
{
	char line[512];
	va_list values;
	int fd, length;
	bool done;

	va_start(values, text);
	length = vsnprintf(line, sizeof(line), text, values);
	va_end(values);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	done = write(fd, line, length) == length;
	close(fd);
	return done;
}
