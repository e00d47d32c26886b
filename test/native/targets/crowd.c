// SPDX-License-Identifier: MIT
/* crowd COUNT: COUNT threads, all but the first one in pause(). Word 1 counts turns of the first. */
#include <limits.h>
#include <pthread.h>
#include "target.h"

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1, err;
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 16 << 10);
	pthread_attr_setguardsize(&small, 0);
	for (int i = 1; i < count; i++) {
		err = pthread_create(&thread, &small, wait_for_ever, NULL);
		if (err) {
			printf("only %d threads can be made: %s\n", i, strerror(err));
			exit(3);
		}
	}
	ready();
	while (!usleep(500))
		add(1, 1);
}
