// SPDX-License-Identifier: MIT
/* Of two procsnaps one after the other: the first may still follow calls of the target (follow.c). */
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "procsnap.h"

#define NAME		"procsnap-tracer"	/* 15 characters: as long as a name can be, prctl(2) */
#define TRIES		100
#define REFUSED_NS	PS_NSEC_PER_SEC
#define TRY_NS		(2 * 1000 * 1000L)

static bool is_tracer(pid_t tid)
{
	char path[32], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = 0;
	fclose(file);
	return !strncmp(name, NAME, strlen(NAME));
}

/* Anybody can have that name: is it this program, or a process of this user's? Nobody else is sent a signal. */
static bool is_one_of_us(pid_t pid)
{
	struct stat own, its;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	if (!stat("/proc/self/exe", &own) && !stat(path, &its) && own.st_dev == its.st_dev && own.st_ino == its.st_ino)
		return true;
	/* Not the owner of its folder in /proc, which is root where it must not be dumped. */
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return ps_proc_number(path, "Uid", 1) == getuid();
}

/*
 * What a tracer leaves behind, to be read when it is gone; -ENOENT: it has
 * nothing to leave. Anything may be there in another's process: a FIFO, whose
 * open() would wait, or a device. Only a regular file is opened.
 */
static int open_will(pid_t tgid)
{
	struct statx about;
	char path[48];
	int handle, fd = -EINVAL;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", tgid, PS_INHERITANCE_FD);
	handle = open(path, O_PATH | O_CLOEXEC);
	if (handle < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", handle);
	if (!statx(handle, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &about) && S_ISREG(about.stx_mode)) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		fd = fd < 0 ? -errno : fd;
	}
	close(handle);
	return fd;
}

static struct ps_inheritance inherited[PS_MAX_THREADS];
static int inheritances, will = -1;

/* False: there is no more of it than is known. */
static bool read_will(void)
{
	int before = inheritances;
	struct stat about;
	ssize_t got = -1;

	if (fstat(will, &about) || about.st_size == (off_t)(before * sizeof(*inherited)))
		return false;
	if (about.st_size <= (off_t)sizeof(inherited))
		got = pread(will, inherited, sizeof(inherited), 0);
	inheritances = got > 0 && got % sizeof(*inherited) == 0 ? got / (ssize_t)sizeof(*inherited) : 0;
	return inheritances > before;
}

static const struct ps_inheritance *find_inherited(pid_t tid)
{
	for (int i = 0; i < inheritances; i++)
		if (inherited[i].tid == tid)
			return &inherited[i];
	return NULL;
}

/* It lets one thread go after the other, and writes of each before that. */
const struct ps_inheritance *ps_inherited(pid_t tid)
{
	const struct ps_inheritance *found = find_inherited(tid);

	return found || will < 0 || !read_will() ? found : find_inherited(tid);
}

/* Takes @fd over. */
static void inherit(int fd)
{
	if (will >= 0)
		close(will);
	will = fd;
	inheritances = 0;
	read_will();
}

/* To let all threads of @tid's process go. True: @tid is traced by @tracer no more. */
static bool ask(pid_t tid, pid_t tracer, pid_t tgid)
{
	struct ps_identity identity;
	bool gone = ps_identify(tid, &identity);

	for (int i = 0; i < TRIES && !gone; i++) {
		sigqueue(tgid, SIGUSR1, (union sigval){ .sival_int = identity.tgid });
		ps_sleep(TRY_NS);
		gone = ps_identify(tid, &identity) || identity.tracer != tracer;
	}
	return gone;
}

bool ps_lets_go(pid_t tracer)
{
	struct ps_identity identity;

	/* One whose parent is still there is still asked for work (tracer.c, split()). */
	return is_tracer(tracer) && !ps_identify(tracer, &identity) && is_one_of_us(identity.tgid) &&
	       !is_tracer(identity.parent);
}

bool ps_ask_to_go(pid_t tid, pid_t tracer)
{
	/* It keeps a process of which a call has done a part: it is not asked again for each of the threads. */
	static struct { pid_t tracer, tgid; int64_t ns; } refused;
	struct ps_identity of_tracer, identity;
	bool gone = false;
	int fd;

	if (!ps_lets_go(tracer) || ps_identify(tracer, &of_tracer) || ps_identify(tid, &identity))
		return false;
	if (refused.tracer == tracer && refused.tgid == identity.tgid && ps_now_ns() - refused.ns < REFUSED_NS)
		return false;
	fd = open_will(of_tracer.tgid);
	if (fd >= 0 || fd == -ENOENT)
		gone = ask(tid, tracer, of_tracer.tgid);
	if (gone && fd >= 0)
		inherit(fd);
	else if (fd >= 0)
		close(fd);
	if (!gone) {
		refused.tracer = tracer;
		refused.tgid = identity.tgid;
		refused.ns = ps_now_ns();
	}
	return gone;
}
