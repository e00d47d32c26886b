// SPDX-License-Identifier: MIT
/* Kinds of many threads: they come, go, wait for each other, and each keeps what is its own. */
#include <linux/futex.h>
#include <pthread.h>
#include <sys/epoll.h>
#include "kinds.h"

#define THREADS	50

static __thread uint64_t own;

static void *one(void *arg)
{
	uint64_t number = (uintptr_t)arg;
	struct timespec nap = { .tv_nsec = (10 + number % 100) * MS_NS };
	uint64_t before = excuse();

	own = number;
	if (checked_call("nanosleep in a thread", SYS_nanosleep, (long)&nap, 0, 3, 4, 5, number))
		HARM_UNLESS_EXCUSED(before, "a thread's nanosleep failed");
	if (own != number)
		harm("a thread's own variable changed");
	return (void *)(uintptr_t)~number;
}

static void churn(const char *argument)
{
	pthread_t threads[THREADS];
	uint64_t number[THREADS], next = 1;
	pthread_attr_t attributes;

	(void)argument;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 << 10);
	for (int i = 0; i < THREADS; i++) {
		number[i] = next++;
		need(!pthread_create(&threads[i], &attributes, one, (void *)(uintptr_t)number[i]), "pthread_create");
	}
	ready();
	for (int i = 0;; i = (i + 1) % THREADS) {
		void *result = NULL;
		int err = pthread_join(threads[i], &result);

		if (err)
			harm("pthread_join: %s", strerror(err));
		else if ((uint64_t)(uintptr_t)result != ~number[i])
			harm("a thread's result is another's");
		number[i] = next++;
		err = pthread_create(&threads[i], &attributes, one, (void *)(uintptr_t)number[i]);
		if (err) {
			harm("pthread_create: %s", strerror(err));
			_exit(6);
		}
		if (!i)
			turn();
		nap_ms(4);
	}
}

/* Four that take turns, by a mutex and a condition with a timeout that is never due. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int whose;
static uint64_t rounds;

static void *takes_turns(void *arg)
{
	int me = (intptr_t)arg;

	for (;;) {
		pthread_mutex_lock(&mutex);
		while (whose != me) {
			uint64_t before = excuse();
			struct timespec until;

			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_sec += 30;
			if (pthread_cond_timedwait(&condition, &mutex, &until))
				HARM_UNLESS_EXCUSED(before, "a condition was not signalled, or its wait failed");
		}
		whose = (me + 1) % 4;
		if (!(++rounds % 10)) {
			turn();
			nap_ms(15);
		}
		pthread_cond_broadcast(&condition);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void turns(const char *argument)
{
	pthread_t thread;

	(void)argument;
	for (intptr_t i = 1; i < 4; i++)
		need(!pthread_create(&thread, NULL, takes_turns, (void *)i), "pthread_create");
	ready();
	takes_turns(NULL);
}

/* Many that wait, each in its way, for a while or for ever. */
#define CROWD	150

static void *waits(void *arg)
{
	uint64_t number = (uintptr_t)arg;
	int epoll = epoll_create1(EPOLL_CLOEXEC), word = 0;
	struct epoll_event event;

	for (;;) {
		int64_t asked_ns = (200 + 37 * number % 1800) * MS_NS, began_ns = now_ns();
		struct timespec time = { asked_ns / SECOND_NS, asked_ns % SECOND_NS };
		uint64_t before = excuse();
		const char *call = "epoll_pwait2 in a crowd";
		long result, expected = 0;

		switch (number % 3) {
		case 0:
			result = checked_call(call, SYS_epoll_pwait2, epoll, (long)&event, 1, (long)&time, 0, 8);
			break;
		case 1:
			call = "FUTEX_WAIT in a crowd";
			result = checked_call(call, SYS_futex, (long)&word, FUTEX_WAIT_PRIVATE, 0, (long)&time, 5, 6);
			expected = -ETIMEDOUT;
			break;
		default:
			call = "nanosleep in a crowd";
			result = checked_call(call, SYS_nanosleep, (long)&time, 0, 3, 4, 5, 6);
		}
		if (result != expected)
			HARM_UNLESS_EXCUSED(before, "%s returned %s instead of %s", call, result ? strerror(-result) : "0",
				expected ? strerror(-expected) : "0");
		check_time(call, began_ns, asked_ns, before);
		turn();
	}
	return NULL;
}

static void crowd(const char *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;

	(void)argument;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 << 10);
	for (intptr_t i = 1; i < CROWD; i++)
		need(!pthread_create(&thread, &attributes, waits, (void *)i), "pthread_create");
	ready();
	waits(NULL);
}

const struct kind thread_kinds[] = { { "crowd", crowd }, { "threads", churn }, { "condition", turns }, { 0 } };
