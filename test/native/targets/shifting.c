// SPDX-License-Identifier: MIT
/*
 * shifting THREADS COLD_PAGES [SEED]: each thread does one thing after the other
 * to memory of its own, as a random sequence that shifting.ts knows, too, tells,
 * and counts: so in a copy as of one moment each byte is as the count says.
 * Pages are written to, by the program and by the kernel, given up, unmapped and
 * mapped again, moved to another address and back.
 *
 * Each thread says, in hexadecimal: its seed, and the addresses COUNTER HOT COLD SLOTS OTHER.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096UL
#define HOT_PAGES	16
#define SLOTS		16
#define SLOT_PAGES	4
#define SLOT_ROOM	(8 * PAGE)	/* no two slots are neighbours, which the kernel would merge */

/* What is done, of 1,000: the rest is writing to hot pages. shifting.ts has the same. */
#define COLD		150
#define BY_KERNEL	170		/* read(2) from a pipe */
#define BY_OTHERS	172		/* process_vm_writev(2) */
#define GIVE_UP		176		/* MADV_DONTNEED of a cold page */
#define UNMAP		178		/* a slot, and map it anew, in one call */
#define FILL		190		/* a page of a slot */
#define MOVE		192		/* a slot */
#define FORK		193

static long *word;			/* [0] ready, [1] turns of all */
static long cold_pages;
static pthread_mutex_t saying = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t all_mapped;

static void *map_at(void *address, size_t bytes)
{
	void *got = mmap(address, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | (address ? MAP_FIXED : 0), -1, 0);

	if (got == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return got;
}

static uint32_t next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Any word of a page: a copy that has one half of it older than the other is seen. */
static char *word_of(char *page, uint32_t where)
{
	return page + (where >> 20) % (PAGE / sizeof(uint64_t)) * sizeof(uint64_t);
}

static void write_by(uint32_t how, char *at, uint64_t value, const int *pipe_ends)
{
	/* What was read may be in a CPU's translations as it was: the kernel writes past them. */
	uint64_t seen = *(volatile uint64_t *)at;
	struct iovec from = { &value, sizeof(value) }, to = { at, sizeof(value) };

	if (seen > value)
		exit(6);
	if (how < BY_KERNEL) {
		if (write(pipe_ends[1], &value, sizeof(value)) != sizeof(value) ||
		    read(pipe_ends[0], at, sizeof(value)) != sizeof(value))
			exit(2);
	} else if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) != sizeof(value)) {
		exit(3);
	}
}

static void *work(void *arg)
{
	uint32_t state = (uintptr_t)arg;
	volatile uint64_t *counter = map_at(NULL, PAGE);
	char *hot = map_at(NULL, HOT_PAGES * PAGE), *cold = map_at(NULL, cold_pages * PAGE);
	char *slots = map_at(NULL, SLOTS * SLOT_ROOM), *other = map_at(NULL, SLOTS * SLOT_ROOM);
	bool moved[SLOTS] = { 0 };
	int pipe_ends[2];

	if (pipe(pipe_ends))
		exit(4);
	for (long page = 0; page < cold_pages; page++)
		*(volatile uint64_t *)(cold + page * PAGE) = 0;
	/* Nobody else maps anything there. */
	mprotect(slots, SLOTS * SLOT_ROOM, PROT_NONE);
	mprotect(other, SLOTS * SLOT_ROOM, PROT_NONE);
	for (int slot = 0; slot < SLOTS; slot++)
		map_at(slots + slot * SLOT_ROOM, SLOT_PAGES * PAGE);
	pthread_mutex_lock(&saying);
	printf("%lx %lx %lx %lx %lx %lx\n", (long)arg, (long)counter, (long)hot, (long)cold, (long)slots, (long)other);
	fflush(stdout);
	pthread_mutex_unlock(&saying);
	/* What is moved leaves a hole, where nobody else may map anything. */
	pthread_barrier_wait(&all_mapped);
	for (uint64_t count = 1;; count++) {
		uint32_t what = next(&state) % 1000, where = next(&state);
		int slot = where % SLOTS;
		char *at = (moved[slot] ? other : slots) + slot * SLOT_ROOM;

		if (what < COLD)
			*(volatile uint64_t *)word_of(cold + where % cold_pages * PAGE, where) = count;
		else if (what < BY_OTHERS)
			write_by(what, word_of(cold + where % cold_pages * PAGE, where), count, pipe_ends);
		else if (what < GIVE_UP)
			madvise(cold + where % cold_pages * PAGE, PAGE, MADV_DONTNEED);
		else if (what < UNMAP) {
			map_at(at, SLOT_PAGES * PAGE);
		} else if (what < FILL) {
			*(volatile uint64_t *)word_of(at + (where >> 8) % SLOT_PAGES * PAGE, where) = count;
		} else if (what < MOVE && count % 16 == 0) {
			char *to = (moved[slot] ? slots : other) + slot * SLOT_ROOM;

			if (mremap(at, SLOT_PAGES * PAGE, SLOT_PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED)
				exit(5);
			moved[slot] = !moved[slot];
		} else if (what < FORK && count % 64 == 0) {
			pid_t child = fork();

			if (!child)
				_exit(0);
			waitpid(child, NULL, 0);
		} else
			*(volatile uint64_t *)word_of(hot + where % HOT_PAGES * PAGE, where) = count;
		*counter = count;
		__atomic_fetch_add(&word[1], 1, __ATOMIC_RELAXED);
		if (count % 32 == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc > 2 ? atoi(argv[1]) : 0;
	long first_seed = argc > 3 ? atol(argv[3]) : 1;
	pthread_t thread;

	cold_pages = argc > 2 ? atol(argv[2]) : 0;
	if (threads < 1 || cold_pages < 1 || first_seed < 1) {
		fprintf(stderr, "usage: shifting THREADS COLD_PAGES [SEED]\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* who started it may be killed, and it never ends by itself */
	word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
	pthread_barrier_init(&all_mapped, NULL, threads);
	for (int i = 0; i < threads; i++)
		if (pthread_create(&thread, NULL, work, (void *)(first_seed + i)))
			return 1;
	while (__atomic_load_n(&word[1], __ATOMIC_RELAXED) < threads)
		usleep(1000);
	word[0] = 1;
	for (;;)
		pause();
}
