// SPDX-License-Identifier: MIT
/*
 * /proc/PID/cgroup tells the path, as seen from OUR cgroup namespace;
 * /proc/self/mountinfo tells which part of a hierarchy is to be seen where. In a
 * container whose cgroup file system begins at the container's own cgroup, the
 * root in mountinfo is a part of the path in /proc/PID/cgroup.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cgroup.h"

#define MAX_MOUNTS		64
#define DELETED			" (deleted)"
#define INITIAL_NAMESPACE	"cgroup:[4026531835]"	/* PROC_CGROUP_INIT_INO, include/linux/proc_ns.h */

/* Is @word one of the words in @list, which commas part? */
static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (!strncmp(at, word, length) && (!at[length] || at[length] == ',' || at[length] == '\n'))
			return true;
	}
	return false;
}

/* The process's path in the hierarchy that has @controller. */
static bool find_path(pid_t pid, const char *controller, bool *version_2, char *path)
{
	char text[8192], *line = text, *rest;
	bool found = false;

	if (ps_small_read(text, sizeof(text), "/proc/%d/cgroup", pid) <= 0)
		return false;
	for (; line && *line; line = rest) {
		char *controllers, *where, *deleted;

		rest = strchr(line, '\n');
		if (rest)
			*rest++ = 0;
		controllers = strchr(line, ':');
		where = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!where)
			continue;
		*where++ = 0;
		controllers++;
		if (*controllers ? !*controller || !has_word(controllers, controller) : found)
			continue;
		/* A cgroup that was removed while it had zombies; the limits of those above it still count. */
		deleted = strstr(where, DELETED);
		if (deleted && !deleted[strlen(DELETED)])
			*deleted = 0;
		snprintf(path, PS_PATH, "%s", where);
		*version_2 = !*controllers;
		found = true;
		if (!*version_2)
			break;
	}
	return found;
}

/* mountinfo writes blanks and the like as three octal digits. */
static void decode(char *text)
{
	char *out = text;

	for (; *text; text++)
		if (text[0] == '\\' && text[1] && text[2] && text[3]) {
			*out++ = (text[1] - '0') * 64 + (text[2] - '0') * 8 + text[3] - '0';
			text += 3;
		} else {
			*out++ = *text;
		}
	*out = 0;
}

/* What is left of @path below @root; NULL: it is not below it. */
static const char *below(const char *path, const char *root)
{
	size_t length = strcmp(root, "/") ? strlen(root) : 0;

	if (strncmp(path, root, length) || (path[length] && path[length] != '/'))
		return NULL;
	return strcmp(path + length, "/") ? path + length : "";
}

/* The cgroup file systems that are mounted here; -1: not looked at. A machine with containers has thousands of others.
 */
static struct mount { bool version_2; char root[PS_PATH], point[PS_PATH], options[512]; } mounts[MAX_MOUNTS];
static int mount_count = -1;

void ps_cgroup_forget(void)
{
	mount_count = -1;
}

static void list_mounts(void)
{
	char line[4096], name[2 * PS_PATH], type[32];
	FILE *file;

	mount_count = 0;
	snprintf(name, sizeof(name), "%s/proc/self/mountinfo", ps_files_root);
	file = fopen(name, "re");
	while (file && mount_count < MAX_MOUNTS && fgets(line, sizeof(line), file)) {
		struct mount *mount = &mounts[mount_count];
		char *end = strstr(line, " - cgroup");

		if (!end || sscanf(end, " - %31s %*s %511s", type, mount->options) != 2 ||
		    sscanf(line, "%*d %*d %*s %287s %287s", mount->root, mount->point) != 2)
			continue;
		mount->version_2 = !strcmp(type, "cgroup2");
		decode(mount->root);
		decode(mount->point);
		mount_count++;
	}
	if (file)
		fclose(file);
}

/* The mount that shows the most levels of @path: its place, and the rest of the path below it. */
static bool find_mount(const char *controller, bool version_2, const char *path, char *place, const char **rest)
{
	size_t shortest = PS_PATH;
	bool found = false;

	if (mount_count < 0)
		list_mounts();
	for (int i = 0; i < mount_count; i++) {
		const struct mount *mount = &mounts[i];
		const char *left = below(path, mount->root);

		if (!left || mount->version_2 != version_2 || (!version_2 && !has_word(mount->options, controller)) ||
		    strlen(mount->root) >= shortest)
			continue;
		shortest = strlen(mount->root);
		snprintf(place, PS_PATH, "%s", mount->point);
		*rest = left;
		found = true;
	}
	return found;
}

enum ps_reach ps_cgroup_levels(pid_t pid, const char *controller, ps_visit_level *visit, void *arg)
{
	char path[PS_PATH], place[PS_PATH], folder[2 * PS_PATH];
	const char *rest;
	bool version_2;
	size_t top;

	if (!find_path(pid, controller, &version_2, path))
		return PS_NO_CGROUP;
	if (strstr(path, "/..") || !find_mount(controller, version_2, path, place, &rest))
		return strcmp(path, "/") ? PS_OUT_OF_REACH : PS_NO_CGROUP;
	top = strlen(place);
	snprintf(folder, sizeof(folder), "%s%s", place, rest);
	for (;;) {
		visit(folder, version_2, arg);
		if (strlen(folder) <= top)
			return PS_REACHED;
		*strrchr(folder, '/') = 0;
	}
}

bool ps_cgroup_is_nested(void)
{
	char path[2 * PS_PATH], name[64] = "";
	ssize_t length;

	snprintf(path, sizeof(path), "%s/proc/self/ns/cgroup", ps_files_root);
	length = readlink(path, name, sizeof(name) - 1);
	return length > 0 && strcmp(name, INITIAL_NAMESPACE);
}
