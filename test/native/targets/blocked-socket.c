// SPDX-License-Identifier: MIT
/* Blocked on sockets, with and without SO_RCVTIMEO and SO_SNDTIMEO (60 s, or what was asked for). */
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <fcntl.h>
#include "blocked.h"

static int listener;
static struct sockaddr_un address = { .sun_family = AF_UNIX };

static void make_sockets(void)
{
	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
}

static void make_listener(void)
{
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", folder);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	need(!bind(listener, (struct sockaddr *)&address, sizeof(address)) && !listen(listener, 0), "listen");
}

static void connect_once(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	need(!connect(fd, (struct sockaddr *)&address, sizeof(address)), "connect");
}

static void accept_once(void)
{
	need(accept(listener, NULL, NULL) >= 0, "accept");
}

static void limit(int fd, int option, int ms)
{
	struct timeval time = { ms < 0 ? 60 : ms / 1000, ms < 0 ? 0 : ms % 1000 * 1000 };

	need(!setsockopt(fd, SOL_SOCKET, option, &time, sizeof(time)), "setsockopt");
}

static long block_recv(int ms)
{
	char byte;

	(void)ms;
	return raw(recv(pair[0], &byte, 1, 0));
}

static long block_recv_limited(int ms)
{
	limit(pair[0], SO_RCVTIMEO, ms);
	return block_recv(ms);
}

static long block_read_limited(int ms)
{
	char byte;

	limit(pair[0], SO_RCVTIMEO, ms);
	return raw(read(pair[0], &byte, 1));
}

static long block_recvmsg_limited(int ms)
{
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	limit(pair[0], SO_RCVTIMEO, ms);
	return raw(recvmsg(pair[0], &message, 0));
}

static long block_recvmmsg(int ms)
{
	char byte;
	struct iovec part = { &byte, 1 };
	struct mmsghdr message = { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } };

	(void)ms;
	return raw(recvmmsg(pair[0], &message, 1, 0, NULL));
}

static long block_accept(int ms)
{
	int fd;

	(void)ms;
	fd = accept(listener, NULL, NULL);
	return fd < 0 ? -errno : 0;
}

static long block_accept_limited(int ms)
{
	limit(listener, SO_RCVTIMEO, ms);
	return block_accept(ms);
}

/* The backlog is full: connect() waits until somebody accepts. */
static void fill_backlog(void)
{
	make_listener();
	connect_once();
}

static long block_connect_limited(int ms)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	limit(fd, SO_SNDTIMEO, ms);
	return raw(connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

static void fill_socket(void)
{
	char block[4096] = { 0 };

	make_sockets();
	while (send(pair[0], block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	while (send(pair[0], block, 1, MSG_DONTWAIT) > 0)
		;
}

static void drain_socket(void)
{
	static char block[1 << 20];

	need(recv(pair[1], block, sizeof(block), 0) > 0, "recv");
}

static long block_send_limited(int ms)
{
	limit(pair[0], SO_SNDTIMEO, ms);
	return raw(send(pair[0], "x", 1, 0));
}

static long block_preadv2_limited(int ms)
{
	char byte;
	struct iovec part = { &byte, 1 };

	limit(pair[0], SO_RCVTIMEO, ms);
	return raw(syscall(SYS_preadv2, pair[0], &part, 1, -1L, -1L, 0));
}

static long block_recvmmsg_limited(int ms)
{
	limit(pair[0], SO_RCVTIMEO, ms);
	return block_recvmmsg(ms);
}

static long block_writev_limited(int ms)
{
	struct iovec part = { "x", 1 };

	limit(pair[0], SO_SNDTIMEO, ms);
	return raw(writev(pair[0], &part, 1));
}

static long block_sendmmsg_limited(int ms)
{
	struct iovec part = { "x", 1 };
	struct mmsghdr message = { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } };

	limit(pair[0], SO_SNDTIMEO, ms);
	return raw(sendmmsg(pair[0], &message, 1, 0));
}

static long block_splice_limited(int ms)
{
	int ends[2];

	limit(pair[0], SO_RCVTIMEO, ms);
	need(!pipe(ends), "pipe");
	return raw(splice(pair[0], NULL, ends[1], NULL, 1, 0));
}

static long block_sendfile_limited(int ms)
{
	int file = memfd_create("file", 0);

	limit(pair[0], SO_SNDTIMEO, ms);
	need(write(file, "x", 1) == 1 && !lseek(file, 0, SEEK_SET), "write");
	return raw(sendfile(pair[0], file, NULL, 1));
}

/* Woken by one byte of two: the time is over with that one. */
static long block_waitall_limited(int ms)
{
	char bytes[2];

	limit(pair[0], SO_RCVTIMEO, ms);
	return raw(recv(pair[0], bytes, 2, MSG_WAITALL));
}

static void write_two(void)
{
	write_byte();
	write_byte();
}

const struct kind socket_kinds[] = {
	{ "recv", make_sockets, NULL, block_recv, write_byte, 1, 0 },
	{ "recv-rcvtimeo", make_sockets, NULL, block_recv_limited, write_byte, 1, -EAGAIN },
	{ "read-rcvtimeo", make_sockets, NULL, block_read_limited, write_byte, 1, -EAGAIN },
	{ "recvmsg-rcvtimeo", make_sockets, NULL, block_recvmsg_limited, write_byte, 1, -EAGAIN },
	{ "recvmmsg", make_sockets, NULL, block_recvmmsg, write_byte, 1, 0 },
	{ "accept", make_listener, NULL, block_accept, connect_once, 0, 0 },
	{ "accept-rcvtimeo", make_listener, NULL, block_accept_limited, connect_once, 0, -EAGAIN },
	{ "connect-sndtimeo", fill_backlog, NULL, block_connect_limited, accept_once, 0, -EAGAIN },
	{ "send-sndtimeo", fill_socket, NULL, block_send_limited, drain_socket, 1, -EAGAIN },
	{ "preadv2-rcvtimeo", make_sockets, NULL, block_preadv2_limited, write_byte, 1, -EAGAIN },
	{ "recvmmsg-rcvtimeo", make_sockets, NULL, block_recvmmsg_limited, write_byte, 1, -EAGAIN },
	{ "writev-sndtimeo", fill_socket, NULL, block_writev_limited, drain_socket, 1, -EAGAIN },
	{ "sendmmsg-sndtimeo", fill_socket, NULL, block_sendmmsg_limited, drain_socket, 1, -EAGAIN },
	{ "splice-rcvtimeo", make_sockets, NULL, block_splice_limited, write_byte, 1, -EAGAIN },
	{ "sendfile-sndtimeo", fill_socket, NULL, block_sendfile_limited, drain_socket, 1, -EAGAIN },
	{ "waitall-rcvtimeo", make_sockets, NULL, block_waitall_limited, write_two, 2, -EAGAIN },
	{ "waitall-woken", make_sockets, NULL, block_waitall_limited, write_byte, 1, 1 },
	{ NULL, NULL, NULL, NULL, NULL, 0, 0 },
};
