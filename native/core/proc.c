// SPDX-License-Identifier: MIT
/* What /proc says of a process: proc(5). Nothing here touches the process itself. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "procsnap.h"

pid_t ps_requester;

#define PF_KTHREAD 0x00200000	/* include/linux/sched.h; field 9 of /proc/PID/stat */

int ps_for_regions(pid_t pid, int (*visit)(const struct ps_region *, void *), void *arg)
{
	char path[32], line[4352], mode[5];
	int err = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps && (errno == EACCES || errno == EPERM))
		return ps_fail(-EPERM, PS_NO_PERMISSION, pid);
	if (!maps)
		return ps_fail(-errno, "%s cannot be opened: %s", path, strerror(errno));
	while (!err && fgets(line, sizeof(line), maps)) {
		struct ps_region region = { 0 };
		int name = 0;

		if (sscanf(line, "%lx-%lx %4s %*x %x:%x %lu %n", &region.start, &region.end, mode, &region.major, &region.minor,
			   &region.inode, &name) < 6)
			continue;
		region.readable = mode[0] == 'r';
		region.writable = mode[1] == 'w';
		region.executable = mode[2] == 'x';
		region.shared = mode[3] == 's';
		if (name)
			snprintf(region.name, sizeof(region.name), "%.*s", (int)strcspn(line + name, "\n"), line + name);
		err = visit(&region, arg);
	}
	fclose(maps);
	return err;
}

int64_t ps_proc_number(const char *path, const char *key, int64_t scale)
{
	char line[256];
	int64_t found = -ENOENT;
	FILE *file = fopen(path, "re");

	if (!file)
		return -errno;
	while (found == -ENOENT && fgets(line, sizeof(line), file)) {
		char *value, *fraction;
		size_t length = strlen(key);

		if (strncmp(line, key, length) || (line[length] != ':' && !isspace((unsigned char)line[length])))
			continue;
		value = strchr(line, ':');
		if (!value)
			continue;
		found = strtoll(value + 1, &fraction, 10) * scale;
		if (*fraction == '.')
			for (scale /= 10; isdigit((unsigned char)*++fraction) && scale; scale /= 10)
				found += (*fraction - '0') * scale;
	}
	fclose(file);
	return found;
}

/* All of a small /proc file, as text; its length, or a negative errno. */
static ssize_t slurp(pid_t pid, const char *name, char *text, size_t size)
{
	char path[48];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = read(fd, text, size - 1);
	close(fd);
	if (got < 0)
		return -errno;
	text[got] = 0;
	return got;
}

/* The number of a line "Key:\tnumber" of /proc/PID/status; 0 where there is no such line. */
static int status_number(const char *status, const char *key)
{
	const char *line = strstr(status, key);

	return line ? atoi(line + strlen(key)) : 0;
}

int ps_look_at(pid_t pid, struct ps_identity *identity)
{
	unsigned long long started = 0;
	char text[1024], *end;
	unsigned int flags = 0;

	if (slurp(pid, "stat", text, sizeof(text)) <= 0)
		return -ESRCH;
	end = strrchr(text, ')');	/* the name may hold anything, brackets too */
	/* Fields 3, 4, 9 and 22. */
	if (!end || sscanf(end + 2, "%c %d %*s %*s %*s %*s %u %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
			   &identity->state, &identity->parent, &flags, &started) != 4)
		return -ESRCH;
	identity->started = started;
	identity->kernel_thread = flags & PF_KTHREAD;
	return 0;
}

int ps_identify(pid_t pid, struct ps_identity *identity)
{
	char text[4096];

	if (ps_look_at(pid, identity))
		return -ESRCH;
	if (slurp(pid, "status", text, sizeof(text)) <= 0)
		return -ESRCH;
	/* The name is escaped here, so that it cannot hold a line of its own. */
	identity->tgid = status_number(text, "\nTgid:");
	identity->tracer = status_number(text, "\nTracerPid:");
	identity->seccomp = status_number(text, "\nSeccomp:");
	return identity->tgid > 0 ? 0 : -ESRCH;
}

int ps_list_threads(pid_t pid, pid_t *tids, int max)
{
	struct dirent *entry;
	char path[32];
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return ps_fail(-ESRCH, "process %d has ended", pid);
	while ((entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0])) {
			if (count == max) {
				closedir(dir);
				return ps_fail(-E2BIG, "process %d has more than %d threads", pid, max);
			}
			tids[count++] = atoi(entry->d_name);
		}
	closedir(dir);
	return count;
}
