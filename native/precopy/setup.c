// SPDX-License-Identifier: MIT
/* The first stop: the target makes a userfaultfd(2), which is fetched from it (pidfd_getfd(2)), and closes it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/userfaultfd.h>
#include "core/features.h"
#include "duplicate/injected_call.h"
#include "precopy.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD	O_EXCL		/* Linux 6.9 */
#endif

/* Made in the target, fetched by @pidfd, and closed there: nothing of it is left to the target. */
static int fetch_userfaultfd(struct injection *in, int pidfd)
{
	const long arguments[4] = { O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY };
	long close_arguments[4] = { 0 }, made = 0, closed = 0;
	int64_t took_ns;
	int err = ps_inject_call(in, SYS_userfaultfd, arguments, &made, &took_ns);

	/* It may have been made, and then nobody knows its number: no other copy is tried of such a target. */
	if (err)
		return err == -EBUSY ? -EIO : err;
	if (made < 0)
		return ps_fail(made, "process %d cannot make a userfaultfd: %s%s", in->target, strerror(-made),
			       made == -EMFILE ? "; it has none left of RLIMIT_NOFILE: raise that (prlimit --nofile)" : "");
	precopy.uffd = syscall(SYS_pidfd_getfd, pidfd, (int)made, 0);
	if (precopy.uffd < 0)
		err = ps_fail(-errno, "the userfaultfd of process %d cannot be fetched (pidfd_getfd(2)): %s", in->target,
			      strerror(errno));
	close_arguments[0] = made;
	for (int tries = 0; tries < 3; tries++) {
		int failed = ps_inject_call(in, SYS_close, close_arguments, &closed, &took_ns);

		if (!failed)
			return err;
		if (in->stranded)
			break;
		if (failed == -ESRCH)	/* with its descriptors; by exec() of another thread's, too: O_CLOEXEC */
			return ps_fail(failed, "process %d ended, or called exec(), while it was being copied", in->target);
	}
	/* Not EBUSY, after which another copy may be tried: this target is not as it was. */
	return ps_fail(-EIO,
		"descriptor %ld, a userfaultfd, could not be closed in process %d, and stays open there", made, in->target);
}

/* A first thread that has ended, while others go on, has no descriptors: those of the one that makes the call. */
static int fetch_from_thread(struct injection *in)
{
	pid_t tid = in->stop.thread[0].tid;
	int pidfd, err;

	if (tid == in->target)
		return fetch_userfaultfd(in, precopy.pidfd);
	pidfd = syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
	if (pidfd < 0)
		return ps_fail(errno == EINVAL ? -ENOTSUP : -errno,
			"process %d has lost its first thread, and from another nothing can be fetched%s: take a copy by inject",
			in->target, errno == EINVAL ? " before Linux 6.9" : "");
	err = fetch_userfaultfd(in, pidfd);
	close(pidfd);
	return err;
}

int ps_set_up(int64_t timeout_ns, int64_t limit_ns)
{
	struct ps_precopy *told = precopy.told;
	struct injection in;
	int64_t released_ns;
	int err = ps_begin_injection(&in, &(struct ps_patience){ precopy.target, precopy.pidfd, timeout_ns, limit_ns });

	if (err) {
		told->calls = in.calls;
		told->setup_pause_ns = told->longest_pause_ns = in.stop.undone_ns;
		return err;
	}
	ps_at(PS_STEP_STOPPED);
	err = fetch_from_thread(&in);
	told->calls = in.calls;
	if (in.stranded)
		return err;
	ps_put_back(&in);
	ps_release(&in.stop, -1);
	released_ns = ps_now_ns();
	ps_begin_part(PS_PART_FIRST_STOP, in.stop.first_ns);
	ps_begin_part(PS_PART_FIRST_PASS, released_ns);
	told->setup_pause_ns = told->longest_pause_ns = released_ns - in.stop.first_ns;
	told->window_ns = in.window_ns;
	ps_at(PS_STEP_RELEASED);
	return err;
}
