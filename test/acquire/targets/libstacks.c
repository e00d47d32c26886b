// SPDX-License-Identifier: MIT
/* A library of stacks.c: a debugger has to find where it lies from the core alone. */
#include <pthread.h>

long library_value = 1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

void library_waits(long value);

void library_waits(long value)
{
	library_value = value;
	pthread_mutex_lock(&mutex);
	while (library_value == value)
		pthread_cond_wait(&never, &mutex);
	pthread_mutex_unlock(&mutex);
}
