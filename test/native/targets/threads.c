// SPDX-License-Identifier: MIT
/*
 * threads COUNT [churn]: COUNT threads, the first one included, that make
 * turns (turns.h) without end; the first one spins, the others sleep in each
 * turn. With "churn" there are two more, each of which has threads that make
 * some turns and end, one after the other.
 * Words: 1 address of struct turns [2 words: 2 its size, 3 how many], 4 address
 * of the turns of all, 5 of those of each, 6 and 7 begin and end of the loop,
 * 8 AVX, 9 threads that came and went.
 */
#include <pthread.h>
#include "turns.h"

#define ROOM	64
#define PAGE	4096

static struct turns room[ROOM];
/* The common count and the single ones lie far apart, and what lies between is copied in between. */
static struct {
	uint64_t total __attribute__((aligned(PAGE)));
	uint8_t	between[8 << 20];
	uint64_t own[ROOM] __attribute__((aligned(PAGE)));
} counts;
static const struct timespec nap = { .tv_nsec = 1000000 };
static int room_used;

static void prepare(int index, bool sleeps)
{
	struct turns *turns = &room[index];

	set_turns(turns, index);
	turns->total = &counts.total;
	turns->own = &counts.own[index];
	if (sleeps) {
		turns->call = SYS_nanosleep;
		turns->argument[0] = (long)&nap;
	}
}

static void *steady(void *arg)
{
	struct turns *self = arg;

	self->tid = gettid();
	for (;;)
		turns(self, ~0ULL);
	return NULL;
}

static void *brief(void *arg)
{
	turns(arg, 5000);
	return NULL;
}

static void *parent(void *arg)
{
	struct turns *first = arg;
	pthread_t thread[2];

	for (;;) {
		for (int i = 0; i < 2; i++)
			need(!pthread_create(&thread[i], NULL, brief, first + i), "pthread_create");
		for (int i = 0; i < 2; i++)
			pthread_join(thread[i], NULL);
		add(9, 2);
	}
	return arg;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1;
	bool churn = argc > 2;
	pthread_t thread;
	pthread_attr_t small;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	memset(counts.between, 1, sizeof(counts.between));
	for (room_used = 0; room_used < count; room_used++)
		prepare(room_used, room_used > 0);
	for (int i = 0; churn && i < 4; i++)
		prepare(room_used++, false);
	for (int i = 1; i < count; i++)
		need(!pthread_create(&thread, &small, steady, &room[i]), "pthread_create");
	for (int i = count; i < room_used; i += 2)
		need(!pthread_create(&thread, NULL, parent, &room[i]), "pthread_create");
	word[1] = (long)room;
	word[2] = sizeof(*room);
	word[3] = room_used;
	word[4] = (long)&counts.total;
	word[5] = (long)counts.own;
	word[6] = (long)turns_loop;
	word[7] = (long)turns_end;
	word[8] = room[0].avx;
	ready();
	steady(&room[0]);
}
