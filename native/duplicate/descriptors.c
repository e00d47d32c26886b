// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core/living.h"
#include "descriptors.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD	O_EXCL		/* Linux 6.9 */
#endif

/* Documentation/admin-guide/devices.txt of the kernel */
#define MEMORY_MAJOR	1
#define ZERO_MINOR	5
#define RANDOM_MINOR	8
#define URANDOM_MINOR	9
#define TTY_MAJOR	4
#define PTY_FIRST	136
#define PTY_LAST	143

static bool describe(const char *path, int at, int flags, struct statx *about)
{
	/* DONT_SYNC: what the kernel has in memory, and no question to a file server. */
	return !statx(at, path, flags | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE, about);
}

static enum descriptor kind(const struct statx *about)
{
	if (S_ISSOCK(about->stx_mode))
		return FD_SOCKET;
	if (S_ISFIFO(about->stx_mode))
		return FD_PIPE;
	if (!S_ISCHR(about->stx_mode))
		return FD_OTHER;
	if (about->stx_rdev_major >= PTY_FIRST && about->stx_rdev_major <= PTY_LAST)
		return FD_PTY;
	if (about->stx_rdev_major == MEMORY_MAJOR)
		return about->stx_rdev_minor == ZERO_MINOR || about->stx_rdev_minor == RANDOM_MINOR ||
		       about->stx_rdev_minor == URANDOM_MINOR ? FD_ENDLESS : FD_OTHER;
	return about->stx_rdev_major == TTY_MAJOR ? FD_TTY : FD_OTHER;
}

pid_t ps_thread_with(pid_t pid, int fd)
{
	struct stat link;
	char path[48];
	pid_t living;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	living = lstat(path, &link) ? ps_living_thread(pid) : pid;
	return living > 0 ? living : pid;
}

enum descriptor ps_descriptor(pid_t pid, int fd)
{
	struct statx about;
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", ps_thread_with(pid, fd), fd);
	return describe(path, AT_FDCWD, 0, &about) ? kind(&about) : FD_OTHER;
}

bool ps_never_waits(pid_t pid, int fd)
{
	unsigned int flags = 0;
	char path[48], line[64];
	FILE *info;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", ps_thread_with(pid, fd), fd);
	info = fopen(path, "re");
	if (!info)
		return false;
	while (fgets(line, sizeof(line), info) && sscanf(line, "flags: %o", &flags) != 1)
		;
	fclose(info);
	return flags & O_NONBLOCK;
}

/* -1, or a descriptor of ours for the same file, which is of kind @wanted. */
static int borrow(pid_t pid, int fd, enum descriptor wanted)
{
	struct statx about;
	int handle, mine;
	pid_t thread;

	if (ps_descriptor(pid, fd) != wanted)
		return -1;
	thread = ps_thread_with(pid, fd);
	handle = syscall(SYS_pidfd_open, thread, thread == pid ? 0 : PIDFD_THREAD);
	if (handle < 0)
		return -1;
	mine = syscall(SYS_pidfd_getfd, handle, fd, 0);
	close(handle);
	/*
	 * Another process that shares the table may have put another file there. It
	 * is not closed then, for the end of this process to do: that may wait.
	 */
	if (mine >= 0 && (!describe("", mine, AT_EMPTY_PATH, &about) || kind(&about) != wanted))
		return -1;
	return mine;
}

int ps_socket_option(pid_t pid, int fd, int option, void *value, unsigned int length)
{
	int mine = borrow(pid, fd, FD_SOCKET), err;

	if (mine < 0)
		return -ENOTSOCK;
	err = getsockopt(mine, SOL_SOCKET, option, value, &length) ? -errno : 0;
	close(mine);
	return err;
}

int ps_pty_settings(pid_t pid, int fd, struct termios *settings)
{
	int mine = borrow(pid, fd, FD_PTY), err;

	if (mine < 0)
		return -ENOTTY;
	err = tcgetattr(mine, settings) ? -errno : 0;
	close(mine);
	return err;
}

bool is_stream(pid_t pid, int fd)
{
	int type = 0;

	return !ps_socket_option(pid, fd, SO_TYPE, &type, sizeof(type)) && type == SOCK_STREAM;
}

/* Bytes without which a read from this socket goes on waiting. */
uint64_t low_water(pid_t pid, int fd)
{
	int bytes = 1;

	return ps_socket_option(pid, fd, SO_RCVLOWAT, &bytes, sizeof(bytes)) || bytes < 1 ? 1 : bytes;
}

/*
 * What writes to a file or a device of another kind returns is its own affair; short results that a stop made
 * are not known.
 */
bool writes_all(pid_t pid, int fd)
{
	enum descriptor kind = ps_descriptor(pid, fd);

	return kind == FD_SOCKET || kind == FD_PIPE || kind == FD_PTY || kind == FD_TTY;
}
