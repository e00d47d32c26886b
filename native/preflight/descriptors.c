// SPDX-License-Identifier: MIT
/* What the target has open, from /proc/PID/fd and fdinfo. No file is opened, none is asked anything. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "facts.h"

/* include/uapi/linux/userfaultfd.h */
#define EVENT_FORK	2

/* Since Linux 6.5 a direct read pins its pages, and fork() copies those for the child. */
#define PINS_DIRECT	6005
#define PATIENCE_NS	(200 * 1000 * 1000LL)

static bool is_remote(const struct ps_facts *facts, int64_t mount)
{
	static const char *const types[] = { "nfs", "nfs4", "ceph", "cifs", "smb3", "9p", "afs", "fuse" };
	char path[64], line[4096], type[32];
	bool remote = false;
	FILE *mounts;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", facts->first);
	mounts = fopen(path, "re");
	while (mounts && !remote && fgets(line, sizeof(line), mounts)) {
		char *end = strstr(line, " - ");

		if (!end || strtoll(line, NULL, 10) != mount || sscanf(end, " - %31[^. ]", type) != 1)
			continue;
		for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
			remote |= !strcmp(type, types[i]);
	}
	if (mounts)
		fclose(mounts);
	return remote;
}

static void look(struct ps_facts *facts, int fd, const char *name)
{
	char text[2048], words[64];
	unsigned long features;

	/* Only these say something: the rest need not be read. */
	if (*name && strncmp(name, "anon_inode:[userfaultfd]", 24) && strncmp(name, "anon_inode:[io_uring]", 21) &&
		*name != '/')
		return;
	if (!strncmp(name, "anon_inode:[io_uring]", 21)) {
		facts->io_uring = fd;
		return;
	}
	if (ps_small_read(text, sizeof(text), "/proc/%d/fdinfo/%d", facts->first, fd) <= 0)
		return;
	/*
	 * "lock:\t1: FLOCK  ADVISORY ...", fs/locks.c. The pid that /proc/locks has may be that of a process that
	 * has ended.
	 */
	for (const char *lock = strstr(text, "lock:\t"); lock; lock = strstr(lock + 1, "lock:\t"))
		facts->locks += sscanf(lock, "lock: %*d: %7s", words) == 1 && !strcmp(words, "FLOCK");
	/* "API:\taa:FEATURES:ffff...", fs/userfaultfd.c */
	if (ps_line_words(text, "API", words, sizeof(words)) && sscanf(words, "%*x:%lx", &features) == 1 &&
		features & EVENT_FORK)
		facts->fork_events = fd;
	if (ps_line_words(text, "flags", words, sizeof(words)) && strtoul(words, NULL, 8) & O_DIRECT &&
		(!*name || *name == '/') && ps_line_number(text, "mnt_id") >= 0) {
		bool remote = is_remote(facts, ps_line_number(text, "mnt_id"));

		facts->direct_any = fd;
		if (remote || facts->kernel < PINS_DIRECT) {
			facts->direct = fd;
			facts->direct_remote = remote;
		}
	}
}

void ps_gather_descriptors(struct ps_facts *facts)
{
	const int64_t until = ps_now_ns() + PATIENCE_NS;
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", facts->first);
	dir = opendir(path);
	facts->descriptors_hidden = !dir;
	while (dir && (entry = readdir(dir))) {
		char name[64] = "";
		ssize_t length;

		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		/* CAP_SYS_PTRACE alone does not let us see where a descriptor leads: then all are read. */
		snprintf(path, sizeof(path), "/proc/%d/fd/%.12s", facts->first, entry->d_name);
		length = readlink(path, name, sizeof(name) - 1);
		if (length < 0)
			*name = 0;
		look(facts, atoi(entry->d_name), name);
		if (ps_now_ns() > until) {
			facts->descriptors_hidden = true;
			break;
		}
	}
	if (dir)
		closedir(dir);
}
