// SPDX-License-Identifier: MIT
/*
 * The system calls that return EINTR when a stop interrupts them, even where no
 * handler ran, because the kernel does not know how much of a relative timeout
 * was left; and where each of them has its timeout.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "calls.h"
#include "target_memory.h"

static const struct call calls[] = {
	{ SYS_epoll_wait,	MILLISECONDS, 3, 0 },
	{ SYS_epoll_pwait,	MILLISECONDS, 3, 0 },
	{ SYS_epoll_pwait2,	TIMESPEC, 3, 0 },
	{ SYS_semop,		NO_TIMEOUT, 0, 0 },
	{ SYS_semtimedop,	TIMESPEC, 3, -EAGAIN },
	{ SYS_rt_sigtimedwait,	TIMESPEC, 2, -EAGAIN },
	{ SYS_io_getevents,	TIMESPEC, 4, 0 },
	{ SYS_io_pgetevents,	TIMESPEC, 4, 0 },
	{ SYS_io_uring_enter,	URING, 4, -ETIME },
	{ SYS_recvfrom,		RECEIVE, 0, -EAGAIN },
	{ SYS_recvmsg,		RECEIVE, 0, -EAGAIN },
	{ SYS_recvmmsg,		RECEIVE, 0, -EAGAIN },
	{ SYS_accept,		RECEIVE, 0, -EAGAIN },
	{ SYS_accept4,		RECEIVE, 0, -EAGAIN },
	{ SYS_read,		RECEIVE, 0, -EAGAIN },
	{ SYS_readv,		RECEIVE, 0, -EAGAIN },
	{ SYS_sendto,		SEND, 0, -EAGAIN },
	{ SYS_sendmsg,		SEND, 0, -EAGAIN },
	{ SYS_connect,		SEND, 0, -EAGAIN },
	{ SYS_write,		SEND, 0, -EAGAIN },
	{ SYS_writev,		SEND, 0, -EAGAIN },
};

const struct call *ps_find_call(long number)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (calls[i].number == number)
			return &calls[i];
	return NULL;
}

static bool socket_option(pid_t pid, int fd, int option, void *value, socklen_t length)
{
	int handle = syscall(SYS_pidfd_open, pid, 0), mine = -1;
	bool got;

	if (handle >= 0)
		mine = syscall(SYS_pidfd_getfd, handle, fd, 0);
	got = mine >= 0 && !getsockopt(mine, SOL_SOCKET, option, value, &length);
	if (mine >= 0)
		close(mine);
	if (handle >= 0)
		close(handle);
	return got;
}

/* Programs write "for ever" as a number, up to LONG_MAX: 30 years and more are no timeout, and do not overflow. */
#define FOREVER_S	1000000000LL

static bool socket_timeout(pid_t pid, int fd, int option, int64_t *timeout_ns)
{
	struct timeval timeout = { 0 };

	if (!socket_option(pid, fd, option, &timeout, sizeof(timeout)) || timeout.tv_sec >= FOREVER_S)
		return false;
	*timeout_ns = timeout.tv_sec * PS_NSEC_PER_SEC + timeout.tv_usec * 1000;
	return *timeout_ns > 0;
}

/* What connect() returns when SO_SNDTIMEO runs out depends on the socket. */
long ps_expired(pid_t pid, const struct call *call, const unsigned long *argument)
{
	int domain = 0;

	if (call->number != SYS_connect || !socket_option(pid, argument[0], SO_DOMAIN, &domain, sizeof(domain)))
		return call->expired;
	return domain == AF_INET || domain == AF_INET6 ? -EINPROGRESS : -EAGAIN;
}

#define EXT_ARG		(1U << 3)	/* IORING_ENTER_EXT_ARG */
#define ABS_TIMER	(1U << 5)	/* IORING_ENTER_ABS_TIMER */

bool ps_has_timeout(pid_t pid, const struct call *call, const unsigned long *argument, int64_t *timeout_ns)
{
	struct timespec time;
	uint64_t pointer = argument[call->argument], uring[3];

	switch (call->kind) {
	case NO_TIMEOUT:
		return false;
	case MILLISECONDS:
		*timeout_ns = (int)pointer * 1000000LL;
		return (int)pointer > 0;
	case URING:		/* { sigmask, sigmask_sz | pad, ts } */
		if (!(argument[3] & EXT_ARG) || (argument[3] & ABS_TIMER) ||
		    !read_target(pid, pointer, uring, sizeof(uring)))
			return false;
		pointer = uring[2];
		break;
	case TIMESPEC:
		break;
	case RECEIVE:
		return socket_timeout(pid, argument[0], SO_RCVTIMEO, timeout_ns);
	case SEND:
		return socket_timeout(pid, argument[0], SO_SNDTIMEO, timeout_ns);
	}
	if (!pointer || !read_target(pid, pointer, &time, sizeof(time)))
		return false;
	if (time.tv_sec >= FOREVER_S)
		return false;
	*timeout_ns = time.tv_sec * PS_NSEC_PER_SEC + time.tv_nsec;
	return true;
}
