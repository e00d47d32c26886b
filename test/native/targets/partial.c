// SPDX-License-Identifier: MIT
/*
 * partial KIND: makes one call that comes back with less than it was asked for
 * if something interrupts it. A helper process gives it a part when a "p" comes
 * on standard input, and the rest when an "x" does. Prints
 * "RESULT CHANGED GOOD": CHANGED is how many of the call's six argument
 * registers differ after it, GOOD is 1 if every byte is where it belongs. Then
 * it ends, but not while word 3 is set.
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <termios.h>
#include "target.h"

#define LARGE	(1 << 20)
#define PIPE	65536
#define SMALL	1000
#define PART	300
#define RANDOM	(64 << 20)

static unsigned char *bytes;		/* what is sent, or received */
static int pair[2], other[2], file;
static long in[6];			/* the call's arguments */
static size_t received;			/* by the helper */
static bool in_order = true;

static unsigned char pattern(size_t i)
{
	return i * 2654435761U >> 24;
}

static bool has_pattern(const unsigned char *buffer, size_t from, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (buffer[i] != pattern(from + i))
			return false;
	return true;
}

/* The helper reads until it has @upto bytes in all; 0: until the end. */
static void take(int fd, size_t upto)
{
	static unsigned char buffer[PIPE];
	ssize_t got;

	while (!upto || received < upto) {
		size_t want = upto && upto - received < PIPE ? upto - received : PIPE;

		got = read(fd, buffer, want);
		if (got <= 0)
			break;
		in_order = in_order && has_pattern(buffer, received, got);
		received += got;
	}
}

static void give(size_t from, size_t to)
{
	need(write(pair[1], bytes + from, to - from) == (ssize_t)(to - from), "write");
}

static void set(long a, long b, long c, long d, long e, long f)
{
	const long all[6] = { a, b, c, d, e, f };

	memcpy(in, all, sizeof(in));
}

static void make_pipe(void) { need(!pipe(pair), "pipe"); }
static void make_stream(void) { need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair"); }
static void nothing(void) { }

/* With small buffers. */
static void make_tcp(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), size = 4096;

	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	need(!bind(listener, (struct sockaddr *)&address, length) && !listen(listener, 1) &&
	     !getsockname(listener, (struct sockaddr *)&address, &length) &&
	     !connect(pair[0], (struct sockaddr *)&address, length), "connect");
	pair[1] = accept(listener, NULL, NULL);
	close(listener);
}

static void limit(int option)
{
	struct timeval time = { 60, 0 };

	need(!setsockopt(pair[0], SOL_SOCKET, option, &time, sizeof(time)), "setsockopt");
}

/* ---- written: pair[0] is the target's end, pair[1] the helper's ------------- */

static struct iovec parts[4];

static void swap(void)
{
	int fd = pair[0];

	pair[0] = pair[1];
	pair[1] = fd;
}

static void prepare_write(void) { make_pipe(); swap(); set(pair[0], (long)bytes, LARGE, 0, 0, 0); }
static void prepare_send(void) { make_stream(); set(pair[0], (long)bytes, LARGE, 0, 0, 0); }

static void prepare_send_limited(void)
{
	prepare_send();
	limit(SO_SNDTIMEO);
}

static void prepare_parts(void)
{
	make_pipe();
	swap();
	for (int i = 0; i < 4; i++)
		parts[i] = (struct iovec){ bytes + i * PIPE, PIPE };
	set(pair[0], (long)parts, 4, 0, 0, 0);
}

static void prepare_parts_at(void)
{
	prepare_parts();
	in[3] = in[4] = -1;		/* no offset */
}

static void prepare_one_part(void)
{
	prepare_parts();
	parts[0].iov_len = LARGE;
	in[2] = 1;
}

static void prepare_message(void)
{
	static struct msghdr message = { .msg_iov = parts, .msg_iovlen = 1 };

	make_stream();
	parts[0] = (struct iovec){ bytes, LARGE };
	set(pair[0], (long)&message, 0, 0, 0, 0);
}

static void prepare_file(void)
{
	make_stream();
	file = memfd_create("file", 0);
	need(write(file, bytes, LARGE) == LARGE && !lseek(file, 0, SEEK_SET), "write");
	set(pair[0], file, 0, LARGE, 0, 0);
}

static void prepare_splice(void)
{
	make_pipe();
	memcpy(other, pair, sizeof(other));
	need(write(other[1], bytes, PIPE) == PIPE, "write");
	make_tcp();
	set(other[0], 0, pair[0], 0, PIPE, 0);
}

static void take_part(void) { take(pair[1], PIPE); }
static void take_little(void) { take(pair[1], 8192); }
static void take_all(void) { take(pair[1], 0); }

/* ---- received ------------------------------------------------------------------ */

static void prepare_all(void) { make_stream(); set(pair[0], (long)bytes, SMALL, MSG_WAITALL, 0, 0); }
static void prepare_all_limited(void) { prepare_all(); limit(SO_RCVTIMEO); }
static void prepare_peek(void) { make_tcp(); set(pair[0], (long)bytes, SMALL, MSG_WAITALL | MSG_PEEK, 0, 0); }

static void prepare_low_water(void)
{
	make_stream();
	need(!setsockopt(pair[0], SOL_SOCKET, SO_RCVLOWAT, &(int){ 2 * PART }, sizeof(int)), "SO_RCVLOWAT");
	set(pair[0], (long)bytes, SMALL, 0, 0, 0);
}

static void prepare_message_in(void)
{
	static struct msghdr message = { .msg_iov = parts, .msg_iovlen = 1 };

	make_stream();
	parts[0] = (struct iovec){ bytes, SMALL };
	set(pair[0], (long)&message, MSG_WAITALL, 0, 0, 0);
}

static void prepare_message_in_limited(void) { prepare_message_in(); limit(SO_RCVTIMEO); }

static void prepare_terminal(void)
{
	struct termios settings;

	pair[1] = posix_openpt(O_RDWR | O_NOCTTY);
	need(pair[1] >= 0 && !grantpt(pair[1]) && !unlockpt(pair[1]), "posix_openpt");
	pair[0] = open(ptsname(pair[1]), O_RDWR | O_NOCTTY);
	need(!tcgetattr(pair[0], &settings), "tcgetattr");
	cfmakeraw(&settings);
	settings.c_cc[VMIN] = 8;
	need(!tcsetattr(pair[0], TCSANOW, &settings), "tcsetattr");
	/* More than VMIN: the rest must be 5 bytes, not 97. */
	set(pair[0], (long)bytes, 100, 0, 0, 0);
}

static void give_three(void) { give(0, 3); }
static void give_eight(void) { give(3, 8); }
static void give_part(void) { give(0, PART); }
static void give_rest(void) { give(PART, SMALL); }

/* ---- messages, events ----------------------------------------------------------- */

static struct mmsghdr messages[3];

static void prepare_messages(void)
{
	need(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), "socketpair");
	for (int i = 0; i < 3; i++) {
		parts[i] = (struct iovec){ bytes + i * SMALL, SMALL };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
	set(pair[0], (long)messages, 3, 0, 0, 0);
}

/* The queue of a datagram socket holds net.unix.max_dgram_qlen messages. */
static void prepare_messages_out(void)
{
	prepare_messages();
	limit(SO_SNDTIMEO);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	while (write(pair[0], "", 1) == 1)
		;
	fcntl(pair[0], F_SETFL, 0);
}

static void give_message(void) { give(0, SMALL); }
static void give_messages(void) { give(SMALL, 2 * SMALL); give(2 * SMALL, 3 * SMALL); }

static void take_message(void)
{
	char byte[SMALL];

	need(read(pair[1], byte, sizeof(byte)) == 1, "read");
}

static void take_messages(void)
{
	unsigned char buffer[SMALL];
	ssize_t got;

	while (received < 3 * SMALL && (got = read(pair[1], buffer, sizeof(buffer))) > 0) {
		if (got == 1)
			continue;
		in_order = in_order && has_pattern(buffer, received, got);
		received += got;
	}
}

static struct io_event events[4];

static void prepare_events(void)
{
	static struct iocb requests[2];
	struct iocb *list[2] = { &requests[0], &requests[1] };
	aio_context_t context = 0;

	make_pipe();
	memcpy(other, pair, sizeof(other));
	make_pipe();
	need(!syscall(SYS_io_setup, 4, &context), "io_setup");
	for (int i = 0; i < 2; i++)
		requests[i] = (struct iocb){ .aio_lio_opcode = IOCB_CMD_POLL, .aio_buf = POLL_IN, .aio_data = i + 1,
					     .aio_fildes = i ? pair[0] : other[0] };
	need(syscall(SYS_io_submit, context, 2L, list) == 2, "io_submit");
	set(context, 2, 4, (long)events, 0, 0);
}

static bool two_events(long result)
{
	return result == 2 && events[0].data == 1 && events[1].data == 2;
}

static unsigned int *completions[2];

static void prepare_ring(void)
{
	struct io_uring_params params = { 0 };
	struct io_uring_sqe *entries;
	char *queue, *done;
	int ring;

	make_pipe();
	memcpy(other, pair, sizeof(other));
	make_pipe();
	ring = syscall(SYS_io_uring_setup, 4, &params);
	if (ring < 0) {
		printf("io_uring_setup: %s\n", strerror(errno));
		exit(0);
	}
	queue = mmap(
		NULL, params.sq_off.array + 4 * sizeof(uint32_t), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	done = mmap(NULL, params.cq_off.cqes + 64, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	entries = mmap(NULL, 4 * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	need(queue != MAP_FAILED && entries != MAP_FAILED && done != MAP_FAILED, "io_uring");
	for (int i = 0; i < 2; i++) {
		entries[i] = (struct io_uring_sqe){
			.opcode = IORING_OP_POLL_ADD, .fd = i ? pair[0] : other[0], .poll32_events = POLL_IN
		};
		((uint32_t *)(queue + params.sq_off.array))[i] = i;
	}
	__atomic_store_n((uint32_t *)(queue + params.sq_off.tail), 2, __ATOMIC_RELEASE);
	completions[0] = (unsigned int *)(done + params.cq_off.head);
	completions[1] = (unsigned int *)(done + params.cq_off.tail);
	set(ring, 2, 2, IORING_ENTER_GETEVENTS, 0, 0);
}

static bool two_completions(long result)
{
	(void)result;
	return __atomic_load_n(completions[1], __ATOMIC_ACQUIRE) - *completions[0] == 2;
}

static void wake_first(void) { need(write(other[1], "x", 1) == 1, "write"); }
static void wake_second(void) { need(write(pair[1], "x", 1) == 1, "write"); }

/* ---- the others ------------------------------------------------------------------ */

static void prepare_random(void) { set((long)bytes, RANDOM, 0, 0, 0, 0); }

static bool random_enough(long result)
{
	size_t zeros = 0;

	for (long i = 0; i < result; i += 4096)
		zeros += !memcmp(bytes + i, "\0\0\0\0\0\0\0", 8);
	return result == RANDOM && zeros < 2;
}

static void prepare_linger(void)
{
	struct linger linger = { 1, 60 };

	make_tcp();
	setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	while (write(pair[0], bytes, PIPE) > 0)
		;
	fcntl(pair[0], F_SETFL, 0);
	set(pair[0], 0, 0, 0, 0, 0);
}

static bool any(long result)
{
	return result >= 0;
}

static const struct kind {
	const char *name;
	long	number;
	void	(*prepare)(void);
	void	(*part)(void), (*rest)(void);	/* in the helper */
	bool	(*good)(long result);		/* in the target; NULL: it has received what is right */
	bool	writes;				/* the helper has */
} kinds[] = {
	{ "write", SYS_write, prepare_write, take_part, take_all, any, true },
	{ "sendto", SYS_sendto, prepare_send, take_part, take_all, any, true },
	{ "sendto-sndtimeo", SYS_sendto, prepare_send_limited, take_part, take_all, any, true },
	{ "writev", SYS_writev, prepare_parts, take_part, take_all, any, true },
	{ "pwritev2", SYS_pwritev2, prepare_parts_at, take_part, take_all, any, true },
	{ "writev-further", SYS_writev, prepare_parts, take_little, take_all, any, true },
	{ "writev-within", SYS_writev, prepare_one_part, take_part, take_all, any, true },
	{ "sendmsg", SYS_sendmsg, prepare_message, take_part, take_all, any, true },
	{ "sendfile", SYS_sendfile, prepare_file, take_part, take_all, any, true },
	{ "splice", SYS_splice, prepare_splice, take_little, take_all, any, true },
	{ "sendmmsg", SYS_sendmmsg, prepare_messages_out, take_message, take_messages, any, true },
	{ "recvfrom-waitall", SYS_recvfrom, prepare_all, give_part, give_rest, NULL, false },
	{ "recvfrom-waitall-rcvtimeo", SYS_recvfrom, prepare_all_limited, give_part, give_rest, NULL, false },
	{ "recvfrom-peek", SYS_recvfrom, prepare_peek, give_part, give_rest, NULL, false },
	{ "read-rcvlowat", SYS_read, prepare_low_water, give_part, give_rest, NULL, false },
	{ "recvmsg-waitall", SYS_recvmsg, prepare_message_in, give_part, give_rest, NULL, false },
	{ "recvmsg-waitall-rcvtimeo", SYS_recvmsg, prepare_message_in_limited, give_part, give_rest, NULL, false },
	{ "read-vmin", SYS_read, prepare_terminal, give_three, give_eight, NULL, false },
	{ "recvmmsg", SYS_recvmmsg, prepare_messages, give_message, give_messages, any, false },
	{ "io_getevents", SYS_io_getevents, prepare_events, wake_first, wake_second, two_events, false },
	{ "io_uring_enter", SYS_io_uring_enter, prepare_ring, wake_first, wake_second, two_completions, false },
	{ "getrandom", SYS_getrandom, prepare_random, nothing, nothing, random_enough, false },
	{ "close-linger", SYS_close, prepare_linger, nothing, take_all, any, false },
};

/* Without a C library's help: which of its registers does the kernel, or whoever, change? */
static long make_call(long number, long after[6])
{
	register long d __asm__("r10") = in[3];
	register long e __asm__("r8") = in[4];
	register long f __asm__("r9") = in[5];
	long a = in[0], b = in[1], c = in[2], result = number;

	__asm__ volatile("syscall"
					 : "+a"(result), "+D"(a), "+S"(b), "+d"(c), "+r"(d), "+r"(e), "+r"(f)
					 :
					 : "rcx", "r11", "memory");
	const long all[6] = { a, b, c, d, e, f };

	memcpy(after, all, sizeof(all));
	return result;
}

static void help(const struct kind *kind)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(pair[0]);
	word[2] = 1;
	while (read(0, &byte, 1) == 1 && byte == 'p')
		kind->part();
	if (byte == 'x')
		kind->rest();
	word[1] = in_order ? (int64_t)received : -1;
	if (!kind->writes)	/* the end of a terminal's other side is a hangup, which discards what was written */
		pause();
	_exit(0);
}

int main(int argc, char **argv)
{
	const struct kind *kind = NULL;
	bool sends, good;
	long after[6], result;
	int changed = 0;
	pid_t helper;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (argc > 1 && !strcmp(kinds[i].name, argv[1]))
			kind = &kinds[i];
		else if (argc < 2)
			puts(kinds[i].name);
	if (!kind)
		return 0;
	bytes = mmap(NULL, RANDOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(bytes != MAP_FAILED, "mmap");
	for (int i = 0; i < LARGE; i++)
		bytes[i] = pattern(i);
	sends = kind->writes;
	kind->prepare();
	helper = fork();
	if (!helper)
		help(kind);
	/* So the helper sees the end of what is written when it is closed here. */
	if (pair[1] > 0)
		close(pair[1]);
	while (!word[2])
		usleep(1000);
	if (!sends && kind->number != SYS_getrandom)
		memset(bytes, 0, 4 * SMALL);
	else if (kind->number == SYS_getrandom)
		memset(bytes, 0, LARGE);
	ready();
	result = make_call(kind->number, after);
	for (int i = 0; i < 6; i++)
		changed += after[i] != in[i];
	close(pair[0]);
	if (sends)
		waitpid(helper, NULL, 0);
	good = kind->good ? kind->good(result) : result > 0 && has_pattern(bytes, 0, result);
	if (sends && kind->number != SYS_sendmmsg)
		good = good && word[1] == result;
	else if (sends)
		good = good && word[1] == result * SMALL;
	kill(helper, SIGKILL);
	printf("%ld %d %d\n", result, changed, good);
	fflush(stdout);
	while (word[3])
		usleep(1000);
	return 0;
}
