// SPDX-License-Identifier: MIT
/* Kinds that send and receive: nothing is short, lost, doubled or in another order, and an end is seen. */
#include <netinet/in.h>
#include <pthread.h>
#include <pty.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <termios.h>
#include "kinds.h"

static void expect_all(const char *call, ssize_t got, ssize_t asked, uint64_t before)
{
	if (got == asked)
		return;
	if (got < 0 && errno != EINTR)
		harm("%s failed: %s", call, strerror(errno));
	else
		HARM_UNLESS_EXCUSED(before, got < 0 ? "%s returned EINTR" : "%s was cut short", call);
}

#define BIG	(1 << 20)

static uint8_t big[BIG];

static uint8_t byte_at(uint64_t position)
{
	return position * 2654435761u >> 24;
}

/* Reads slowly, so that the writer is always blocked in one write(2); looks at each byte. */
static void *slow_reader(void *arg)
{
	int fd = *(int *)arg;
	uint64_t position = 0;
	static uint8_t piece[16384];

	for (;;) {
		ssize_t got = read(fd, piece, sizeof(piece));

		if (got <= 0) {
			if (got < 0 && errno == EINTR)
				continue;
			harm("the reader of a pipe saw its end, or an error");
			return NULL;
		}
		for (ssize_t i = 0; i < got; i++)
			if (piece[i] != byte_at(position + i)) {
				HARM_UNLESS_EXCUSED(excuse(), "a pipe gave a wrong byte");
				break;
			}
		position += got;
		nap_ms(4);
	}
}

static void pipe_writer(const char *argument)
{
	uint64_t position = 0;
	pthread_t reader;
	int ends[2];

	(void)argument;
	need(!pipe2(ends, O_CLOEXEC), "pipe");
	page->handle[0] = ends[0];
	need(!pthread_create(&reader, NULL, slow_reader, &ends[0]), "pthread_create");
	ready();
	for (;; turn()) {
		uint64_t before;
		ssize_t put = 0;

		for (size_t i = 0; i < BIG; i++)
			big[i] = byte_at(position + i);
		before = excuse();
		put = write(ends[1], big, BIG);
		expect_all("a write of 1 MiB to a pipe", put, BIG, before);
		position += put > 0 ? put : 0;
	}
}

/* A megabyte that a socket does not hold: as one message, or as many in one call. */
static void socket_writer(const char *argument)
{
	enum { MESSAGES = 64 };
	static struct mmsghdr messages[MESSAGES];
	static struct iovec pieces[MESSAGES];
	uint64_t position = 0;
	pthread_t reader;
	int pair[2];

	(void)argument;
	need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
	need(!pthread_create(&reader, NULL, slow_reader, &pair[0]), "pthread_create");
	for (int i = 0; i < MESSAGES; i++) {
		pieces[i] = (struct iovec){ big + i * (BIG / MESSAGES), BIG / MESSAGES };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &pieces[i], .msg_iovlen = 1 };
	}
	ready();
	for (;; turn()) {
		ssize_t put;

		for (size_t i = 0; i < BIG; i++)
			big[i] = byte_at(position + i);
		uint64_t before = excuse();

		if (draw(2)) {
			put = send(pair[1], big, BIG, MSG_NOSIGNAL);
			expect_all("a send of 1 MiB", put, BIG, before);
		} else {
			put = sendmmsg(pair[1], messages, MESSAGES, MSG_NOSIGNAL);
			expect_all("sendmmsg of 64 messages", put, MESSAGES, before);
			/* The last of those counted may be short, which only it says. */
			for (int i = 0, count = put; i < count; i++)
				put = (i ? put : 0) + messages[i].msg_len;
			if (put > 0 && put != BIG)
				HARM_UNLESS_EXCUSED(before, "a message of sendmmsg was cut short");
		}
		position += put > 0 ? put : 0;
	}
}

/* close() of a socket with SO_LINGER waits until the peer has all. */
static void *late_reader(void *arg)
{
	static uint8_t piece[65536];
	int fd = *(int *)arg;

	nap_ms(120);
	while (read(fd, piece, sizeof(piece)) > 0)
		;
	close(fd);
	return NULL;
}

static void linger(const char *argument)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct linger lingering = { 1, 30 };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)argument;
	need(!bind(listener, (void *)&address, length) && !listen(listener, 1) &&
			!getsockname(listener, (void *)&address, &length),
		"listen");
	ready();
	for (;; turn()) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;
		pthread_t reader;
		int64_t began_ns;
		uint64_t before;

		need(!connect(fd, (void *)&address, length) && (peer = accept(listener, NULL, NULL)) >= 0, "connect");
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &lingering, sizeof(lingering));
		fcntl(fd, F_SETFL, O_NONBLOCK);
		while (write(fd, big, BIG) > 0)
			;
		fcntl(fd, F_SETFL, 0);
		began_ns = now_ns();
		before = excuse();
		need(!pthread_create(&reader, NULL, late_reader, &peer), "pthread_create");
		if (close(fd))
			harm("close failed: %s", strerror(errno));
		if (now_ns() - began_ns < 100 * MS_NS)
			HARM_UNLESS_EXCUSED(before, "close with SO_LINGER returned before the peer had all");
		pthread_join(reader, NULL);
		nap_ms(20);
	}
}

/* Sends a message of SIZE bytes in pieces. */
#define SIZE	1000

static void *piecewise(void *arg)
{
	int fd = *(int *)arg;
	uint8_t piece[SIZE / 10];
	uint64_t position = 0;

	for (;;) {
		for (size_t i = 0; i < sizeof(piece); i++)
			piece[i] = byte_at(position + i);
		if (send(fd, piece, sizeof(piece), MSG_NOSIGNAL) != sizeof(piece))
			return NULL;
		position += sizeof(piece);
		nap_ms(3 + position % 17);
	}
}

static void waitall(const char *argument)
{
	uint8_t message[SIZE];
	uint64_t position = 0;
	pthread_t sender;
	int pair[2];

	(void)argument;
	need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
	need(!pthread_create(&sender, NULL, piecewise, &pair[1]), "pthread_create");
	ready();
	for (;; turn()) {
		uint64_t before = excuse();
		ssize_t got = recv(pair[0], message, SIZE, MSG_WAITALL);

		expect_all("recv with MSG_WAITALL", got, SIZE, before);
		for (ssize_t i = 0; i < got; i++)
			if (message[i] != byte_at(position++)) {
				HARM_UNLESS_EXCUSED(before, "a socket gave a wrong byte");
				break;
			}
	}
}

/* Two threads that answer each other, with a timeout that is never due. */
static void *answers(void *arg)
{
	int fd = *(int *)arg;
	uint64_t number;

	for (;;) {
		uint64_t before = excuse();
		ssize_t got = recv(fd, &number, sizeof(number), 0);

		if (got < 0 && errno == EINTR) {
			HARM_UNLESS_EXCUSED(before, "recv in the thread that answers returned EINTR");
			continue;
		}
		if (got != sizeof(number) || send(fd, &(uint64_t){ ~number }, sizeof(number), MSG_NOSIGNAL) != sizeof(number)) {
			harm("the thread that answers got no whole number");
			return NULL;
		}
	}
}

static void ping_pong(const char *argument)
{
	const struct timeval time = { 60, 0 };
	pthread_t other;
	int pair[2];

	(void)argument;
	need(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), "socketpair");
	for (int i = 0; i < 2; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	page->handle[0] = pair[0];
	need(!pthread_create(&other, NULL, answers, &pair[1]), "pthread_create");
	ready();
	for (uint64_t number = 1;; number++) {
		uint64_t answer = 0, before = excuse();
		ssize_t got;

		if (send(pair[0], &number, sizeof(number), MSG_NOSIGNAL) != sizeof(number))
			harm("send failed: %s", strerror(errno));
		got = recv(pair[0], &answer, sizeof(answer), 0);
		if (got < 0 && errno == EINTR) {
			HARM_UNLESS_EXCUSED(before, "recv with SO_RCVTIMEO returned EINTR");
			got = recv(pair[0], &answer, sizeof(answer), 0);
		}
		if (got != sizeof(answer) || answer != ~number)
			HARM_UNLESS_EXCUSED(before, "the answer is missing, or another one");
		if (!(number % 10)) {
			turn();
			nap_ms(12);
		}
	}
}

/* The last writer closes: the reader sees the end at once, whoever else was made meanwhile. */
static void end_of_file(const char *argument)
{
	(void)argument;
	ready();
	for (;; turn()) {
		pid_t writer;
		char byte;
		int ends[2];

		need(!pipe2(ends, O_CLOEXEC), "pipe");
		__atomic_store_n(&page->handle[0], ends[1] + 1, __ATOMIC_RELEASE);
		writer = fork();
		need(writer >= 0, "fork");
		if (!writer) {		/* its end, by exit, is the end of the pipe */
			born();
			nap_ms(10 + draw(60));
			_exit(write(ends[1], "x", 1) != 1);
		}
		nap_ms(10 + draw(30));
		close(ends[1]);
		if (read(ends[0], &byte, 1) != 1)
			harm("a pipe's reader did not get its byte");
		struct timespec began, now;
		int flags = fcntl(ends[0], F_GETFL);
		uint64_t before = excuse();

		fcntl(ends[0], F_SETFL, flags | O_NONBLOCK);
		clock_gettime(CLOCK_MONOTONIC, &began);
		for (;;) {
			ssize_t got = read(ends[0], &byte, 1);

			if (!got)
				break;
			clock_gettime(CLOCK_MONOTONIC, &now);
			if (now.tv_sec - began.tv_sec > 5) {
				HARM_UNLESS_EXCUSED(before, "a pipe's reader does not see its end: somebody else has the other end");
				break;
			}
			nap_ms(1);
		}
		close(ends[0]);
		if (waitpid(writer, NULL, 0) != writer)
			harm("waitpid for the pipe's writer: %s", strerror(errno));
	}
}

/* A terminal that gives so many bytes at a time. Of more than 64 today's kernels give the first 64. */
#define CHUNK	60

static void terminal(const char *argument)
{
	struct termios settings;
	uint8_t message[SIZE];
	int master, slave;
	pthread_t sender;

	(void)argument;
	need(!openpty(&master, &slave, NULL, NULL, NULL), "openpty");
	tcgetattr(slave, &settings);
	cfmakeraw(&settings);
	settings.c_cc[VMIN] = CHUNK;
	settings.c_cc[VTIME] = 0;
	tcsetattr(slave, TCSANOW, &settings);
	/* A terminal is no socket: a child copies from one to the other. */
	int ends[2];

	need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
	need(!pthread_create(&sender, NULL, piecewise, &ends[1]), "pthread_create");
	pid_t copier = fork();

	need(copier >= 0, "fork");
	if (!copier) {
		uint8_t some[20];

		born();
		for (;;) {
			ssize_t got = read(ends[0], some, sizeof(some));

			if (got <= 0 || write(master, some, got) != got)
				_exit(1);
		}
	}
	close(ends[0]);
	ready();
	for (;; turn()) {
		uint64_t before = excuse();
		ssize_t got = read(slave, message, CHUNK);

		expect_all("read of a terminal with VMIN", got, CHUNK, before);
	}
}

const struct kind stream_kinds[] = {
	{ "pipe-writer", pipe_writer }, { "socket-writer", socket_writer }, { "linger", linger },
	 { "waitall", waitall }, { "ping-pong", ping_pong }, { "eof", end_of_file }, { "terminal", terminal }, { 0 },
};
