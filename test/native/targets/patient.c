// SPDX-License-Identifier: MIT
/*
 * patient COUNT MS: COUNT threads wait in epoll_wait() for MS milliseconds, once.
 * Words: 1 how many wait, 2 how many have returned, 3 how many took more than 1.5
 * of their time.
 */
#include <pthread.h>
#include <sys/epoll.h>
#include "target.h"

static int milliseconds;

static void *wait_once(void *arg)
{
	int poll = epoll_create1(0);
	struct epoll_event event;
	int64_t start = now_ns();

	add(1, 1);
	need(!epoll_wait(poll, &event, 1, milliseconds), "epoll_wait");
	start = now_ns() - start;
	add(3, start > milliseconds * 1500000LL);
	add(2, 1);
	return arg;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1;
	pthread_attr_t small;
	pthread_t thread;

	milliseconds = argc > 2 ? atoi(argv[2]) : 1000;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 16 << 10);
	for (int i = 0; i < count; i++)
		need(!pthread_create(&thread, &small, wait_once, NULL), "pthread_create");
	while (word[1] < count)
		usleep(1000);
	ready();
	for (;;)
		pause();
}
