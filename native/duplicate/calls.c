// SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "calls.h"
#include "descriptors.h"
#include "target_memory.h"

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

static uint64_t argument(const struct user_regs_struct *regs, int which)
{
	const unsigned long long all[6] = { regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9 };

	return all[which];
}

/* ---- timeouts -------------------------------------------------------------- */

/* Programs write "for ever" as a number, up to LONG_MAX: 30 years and more are no timeout, and do not overflow. */
#define FOREVER_S	1000000000LL

static int64_t in_ns(int64_t seconds, int64_t ns)
{
	return seconds < 0 || seconds >= FOREVER_S ? -1 : seconds * PS_NSEC_PER_SEC + ns;
}

#define EXT_ARG		(1U << 3)	/* IORING_ENTER_EXT_ARG */
#define ABS_TIMER	(1U << 5)	/* IORING_ENTER_ABS_TIMER */
#define REGISTERED_ARG	(1U << 6)	/* IORING_ENTER_EXT_ARG_REG */

int64_t ps_timeout_of(pid_t pid, const struct call *call, const struct user_regs_struct *regs)
{
	uint64_t pointer = argument(regs, call->argument), uring[3];
	struct timespec time;

	switch (call->kind) {
	case MILLISECONDS:
		return (int)pointer > 0 ? (int)pointer * 1000000LL : -1;
	case TIMESPEC:
	case TIMEVAL:
		break;
	case SLEEP:
		if (regs->rsi & TIMER_ABSTIME)
			return -1;
		break;
	case FUTEX:
		if ((regs->rsi & FUTEX_CMD_MASK) != FUTEX_WAIT)
			return -1;
		break;
	case URING:		/* { sigmask, sigmask_sz | pad, ts } */
		if (!(regs->r10 & EXT_ARG) || regs->r10 & (ABS_TIMER | REGISTERED_ARG) ||
		    !read_target(pid, pointer, uring, sizeof(uring)))
			return -1;
		pointer = uring[2];
		break;
	default:
		return -1;
	}
	if (!pointer || !read_target(pid, pointer, &time, sizeof(time)))
		return -1;
	return in_ns(time.tv_sec, call->kind == TIMEVAL ? time.tv_nsec * 1000 : time.tv_nsec);
}

static int64_t option_ns(pid_t pid, int fd, int option)
{
	struct timeval time = { 0 };

	if (ps_socket_option(pid, fd, option, &time, sizeof(time)) || (!time.tv_sec && !time.tv_usec))
		return -1;
	return in_ns(time.tv_sec, time.tv_usec * 1000);
}

/* A read of a terminal that ends after VTIME even if nothing came: termios(3). */
static int64_t vtime_ns(pid_t pid, int fd)
{
	struct termios settings;

	if (ps_pty_settings(pid, fd, &settings) || settings.c_lflag & ICANON || settings.c_cc[VMIN] || !settings.c_cc[VTIME])
		return -1;
	return settings.c_cc[VTIME] * (PS_NSEC_PER_SEC / 10);
}

int64_t ps_descriptor_timeout(pid_t pid, const struct call *call, const struct user_regs_struct *regs)
{
	int64_t timeout_ns;

	switch (call->kind) {
	case RECEIVE:
		if (call->number == SYS_read && ps_descriptor(pid, regs->rdi) == FD_PTY)
			return vtime_ns(pid, regs->rdi);
		return option_ns(pid, regs->rdi, SO_RCVTIMEO);
	case SEND:
		return option_ns(pid, regs->rdi, SO_SNDTIMEO);
	case SPLICE:
		timeout_ns = option_ns(pid, regs->rdi, SO_RCVTIMEO);
		return timeout_ns < 0 ? option_ns(pid, regs->rdx, SO_SNDTIMEO) : timeout_ns;
	default:
		return -1;
	}
}

long ps_expired(pid_t pid, const struct call *call, const struct user_regs_struct *regs)
{
	int domain = 0;

	if (call->number == SYS_read && ps_descriptor(pid, regs->rdi) == FD_PTY)
		return 0;
	/* What connect() returns when SO_SNDTIMEO runs out depends on the socket. */
	if (call->number != SYS_connect || ps_socket_option(pid, regs->rdi, SO_DOMAIN, &domain, sizeof(domain)))
		return call->expired;
	return domain == AF_INET || domain == AF_INET6 ? -EINPROGRESS : -EAGAIN;
}

/* ---- the rest of what was asked for ----------------------------------------- */

static bool is_stream(pid_t pid, int fd)
{
	int type = 0;

	return !ps_socket_option(pid, fd, SO_TYPE, &type, sizeof(type)) && type == SOCK_STREAM;
}

/* Bytes without which a read from this socket goes on waiting. */
static uint64_t low_water(pid_t pid, int fd)
{
	int bytes = 1;

	return ps_socket_option(pid, fd, SO_RCVLOWAT, &bytes, sizeof(bytes)) || bytes < 1 ? 1 : bytes;
}

static enum rest up_to(uint64_t wanted, uint64_t done, unsigned long long *buffer, unsigned long long *length)
{
	if (wanted > *length)
		wanted = *length;
	if (done >= wanted)
		return REST_NONE;
	*buffer += done;
	*length = wanted - done;
	return REST_SET;
}

/* What writes to a file or a device of another kind returns is its own affair; short results that a stop made are not known. */
static bool writes_all(pid_t pid, int fd)
{
	enum descriptor kind = ps_descriptor(pid, fd);

	return kind == FD_SOCKET || kind == FD_PIPE || kind == FD_PTY || kind == FD_TTY;
}

/* VMIN, termios(3): how many bytes a read of a terminal waits for; in canonical mode a line is what it returns. */
static enum rest rest_of_terminal(pid_t pid, struct user_regs_struct *regs, uint64_t done)
{
	struct termios settings;

	if (ps_pty_settings(pid, regs->rdi, &settings) || settings.c_lflag & ICANON)
		return REST_NONE;
	/* VTIME between the bytes begins with the first: from then on the rest may be waited for too long. */
	if (settings.c_cc[VTIME] && settings.c_cc[VMIN])
		return done < settings.c_cc[VMIN] && done < regs->rdx ? REST_CUT : REST_NONE;
	return up_to(settings.c_cc[VMIN], done, &regs->rsi, &regs->rdx);
}

static enum rest rest_of_read(pid_t pid, struct user_regs_struct *regs, uint64_t done, bool asleep)
{
	enum descriptor kind = ps_descriptor(pid, regs->rdi);

	if (kind == FD_ENDLESS)
		return up_to(regs->rdx, done, &regs->rsi, &regs->rdx);
	/* Less than VMIN is what it never returns by itself: it may have been woken by some of it just before the stop. */
	if (kind == FD_PTY)
		return rest_of_terminal(pid, regs, done);
	/* Those return what there is. Only what was seen to wait for more can have been cut. */
	if (!asleep)
		return REST_NONE;
	if (kind == FD_SOCKET && is_stream(pid, regs->rdi))
		return up_to(low_water(pid, regs->rdi), done, &regs->rsi, &regs->rdx);
	return REST_NONE;
}

static enum rest rest_of_received(pid_t pid, struct user_regs_struct *regs, uint64_t done, bool asleep)
{
	bool all = regs->r10 & MSG_WAITALL;

	if ((!all && !asleep) || regs->r10 & (MSG_OOB | MSG_ERRQUEUE) || !is_stream(pid, regs->rdi))
		return REST_NONE;
	if (regs->r10 & MSG_PEEK)
		return asleep && done < regs->rdx && (all || done < low_water(pid, regs->rdi)) ? REST_ANEW : REST_NONE;
	return up_to(all ? regs->rdx : low_water(pid, regs->rdi), done, &regs->rsi, &regs->rdx);
}

static uint64_t sum(const struct iovec *part, size_t count)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += part[i].iov_len;
	return bytes;
}

static bool read_parts(pid_t pid, uint64_t address, uint64_t count, struct iovec *part)
{
	return count <= IOV_MAX && read_target(pid, address, part, count * sizeof(*part));
}

/* A rest is expressed from the next part on. Within one it is not: nothing is written to a target's memory. */
static enum rest rest_of_vector(pid_t pid, struct user_regs_struct *regs, uint64_t done)
{
	struct iovec part[IOV_MAX];
	uint64_t before = 0;

	if (!writes_all(pid, regs->rdi) || !read_parts(pid, regs->rsi, regs->rdx, part) || done >= sum(part, regs->rdx))
		return REST_NONE;
	for (uint64_t i = 0; i < regs->rdx && before <= done; before += part[i++].iov_len)
		if (before == done && i) {
			regs->rsi += i * sizeof(*part);
			regs->rdx -= i;
			return REST_SET;
		}
	return REST_CUT;
}

static bool message_bytes(pid_t pid, uint64_t address, uint64_t *bytes)
{
	struct iovec part[IOV_MAX];
	struct msghdr message;

	if (!read_target(pid, address, &message, sizeof(message)) ||
	    !read_parts(pid, (uint64_t)message.msg_iov, message.msg_iovlen, part))
		return false;
	*bytes = sum(part, message.msg_iovlen);
	return true;
}

/* Where it has met an error, it meets that again at once: so this is right wherever it ended. */
static enum rest rest_of_messages_out(pid_t pid, struct user_regs_struct *regs, uint64_t done)
{
	uint64_t last = regs->rsi + (done - 1) * sizeof(struct mmsghdr), wanted;
	struct mmsghdr sent;

	if (done >= (unsigned int)regs->rdx || !read_target(pid, last, &sent, sizeof(sent)) ||
	    !message_bytes(pid, last, &wanted))
		return REST_NONE;
	if (sent.msg_len < wanted)
		return REST_CUT;	/* amid a message */
	regs->rsi += done * sizeof(sent);
	regs->rdx = (unsigned int)regs->rdx - done;
	return REST_SET;
}

static enum rest rest_of_messages_in(struct user_regs_struct *regs, uint64_t done, bool asleep)
{
	if (!asleep || done >= (unsigned int)regs->rdx || regs->r10 & (MSG_WAITFORONE | MSG_PEEK | MSG_ERRQUEUE | MSG_OOB))
		return REST_NONE;
	regs->rsi += done * sizeof(struct mmsghdr);
	regs->rdx = (unsigned int)regs->rdx - done;
	return REST_SET;
}

static bool has_long_part(pid_t pid, uint64_t address, uint64_t count)
{
	struct iovec part[IOV_MAX];

	if (!read_parts(pid, address, count, part))
		return false;
	for (uint64_t i = 0; i < count; i++)
		if (part[i].iov_len > 1)
			return true;
	return false;
}

static bool has_long_message(pid_t pid, const struct user_regs_struct *regs)
{
	uint64_t bytes;

	for (unsigned int i = 0; i < (unsigned int)regs->rdx && i < IOV_MAX; i++)
		if (message_bytes(pid, regs->rsi + i * sizeof(struct mmsghdr), &bytes) && bytes > 1)
			return true;
	return false;
}

bool ps_may_be_cut(pid_t pid, const struct call *call, const struct user_regs_struct *regs)
{
	uint64_t bytes;

	switch (call->rest) {
	case RECEIVED_VECTOR:
		return regs->rdx & MSG_WAITALL && is_stream(pid, regs->rdi) &&
		       message_bytes(pid, regs->rsi, &bytes) && bytes > 1;
	case READ_VECTOR:
		return is_stream(pid, regs->rdi) && low_water(pid, regs->rdi) > 1;
	case VECTOR:
		return is_stream(pid, regs->rdi) && has_long_part(pid, regs->rsi, regs->rdx);
	case MESSAGE:
		return is_stream(pid, regs->rdi) && message_bytes(pid, regs->rsi, &bytes) && bytes > 1;
	case MESSAGES_OUT:
		return is_stream(pid, regs->rdi) && has_long_message(pid, regs);
	default:
		return false;
	}
}

/*
 * Less is what such a call returns by itself, since it does not wait for more. To
 * go on with the rest would be another call, which may meet what has come
 * meanwhile: EPIPE, and SIGPIPE.
 */
static bool never_waits(pid_t pid, const struct call *call, const struct user_regs_struct *regs)
{
	switch (call->rest) {
	case BYTES:
	case RECEIVED:
	case MESSAGES_IN:
	case MESSAGES_OUT:
		return (call->number != SYS_write && regs->r10 & MSG_DONTWAIT) || ps_never_waits(pid, regs->rdi);
	case MESSAGE:
	case RECEIVED_VECTOR:
		return regs->rdx & MSG_DONTWAIT || ps_never_waits(pid, regs->rdi);
	case VECTOR:
		return (call->number == SYS_pwritev2 && regs->r9 & RWF_NOWAIT) || ps_never_waits(pid, regs->rdi);
	case BYTES_AT:
	case SENT_FILE:
		return ps_never_waits(pid, regs->rdi);
	case SPLICED:
		return ps_never_waits(pid, regs->rdx);
	default:
		return false;
	}
}

#define GETEVENTS	(1U << 0)	/* IORING_ENTER_GETEVENTS */

#define REGISTERED_RING	(1U << 4)	/* IORING_ENTER_REGISTERED_RING: not a descriptor */

static int64_t ring_number(pid_t pid, const struct user_regs_struct *regs, const char *key)
{
	char path[48];
	int64_t number;

	if (regs->r10 & REGISTERED_RING)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, (int)regs->rdi);
	number = ps_proc_number(path, key, 1);
	return number < 0 ? -1 : number;
}

int64_t ps_completions(pid_t pid, const struct call *call, const struct user_regs_struct *regs)
{
	return call->rest == SUBMITTED ? ring_number(pid, regs, "CqTail") : -1;
}

/* Are there as many completions as the call waits for? Then it has them, or would at once. */
static bool has_completions(pid_t pid, const struct user_regs_struct *regs)
{
	int64_t head = ring_number(pid, regs, "CqHead"), tail = ring_number(pid, regs, "CqTail");

	return head >= 0 && tail >= 0 && (uint32_t)(tail - head) >= (uint32_t)regs->rdx;
}

/*
 * Its result is how many it has submitted, whether it got what it waited for then
 * or not. If it did, another thread may have taken that since, and a second wait
 * would be for ever: so it waits again only if it cannot have got it. One that
 * submits nothing returns EINTR only where there is no completion at all.
 */
static enum rest rest_of_submitted(pid_t pid, struct user_regs_struct *regs, uint64_t done, bool asleep)
{
	if (done != (unsigned int)regs->rsi || !(regs->r10 & GETEVENTS) || !(unsigned int)regs->rdx ||
	    has_completions(pid, regs))
		return REST_NONE;
	if (!asleep)
		return REST_CUT;
	regs->rsi = 0;
	return REST_SET;
}

enum rest ps_rest(pid_t pid, const struct call *call, struct user_regs_struct *regs, int64_t done, bool asleep)
{
	uint64_t bytes;
	enum rest rest;

	if (call->rest == CLOSED)
		return asleep ? REST_CUT : REST_NONE;
	if (call->rest == SUBMITTED)
		return rest_of_submitted(pid, regs, done, asleep);
	if (!done || never_waits(pid, call, regs))
		return REST_NONE;
	switch (call->rest) {
	case BYTES:
		return writes_all(pid, regs->rdi) ? up_to(regs->rdx, done, &regs->rsi, &regs->rdx) : REST_NONE;
	case BYTES_AT:
		rest = writes_all(pid, regs->rdi) ? up_to(regs->rdx, done, &regs->rsi, &regs->rdx) : REST_NONE;
		regs->r10 += rest == REST_SET ? done : 0;
		return rest;
	case RANDOM:
		return up_to(regs->rsi, done, &regs->rdi, &regs->rsi);
	case READ:
		return rest_of_read(pid, regs, done, asleep);
	case RECEIVED:
		return rest_of_received(pid, regs, done, asleep);
	case RECEIVED_VECTOR:
		return asleep && regs->rdx & MSG_WAITALL && is_stream(pid, regs->rdi) && message_bytes(pid, regs->rsi, &bytes) &&
		       (uint64_t)done < bytes ? REST_CUT : REST_NONE;
	case READ_VECTOR:
		return asleep && is_stream(pid, regs->rdi) && (uint64_t)done < low_water(pid, regs->rdi) ? REST_CUT : REST_NONE;
	case VECTOR:
		return rest_of_vector(pid, regs, done);
	case MESSAGE:
		return asleep && message_bytes(pid, regs->rsi, &bytes) && (uint64_t)done < bytes ? REST_CUT : REST_NONE;
	case MESSAGES_IN:
		return rest_of_messages_in(regs, done, asleep);
	case MESSAGES_OUT:
		return rest_of_messages_out(pid, regs, done);
	case SENT_FILE:		/* into a pipe it returns when that is full */
		if (ps_descriptor(pid, regs->rdi) != FD_SOCKET || (uint64_t)done >= regs->r10)
			return REST_NONE;
		regs->r10 -= done;
		return REST_SET;
	case SPLICED:		/* the kernel has moved the offsets; the pipe's side must not be waited for */
		if (ps_descriptor(pid, regs->rdx) != FD_SOCKET || (uint64_t)done >= regs->r8)
			return REST_NONE;
		regs->r8 -= done;
		regs->r9 |= 2;	/* SPLICE_F_NONBLOCK */
		return REST_SET;
	case COPIED_RANGE:
		if ((uint64_t)done >= regs->r8)
			return REST_NONE;
		regs->r8 -= done;
		return REST_SET;
	case EVENTS:
		if (!asleep || done >= (int64_t)regs->rsi)
			return REST_NONE;
		regs->rsi -= done;
		regs->rdx -= done;
		regs->r10 += done * 32;		/* struct io_event */
		return REST_SET;
	default:
		return REST_NONE;
	}
}
