// SPDX-License-Identifier: MIT
/* Kinds that get signals without end, numbered: none is lost, none comes twice, none comes from elsewhere. */
#include "kinds.h"

#define NUMBERED	(SIGRTMIN + 3)

/* In the page: how many were sent, and how many came. */
#define SENT		page->state[0]
#define CAME		page->state[1]

static pid_t sender;
/* When the last number came: one that is lost is lost between two that come. */
static uint64_t rival_then;

/*
 * Its rate gives way to the receiver: at most 20 are under way. Numbers are
 * blocked until the receiver knows its sender: the first may come before fork()
 * has returned.
 */
static void start_sender(void)
{
	pid_t receiver = self;
	sigset_t numbered, before;

	SENT = CAME = 0;
	rival_then = rival();
	sigemptyset(&numbered);
	sigaddset(&numbered, NUMBERED);
	sigprocmask(SIG_BLOCK, &numbered, &before);
	sender = fork();
	need(sender >= 0, "fork");
	if (sender) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		return;
	}
	born();
	for (;;) {
		union sigval value = { .sival_int = SENT + 1 };

		if (SENT - __atomic_load_n(&CAME, __ATOMIC_ACQUIRE) < 20 && !sigqueue(receiver, NUMBERED, value))
			__atomic_add_fetch(&SENT, 1, __ATOMIC_RELEASE);
		else
			nap_ms(5);
		/* Bursts, and pauses in which the receiver is asleep for long. */
		if (draw(10) < 5)
			nap_ms(2 + draw(12));
	}
}

static void take_number(const siginfo_t *info)
{
	if (info->si_code != SI_QUEUE || info->si_pid != sender)
		harm("a signal came that nobody sent");
	else if ((uint64_t)info->si_value.sival_int <= CAME)
		harm("a signal came twice");
	else if ((uint64_t)info->si_value.sival_int != CAME + 1)
		lost(rival_then, "a signal was lost");
	rival_then = rival();
	if (info->si_code == SI_QUEUE && info->si_pid == sender)
		__atomic_store_n(&CAME, info->si_value.sival_int, __ATOMIC_RELEASE);
}

static void handler(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	take_number(info);
}

static void stray(int sig)
{
	(void)sig;
	harm("a signal came that nobody sent");
}

/* All came that were sent, after at most ten seconds of patience. */
static void check_last(void)
{
	uint64_t sent = __atomic_load_n(&SENT, __ATOMIC_ACQUIRE), before = excuse();

	for (int64_t began_ns = now_ns(); CAME < sent; nap_ms(1))
		if (now_ns() - began_ns > 10 * SECOND_NS) {
			HARM_UNLESS_EXCUSED(before, "a signal does not come");
			CAME = sent;
		}
}

static void storm(const char *argument)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigaction other = { .sa_handler = stray };
	sigset_t mask, now;

	(void)argument;
	need(!sigaction(NUMBERED, &action, NULL), "sigaction");
	for (int sig = SIGRTMIN; sig < SIGRTMIN + 3; sig++)
		sigaction(sig, &other, NULL);
	sigaction(SIGUSR1, &other, NULL);
	sigaction(SIGCHLD, &other, NULL);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	start_sender();
	ready();
	for (;; turn()) {
		switch (draw(3)) {
		case 0:
			for (int64_t until = now_ns() + MS_NS; now_ns() < until;)
				;
			break;
		case 1:
			nap_ms(10);
			break;
		default:
			check_last();
		}
		sigprocmask(SIG_BLOCK, NULL, &now);
		if (memcmp(&mask, &now, 8))
			harm("the signal mask changed");
	}
}

/* By sigwaitinfo and sigtimedwait: blocked in between. */
static void waits(const char *argument)
{
	sigset_t set, now;

	(void)argument;
	sigemptyset(&set);
	sigaddset(&set, NUMBERED);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	start_sender();
	ready();
	for (;; turn()) {
		const struct timespec time = { .tv_nsec = (1 + draw(20)) * MS_NS };
		uint64_t before = excuse();
		siginfo_t info = { 0 };
		int got = draw(2) ? sigtimedwait(&set, &info, &time) : sigwaitinfo(&set, &info);

		if (got < 0 && errno == EINTR)
			HARM_UNLESS_EXCUSED(before, "sigtimedwait returned EINTR");
		else if (got < 0 && errno != EAGAIN)
			harm("sigtimedwait failed: %s", strerror(errno));
		else if (got >= 0)
			take_number(&info);
		sigprocmask(SIG_BLOCK, NULL, &now);
		if (memcmp(&set, &now, 8))
			harm("the signal mask changed");
	}
}

/* An interval timer's handler cuts off pauses: EINTR is right here, and only after a signal. */
static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms = alarms + 1;
}

static void alarmed(const char *argument)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	timer_t timer;
	sigset_t block, open;

	(void)argument;
	sigaction(SIGALRM, &action, NULL);
	need(!timer_create(CLOCK_MONOTONIC, &event, &timer), "timer_create");
	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	sigprocmask(SIG_BLOCK, &block, &open);
	ready();
	for (;; turn()) {
		struct itimerspec time = { .it_value.tv_nsec = (1 + draw(20)) * MS_NS };
		int64_t began_ns = now_ns();
		uint64_t before = excuse();
		int seen = alarms;

		need(!timer_settime(timer, 0, &time, NULL), "timer_settime");
		if (sigsuspend(&open) != -1 || errno != EINTR)
			harm("sigsuspend did not return EINTR");
		if (alarms != seen + 1)
			HARM_UNLESS_EXCUSED(
				before, alarms == seen ? "sigsuspend returned, and no handler ran" : "a handler ran twice");
		check_time("a timer's signal", began_ns, time.it_value.tv_nsec, before);
	}
}

const struct kind signal_kinds[] = { { "signal-storm", storm }, { "signal-wait", waits }, { "alarms", alarmed },
	{ 0 } };
