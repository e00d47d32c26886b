// SPDX-License-Identifier: MIT
/* Where a call has its timeout. */
#include <linux/futex.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <errno.h>
#include <time.h>
#include "calls.h"
#include "descriptors.h"
#include "target_memory.h"

static uint64_t argument(const struct user_regs_struct *regs, int which)
{
	const unsigned long long all[6] = { regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9 };

	return all[which];
}

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

	if (ps_pty_settings(pid, fd, &settings) || settings.c_lflag & ICANON || settings.c_cc[VMIN] ||
		!settings.c_cc[VTIME])
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
