// SPDX-License-Identifier: GPL-2.0
/* Signals: the target never notices. No call of its returns, none of its signals is lost. */
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "signals.h"

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

void test_sleepers(void)
{
	pid_t target = spawn(asleep_everywhere, NULL);
	int i, ended = 0;
	long before;

	wait_word(READY, 2);
	UNTIL(threads_of(target) == 8);
	/* all are asleep, in the call that they are to be in, when none has been switched for a while */
	do {
		before = all_switches(target);
		pause_ms(50);
	} while (all_switches(target) != before);
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
static volatile long looped_ns;

static void on_alarm(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	if (word[DONE])
		return;
	/*
	 * What has expired is counted as of a time between these two. An end of the
	 * timer is no such time: an emulator's interrupt may be late, and what has
	 * expired by the clock has not been counted by then.
	 */
	word[BEFORE_NS] = looped_ns;
	word[AFTER_NS] = now_ns();
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

	(void)unused;
	action.sa_sigaction = on_alarm;
	sigaction(SIGALRM, &action, NULL);
	action.sa_sigaction = on_queued;
	sigaction(SIGRTMIN, &action, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		die("timer_create");
	/* It may be kept from its CPU for periods between a reading of the clock and the call: read before and after. */
	word[STARTING_NS] = now_ns();
	timer_settime(timer, 0, &period, NULL);
	word[STARTED_NS] = now_ns();
	looped_ns = word[STARTED_NS];
	word[READY] = 3;
	while (!word[DONE])
		looped_ns = now_ns();
	period.it_value.tv_nsec = 0;
	timer_settime(timer, 0, &period, NULL);
	word[DONE] = 2;
	sleep_for_ever();
}

void test_alarms(void)
{
	pid_t target = spawn(busy_with_signals, NULL);
	long least, most, sent = 0, snapshots = 0;
	double end;

	wait_word(READY, 3);
	hurry();
	/* as long as it takes to make some, where a snapshot takes longer than it should */
	end = now() + option("alarm-seconds", 2);
	while (now() < end || (snapshots < 10 && now() < end + patience_s())) {
		int i;

		for (i = 0; i < 5; i++)
			if (!sigqueue(target, SIGRTMIN, (union sigval){ .sival_int = sent + 1 }))
				sent++;
		snapshots += !snap_end(snap(target));
	}
	ok(sent > 0 && UNTIL(word[QUEUED] == sent), "each of %ld queued signals came once, in order, within %ld snapshots",
	   sent, snapshots);
	word[DONE] = 1;
	wait_word(DONE, 2);
	least = (word[BEFORE_NS] - word[STARTED_NS]) / PERIOD_NS;
	most = (word[AFTER_NS] - word[STARTING_NS]) / PERIOD_NS;
	ok(word[ALARMS] >= least - 1 && word[ALARMS] <= most + 1, "no SIGALRM was lost: %ld of %ld to %ld",
	   word[ALARMS], least, most);
	ok(snapshots >= 10, "%ld snapshots meanwhile", snapshots);
	end_target(target);
	word[DONE] = 0;
}
