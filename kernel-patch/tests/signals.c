// SPDX-License-Identifier: GPL-2.0
/* What ends a duplicate, what does not, who hears of it, and that the target never does. */
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/snap.h"

enum { READY = 1, RETURNED, CHILD_SIGNALS, DUP, DONE, ALARMS, QUEUED, STARTED_NS, ENDED_NS, WAITED,
       SEMAPHORE };

/* It is there and asleep. */
static bool parked(pid_t dup)
{
	return at_rest(dup) && waitpid(dup, NULL, WNOHANG) == 0;
}

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

/* --- the caller's end --- */

static pid_t target_of_all;

static void take(void)
{
	word[DUP] = snap(target_of_all);
	if (word[DUP] <= 0)
		die("no duplicate: %ld", word[DUP]);
}

static void caller_exits(void *unused)
{
	(void)unused;
	take();
	wait_word(DONE, 1);
}

static void caller_changes_user(void *unused)
{
	(void)unused;
	take();
	become(1000);
	wait_word(DONE, 1);
}

static void caller_loses_privilege(void *unused)
{
	(void)unused;
	take();
	drop_capabilities();
	prctl(PR_SET_DUMPABLE, 0);
	wait_word(DONE, 1);
}

static void *take_and_end(void *unused)
{
	(void)unused;
	take();
	return NULL;
}

static void caller_thread_exits(void *unused)
{
	pthread_t thread;

	(void)unused;
	pthread_create(&thread, NULL, take_and_end, NULL);
	pthread_join(thread, NULL);
	word[READY] = 4;
	wait_word(DONE, 1);
	if (!snap_end(word[DUP]))
		word[DONE] = 2;
}

static void *take_and_go_on(void *unused)
{
	(void)unused;
	take();
	word[READY] = 4;
	wait_word(DONE, 1);
	if (!snap_end(word[DUP]))
		word[DONE] = 2;
	_exit(0);
}

static void *take_in_thread(void *unused)
{
	(void)unused;
	take();
	word[READY] = 4;
	sleep_for_ever();
}

static void caller_main_thread_exits(void *unused)
{
	pthread_t thread;

	(void)unused;
	pthread_create(&thread, NULL, take_and_go_on, NULL);
	pthread_exit(NULL);
}

static void caller_other_thread_takes(void *unused)
{
	pthread_t thread;

	(void)unused;
	pthread_create(&thread, NULL, take_in_thread, NULL);
	wait_word(DONE, 1);
}

static void caller_executes(void *thread)
{
	char text[32];
	char *argv[] = { OWN_PROGRAM, "--after-exec", text, NULL };
	char *none[] = { NULL };
	pthread_t other;

	if (thread) {
		pthread_create(&other, NULL, take_and_end, NULL);
		pthread_join(other, NULL);
	} else {
		take();
	}
	snprintf(text, sizeof(text), "%ld", word[DUP]);
	execve(OWN_PROGRAM, argv, none);
}

/* What a caller that executed this program does with its duplicate. */
static int after_exec(pid_t dup)
{
	int status;

	pause_ms(50);
	if (kill(dup, 0) || !parked(dup))
		return 3;
	kill(dup, SIGKILL);
	return waitpid(dup, &status, 0) == dup && WIFSIGNALED(status) ? 0 : 4;
}

static pid_t begin_caller(void (*run)(void *))
{
	pid_t caller;

	word[DUP] = word[DONE] = word[READY] = 0;
	caller = spawn(run, NULL);
	UNTIL(word[DUP]);
	return caller;
}

/* Killed, and reaped by this process, which is who inherits orphans. */
static bool gone(pid_t pid)
{
	int status;
	pid_t got = 0;

	UNTIL((got = waitpid(pid, &status, WNOHANG)) != 0);
	return got < 0 ? kill(pid, 0) < 0 : got == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void test_caller_death(void)
{
	static void (*const callers[])(void *) = {
		caller_exits, caller_changes_user, caller_loses_privilege, caller_other_thread_takes,
	};
	static const char *const names[] = {
		"caller", "caller that changed its uid", "caller without capabilities",
		"caller of which another thread took it",
	};
	pid_t caller;
	size_t i;
	int status;

	target_of_all = spawn(sleeper, NULL);
	for (i = 0; i < ARRAY_SIZE(callers); i++) {
		caller = begin_caller(callers[i]);
		pause_ms(20);
		ok(kill(word[DUP], 0) == 0, "%s: it is there", names[i]);
		word[DONE] = 1;
		waitpid(caller, NULL, 0);
		ok(gone(word[DUP]), "%s exits: it is gone", names[i]);
		caller = begin_caller(callers[i]);
		pause_ms(20);
		kill(caller, SIGKILL);
		waitpid(caller, NULL, 0);
		ok(gone(word[DUP]), "%s is killed: it is gone", names[i]);
	}
	caller = begin_caller(caller_thread_exits);
	wait_word(READY, 4);
	pause_ms(50);
	ok(state_of(word[DUP]) == 'S', "the thread that took it exits: it is there");
	word[DONE] = 1;
	waitpid(caller, NULL, 0);
	is(word[DONE], 2, "and another thread may end it");

	caller = begin_caller(caller_main_thread_exits);
	wait_word(READY, 4);
	pause_ms(50);
	ok(state_of(word[DUP]) == 'S', "the first thread exits: it is there");
	word[DONE] = 1;
	waitpid(caller, NULL, 0);
	is(word[DONE], 2, "and the one that took it may end it");

	for (i = 0; i < 2; i++) {
		word[DUP] = 0;
		caller = spawn(caller_executes, (void *)i);
		waitpid(caller, &status, 0);
		ok(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		   "the caller executes a program%s: it keeps it", i ? ", another thread had taken it" : "");
		if (status)
			note("status %x", status);
		ok(gone(word[DUP]), "and ends it");
	}
	end_target(target_of_all);
}

static void test_target_death(void)
{
	pid_t target = spawn(sleeper, NULL), dup = snap(target);
	struct timespec none = { };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	end_target(target);
	pause_ms(20);
	ok(parked(dup), "the target's end leaves the duplicate");
	sigprocmask(SIG_BLOCK, &set, NULL);
	while (sigtimedwait(&set, NULL, &none) > 0)
		;
	kill(dup, SIGKILL);
	ok(sigtimedwait(&set, &info, &(struct timespec){ 10, 0 }) == SIGCHLD && info.si_pid == dup &&
	   info.si_code == CLD_KILLED && info.si_status == SIGKILL, "SIGCHLD says who, how, by what");
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	is(waitpid(dup, NULL, 0), dup, "it is reaped");
}

static void test_freezer(void)
{
	pid_t target = spawn(sleeper, NULL), dup;

	if (!cgroup_make("snap-frozen")) {
		skip("cgroup freezer", "no cgroup v2");
		end_target(target);
		return;
	}
	dup = snap(target);
	ok(cgroup_enter("snap-frozen", dup), "into a cgroup");
	cgroup_write("snap-frozen", "cgroup.freeze", "1");
	ok(UNTIL(cgroup_stat("snap-frozen", "cgroup.events", "frozen") == 1), "it can be frozen");
	cgroup_write("snap-frozen", "cgroup.freeze", "0");
	ok(UNTIL(cgroup_stat("snap-frozen", "cgroup.events", "frozen") == 0), "and thawed");
	ok(parked(dup), "and is parked then");
	cgroup_write("snap-frozen", "cgroup.freeze", "1");
	UNTIL(cgroup_stat("snap-frozen", "cgroup.events", "frozen") == 1);
	is(snap_end(dup), 0, "SIGKILL ends a frozen one");
	cgroup_write("snap-frozen", "cgroup.freeze", "0");

	cgroup_enter("snap-frozen", target);
	cgroup_write("snap-frozen", "cgroup.freeze", "1");
	UNTIL(cgroup_stat("snap-frozen", "cgroup.events", "frozen") == 1);
	dup = snap(target);
	ok(dup > 0, "a frozen target can be taken");
	is(snap_end(dup), 0, "its duplicate is not frozen");
	is(cgroup_stat("snap-frozen", "cgroup.events", "frozen"), 1, "and it stays frozen");
	cgroup_write("snap-frozen", "cgroup.freeze", "0");
	end_target(target);
	cgroup_remove("snap-frozen");
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--after-exec"))
		return after_exec(atoi(argv[2]));
	tap_begin(argc, argv);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		die("cannot begin");
	test_ignored();
	test_told();
	test_sleepers();
	test_alarms();
	test_caller_death();
	test_target_death();
	test_freezer();
	return tap_end();
}
