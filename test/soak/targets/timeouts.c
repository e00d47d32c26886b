// SPDX-License-Identifier: MIT
/* Kinds that wait with a timeout, in every call that has one: it ends when it should, and says what it should. */
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include "kinds.h"

/* Mostly short ones, so that many takes meet many calls; some that several takes meet. */
static int64_t some_time(void)
{
	switch (draw(16)) {
	case 0:
		return 1500 * MS_NS;
	case 1: case 2:
		return 400 * MS_NS;
	default:
		return (1 + draw(60)) * MS_NS;
	}
}

static struct timespec spec(int64_t ns)
{
	return (struct timespec){ ns / SECOND_NS, ns % SECOND_NS };
}

/* What a call gave, against what it gives when its time is over. */
static void expect(const char *call, long result, long expected, uint64_t before)
{
	if (result == expected)
		return;
	if (result == -EINTR)
		HARM_UNLESS_EXCUSED(before, "%s returned EINTR", call);
	else
		HARM_UNLESS_EXCUSED(before, "%s returned %ld (%s) instead of %ld", call, result,
			result < 0 ? strerror(-result) : "a number", expected);
}

static long error_of(long result)
{
	return result < 0 ? -errno : result;
}

/* Nothing comes, but for a timer that ends each other wait before its time. */
static int epoll_with_timer(int *timer)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };

	*timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	need(epoll >= 0 && *timer >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, *timer, &event), "epoll");
	return epoll;
}

static int64_t arm(int timer, int64_t timeout_ns)
{
	struct itimerspec time = { 0 };

	if (!draw(2))
		return timeout_ns;
	time.it_value = spec(timeout_ns / 2);
	need(!timerfd_settime(timer, 0, &time, NULL), "timerfd_settime");
	return timeout_ns / 2;
}

static void epoll_kind(const char *argument)
{
	int timer, epoll = epoll_with_timer(&timer);

	(void)argument;
	ready();
	for (;; turn()) {
		int64_t asked_ns = some_time(), began_ns = now_ns(), due_ns = arm(timer, asked_ns);
		uint64_t before = excuse(), expirations;
		struct epoll_event event;

		expect("epoll_wait", error_of(epoll_wait(epoll, &event, 1, asked_ns / MS_NS)), due_ns != asked_ns, before);
		check_time("epoll_wait", began_ns, due_ns, before);
		if (due_ns == asked_ns)
			continue;
		if (read(timer, &expirations, sizeof(expirations)) != sizeof(expirations) || expirations != 1)
			HARM_UNLESS_EXCUSED(before, "a timerfd did not expire once");
	}
}

static void epoll_raw(const char *argument)
{
	int timer, epoll = epoll_with_timer(&timer);
	struct epoll_event event;

	(void)argument;
	ready();
	for (;; turn()) {
		int64_t asked_ns = some_time(), began_ns = now_ns();
		struct timespec time = spec(asked_ns), given = time;
		uint64_t before = excuse();

		switch (draw(3)) {
		case 0:
			expect("epoll_pwait2",
				checked_call("epoll_pwait2", SYS_epoll_pwait2, epoll, (long)&event, 1, (long)&time, 0, 8), 0, before);
			if (memcmp(&time, &given, sizeof(time)))
				harm("epoll_pwait2: its timeout in memory changed");
			check_time("epoll_pwait2", began_ns, asked_ns, before);
			break;
		case 1:
			expect("epoll_pwait",
				checked_call("epoll_pwait", SYS_epoll_pwait, epoll, (long)&event, 1, asked_ns / MS_NS, 0, 8), 0,
				before);
			check_time("epoll_pwait", began_ns, asked_ns, before);
			break;
		case 2:
			expect("epoll_wait",
				checked_call("epoll_wait", SYS_epoll_wait, epoll, (long)&event, 1, asked_ns / MS_NS, 7, 8), 0, before);
			check_time("epoll_wait", began_ns, asked_ns, before);
		}
	}
}

static void poll_kind(const char *argument)
{
	struct pollfd none = { .fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN };

	(void)argument;
	ready();
	for (;; turn()) {
		int64_t asked_ns = some_time(), began_ns = now_ns();
		struct timespec time = spec(asked_ns);
		struct timeval value = { time.tv_sec, time.tv_nsec / 1000 };
		uint64_t before = excuse();
		const char *call = "poll";
		fd_set set;
		long result;

		FD_ZERO(&set);
		FD_SET(none.fd, &set);
		switch (draw(4)) {
		case 0:
			result = error_of(poll(&none, 1, asked_ns / MS_NS));
			break;
		case 1:
			result = error_of(ppoll(&none, 1, &time, NULL));
			call = "ppoll";
			break;
		case 2:
			result = error_of(select(none.fd + 1, &set, NULL, NULL, &value));
			call = "select";
			break;
		default:
			result = error_of(pselect(none.fd + 1, &set, NULL, NULL, &time, NULL));
			call = "pselect";
		}
		expect(call, result, 0, before);
		check_time(call, began_ns, asked_ns, before);
	}
}

static void sleep_kind(const char *argument)
{
	(void)argument;
	ready();
	for (;; turn()) {
		int64_t asked_ns = some_time(), began_ns = now_ns();
		struct timespec time = spec(asked_ns), until = spec(began_ns + asked_ns);
		uint64_t before = excuse();

		switch (draw(3)) {
		case 0:
			expect("nanosleep", checked_call("nanosleep", SYS_nanosleep, (long)&time, 0, 3, 4, 5, 6), 0, before);
			break;
		case 1:
			expect("clock_nanosleep",
				checked_call("clock_nanosleep", SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, (long)&time, 0, 5, 6), 0,
				before);
			break;
		default:
			expect("clock_nanosleep to a time",
				checked_call("clock_nanosleep to a time", SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME,
					(long)&until, 0, 5, 6),
				0, before);
		}
		check_time("a sleep", began_ns, asked_ns, before);
	}
}

static void futex_kind(const char *argument)
{
	int word = 1;

	(void)argument;
	ready();
	for (;; turn()) {
		int64_t asked_ns = some_time(), began_ns = now_ns();
		struct timespec time = spec(asked_ns), until = spec(began_ns + asked_ns);
		uint64_t before = excuse();

		if (draw(2))
			expect("FUTEX_WAIT",
				checked_call("FUTEX_WAIT", SYS_futex, (long)&word, FUTEX_WAIT_PRIVATE, 1, (long)&time, 5, 6),
				-ETIMEDOUT, before);
		else
			expect("FUTEX_WAIT_BITSET",
				checked_call("FUTEX_WAIT_BITSET", SYS_futex, (long)&word, FUTEX_WAIT_BITSET_PRIVATE, 1, (long)&until, 0,
					(long)FUTEX_BITSET_MATCH_ANY),
				-ETIMEDOUT, before);
		check_time("a futex", began_ns, asked_ns, before);
	}
}

static void sigtimedwait_kind(const char *argument)
{
	sigset_t set;

	(void)argument;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ready();
	for (;; turn()) {
		int64_t asked_ns = some_time(), began_ns = now_ns();
		struct timespec time = spec(asked_ns);
		uint64_t before = excuse();

		expect("sigtimedwait", checked_call("sigtimedwait", SYS_rt_sigtimedwait, (long)&set, 0, (long)&time, 8, 5, 6),
			-EAGAIN, before);
		check_time("sigtimedwait", began_ns, asked_ns, before);
	}
}

/* SO_RCVTIMEO is of the socket: nothing of it can be changed in a register. */
static void rcvtimeo(const char *argument)
{
	int pair[2];
	char byte;

	(void)argument;
	need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
	ready();
	for (;; turn()) {
		int64_t asked_ns = some_time(), began_ns;
		struct timeval time = { asked_ns / SECOND_NS, asked_ns % SECOND_NS / 1000 };
		uint64_t before;

		setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
		before = excuse();
		began_ns = now_ns();
		expect("recv with SO_RCVTIMEO", error_of(recv(pair[0], &byte, 1, 0)), -EAGAIN, before);
		/* Of jiffies: rounded. */
		check_time("recv with SO_RCVTIMEO", began_ns, asked_ns - 10 * MS_NS, before);
	}
}

static void semtimedop_kind(const char *argument)
{
	int set = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);

	(void)argument;
	need(set >= 0, "semget");
	page->handle[3] = set + 1;	/* the soak removes it: it outlives a target that is killed */
	ready();
	for (;; turn()) {
		struct sembuf down = { .sem_op = -1 };
		int64_t asked_ns = some_time(), began_ns = now_ns();
		struct timespec time = spec(asked_ns);
		uint64_t before = excuse();

		expect("semtimedop", error_of(semtimedop(set, &down, 1, &time)), -EAGAIN, before);
		check_time("semtimedop", began_ns, asked_ns - 10 * MS_NS, before);
	}
}

static void io_getevents_kind(const char *argument)
{
	aio_context_t context = 0;

	(void)argument;
	need(!syscall(SYS_io_setup, 4, &context), "io_setup");
	ready();
	for (;; turn()) {
		int64_t asked_ns = some_time(), began_ns = now_ns();
		struct timespec time = spec(asked_ns);
		struct io_event event;
		uint64_t before = excuse();

		expect("io_getevents", error_of(syscall(SYS_io_getevents, context, 1, 1, &event, &time)), 0, before);
		check_time("io_getevents", began_ns, asked_ns, before);
	}
}

/* A timeout is submitted and waited for in one call. */
static void io_uring_kind(const char *argument)
{
	struct io_uring_params params = { 0 };
	int ring = syscall(SYS_io_uring_setup, 4, &params);
	uint8_t *sq, *cq;
	struct io_uring_sqe *sqes;

	(void)argument;
	need(ring >= 0, "io_uring_setup");
	sq = mmap(NULL, params.sq_off.array + params.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, params.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
		IORING_OFF_SQES);
	need(sq != MAP_FAILED && cq != MAP_FAILED && sqes != MAP_FAILED, "mmap of an io_uring");
	uint32_t *tail = (uint32_t *)(sq + params.sq_off.tail), *array = (uint32_t *)(sq + params.sq_off.array);
	uint32_t *head = (uint32_t *)(cq + params.cq_off.head), *end = (uint32_t *)(cq + params.cq_off.tail);
	const struct io_uring_cqe *cqes = (void *)(cq + params.cq_off.cqes);

	ready();
	for (uint64_t round = 1;; round++, turn()) {
		int64_t asked_ns = some_time(), began_ns = now_ns();
		struct timespec time = spec(asked_ns);
		uint32_t slot = *tail & (params.sq_entries - 1);
		uint64_t before = excuse();
		long result;

		sqes[slot] = (struct io_uring_sqe){
			.opcode = IORING_OP_TIMEOUT, .fd = -1, .addr = (uintptr_t)&time, .len = 1, .user_data = round
		};
		array[slot] = slot;
		__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
		result = error_of(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
		/* It says 1, submitted, even where its wait was ended: then the completion is not there. */
		expect("io_uring_enter", result, 1, before);
		if (*head == __atomic_load_n(end, __ATOMIC_ACQUIRE))
			HARM_UNLESS_EXCUSED(before, "io_uring_enter returned without the completion that it was to wait for");
		while (*head == __atomic_load_n(end, __ATOMIC_ACQUIRE)) {
			before = excuse();
			result = error_of(syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0));
			expect("io_uring_enter that only waits", result, 0, before);
		}
		if (cqes[*head & (params.cq_entries - 1)].user_data != round)
			harm("an io_uring completion is another's");
		__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
		check_time("an io_uring timeout", began_ns, asked_ns, before);
	}
}

/* A periodic timer: no expiration is lost, and none too many. */
static void timerfd_kind(const char *argument)
{
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	const int64_t period_ns = 19 * MS_NS;
	struct itimerspec time = { spec(period_ns), spec(period_ns) };
	int64_t began_ns = now_ns(), total = 0;

	(void)argument;
	need(timer >= 0 && !timerfd_settime(timer, 0, &time, NULL), "timerfd");
	ready();
	for (;; turn()) {
		uint64_t before = excuse(), expirations = 0;
		int64_t before_ns = now_ns(), after_ns;
		long result = error_of(read(timer, &expirations, sizeof(expirations)));

		after_ns = now_ns();
		expect("read of a timerfd", result, 8, before);
		total += expirations;
		if (total > (after_ns - began_ns) / period_ns + 1)
			harm("a timerfd expired too often");
		if (total < (before_ns - began_ns) / period_ns - 2)
			harm("expirations of a timerfd were lost");
	}
}

static void mq_kind(const char *argument)
{
	struct mq_attr attributes = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[64], message[8];
	mqd_t queue;

	(void)argument;
	snprintf(name, sizeof(name), "/procsnap-soak-%d", getpid());
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
	need(queue >= 0, "mq_open");
	mq_unlink(name);
	ready();
	for (;; turn()) {
		int64_t asked_ns = some_time(), began_ns = now_ns();
		struct timespec now, until;
		uint64_t before = excuse();

		clock_gettime(CLOCK_REALTIME, &now);
		until = spec(now.tv_sec * SECOND_NS + now.tv_nsec + asked_ns);
		expect("mq_timedreceive", error_of(mq_timedreceive(queue, message, sizeof(message), NULL, &until)), -ETIMEDOUT,
			before);
		/* Of the wall clock, which may be set meanwhile. */
		check_time("mq_timedreceive", began_ns, asked_ns / 2, before);
	}
}

const struct kind timeout_kinds[] = {
	{ "epoll", epoll_kind },
	{ "epoll-raw", epoll_raw },
	{ "poll", poll_kind },
	{ "sleep", sleep_kind },
	{ "futex", futex_kind },
	{ "sigtimedwait", sigtimedwait_kind },
	{ "rcvtimeo", rcvtimeo },
	{ "semtimedop", semtimedop_kind },
	{ "io-getevents", io_getevents_kind },
	{ "io-uring", io_uring_kind },
	{ "timerfd", timerfd_kind },
	{ "mqueue", mq_kind },
	{ 0 },
};
