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
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "protocol.h"

/* After the requester has gone: how long to stay for timeouts of calls that were put back. */
#define LINGER_NS	(60 * PS_NSEC_PER_SEC)

#define COUNTED_CALLS	512		/* as index.ts has it */

static struct ps_registers *registers;
static uint8_t *data;
static size_t data_bytes;

static struct ps_duplicate duplicate;
static struct ps_snapshot snapshot;
static struct ps_copy copy;
static struct ps_reader reader = { .pid = -1, .fd = -1 };
static struct ps_thread held_threads[PS_MAX_THREADS];
static struct ps_stop held = { .thread = held_threads };

static enum ps_step hook_step;
static enum hook_action hook_action;

static void hook(enum ps_step step)
{
	if (step != hook_step || hook_action == HOOK_NONE)
		return;
	if (hook_action == HOOK_KILL_TRACER)
		kill(getpid(), SIGKILL);
	if (hook_action == HOOK_KILL_REQUESTER)
		kill(getppid(), SIGKILL);
	hook_action = HOOK_NONE;
}

static int busy(void)
{
	if (duplicate.pid || snapshot.pid || copy.bytes || held.threads)
		return ps_fail(-EBUSY, "this tracer still holds a duplicate, a copy or a stopped process: end it first");
	return 0;
}

static int do_inject(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_duplicate taken;
	int err = busy();

	if (err)
		return err;
	err = ps_inject(request->pid, request->argument[0], request->timeout_ns, &taken, registers, PS_MAX_THREADS);
	if (err)
		return err;
	duplicate = taken;
	const int64_t result[] = { taken.pid, taken.threads, taken.take_ns, taken.pause_ns, taken.window_ns, taken.clone_ns,
				   taken.moment_ns, taken.restarted_calls, taken.lengthened_timeouts, taken.registers };
	memcpy(reply->result, result, sizeof(result));
	return 0;
}

static int do_snap(const struct tracer_request *request, struct tracer_reply *reply)
{
	int err = busy();

	if (err)
		return err;
	err = ps_snap(request->pid, request->argument[0], &snapshot);
	if (err)
		return err;
	const int64_t result[] = { snapshot.pid, snapshot.threads, snapshot.take_ns, snapshot.pause_ns, snapshot.moment_ns,
				   snapshot.told.lock_wait_ns, snapshot.told.registers_skew_ns, snapshot.told.pages_shared,
				   snapshot.told.pages_copied, snapshot.told.regions_taken, snapshot.told.regions_live,
				   snapshot.told.regions_uncovered, snapshot.told.regions_left_out };
	memcpy(reply->result, result, sizeof(result));
	return 0;
}

static int do_registers(const struct tracer_request *request, struct tracer_reply *reply)
{
	int count;

	if (!snapshot.pid)
		return ps_fail(-ENOENT, "a snapshot's registers are read from it, and this tracer holds none: read them before its end");
	count = ps_snapshot_registers(&snapshot, request->timeout_ns, registers, PS_MAX_THREADS);
	reply->result[0] = count;
	return count < 0 ? count : 0;
}

static int do_stop_copy(const struct tracer_request *request, struct tracer_reply *reply)
{
	int err = busy();

	if (!err)
		err = ps_stop_copy(request->pid, request->timeout_ns, &copy, registers, PS_MAX_THREADS);
	if (err)
		return err;
	const int64_t result[] = { copy.used, copy.threads, copy.take_ns, copy.pause_ns, copy.unreadable, copy.regions,
				   0, copy.restarted_calls, copy.lengthened_timeouts, copy.registers };
	memcpy(reply->result, result, sizeof(result));
	return 0;
}

static int do_end(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_ended ended = { 0 };
	int64_t start = ps_now_ns();
	int err = 0;

	if (duplicate.pid && held.threads && held.pid == duplicate.target)
		return ps_fail(-EBUSY, "process %d is held, and has to run to end its duplicate: let it go first", held.pid);
	if (reader.pid >= 0 && (reader.pid == duplicate.pid || reader.pid == snapshot.pid)) {
		ps_reader_close(&reader);
		reader.pid = -1;
	}
	if (snapshot.pid) {
		ps_snapshot_end(&snapshot, &ended);
	} else if (duplicate.pid) {
		err = ps_end(&duplicate, request->timeout_ns, &ended);
		duplicate.pid = 0;
	} else if (copy.bytes) {
		ps_copy_free(&copy);
		ended.reap_ns = ps_now_ns() - start;
	} else {
		return ps_fail(-ENOENT, "this tracer holds nothing that could be ended");
	}
	reply->result[0] = ended.kill_ns;
	reply->result[1] = ended.reap_ns;
	reply->result[2] = ended.pause_ns;
	return err;
}

static int do_hold(const struct tracer_request *request, struct tracer_reply *reply)
{
	int lengthened = 0, err;

	/* Beside a duplicate a target may be held: that is how the two are compared. */
	if (held.threads || copy.bytes)
		return busy();
	err = ps_check_target(request->pid);
	if (!err)
		err = ps_stop_all(&held, request->pid, request->timeout_ns);
	if (err) {
		held.threads = 0;
		return err;
	}
	for (int i = 0; i < held.threads; i++)
		ps_mend_call(request->pid, &held.thread[i], &lengthened);
	reply->result[0] = held.threads;
	reply->result[1] = ps_read_registers(&held, registers, PS_MAX_THREADS);
	return 0;
}

static int do_let_go(struct tracer_reply *reply)
{
	if (!held.threads)
		return ps_fail(-ENOENT, "this tracer holds no stopped process");
	ps_release(&held, -1);
	reply->result[0] = ps_now_ns() - held.first_ns;
	held.threads = 0;
	return 0;
}

static int check_length(int64_t length)
{
	if (length < 1 || (size_t)length > data_bytes)
		return ps_fail(-EINVAL, "%lld bytes cannot be read at once: 1 to %zu can (Tracer.start({dataBytes}))",
			       (long long)length, data_bytes);
	return 0;
}

static int do_read(const struct tracer_request *request, struct tracer_reply *reply)
{
	enum ps_way way = request->argument[0];
	uint64_t address = request->argument[1];
	size_t length = request->argument[2];
	int64_t start;
	ssize_t got;
	int err = check_length(request->argument[2]);

	/* PEEKTEXT works on what is traced and stopped; a snapshot is parked, and traced only for this. */
	if (!err && way == PS_WAY_PEEK && snapshot.pid && request->pid == snapshot.pid)
		err = ps_snapshot_attach(&snapshot, request->timeout_ns);
	if (err)
		return err;
	if (reader.pid != request->pid || reader.way != way) {
		if (reader.pid >= 0)
			ps_reader_close(&reader);
		reader.pid = -1;
		err = ps_reader_open(&reader, way, request->pid);
		if (err) {
			reader.pid = -1;
			return err;
		}
	}
	start = ps_now_ns();
	got = ps_read(&reader, address, data, length);
	reply->result[0] = ps_now_ns() - start;
	reply->result[1] = got;
	if (got == -ESRCH && way == PS_WAY_PEEK)
		return ps_fail(got, "process %d is neither a duplicate nor held by this tracer, and peek reads no others: hold it first",
			       request->pid);
	if (!got) {		/* /proc/PID/mem that was opened before */
		ps_reader_close(&reader);
		reader.pid = -1;
		return ps_fail(-ESRCH, "process %d has ended or called exec(): the memory that it had is gone", request->pid);
	}
	if (got < 0)
		return ps_fail(got, "%zu bytes at 0x%llx of process %d cannot be read: %s", length,
			       (unsigned long long)address, request->pid, strerror(-got));
	return 0;
}

static int do_read_copy(const struct tracer_request *request, struct tracer_reply *reply)
{
	uint64_t address = request->argument[0], length = request->argument[1];
	int err = check_length(request->argument[1]);

	if (err)
		return err;
	for (int i = 0; i < copy.regions; i++) {
		uint64_t offset = address - copy.region[i].address;

		if (offset >= copy.region[i].length)
			continue;
		if (length > copy.region[i].length - offset)
			length = copy.region[i].length - offset;
		memcpy(data, copy.bytes + copy.region[i].offset + offset, length);
		reply->result[1] = length;
		return 0;
	}
	return ps_fail(-EFAULT, "the copy has nothing at 0x%llx", (unsigned long long)address);
}

static int answer(const struct tracer_request *request, struct tracer_reply *reply)
{
	switch (request->op) {
	case OP_INJECT:
		return do_inject(request, reply);
	case OP_END:
		return do_end(request, reply);
	case OP_SNAP:
		return do_snap(request, reply);
	case OP_REGISTERS:
		return do_registers(request, reply);
	case OP_STOP_COPY:
		return do_stop_copy(request, reply);
	case OP_READ_COPY:
		return do_read_copy(request, reply);
	case OP_HOLD:
		return do_hold(request, reply);
	case OP_LET_GO:
		return do_let_go(reply);
	case OP_READ:
		return do_read(request, reply);
	case OP_COUNT:
		if (check_length(COUNTED_CALLS * sizeof(uint32_t)))
			return -EINVAL;
		return ps_count_calls(request->argument[0], request->argument[1], (uint32_t *)data, COUNTED_CALLS);
	case OP_HOOK:
		hook_step = request->argument[0];
		hook_action = request->argument[1];
		return 0;
	default:
		return ps_fail(-ENOSYS, "the tracer has no operation %d", request->op);
	}
}

/* Wait for a request; meanwhile timeouts run out. false: the requester is gone. */
static bool next_request(struct tracer_request *request)
{
	struct pollfd socket = { .fd = TRACER_SOCKET_FD, .events = POLLIN };

	for (;;) {
		int64_t left_ns = ps_next_wait_ns() - ps_now_ns();
		struct timespec timeout = { left_ns / PS_NSEC_PER_SEC, left_ns % PS_NSEC_PER_SEC };

		if (left_ns <= 0) {
			ps_expire_waits();
			continue;
		}
		if (ppoll(&socket, 1, &timeout, NULL) <= 0)
			continue;
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
	if (ps_next_wait_ns() < until && !fork())
		close_range(0, ~0U, 0);
	else
		_exit(0);
	while (ps_next_wait_ns() < until) {
		int64_t left_ns = ps_next_wait_ns() - ps_now_ns();
		struct timespec nap = { left_ns / PS_NSEC_PER_SEC, left_ns % PS_NSEC_PER_SEC };

		if (left_ns > 0)
			nanosleep(&nap, NULL);
		ps_expire_waits();
	}
	_exit(0);
}

static void *serve(void *arg)
{
	struct tracer_request request;

	(void)arg;
	while (next_request(&request)) {
		struct tracer_reply reply = { 0 };

		reply.code = answer(&request, &reply);
		if (reply.code)
			snprintf(reply.message, sizeof(reply.message), "%s", ps_error());
		if (send(TRACER_SOCKET_FD, &reply, sizeof(reply), MSG_NOSIGNAL) != sizeof(reply))
			break;
		/* A thread that was never stopped stays seized until its tracing thread ends. */
		if (reply.code == -ETIMEDOUT) {
			ps_reader_close(&reader);
			reader.pid = -1;
			duplicate.pid = 0;	/* dies with this thread: PTRACE_O_EXITKILL */
			return NULL;
		}
	}
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
