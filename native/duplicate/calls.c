// SPDX-License-Identifier: MIT
/* The table of what is known of each call. */
#include <errno.h>
#include <sys/syscall.h>
#include "calls.h"

static const struct call calls[] = {
	/* What it waits for is events: a timeout, and nothing else. */
	{ SYS_epoll_wait,	MILLISECONDS, 3, 0, NO_REST, false },
	{ SYS_epoll_pwait,	MILLISECONDS, 3, 0, NO_REST, false },
	{ SYS_epoll_pwait2,	TIMESPEC, 3, 0, NO_REST, false },
	{ SYS_semtimedop,	TIMESPEC, 3, -EAGAIN, NO_REST, false },
	{ SYS_rt_sigtimedwait,	TIMESPEC, 2, -EAGAIN, NO_REST, false },
	{ SYS_io_getevents,	TIMESPEC, 4, 0, EVENTS, false },
	{ SYS_io_pgetevents,	TIMESPEC, 4, 0, EVENTS, false },
	{ SYS_io_uring_enter,	URING, 4, -ETIME, SUBMITTED, false },
	/* Their timeout is written back; EINTR only where it cannot be: it is in memory that may not be written. */
	{ SYS_ppoll,		TIMESPEC, 2, 0, NO_REST, false },
	{ SYS_select,		TIMEVAL, 4, 0, NO_REST, false },
	{ SYS_pselect6,		TIMESPEC, 4, 0, NO_REST, false },
	/* restart_syscall(2) knows when they are due; where a seccomp filter forbids it, they are made again. */
	{ SYS_poll,		MILLISECONDS, 2, 0, NO_REST, true },
	{ SYS_nanosleep,	TIMESPEC, 0, 0, NO_REST, true },
	{ SYS_clock_nanosleep,	SLEEP, 2, 0, NO_REST, true },
	{ SYS_futex,		FUTEX, 3, -ETIMEDOUT, NO_REST, true },
	/* Sockets, and what else these read and write. */
	{ SYS_recvfrom,		RECEIVE, 0, -EAGAIN, RECEIVED, false },
	{ SYS_recvmsg,		RECEIVE, 0, -EAGAIN, RECEIVED_VECTOR, false },
	{ SYS_recvmmsg,		RECEIVE, 0, -EAGAIN, MESSAGES_IN, false },
	{ SYS_accept,		RECEIVE, 0, -EAGAIN, NO_REST, false },
	{ SYS_accept4,		RECEIVE, 0, -EAGAIN, NO_REST, false },
	{ SYS_read,		RECEIVE, 0, -EAGAIN, READ, false },
	{ SYS_readv,		RECEIVE, 0, -EAGAIN, READ_VECTOR, false },
	{ SYS_preadv2,		RECEIVE, 0, -EAGAIN, READ_VECTOR, false },
	{ SYS_sendto,		SEND, 0, -EAGAIN, BYTES, false },
	{ SYS_sendmsg,		SEND, 0, -EAGAIN, MESSAGE, false },
	{ SYS_sendmmsg,		SEND, 0, -EAGAIN, MESSAGES_OUT, false },
	{ SYS_connect,		SEND, 0, -EAGAIN, NO_REST, false },
	{ SYS_write,		SEND, 0, -EAGAIN, BYTES, false },
	{ SYS_pwrite64,		NO_TIMEOUT, 0, 0, BYTES_AT, false },
	{ SYS_writev,		SEND, 0, -EAGAIN, VECTOR, false },
	{ SYS_pwritev2,		SEND, 0, -EAGAIN, VECTOR, false },
	{ SYS_sendfile,		SEND, 0, -EAGAIN, SENT_FILE, false },
	{ SYS_splice,		SPLICE, 0, -EAGAIN, SPLICED, false },
	{ SYS_copy_file_range,	NO_TIMEOUT, 0, 0, COPIED_RANGE, false },
	{ SYS_getrandom,	NO_TIMEOUT, 0, 0, RANDOM, false },
	{ SYS_close,		NO_TIMEOUT, 0, 0, CLOSED, false },
};

#define NUMBERS 512		/* more than x86-64 has */

const struct call *ps_find_call(long number)
{
	static uint8_t index[NUMBERS];		/* from 1 */

	if (!index[calls[0].number])
		for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
			index[calls[i].number] = i + 1;
	if (number < 0 || number >= NUMBERS || !index[number])
		return NULL;
	return &calls[index[number] - 1];
}
