// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core/living.h"
#include "flushed.h"

#define MAX_MOUNTS	32
#define MEMORY_MAJOR	1		/* Documentation/admin-guide/devices.txt of the kernel */
#define TTY_MAJOR	4
#define CONSOLE_MAJOR	5
#define PTY_FIRST	136
#define PTY_LAST	143

struct mounts { int count; struct { uint32_t major, minor; } device[MAX_MOUNTS]; };

/* File systems whose files have flush(), Documentation/filesystems/vfs.rst; an overlay passes it on. */
static bool is_told(const char *type)
{
	static const char *const types[] = { "fuse", "nfs", "cifs", "smb3", "9p", "ceph", "afs", "ecryptfs", "orangefs",
		"overlay" };

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!strncmp(type, types[i], strlen(types[i])))
			return true;
	return false;
}

static void find_mounts(pid_t pid, struct mounts *mounts)
{
	char path[48], line[4352], type[32];
	unsigned int major, minor;
	FILE *file;

	mounts->count = 0;
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	file = fopen(path, "re");
	while (file && mounts->count < MAX_MOUNTS && fgets(line, sizeof(line), file)) {
		const char *rest = strstr(line, " - ");

		if (sscanf(line, "%*d %*d %u:%u", &major, &minor) != 2 || !rest || sscanf(rest, " - %31s", type) != 1 ||
			!is_told(type))
			continue;
		mounts->device[mounts->count].major = major;
		mounts->device[mounts->count++].minor = minor;
	}
	if (file)
		fclose(file);
}

static bool is_flushed(const struct mounts *mounts, const struct statx *about)
{
	uint32_t major = about->stx_rdev_major;

	if (S_ISCHR(about->stx_mode))
		return major != MEMORY_MAJOR && major != TTY_MAJOR && major != CONSOLE_MAJOR &&
			(major < PTY_FIRST || major > PTY_LAST);
	for (int i = 0; i < mounts->count; i++)
		if (about->stx_dev_major == mounts->device[i].major && about->stx_dev_minor == mounts->device[i].minor)
			return true;
	return false;
}

bool ps_has_flushed_files(pid_t pid)
{
	struct mounts mounts;
	struct statx about;
	struct dirent *entry;
	bool found = false;
	char path[32];
	DIR *dir;

	pid = ps_living_thread(pid);
	find_mounts(pid, &mounts);
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir)))
		/* DONT_SYNC: what the kernel has in memory, and no question to a file server. */
		if (entry->d_name[0] != '.' &&
		    !statx(dirfd(dir), entry->d_name, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE, &about))
			found = is_flushed(&mounts, &about);
	if (dir)
		closedir(dir);
	return found;
}

bool ps_shares_files(pid_t pid, pid_t other)
{
	pid_t living = ps_living_thread(pid);
	long differs = syscall(SYS_kcmp, living > 0 ? living : pid, other, KCMP_FILES, 0, 0);

	return differs < 0 ? errno != ESRCH : !differs;		/* ESRCH: it has ended, and was waited for */
}
