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
 * There are two processes of it: the one that the requester has started ends
 * when nothing is held any more, which its requester waits for; its child is the
 * tracer, and may have to stay longer, for calls that are followed to their end.
 *
 * The work is done by a thread that can be given up: a target's thread that
 * does not stop can only be let go by the end of its tracing THREAD.
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
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "duplicate/burial.h"
#include "duplicate/late.h"
#include "duplicate/stranded.h"
#include "area.h"
#include "held.h"
#include "operations.h"
#include "requests.h"

/* After the requester has gone: how long to stay for calls that are followed, and for burials. */
#define LINGER_NS	(60 * PS_NSEC_PER_SEC)
#define STAYS		1		/* said to the parent */

/* News of tracees; and the process that the requester waits for, which ends when this is closed. */
static int news_fd, parent_fd;

/* The requester is gone. */
static bool leaving;

static int64_t earliest(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When something has to be done that nobody asks for, or INT64_MAX. */
static int64_t next_chore_ns(void)
{
	int64_t next = earliest(ps_follow_next_ns(), held_next_ns());

	/* What is not to be done now is not due, however late it is: else nobody would listen to the requester. */
	if (!ps_stranded() && !holds_stopped())
		next = earliest(next, ps_burial_next_ns());
	return ps_stranded() || ps_any_late() ? earliest(next, ps_now_ns() + LOOK_NS) : next;
}

static void do_chores(void)
{
	struct signalfd_siginfo news;

	/* By SIGUSR1 another tracer asks for a process whose calls are followed here (ps_ask_to_go()). */
	while (read(news_fd, &news, sizeof(news)) > 0)
		if (news.ssi_signo == SIGUSR1 && leaving)
			ps_follow_hand_over(news.ssi_int);
	note_held_deaths();
	ps_strand_run();
	ps_late_run();
	ps_follow_run();
	look_after_held();
	/* What was injected into a target is put back before anything else is done to it. */
	if (!ps_stranded() && !holds_stopped())
		ps_burial_run();
}

static void see_to_tracees(void)
{
	ps_late_run();
	ps_follow_run();
}

/* Sleep until there is something to read at one of @fds, or news of a tracee, or a chore is due. */
static void sleep_until(struct pollfd *fds, int count, int64_t until_ns)
{
	int64_t left_ns = earliest(next_chore_ns(), until_ns) - ps_now_ns();
	struct timespec timeout = { left_ns / PS_NSEC_PER_SEC, left_ns % PS_NSEC_PER_SEC };

	/* A look at least: chores that are always due must not keep requests from being heard. */
	if (left_ns < 0)
		timeout = (struct timespec){ 0 };
	if (ppoll(fds, count, &timeout, NULL) < 0)
		return;		/* no signal is let through, and the next turn finds out whatever it was */
}

/*
 * Wait for a request, and see to what is due meanwhile. 1; 0: the requester is gone; -ETIMEDOUT: this thread
 * must be given up.
 */
static int next_request(struct tracer_request *request)
{
	struct pollfd fds[] = {
		{ .fd = TRACER_SOCKET_FD, .events = POLLIN }, { .fd = parent_fd }, { .fd = news_fd, .events = POLLIN },
	};

	for (;;) {
		do_chores();
		/* The end of this thread would let one that is stranded go with registers that are not its own. */
		if (ps_thread_lost && !ps_stranded())
			return -ETIMEDOUT;
		fds[0].revents = fds[1].revents = 0;
		sleep_until(fds, 3, INT64_MAX);
		if (fds[1].revents & (POLLHUP | POLLERR))
			return 0;
		if (fds[0].revents)
			return recv(TRACER_SOCKET_FD, request, sizeof(*request), 0) == sizeof(*request);
	}
}

/*
 * The requester is gone: leave nothing behind. A thread that is stranded is not
 * left, however long it takes.
 */
static void leave(void)
{
	int64_t until_ns = ps_now_ns() + LINGER_NS;
	struct pollfd news = { .fd = news_fd, .events = POLLIN };
	int will = memfd_create("procsnap", MFD_CLOEXEC);

	end_all();
	do_chores();
	if (!ps_stranded() && next_chore_ns() == INT64_MAX)
		_exit(0);
	/* Who waits for our end, or for that of our output, is not kept by the rest. */
	for (int fd = STDIN_FILENO; fd <= TRACER_AREA_FD; fd++)
		close(fd);
	if (will >= 0)
		dup2(will, PS_INHERITANCE_FD);
	send(parent_fd, &(char){ STAYS }, 1, MSG_NOSIGNAL);
	leaving = true;
	while (ps_stranded() || (next_chore_ns() < INT64_MAX && ps_now_ns() < until_ns)) {
		sleep_until(&news, 1, until_ns > ps_now_ns() ? until_ns : INT64_MAX);
		do_chores();
	}
	ps_follow_leave(PS_STOP_LIMIT_NS);
	_exit(0);
}

static void *serve(void *arg)
{
	struct tracer_request request;
	int got;

	(void)arg;
	while ((got = next_request(&request)) > 0) {
		struct tracer_reply reply = { .id = request.id };

		reply.code = answer(&request, &reply);
		if (reply.code)
			snprintf(reply.message, sizeof(reply.message), "%s", ps_error());
		if (send(TRACER_SOCKET_FD, &reply, sizeof(reply), MSG_NOSIGNAL) != sizeof(reply))
			break;
	}
	if (got == -ETIMEDOUT) {
		forget_all();
		while (ps_stranded()) {
			sleep_until(&(struct pollfd){ .fd = news_fd, .events = POLLIN }, 1, INT64_MAX);
			do_chores();
		}
		ps_follow_leave(PS_STOP_LIMIT_NS);
	} else {
		leave();
	}
	ps_thread_lost = false;
	return NULL;
}

/* What the tracer says first. */
#define HELLO_RESULTS(R)	R(affinity_code) R(priority_code) R(oom_code) R(pid)
static int affinity_code, priority_code, oom_code;

OPERATION(hello, HELLO_RESULTS)
{
	*result = (struct hello_results){
		.affinity_code = affinity_code, .priority_code = priority_code, .oom_code = oom_code, .pid = getpid(),
	};
	return 0;
}

/* Being chosen by the out-of-memory killer, or paged out, in mid-injection would cost the target its life. */
static void be_safe(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	sigset_t all;

	if (fd >= 0) {
		oom_code = write(fd, "-1000", 5) < 0 ? -errno : 0;
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
static void place(int cpu, int priority)
{
	struct sched_param param = { .sched_priority = priority };
	cpu_set_t cpus;

	if (cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		affinity_code = sched_setaffinity(0, sizeof(cpus), &cpus) ? -errno : 0;
	}
	if (priority > 0)
		priority_code = sched_setscheduler(0, SCHED_FIFO, &param) ? -errno : 0;
}

/* Returns in the child, which is the tracer. The parent ends with it, or when it stays for nothing but chores. */
static int split(void)
{
	int pair[2];
	pid_t child;
	char said;

	ps_requester = getppid();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (!child) {
		close(pair[0]);
		parent_fd = pair[1];
		return 0;
	}
	/* Nothing of the requester's stays open here, and Ctrl-C is not for this process either. */
	dup2(pair[0], STDIN_FILENO);
	close_range(STDIN_FILENO + 1, ~0U, 0);
	if (read(STDIN_FILENO, &said, 1) != 1)
		waitpid(child, NULL, 0);
	_exit(0);
}

int main(int argc, char **argv)
{
	struct tracer_reply hello = { 0 };
	sigset_t of_interest;
	uint8_t *area;
	int err;

	if (argc != 4) {
		fprintf(stderr, "procsnap-tracer is started by procsnap, not by hand\n");
		return 2;
	}
	/*
	 * What the requester has inherited is not this process's to keep, which may stay for a minute after it: the lock of
	 * a shell's descriptor, the end of a pipe that somebody waits for.
	 */
	close_range(TRACER_AREA_FD + 1, ~0U, 0);
	data_bytes = strtoull(argv[3], NULL, 10);
	be_safe();
	err = split();
	place(atoi(argv[1]), atoi(argv[2]));
	sigemptyset(&of_interest);
	sigaddset(&of_interest, SIGCHLD);
	sigaddset(&of_interest, SIGUSR1);
	news_fd = signalfd(-1, &of_interest, SFD_CLOEXEC | SFD_NONBLOCK);
	area = mmap(NULL, TRACER_REGISTERS_BYTES + data_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, TRACER_AREA_FD, 0);
	if (err || news_fd < 0)
		hello.code = ps_fail(err ? err : -errno, "the tracer cannot be set up: %s", strerror(err ? -err : errno));
	if (area == MAP_FAILED)
		hello.code = ps_fail(-errno, "the tracer cannot map its %zu bytes of data: %s", data_bytes, strerror(errno));
	if (!hello.code)
		hello.code = tell_operations((char *)area, TRACER_TEXT_BYTES);
	answer_hello(NULL, &hello);
	if (hello.code)
		snprintf(hello.message, sizeof(hello.message), "%s", ps_error());
	/*
	 * After the mapping: without CAP_IPC_LOCK this fails as a whole, and nothing is locked, rather than all
	 * that follows.
	 */
	mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	registers = (struct ps_registers *)area;
	data = area + TRACER_REGISTERS_BYTES;
	ps_step_hook = hook;
	ps_meanwhile = see_to_tracees;
	if (send(TRACER_SOCKET_FD, &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello) || hello.code)
		return 1;
	for (;;) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, serve, NULL))
			return 1;
		pthread_join(thread, NULL);
	}
}
