// SPDX-License-Identifier: GPL-2.0
/* Signals: which of them end a duplicate, who hears of it, and that its target never does. */
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/snap.h"

enum { READY = 1, RETURNED, CHILD_SIGNALS, DONE, ALARMS, QUEUED, STARTED_NS, ENDED_NS, WAITED, SEMAPHORE };

static void test_ignored(void)
{
	static const int some[] = { SIGCONT, SIGTERM, SIGUSR1, SIGSEGV, SIGINT, SIGCHLD, SIGSTOP };
	pid_t target = spawn(sleeper, NULL), dup = snap(target);
	int signal, status, wrong = 0;
	siginfo_t info;
	size_t i;

	ok(dup > 0 && parked(dup), "a parked duplicate");
	for (i = 0; i < ARRAY_SIZE(some); i++) {
		is(kill(dup, some[i]), 0, "signal %d can be sent", some[i]);
		pause_ms(5);
		if (some[i] == SIGSTOP) {
			kill(dup, SIGCONT);
			/* stops and goes on may be told of; an end may not */
			pause_ms(5);
			waitpid(dup, &status, WNOHANG | WUNTRACED | WCONTINUED);
			waitpid(dup, &status, WNOHANG | WUNTRACED | WCONTINUED);
		}
		ok(parked(dup), "signal %d leaves it parked", some[i]);
	}
	for (signal = 1; signal <= 64; signal++)
		if (signal != SIGKILL && signal != SIGSTOP && signal != 32 && signal != 33)
			wrong += kill(dup, signal) != 0;
	kill(dup, SIGCONT);
	pause_ms(20);
	ok(!wrong && parked(dup), "all signals at once leave it parked");
	for (signal = 1; signal <= 64; signal++)
		if (signal != SIGKILL && signal != SIGSTOP)
			syscall(SYS_tgkill, dup, dup, signal);
	kill(dup, SIGCONT);
	pause_ms(20);
	ok(parked(dup), "so do all that are for its thread");

	is(waitpid(dup, &status, WNOHANG | WUNTRACED), 0, "waitpid(WNOHANG): it lives");
	is(kill(dup, SIGKILL), 0, "SIGKILL can be sent");
	is(waitid(P_PID, dup, &info, WEXITED | WNOWAIT), 0, "waitid(WNOWAIT)");
	ok(info.si_code == CLD_KILLED && info.si_status == SIGKILL, "it was killed");
	is(state_of(dup), 'Z', "a zombie, as any child");
	is(waitpid(dup, &status, 0), dup, "waitpid");
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status says SIGKILL");
	ok(!WCOREDUMP(status), "no core");
	is(kill(dup, 0), -1, "it is gone");

	dup = snap(target);
	kill(dup, SIGSTOP);
	pause_ms(10);
	is(snap_end(dup), 0, "SIGKILL ends a stopped one");
	dup = snap(target);
	is(kill(dup, SIGKILL), 0, "SIGKILL at once");
	is(waitpid(-1, &status, 0), dup, "waitpid(-1)");
	dup = snap(target);
	is(waitpid(dup, &status, WNOHANG | __WCLONE), -1, "no clone child: __WCLONE does not find it");
	kill(dup, SIGKILL);
	is(waitpid(dup, &status, __WALL), dup, "__WALL finds it");
	end_target(target);
}

static int heard;

static void count_child(int signal)
{
	(void)signal;
	heard++;
}

static void listening(void *unused)
{
	struct sigaction action = { .sa_handler = count_child };
	int signal;

	(void)unused;
	for (signal = 1; signal <= 64; signal++)
		sigaction(signal, &action, NULL);
	word[READY] = 1;
	for (;;) {
		pause();
		word[CHILD_SIGNALS] = heard;
		word[WAITED] = waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD ? 1 : 2;
	}
}

static void test_told(void)
{
	struct sigaction action = { .sa_handler = count_child, .sa_flags = SA_RESTART };
	pid_t target = spawn(listening, NULL), dup;
	int i;

	wait_word(READY, 1);
	sigaction(SIGCHLD, &action, NULL);
	heard = 0;
	for (i = 1; i <= 20; i++) {
		dup = snap(target);
		if (children(target))
			break;
		snap_end(dup);
	}
	is(i, 21, "the target has no child");
	is(heard, 20, "one SIGCHLD for each end, to the caller");
	is(word[CHILD_SIGNALS], 0, "the target heard nothing");
	kill(target, SIGUSR1);
	wait_word(WAITED, 1);
	is(word[CHILD_SIGNALS], 1, "and does hear what it is sent");
	is(word[WAITED], 1, "wait() gives it ECHILD");
	signal(SIGCHLD, SIG_IGN);
	dup = snap(target);
	kill(dup, SIGKILL);
	ok(UNTIL(kill(dup, 0)), "where the caller ignores SIGCHLD it is reaped by itself");
	signal(SIGCHLD, SIG_DFL);
	end_target(target);
}

/* --- sleepers --- */

static int pipe_ends[2];
static int futex_word;

__attribute__((noreturn)) static void returned(long call)
{
	word[RETURNED] |= 1L << call;
	sleep_for_ever();
}

static void *in_epoll(void *unused)
{
	struct epoll_event event;
	int fd = epoll_create1(0);

	(void)unused;
	epoll_wait(fd, &event, 1, -1);
	returned(0);
}

static void *in_futex(void *unused)
{
	struct timespec long_time = { 10000, 0 };

	(void)unused;
	syscall(SYS_futex, &futex_word, FUTEX_WAIT_PRIVATE, 0, &long_time, NULL, 0);
	returned(1);
}

static void *in_nanosleep(void *unused)
{
	(void)unused;
	pause_ms(10000000);
	returned(2);
}

static void *in_read(void *unused)
{
	char c;

	(void)unused;
	(void)!read(pipe_ends[0], &c, 1);
	returned(3);
}

static void *in_sigwait(void *unused)
{
	sigset_t set;

	(void)unused;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigtimedwait(&set, NULL, &(struct timespec){ 10000, 0 });
	returned(4);
}

static void *in_semop(void *unused)
{
	int id = semget(IPC_PRIVATE, 1, 0600);

	(void)unused;
	word[SEMAPHORE] = id;
	semop(id, &(struct sembuf){ 0, -1, 0 }, 1);
	returned(5);
}

static void *in_poll(void *unused)
{
	(void)unused;
	poll(&(struct pollfd){ pipe_ends[0], POLLPRI, 0 }, 1, 10000000);
	returned(6);
}

static void asleep_everywhere(void *unused)
{
	static void *(*const calls[])(void *) = {
		in_epoll, in_futex, in_nanosleep, in_read, in_sigwait, in_semop, in_poll,
	};
	pthread_t thread;
	size_t i;

	(void)unused;
	if (pipe(pipe_ends))
		die("pipe");
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		if (pthread_create(&thread, NULL, calls[i], NULL))
			die("pthread_create");
	word[READY] = 2;
	sleep_for_ever();
}

/* Of all its eight threads. */
static long all_switches(pid_t pid)
{
	struct proc_snap_thread threads[16];
	struct proc_snap_args args;
	pid_t dup = snap_figures(pid, &args, threads, 16);
	long sum = 0, some;
	unsigned int i;

	if (snap_end(dup) || args.nr_threads != 8)
		return -1;
	for (i = 0; i < args.nr_threads; i++) {
		some = switches(threads[i].target_tid);
		if (some < 0)
			return -2;
		sum += some;
	}
	return sum;
}

static void test_sleepers(void)
{
	pid_t target = spawn(asleep_everywhere, NULL);
	int i, ended = 0;
	long before;

	wait_word(READY, 2);
	UNTIL(threads_of(target) == 8);
	pause_ms(50);
	before = all_switches(target);
	ok(before > 0, "eight sleeping threads are all taken");
	for (i = 0; i < 200; i++)
		ended += !snap_end(snap(target));
	is(ended, 200, "200 snapshots of a process asleep in 8 calls");
	is(word[RETURNED], 0, "no call returned");
	is(all_switches(target), before, "no thread was ever woken");
	semctl(word[SEMAPHORE], 0, IPC_RMID);
	ok(UNTIL(word[RETURNED] == 1 << 5), "and what must return does");
	end_target(target);
}

/* --- a target that lives by signals --- */

#define PERIOD_NS	2000000L

static timer_t timer;

static void on_alarm(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	word[ALARMS] += 1 + (info->si_code == SI_TIMER ? info->si_overrun : 0);
}

static void on_queued(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	/* in order, none missing, none twice */
	if (info->si_value.sival_int == word[QUEUED] + 1)
		word[QUEUED]++;
	else
		word[QUEUED] = -1000000;
}

static void busy_with_signals(void *unused)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct itimerspec period = { { 0, PERIOD_NS }, { 0, PERIOD_NS } };
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART };
	volatile long sum = 0;

	(void)unused;
	action.sa_sigaction = on_alarm;
	sigaction(SIGALRM, &action, NULL);
	action.sa_sigaction = on_queued;
	sigaction(SIGRTMIN, &action, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		die("timer_create");
	word[STARTED_NS] = now_ns();
	timer_settime(timer, 0, &period, NULL);
	word[READY] = 3;
	while (!word[DONE])
		sum++;
	period.it_value.tv_nsec = 0;
	word[ENDED_NS] = now_ns();
	timer_settime(timer, 0, &period, NULL);
	word[DONE] = 2;
	sleep_for_ever();
}

static void test_alarms(void)
{
	pid_t target = spawn(busy_with_signals, NULL);
	long due, sent = 0, snapshots = 0;
	double end;

	wait_word(READY, 3);
	hurry();
	end = now() + option("alarm-seconds", 2);
	while (now() < end) {
		int i;

		for (i = 0; i < 5; i++)
			if (!sigqueue(target, SIGRTMIN, (union sigval){ .sival_int = sent + 1 }))
				sent++;
		snapshots += !snap_end(snap(target));
	}
	ok(UNTIL(word[QUEUED] == sent), "each of %ld queued signals came once, in order, within %ld snapshots",
	   sent, snapshots);
	word[DONE] = 1;
	wait_word(DONE, 2);
	due = (word[ENDED_NS] - word[STARTED_NS]) / PERIOD_NS;
	ok(word[ALARMS] >= due - 2 && word[ALARMS] <= due + 2, "no SIGALRM was lost: %ld of %ld",
	   word[ALARMS], due);
	ok(snapshots >= 10, "%ld snapshots meanwhile", snapshots);
	end_target(target);
	word[DONE] = 0;
}

#define FROZEN	"snap-frozen"

static bool freeze(bool frozen)
{
	cgroup_write(FROZEN, "cgroup.freeze", frozen ? "1" : "0");
	return UNTIL(cgroup_stat(FROZEN, "cgroup.events", "frozen") == frozen);
}

static void test_freezer(void)
{
	pid_t target = spawn(sleeper, NULL), dup;

	if (!cgroup_make(FROZEN)) {
		skip("cgroup freezer", "no cgroup v2");
		end_target(target);
		return;
	}
	dup = snap(target);
	ok(cgroup_enter(FROZEN, dup), "into a cgroup");
	ok(freeze(true), "it can be frozen");
	ok(freeze(false), "and thawed");
	ok(parked(dup), "and is parked then");
	freeze(true);
	is(snap_end(dup), 0, "SIGKILL ends a frozen one");
	freeze(false);

	cgroup_enter(FROZEN, target);
	freeze(true);
	dup = snap(target);
	ok(dup > 0, "a frozen target can be taken");
	is(snap_end(dup), 0, "its duplicate is not frozen");
	is(cgroup_stat(FROZEN, "cgroup.events", "frozen"), 1, "and it stays frozen");
	freeze(false);
	end_target(target);
	cgroup_remove(FROZEN);
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_ignored();
	test_told();
	test_sleepers();
	test_alarms();
	test_freezer();
	return tap_end();
}
