// SPDX-License-Identifier: MIT
/*
 * vforking [threads]: is inside vfork() until word 2 is set; then counts in word 1.
 * With an argument there is a second thread that waits in epoll_wait(): word 3
 * counts what it got instead of an event (-EINTR is an error).
 */
#include <pthread.h>
#include <sys/epoll.h>
#include "target.h"

static void *wait_for_event(void *arg)
{
	int epoll = epoll_create1(0);
	struct epoll_event event;

	while (epoll_wait(epoll, &event, 1, -1) <= 0)
		add(3, 1);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	pid_t child;

	(void)argv;
	if (argc > 1)
		need(!pthread_create(&thread, NULL, wait_for_event, NULL), "pthread_create");
	ready();
	child = vfork();
	if (!child) {
		while (!word[2])
			usleep(1000);
		_exit(7);
	}
	for (int status = 0;;) {
		if (waitpid(child, &status, 0) == child)
			word[4] = WEXITSTATUS(status);
		add(1, 1);
		usleep(500);
	}
}
