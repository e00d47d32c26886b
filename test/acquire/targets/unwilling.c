// SPDX-License-Identifier: MIT
/*
 * unwilling THREADS: one thread computes; each of THREADS others reads 256 MiB of a memory file's holes in one call,
 * over and over, which nothing but its death interrupts. Word 1 counts their turns.
 */
#include <pthread.h>
#include <sys/uio.h>
#include "target.h"

#define PIECE	(1 << 20)
#define PIECES	256

static int file;

static void *read_holes(void *arg)
{
	struct iovec pieces[PIECES];
	char *room = malloc(PIECE);

	need(room, "malloc");
	for (int i = 0; i < PIECES; i++)
		pieces[i] = (struct iovec){ room, PIECE };
	for (;;) {
		need(preadv(file, pieces, PIECES, 0) == (ssize_t)PIECE * PIECES, "preadv");
		add(1, 1);
		ready();
	}
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	need(argc == 2, "unwilling THREADS");
	file = memfd_create("holes", 0);
	need(file >= 0 && !ftruncate(file, (off_t)PIECE * PIECES), "memfd_create");
	for (int i = 0; i < atoi(argv[1]); i++)
		need(!pthread_create(&thread, NULL, read_holes, NULL), "pthread_create");
	for (volatile long turn = 0; ; turn++)
		;
}
