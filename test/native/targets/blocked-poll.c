// SPDX-License-Identifier: MIT
/* Blocked on time, on signals, and on readiness of descriptors. */
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include "blocked.h"

static int epoll;
static aio_context_t aio;
static sigset_t user1;

static void make_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN };

	make_pipe();
	epoll = epoll_create1(0);
	need(!epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event), "epoll_ctl");
}

static long block_epoll_wait(int ms)
{
	struct epoll_event event;

	return raw(syscall(SYS_epoll_wait, epoll, &event, 1, ms));
}

static long block_epoll_pwait(int ms)
{
	struct epoll_event event;
	sigset_t none;

	sigemptyset(&none);
	return raw(epoll_pwait(epoll, &event, 1, ms, &none));
}

static long block_epoll_pwait2(int ms)
{
	struct epoll_event event;

	return raw(syscall(SYS_epoll_pwait2, epoll, &event, 1, span(ms), NULL, 0));
}

/* As programs write "for ever", and what an int of milliseconds cannot hold. */
static struct timespec for_ever = { LONG_MAX, 0 }, a_month = { 30 * 24 * 3600, 0 };

static long block_epoll_for_ever(int ms)
{
	struct epoll_event event;

	(void)ms;
	return raw(syscall(SYS_epoll_pwait2, epoll, &event, 1, &for_ever, NULL, 0));
}

static long block_epoll_month(int ms)
{
	struct epoll_event event;

	(void)ms;
	return raw(syscall(SYS_epoll_pwait2, epoll, &event, 1, &a_month, NULL, 0));
}

static long block_poll(int ms)
{
	struct pollfd file = { .fd = pair[0], .events = POLLIN };

	return raw(poll(&file, 1, ms));
}

static long block_ppoll(int ms)
{
	struct pollfd file = { .fd = pair[0], .events = POLLIN };

	return raw(ppoll(&file, 1, span(ms), NULL));
}

/* In memory that is not written to: what is left of the time is lost. */
static long block_ppoll_constant(int ms)
{
	struct pollfd file = { .fd = pair[0], .events = POLLIN };
	struct timespec *time = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*time = *span(ms < 0 ? 60000 : ms);
	need(!mprotect(time, 4096, PROT_READ), "mprotect");
	return raw(syscall(SYS_ppoll, &file, 1, time, NULL, 0));
}

static long block_select(int ms)
{
	struct timeval time = { ms / 1000, ms % 1000 * 1000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(pair[0], &set);
	return raw(syscall(SYS_select, pair[0] + 1, &set, NULL, NULL, ms < 0 ? NULL : &time));
}

static long block_pselect(int ms)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(pair[0], &set);
	return raw(pselect(pair[0] + 1, &set, NULL, NULL, span(ms), NULL));
}

static long block_nanosleep(int ms)
{
	return raw(syscall(SYS_nanosleep, span(ms < 0 ? 3000 : ms), NULL));
}

static long block_clock_nanosleep(int ms)
{
	return raw(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, span(ms < 0 ? 3000 : ms), NULL));
}

static long block_pause(int ms)
{
	(void)ms;
	return raw(pause());
}

static long block_sigsuspend(int ms)
{
	sigset_t none;

	(void)ms;
	sigemptyset(&none);
	return raw(sigsuspend(&none));
}

static void block_user1(void)
{
	sigemptyset(&user1);
	sigaddset(&user1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &user1, NULL);
}

static long block_sigtimedwait(int ms)
{
	return raw(syscall(SYS_rt_sigtimedwait, &user1, NULL, span(ms), 8));
}

static long block_sigtimedwait_for_ever(int ms)
{
	(void)ms;
	return raw(syscall(SYS_rt_sigtimedwait, &user1, NULL, &for_ever, 8));
}

static long block_futex(int ms)
{
	return raw(syscall(SYS_futex, shared_word, FUTEX_WAIT, 0, span(ms), NULL, 0));
}

static long block_futex_timeout(int ms)
{
	return block_futex(ms < 0 ? 60000 : ms);
}

static void wake_futex(void)
{
	*shared_word = 1;
	syscall(SYS_futex, shared_word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void make_aio(void)
{
	struct iocb request = { .aio_lio_opcode = IOCB_CMD_POLL, .aio_buf = POLLIN }, *list[] = { &request };

	make_pipe();
	request.aio_fildes = pair[0];
	need(!syscall(SYS_io_setup, 4, &aio), "io_setup");
	need(syscall(SYS_io_submit, aio, 1L, list) == 1, "io_submit");
}

static long block_io_getevents(int ms)
{
	struct io_event event;

	return raw(syscall(SYS_io_getevents, aio, 1L, 1L, &event, span(ms)));
}

static long block_io_pgetevents(int ms)
{
	struct io_event event;

	return raw(syscall(SYS_io_pgetevents, aio, 1L, 1L, &event, span(ms), NULL));
}

static int ring;

static void make_ring(void)
{
	struct io_uring_params params = { 0 };
	struct io_uring_sqe *entries;
	char *queue;

	make_pipe();
	ring = syscall(SYS_io_uring_setup, 4, &params);
	if (ring < 0) {
		printf("io_uring_setup: %s\n", strerror(errno));
		exit(0);
	}
	queue = mmap(
		NULL, params.sq_off.array + 4 * sizeof(uint32_t), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	entries = mmap(NULL, 4 * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	need(queue != MAP_FAILED && entries != MAP_FAILED, "io_uring");
	entries[0] = (struct io_uring_sqe){ .opcode = IORING_OP_POLL_ADD, .fd = pair[0], .poll32_events = POLLIN };
	*(uint32_t *)(queue + params.sq_off.array) = 0;
	__atomic_store_n((uint32_t *)(queue + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	need(syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0) == 1, "io_uring_enter");
}

static long block_ring(int ms)
{
	struct io_uring_getevents_arg arg = { .ts = (uint64_t)span(ms) };

	if (ms < 0)
		return raw(syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0));
	return raw(
		syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)));
}

const struct kind poll_kinds[] = {
	{ "epoll_wait", make_epoll, NULL, block_epoll_wait, write_byte, 1, 0 },
	{ "epoll_pwait", make_epoll, NULL, block_epoll_pwait, write_byte, 1, 0 },
	{ "epoll_pwait2", make_epoll, NULL, block_epoll_pwait2, write_byte, 1, 0 },
	{ "epoll_pwait2-for-ever", make_epoll, NULL, block_epoll_for_ever, write_byte, 1, 0 },
	{ "epoll_pwait2-month", make_epoll, NULL, block_epoll_month, write_byte, 1, 0 },
	{ "poll", make_pipe, NULL, block_poll, write_byte, 1, 0 },
	{ "ppoll", make_pipe, NULL, block_ppoll, write_byte, 1, 0 },
	{ "ppoll-constant", make_pipe, NULL, block_ppoll_constant, write_byte, 1, 0 },
	{ "select", make_pipe, NULL, block_select, write_byte, 1, 0 },
	{ "pselect", make_pipe, NULL, block_pselect, write_byte, 1, 0 },
	{ "nanosleep", NULL, NULL, block_nanosleep, NULL, 0, 0 },
	{ "clock_nanosleep", NULL, NULL, block_clock_nanosleep, NULL, 0, 0 },
	{ "pause", NULL, NULL, block_pause, signal_target, -EINTR, 0 },
	{ "sigsuspend", block_user1, NULL, block_sigsuspend, signal_target, -EINTR, 0 },
	{ "sigtimedwait", block_user1, NULL, block_sigtimedwait, signal_target, SIGUSR1, -EAGAIN },
	{ "sigtimedwait-for-ever", block_user1, NULL, block_sigtimedwait_for_ever, signal_target, SIGUSR1, -EAGAIN },
	{ "futex", NULL, NULL, block_futex, wake_futex, 0, -ETIMEDOUT },
	{ "futex-timeout", NULL, NULL, block_futex_timeout, wake_futex, 0, -ETIMEDOUT },
	{ "io_getevents", make_aio, NULL, block_io_getevents, write_byte, 1, 0 },
	{ "io_pgetevents", make_aio, NULL, block_io_pgetevents, write_byte, 1, 0 },
	{ "io_uring_enter", make_ring, NULL, block_ring, write_byte, 0, -ETIME },
	{ NULL, NULL, NULL, NULL, NULL, 0, 0 },
};
