// SPDX-License-Identifier: MIT
/*
 * procsnap-tracer SOCKET=3 AREA=4 CPU PRIORITY DATA_BYTES
 *
 * The process that does all tracing for a requester, so that the requester's
 * death harms no target: whatever has been begun is finished here, then the
 * duplicate is ended, held targets go on, and the tracer leaves. Ctrl-C does not
 * reach it. It holds one duplicate, copy or stopped target at a time; a
 * requester that wants more starts more tracers.
 *
 * The work is done by a thread that can be given up: a target's thread that
 * does not stop (vfork) can only be let go by the end of its tracing THREAD.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "protocol.h"
#include "requests.h"
#include "state.h"

/* After the requester has gone: how long to stay for timeouts of calls that were put back. */
#define LINGER_NS	(60 * PS_NSEC_PER_SEC)

struct ps_registers *registers;
uint8_t *data;
size_t data_bytes;

/* Wait for a request; meanwhile timeouts run out. 1; 0: the requester is gone; -ETIMEDOUT: this thread must be given up. */
static int next_request(struct tracer_request *request)
{
	struct pollfd socket = { .fd = TRACER_SOCKET_FD, .events = POLLIN };

	for (;;) {
		int64_t watch_ns = ps_watch_next_ns(), follow_ns = ps_follow_next_ns();
		int64_t left_ns = (watch_ns < follow_ns ? watch_ns : follow_ns) - ps_now_ns();
		struct timespec timeout = { left_ns / PS_NSEC_PER_SEC, left_ns % PS_NSEC_PER_SEC };

		if (left_ns <= 0) {
			if (watch_ns <= ps_now_ns() && ps_watch_run())
				end_early();
			if (follow_ns <= ps_now_ns() && ps_follow_run() == -ETIMEDOUT)
				return -ETIMEDOUT;
			continue;
		}
		if (ppoll(&socket, 1, &timeout, NULL) <= 0)
			continue;
		/* What is asked for next is answered as of now: the duplicate may have been ended. */
		if (ps_watch_run())
			end_early();
		return recv(TRACER_SOCKET_FD, request, sizeof(*request), 0) == sizeof(*request);
	}
}

/* The requester is gone: leave nothing behind. */
static void leave(void)
{
	struct tracer_request none = { .timeout_ns = PS_NSEC_PER_SEC };
	struct tracer_reply reply;
	int64_t until = ps_now_ns() + LINGER_NS;

	if (held.threads)
		do_let_go(&reply);
	if (duplicate.pid || snapshot.pid || copy.bytes)
		do_end(&none, &reply);
	/* Who waits for our end, or for that of our output, is not kept by the rest. */
	if (ps_follow_next_ns() < until && !fork())
		close_range(0, ~0U, 0);
	else
		_exit(0);
	while (ps_follow_next_ns() < until) {
		int64_t left_ns = ps_follow_next_ns() - ps_now_ns();
		struct timespec nap = { left_ns / PS_NSEC_PER_SEC, left_ns % PS_NSEC_PER_SEC };

		if (left_ns > 0)
			nanosleep(&nap, NULL);
		if (ps_follow_run())
			break;
	}
	_exit(0);
}

/*
 * A thread that was never stopped stays seized until its tracing thread ends, and
 * with that ends all else that it traces.
 */
static void give_up(void)
{
	struct tracer_reply reply;

	if (held.threads)
		do_let_go(&reply);
	ps_reader_close(&reader);
	reader.pid = -1;
	ps_watch_end();
	duplicate.pid = 0;	/* dies with this thread: PTRACE_O_EXITKILL */
}

static void *serve(void *arg)
{
	struct tracer_request request;
	int got;

	(void)arg;
	while ((got = next_request(&request)) > 0) {
		struct tracer_reply reply = { 0 };

		reply.code = answer(&request, &reply);
		if (reply.code)
			snprintf(reply.message, sizeof(reply.message), "%s", ps_error());
		if (send(TRACER_SOCKET_FD, &reply, sizeof(reply), MSG_NOSIGNAL) != sizeof(reply))
			break;
		got = reply.code;
		if (got == -ETIMEDOUT)
			break;
	}
	if (got == -ETIMEDOUT)
		give_up();
	else
		leave();
	return NULL;
}

/* Being chosen by the out-of-memory killer, or paged out, in mid-injection would cost the target its life. */
static void be_safe(struct tracer_reply *reply)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	sigset_t all;

	if (fd >= 0) {
		reply->result[2] = write(fd, "-1000", 5) < 0 ? -errno : 0;
		close(fd);
	}
	/*
	 * Ctrl-C does not reach it. Not a session of its own: that is an autogroup
	 * too, sched(7), and Linux 6.18 lets one wait for seconds where another
	 * has many threads that sleep and wake, with the target stopped meanwhile.
	 */
	setpgid(0, 0);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

/* What was got is told, not insisted on: a machine may forbid it. */
static void place(int cpu, int priority, struct tracer_reply *reply)
{
	struct sched_param param = { .sched_priority = priority };
	cpu_set_t cpus;

	if (cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		reply->result[0] = sched_setaffinity(0, sizeof(cpus), &cpus) ? -errno : 0;
	}
	if (priority > 0)
		reply->result[1] = sched_setscheduler(0, SCHED_FIFO, &param) ? -errno : 0;
}

int main(int argc, char **argv)
{
	struct tracer_reply hello = { 0 };
	uint8_t *area;

	if (argc != 4) {
		fprintf(stderr, "procsnap-tracer is started by procsnap, not by hand\n");
		return 2;
	}
	data_bytes = strtoull(argv[3], NULL, 10);
	be_safe(&hello);
	place(atoi(argv[1]), atoi(argv[2]), &hello);
	area = mmap(NULL, TRACER_REGISTERS_BYTES + data_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, TRACER_AREA_FD, 0);
	if (area == MAP_FAILED)
		hello.code = ps_fail(-errno, "the tracer cannot map its %zu bytes of data: %s", data_bytes, strerror(errno));
	if (hello.code)
		snprintf(hello.message, sizeof(hello.message), "%s", ps_error());
	/* After the mapping: without CAP_IPC_LOCK this fails as a whole, and nothing is locked, rather than all that follows. */
	mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	registers = (struct ps_registers *)area;
	data = area + TRACER_REGISTERS_BYTES;
	ps_step_hook = hook;
	if (send(TRACER_SOCKET_FD, &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello) || hello.code)
		return 1;
	for (;;) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, serve, NULL))
			return 1;
		pthread_join(thread, NULL);
	}
}
