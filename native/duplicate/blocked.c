// SPDX-License-Identifier: MIT
/*
 * Blocked system calls.
 *
 * A stop interrupts them all. Most are restarted by the kernel, unseen by the
 * target (signal(7), "Interruption of system calls": those that fail with
 * ERESTART*). The ones below return EINTR instead, even where no handler ran,
 * because the kernel does not know how much of a relative timeout was left:
 * they are restarted here, and the time gone by is taken off.
 *
 * How long a thread has slept: /proc/PID/task/TID/sched has se.exec_start, the
 * run queue's clock when it last ran, so the clock must be read on that CPU.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "procsnap.h"

enum timeout_kind {
	NO_TIMEOUT,
	MILLISECONDS,		/* in a register, relative */
	TIMESPEC,		/* a pointer to a relative struct timespec */
	URING,			/* io_uring_enter(): a struct io_uring_getevents_arg, if EXT_ARG is set */
	RECEIVE, SEND,		/* SO_RCVTIMEO, SO_SNDTIMEO of the socket */
};

static const struct call {
	long		  number;
	enum timeout_kind kind;
	int		  argument;	/* which one holds the timeout, from 0 */
	long		  expired;	/* what the call returns when it runs out */
} calls[] = {
	{ SYS_epoll_wait,	MILLISECONDS, 3, 0 },
	{ SYS_epoll_pwait,	MILLISECONDS, 3, 0 },
	{ SYS_epoll_pwait2,	TIMESPEC, 3, 0 },
	{ SYS_semop,		NO_TIMEOUT, 0, 0 },
	{ SYS_semtimedop,	TIMESPEC, 3, -EAGAIN },
	{ SYS_rt_sigtimedwait,	TIMESPEC, 2, -EAGAIN },
	{ SYS_io_getevents,	TIMESPEC, 4, 0 },
	{ SYS_io_pgetevents,	TIMESPEC, 4, 0 },
	{ SYS_io_uring_enter,	URING, 4, -ETIME },
	{ SYS_recvfrom,		RECEIVE, 0, -EAGAIN },
	{ SYS_recvmsg,		RECEIVE, 0, -EAGAIN },
	{ SYS_recvmmsg,		RECEIVE, 0, -EAGAIN },
	{ SYS_accept,		RECEIVE, 0, -EAGAIN },
	{ SYS_accept4,		RECEIVE, 0, -EAGAIN },
	{ SYS_read,		RECEIVE, 0, -EAGAIN },
	{ SYS_readv,		RECEIVE, 0, -EAGAIN },
	{ SYS_sendto,		SEND, 0, -EAGAIN },
	{ SYS_sendmsg,		SEND, 0, -EAGAIN },
	{ SYS_connect,		SEND, 0, -EAGAIN },
	{ SYS_write,		SEND, 0, -EAGAIN },
	{ SYS_writev,		SEND, 0, -EAGAIN },
};

static const struct call *find_call(long number)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (calls[i].number == number)
			return &calls[i];
	return NULL;
}

/* Calls that were put back, and when their time is over. */
static struct ps_timed_wait {
	pid_t	pid, tid;
	bool	in_register;		/* the kernel ends it; else expire() does */
	long	number, expired;
	uint64_t stack, code;		/* the same call, not a later one */
	int64_t	switches;		/* voluntary switches once it has gone back to sleep; -1: it is still stopped */
	int64_t	deadline_ns;
} waits[PS_MAX_THREADS];
static int wait_count;

static int64_t voluntary_switches(pid_t pid, pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	return ps_proc_number(path, "voluntary_ctxt_switches", 1);
}

/* The target runs meanwhile; only on a CPU that others keep does this take so long. */
#define CLOCK_WAIT_NS	20000000

struct queue_clock { int cpu; int64_t now; };

static void *read_queue_clock(void *arg)
{
	struct queue_clock *clock = arg;

	/* A thread that has just been put on its CPU last began to run now. */
	clock->now = ps_proc_number("/proc/thread-self/sched", "se.exec_start", 1000000);
	return NULL;
}

/*
 * The run queue's clock of @cpu now. In a thread of its own: real-time tasks of
 * the target may keep that CPU from us, and then it is given up (-1).
 */
static int64_t queue_clock(int cpu)
{
	struct queue_clock *clock = calloc(1, sizeof(*clock));
	struct timespec until;
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t there;
	int64_t now = -1;
	int err;

	if (!clock || cpu < 0)
		goto out;
	CPU_ZERO(&there);
	CPU_SET(cpu, &there);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	pthread_attr_setaffinity_np(&attr, sizeof(there), &there);
	err = pthread_create(&thread, &attr, read_queue_clock, clock);
	pthread_attr_destroy(&attr);
	if (err)
		goto out;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += CLOCK_WAIT_NS;
	until.tv_sec += until.tv_nsec / PS_NSEC_PER_SEC;
	until.tv_nsec %= PS_NSEC_PER_SEC;
	if (pthread_timedjoin_np(thread, NULL, &until)) {
		pthread_detach(thread);
		return -1;	/* the thread still uses `clock`: 16 bytes are lost */
	}
	now = clock->now;
out:
	free(clock);
	return now;
}

static int last_cpu(pid_t pid, pid_t tid)
{
	char path[64], stat[1024], *field;
	FILE *file;
	int cpu = -1;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (fgets(stat, sizeof(stat), file) && (field = strrchr(stat, ')'))) {
		/* processor is field 39, the state after the bracket field 3 */
		for (int i = 2; field && i < 39; i++)
			field = strchr(field + 1, ' ');
		if (field)
			cpu = atoi(field);
	}
	fclose(file);
	return cpu;
}

static bool has_timeout(pid_t pid, const struct call *call, const unsigned long *argument, int64_t *timeout_ns);

void ps_note_wait(pid_t pid, struct ps_thread *thread)
{
	unsigned long argument[6];
	int64_t slept_since, now, timeout_ns;
	const struct call *call;
	char path[64], line[256];
	FILE *file;
	int got = 0;
	long number;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, thread->tid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(line, sizeof(line), file))	/* "running", or the number and its arguments */
		got = sscanf(line, "%ld %lx %lx %lx %lx %lx %lx", &number, &argument[0], &argument[1],
			     &argument[2], &argument[3], &argument[4], &argument[5]);
	fclose(file);
	call = got == 7 ? find_call(number) : NULL;
	if (!call || !has_timeout(pid, call, argument, &timeout_ns))
		return;
	thread->waited_call = number;
	thread->switches = voluntary_switches(pid, thread->tid);
	/* A call that was put back before has waited since its first start: its deadline is known. */
	for (int i = 0; i < wait_count; i++)
		if (waits[i].tid == thread->tid && waits[i].number == number && waits[i].switches == thread->switches) {
			thread->waited_ns = timeout_ns - (waits[i].deadline_ns - ps_now_ns());
			return;
		}
	snprintf(path, sizeof(path), "/proc/%d/task/%d/sched", pid, thread->tid);
	slept_since = ps_proc_number(path, "se.exec_start", 1000000);
	now = queue_clock(last_cpu(pid, thread->tid));
	if (slept_since > 0 && now >= slept_since)
		thread->waited_ns = now - slept_since;
}

static bool read_target(pid_t pid, uint64_t address, void *to, size_t length)
{
	struct iovec local = { to, length }, remote = { (void *)address, length };

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)length;
}

static bool socket_option(pid_t pid, int fd, int option, void *value, socklen_t length)
{
	int handle = syscall(SYS_pidfd_open, pid, 0), mine = -1;
	bool got;

	if (handle >= 0)
		mine = syscall(SYS_pidfd_getfd, handle, fd, 0);
	got = mine >= 0 && !getsockopt(mine, SOL_SOCKET, option, value, &length);
	if (mine >= 0)
		close(mine);
	if (handle >= 0)
		close(handle);
	return got;
}

static bool socket_timeout(pid_t pid, int fd, int option, int64_t *timeout_ns)
{
	struct timeval timeout = { 0 };

	if (!socket_option(pid, fd, option, &timeout, sizeof(timeout)))
		return false;
	*timeout_ns = timeout.tv_sec * PS_NSEC_PER_SEC + timeout.tv_usec * 1000;
	return *timeout_ns > 0;
}

/* What connect() returns when SO_SNDTIMEO runs out depends on the socket. */
static long expired(pid_t pid, const struct call *call, const unsigned long *argument)
{
	int domain = 0;

	if (call->number != SYS_connect || !socket_option(pid, argument[0], SO_DOMAIN, &domain, sizeof(domain)))
		return call->expired;
	return domain == AF_INET || domain == AF_INET6 ? -EINPROGRESS : -EAGAIN;
}

#define EXT_ARG		(1U << 3)	/* IORING_ENTER_EXT_ARG */
#define ABS_TIMER	(1U << 5)	/* IORING_ENTER_ABS_TIMER */

/* The call's relative timeout; false: it has none. */
static bool has_timeout(pid_t pid, const struct call *call, const unsigned long *argument, int64_t *timeout_ns)
{
	struct timespec time;
	uint64_t pointer = argument[call->argument], uring[3];

	switch (call->kind) {
	case NO_TIMEOUT:
		return false;
	case MILLISECONDS:
		*timeout_ns = (int)pointer * 1000000LL;
		return (int)pointer > 0;
	case URING:		/* { sigmask, sigmask_sz | pad, ts } */
		if (!(argument[3] & EXT_ARG) || (argument[3] & ABS_TIMER) ||
		    !read_target(pid, pointer, uring, sizeof(uring)))
			return false;
		pointer = uring[2];
		break;
	case TIMESPEC:
		break;
	case RECEIVE:
		return socket_timeout(pid, argument[0], SO_RCVTIMEO, timeout_ns);
	case SEND:
		return socket_timeout(pid, argument[0], SO_SNDTIMEO, timeout_ns);
	}
	if (!pointer || !read_target(pid, pointer, &time, sizeof(time)))
		return false;
	*timeout_ns = time.tv_sec * PS_NSEC_PER_SEC + time.tv_nsec;
	return true;
}

static void note_deadline(pid_t pid, const struct ps_thread *thread, long number, long result, int64_t left_ns, bool in_register)
{
	int64_t now = ps_now_ns();
	int slot = 0;

	for (int i = 0; i < wait_count;)
		if (waits[i].in_register && waits[i].deadline_ns < now)
			waits[i] = waits[--wait_count];
		else
			i++;
	while (slot < wait_count && waits[slot].tid != thread->tid)
		slot++;
	if (slot == PS_MAX_THREADS)
		return;
	if (slot == wait_count)
		wait_count++;
	waits[slot] = (struct ps_timed_wait){
		.pid = pid, .tid = thread->tid, .in_register = in_register, .number = number, .expired = result,
		.stack = thread->general.rsp, .code = thread->general.rip,
		.switches = -1,
		.deadline_ns = now + left_ns,
	};
}

/* In whole milliseconds, as epoll_wait() takes them. */
static uint64_t in_ms(int64_t left_ns)
{
	return left_ns < 0 ? 0 : (left_ns + 999999) / 1000000;
}

void ps_settle_wait(pid_t pid, const struct ps_thread *thread)
{
	struct user_regs_struct regs = thread->mended;
	int64_t switches = voluntary_switches(pid, thread->tid);

	for (int i = 0; i < wait_count; i++) {
		if (waits[i].tid != thread->tid || waits[i].switches >= 0)
			continue;
		if (switches < 0) {		/* it was killed */
			waits[i] = waits[--wait_count];
			return;
		}
		waits[i].switches = switches + 1;
		if (waits[i].in_register) {	/* the stop has taken its time, too */
			regs.r10 = in_ms(waits[i].deadline_ns - ps_now_ns());
			ptrace(PTRACE_SETREGS, thread->tid, 0, &regs);
		}
	}
}

/*
 * What the kernel's own restartable calls return where no handler has run: it
 * then makes the call again, or returns EINTR if by then a handler is to run.
 * A signal that comes at any time until the thread goes on is so treated right.
 */
#define ERESTARTNOHAND	514

static void restart(struct ps_thread *thread, long number)
{
	thread->mended.rax = -ERESTARTNOHAND;
	thread->mended.orig_rax = number;
	thread->changed = true;
}

int ps_mend_call(pid_t pid, struct ps_thread *thread, int *lengthened)
{
	const struct user_regs_struct *regs = &thread->general;
	const unsigned long argument[6] = { regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9 };
	const struct call *call = (long)regs->orig_rax >= 0 && (long)regs->rax == -EINTR ? find_call(regs->orig_rax) : NULL;
	int64_t timeout_ns, left_ns;

	if (!call)
		return 0;
	restart(thread, call->number);
	if (!has_timeout(pid, call, argument, &timeout_ns))
		goto out;
	/* Only if it slept from before the note until this stop: one switch more, that of the stop. */
	if (thread->waited_call != call->number || thread->waited_ns < 0 ||
	    voluntary_switches(pid, thread->tid) != thread->switches + 1) {
		(*lengthened)++;
		goto out;
	}
	left_ns = timeout_ns - thread->waited_ns;
	/* epoll_pwait2() takes a pointer, and nothing is written into a target: epoll_pwait() does the same with a register. */
	if (call->number == SYS_epoll_pwait2)
		restart(thread, SYS_epoll_pwait);
	if (call->kind == MILLISECONDS || call->number == SYS_epoll_pwait2) {
		thread->mended.r10 = in_ms(left_ns);
		note_deadline(pid, thread, thread->mended.orig_rax, 0, left_ns, true);
	} else {
		note_deadline(pid, thread, call->number, expired(pid, call, argument), left_ns, false);
	}
	thread->settle = true;
out:
	/* At once: so it is right even if we die before the release. */
	ptrace(PTRACE_SETREGS, thread->tid, 0, &thread->mended);
	return 1;
}

void ps_mend_rseq(struct ps_thread *thread)
{
	struct __ptrace_rseq_configuration rseq;
	struct { uint32_t version, flags; uint64_t start, length, abort; } section;
	uint64_t area;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, thread->tid, sizeof(rseq), &rseq) != sizeof(rseq) || !rseq.rseq_abi_pointer)
		return;
	thread->rseq_bytes = rseq.rseq_abi_size < sizeof(thread->rseq) ? rseq.rseq_abi_size : sizeof(thread->rseq);
	if (!read_target(thread->tid, rseq.rseq_abi_pointer, thread->rseq, thread->rseq_bytes)) {
		thread->rseq_bytes = 0;
		return;
	}
	thread->rseq_address = rseq.rseq_abi_pointer;
	/* struct rseq: cpu_id_start, cpu_id, then the pointer to the critical section, linux/rseq.h */
	memcpy(&area, thread->rseq + 8, sizeof(area));
	if (area && read_target(thread->tid, area, &section, sizeof(section)) &&
	    thread->general.rip - section.start < section.length) {
		thread->mended.rip = section.abort;
		thread->changed = true;
	}
}

int64_t ps_next_wait_ns(void)
{
	int64_t next = INT64_MAX;

	for (int i = 0; i < wait_count; i++)
		if (waits[i].switches >= 0 && !waits[i].in_register && waits[i].deadline_ns < next)
			next = waits[i].deadline_ns;
	return next;
}

/* End one call as its timeout would have, if the thread is still in it. */
static void expire(const struct ps_timed_wait *wait)
{
	struct ps_thread thread = { .tid = wait->tid, .waited_call = -1, .waited_ns = -1 };
	const struct user_regs_struct *regs = &thread.general;
	int status, lengthened = 0;

	if (wait->in_register || voluntary_switches(wait->pid, wait->tid) != wait->switches)
		return;		/* the kernel ends it, or it has gone on by itself */
	if (ptrace(PTRACE_SEIZE, wait->tid, 0, PTRACE_O_TRACESYSGOOD))
		return;
	ptrace(PTRACE_INTERRUPT, wait->tid, 0, 0);
	for (;;) {
		if (ps_wait_stop(wait->tid, PS_NSEC_PER_SEC, true, &status))
			return;
		if (status >> 16 == PTRACE_EVENT_STOP)
			break;
		ptrace(PTRACE_CONT, wait->tid, 0, (long)WSTOPSIG(status));
	}
	if (!ptrace(PTRACE_GETREGS, wait->tid, 0, &thread.general)) {
		thread.mended = thread.general;
		ps_mend_rseq(&thread);
		if ((long)regs->rax == -EINTR && (long)regs->orig_rax == wait->number && regs->rsp == wait->stack &&
		    regs->rip == wait->code) {
			thread.mended.rax = wait->expired;
			thread.mended.orig_rax = -1;
			thread.changed = true;
		} else {
			ps_mend_call(wait->pid, &thread, &lengthened);	/* another call, begun just now */
		}
		if (thread.changed)
			ptrace(PTRACE_SETREGS, wait->tid, 0, &thread.mended);
	}
	ptrace(PTRACE_DETACH, wait->tid, 0, 0);
}

void ps_expire_waits(void)
{
	int64_t now = ps_now_ns();

	for (int i = 0; i < wait_count;) {
		struct ps_timed_wait due = waits[i];

		if (due.switches < 0 || due.deadline_ns > now) {
			i++;
			continue;
		}
		waits[i] = waits[--wait_count];
		expire(&due);
	}
}
