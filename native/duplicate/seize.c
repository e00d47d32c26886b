// SPDX-License-Identifier: MIT
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "seize.h"

#define ALARM_US	10000
/* Where a thread cannot be seized since it is just ending: it takes some time if it does not get to run. */
#define TRIES		12
#define TRY_NS		(200 * 1000LL)

/*
 * PTRACE_SEIZE waits while the target is in execve(2), and execve() waits until
 * all other threads are gone, which those that we have seized are when we have
 * taken note of their deaths: so this is done, by an alarm, while we wait. The
 * kernel restarts PTRACE_SEIZE after a handler: only a jump gets out of it.
 */
static struct ps_stop *seizing;
static int64_t seizing_until_ns;
static volatile sig_atomic_t calls, calls_seen, in_call;
static sigjmp_buf too_late;

static void take_note(int sig)
{
	int saved = errno;

	(void)sig;
	if (!in_call || calls != calls_seen) {
		calls_seen = calls;
		return;
	}
	for (int i = 0; i < seizing->threads; i++) {
		siginfo_t info = { 0 };

		/* Of a tracee, wait(2) reports stops whatever is asked for: this looks, and leaves a stop for who waits for it.
		 */
		if (!waitid(P_PID, seizing->thread[i].tid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) && info.si_pid &&
		    info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED)
			waitid(P_PID, seizing->thread[i].tid, &info, WEXITED | WNOHANG | __WALL);
	}
	errno = saved;
	if (ps_now_ns() > seizing_until_ns)
		siglongjmp(too_late, 1);
}

static void set_alarm(bool on)
{
	const struct itimerval time = { .it_value.tv_usec = on ? ALARM_US : 0, .it_interval.tv_usec = on ? ALARM_US : 0 };
	struct sigaction action = { .sa_handler = take_note };
	sigset_t alarm;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	if (on)
		sigaction(SIGALRM, &action, NULL);
	pthread_sigmask(on ? SIG_UNBLOCK : SIG_BLOCK, &alarm, NULL);
	setitimer(ITIMER_REAL, &time, NULL);
}

void ps_begin_seizing(struct ps_stop *stop, int64_t until_ns)
{
	seizing = stop;
	seizing_until_ns = until_ns;
	set_alarm(true);
}

void ps_end_seizing(void)
{
	set_alarm(false);
}

/* 0 or -errno; -EINTR: given up. */
static int seize_bounded(pid_t tid)
{
	struct ps_identity identity;
	int err;

	calls++;
	if (sigsetjmp(too_late, 1)) {
		in_call = 0;
		return !ps_identify(tid, &identity) && identity.tracer == gettid() ? 0 : -EINTR;
	}
	in_call = 1;
	err = ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD) ? -errno : 0;
	in_call = 0;
	return err;
}

int ps_seize(struct ps_stop *stop, struct ps_thread *thread)
{
	struct ps_identity identity = { 0 };
	pid_t pid = stop->pid, tid = thread->tid;
	int err = 0;

	/* Again: exec() by another thread ends the first one, and then takes over its tid. */
	for (int tries = 0; tries < TRIES; tries++) {
		if (tries > 1)
			ps_sleep(TRY_NS);
		thread->seized_ns = ps_now_ns();
		err = seize_bounded(tid);
		if (!err)
			return 0;
		if (err == -EINTR)
			return ps_fail(-EBUSY,
				"process %d is in execve(2), which has not ended yet (its program's file is on a device or a file "
				"server that does not answer?): try again later",
				pid);
		if (ps_identify(tid, &identity) || identity.state == 'Z' || identity.state == 'X')
			return -ESRCH;
		if (err == -EPERM && identity.tracer && !stop->first_ns && ps_ask_to_go(tid, identity.tracer))
			continue;
		if (err != -EPERM || identity.tracer)
			break;
	}
	if (err == -EPERM && identity.tracer && ps_lets_go(identity.tracer))
		return ps_fail(-EBUSY,
			"process %d is still traced by an earlier procsnap (thread %d), which puts right a call that an earlier "
			"take has interrupted: try again when that call is over",
			pid, identity.tracer);
	if (err == -EPERM && identity.tracer)
		return ps_fail(
			-EBUSY, "process %d is traced by process %d (a debugger, strace?): end that first", pid, identity.tracer);
	if (err == -EPERM)
		return ps_fail(err, PS_NO_PERMISSION, pid);
	return err == -ESRCH ? err : ps_fail(err, "process %d cannot be traced: %s", pid, strerror(-err));
}
