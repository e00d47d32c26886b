// SPDX-License-Identifier: GPL-2.0
/* Control groups, version 2. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snap.h"

#define CGROUPS	"/sys/fs/cgroup"

static bool mounted(void)
{
	static bool tried, there;

	if (tried)
		return there;
	tried = true;
	if (access(CGROUPS "/cgroup.procs", W_OK))
		mount("cgroup2", CGROUPS, "cgroup2", 0, NULL);
	there = !access(CGROUPS "/cgroup.procs", W_OK);
	write_text(CGROUPS "/cgroup.subtree_control", "+pids");
	write_text(CGROUPS "/cgroup.subtree_control", "+memory");
	return there;
}

bool cgroup_make(const char *name)
{
	char path[PATH_MAX];

	if (!mounted())
		return false;
	snprintf(path, sizeof(path), CGROUPS "/%s", name);
	rmdir(path);
	return !mkdir(path, 0755);
}

bool cgroup_write(const char *name, const char *file, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUPS "/%s/%s", name, file);
	return write_text(path, "%s", text);
}

long cgroup_read(const char *name, const char *file)
{
	char path[PATH_MAX], text[64];

	snprintf(path, sizeof(path), CGROUPS "/%s/%s", name, file);
	return slurp(path, text, sizeof(text)) < 0 ? -1 : atol(text);
}

long cgroup_stat(const char *name, const char *file, const char *key)
{
	char path[PATH_MAX], text[8192], *at;
	size_t length = strlen(key);

	snprintf(path, sizeof(path), CGROUPS "/%s/%s", name, file);
	if (slurp(path, text, sizeof(text)) < 0)
		return -1;
	for (at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (!strncmp(at, key, length) && at[length] == ' ')
			return atol(at + length + 1);
	}
	return -1;
}

bool cgroup_enter(const char *name, pid_t pid)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.procs", name);
	return write_text(path, "%d", pid);
}

void cgroup_remove(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUPS "/%s", name);
	if (!UNTIL(!rmdir(path) || errno == ENOENT))
		note("cgroup %s is still in use", name);
}
