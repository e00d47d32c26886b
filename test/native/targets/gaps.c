// SPDX-License-Identifier: MIT
/*
 * gaps MODE [COUNT]: one thread looks at the clock all the time, and notes how
 * long it did not get to; the first one, but in `vforks`. Words: 1 looks, 3 the longest gap since the test
 * set it to 0, of CLOCK_MONOTONIC_RAW; its begin is 4, its end 5; 6 signals.
 *   vfork	a second thread (tid: word 7) is in vfork() until word 2 is set
 *   vforks	the first goes from one vfork() of 0.18 s into the next, after up to
 *		0.6 ms: who has seen it outside of one finds it in the next
 *   idle COUNT	COUNT threads wait; the first has a real-time priority if it may
 *		(word 8 is 1), so that nobody else keeps it from its CPU
 *   alarms COUNT	the same, and SIGALRM every 2 ms
 */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include "target.h"

static int64_t raw_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void *vfork_once(void *arg)
{
	word[7] = gettid();
	if (!vfork()) {
		while (!word[2])
			usleep(1000);
		_exit(0);
	}
	for (;;)
		pause();
	return arg;
}

static void vfork_often(void)
{
	unsigned int seed = gettid();

	word[7] = gettid();
	for (;;) {
		if (!vfork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			usleep(180000);
			_exit(0);
		}
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		usleep(rand_r(&seed) % 600);
	}
}

static void *idle(void *arg)
{
	int epoll = epoll_create1(0);
	struct epoll_event event;
	sigset_t alarm;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	for (;;)
		epoll_wait(epoll, &event, 1, -1);
	return arg;
}

static void on_alarm(int sig)
{
	(void)sig;
	add(6, 1);
}

static void look_on(bool is_vfork)
{
	int64_t last, now;

	for (last = raw_ns();; last = now) {
		/* Asleep half of the time: what never sleeps is throttled. */
		while (!is_vfork && raw_ns() - last < 200000)
			;
		usleep(is_vfork ? 500 : 200);
		now = raw_ns();
		if (now - last > word[3]) {
			word[4] = last;
			word[5] = now;
			word[3] = now - last;
		}
		add(1, 1);
	}
}

static void *look_on_beside(void *arg)
{
	look_on(true);
	return arg;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	const struct itimerval often = { { 0, 2000 }, { 0, 2000 } };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct sched_param urgent = { .sched_priority = 20 };
	bool is_vfork = !strcmp(mode, "vfork") || !strcmp(mode, "vforks");
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 32 << 10);
	if (!strcmp(mode, "vfork"))
		need(!pthread_create(&thread, NULL, vfork_once, NULL), "pthread_create");
	else if (!is_vfork)
		for (int i = atoi(argv[2]); i > 1; i--)
			need(!pthread_create(&thread, &small, idle, NULL), "pthread_create");
	if (!is_vfork)
		word[8] = !sched_setscheduler(0, SCHED_FIFO, &urgent);
	sigaction(SIGALRM, &action, NULL);
	if (!strcmp(mode, "alarms"))
		setitimer(ITIMER_REAL, &often, NULL);
	ready();
	if (strcmp(mode, "vforks"))
		look_on(is_vfork);
	need(!pthread_create(&thread, NULL, look_on_beside, NULL), "pthread_create");
	vfork_often();
}
