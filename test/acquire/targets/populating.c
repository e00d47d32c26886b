// SPDX-License-Identifier: MIT
/*
 * populating MIB: one thread computes; the other one is in mmap(2), with MAP_POPULATE, or munmap(2) of so much memory
 * nearly all the time, where nothing but its death interrupts it. Word 1 counts its turns.
 */
#include <pthread.h>
#include "target.h"

static void *compute(void *arg)
{
	for (volatile long turn = 0; ; turn++)
		;
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	size_t bytes;

	need(argc == 2, "populating MIB");
	bytes = atol(argv[1]) << 20;
	need(!pthread_create(&thread, NULL, compute, NULL), "pthread_create");
	for (;;) {
		void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		need(memory != MAP_FAILED && !munmap(memory, bytes), "mmap");
		add(1, 1);
		ready();
	}
}
