// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots of targets that change under them: two processes take them, of
 * targets that execute, exit, map, thread, fork and protect without pause. Each
 * is a whole duplicate or one of few errnos, and nothing is left over.
 * --seconds=N (60)
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/snap.h"

enum { STOP = 1, TURNS = 16, VICTIM = 32, TAKEN = 48, REFUSED = 64, WRONG = 80, ERRNOS = 96 };
#define SNAPPERS	2

static unsigned int seed;

static unsigned int chance(unsigned int below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % below;
}

/* --- targets; each counts its turns, so that a stuck one is seen --- */

static void executing(long me)
{
	char text[16] = { (char)('0' + me / 10), (char)('0' + me % 10) };
	char *argv[] = { OWN_PROGRAM, "--executed", text, NULL };
	char *none[] = { NULL };

	for (;;)
		execve(OWN_PROGRAM, argv, none);
}

static void exiting(long me)
{
	pid_t child;

	for (;;) {
		child = fork();
		if (child < 0)
			continue;
		if (!child) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			memset(map_private(8 * PAGE), 1, 8 * PAGE);
			if (me & 1)
				sched_yield();
			_exit(0);
		}
		word[VICTIM + me] = child;
		if (chance(2))
			kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		word[TURNS + me]++;
	}
}

/* Has no thread beside it. */
static bool alone(long me);

static void mapping(long me)
{
	char *maps[16] = { }, *moved;
	unsigned int i;

	for (;;) {
		i = chance(16);
		if (!maps[i]) {
			maps[i] = map_private(16 * PAGE);
			memset(maps[i], 1, 8 * PAGE);
		} else if (chance(2)) {
			munmap(maps[i], 16 * PAGE);
			maps[i] = NULL;
		} else {
			moved = mremap(maps[i], 16 * PAGE, 32 * PAGE, MREMAP_MAYMOVE);
			if (moved == MAP_FAILED)
				die("mremap");
			munmap(moved + 16 * PAGE, 16 * PAGE);
			maps[i] = moved;
		}
		/* where no other thread's malloc() is in between */
		if (alone(me) && (sbrk(4 * PAGE) == (void *)-1 || sbrk(-4 * PAGE) == (void *)-1))
			die("brk");
		word[TURNS + me]++;
	}
}

static void *brief(void *unused)
{
	return unused;
}

static void threading(long me)
{
	pthread_t threads[6];
	int i;

	for (;;) {
		for (i = 0; i < 6; i++)
			if (pthread_create(&threads[i], NULL, brief, NULL))
				die("pthread_create");
		for (i = 0; i < 6; i++)
			pthread_join(threads[i], NULL);
		word[TURNS + me]++;
	}
}

static void forking(long me)
{
	char *memory = map_private(64 * PAGE);
	pid_t child;

	for (;;) {
		memset(memory, (int)word[TURNS + me], 64 * PAGE);
		child = chance(4) ? fork() : vfork();
		if (!child)
			_exit(0);
		if (child > 0)
			waitpid(child, NULL, 0);
		word[TURNS + me]++;
	}
}

static void advising(long me)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTFORK, MADV_DOFORK,
		MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_MERGEABLE, MADV_UNMERGEABLE,
		20 /* COLD */, 21 /* PAGEOUT */, 23 /* POPULATE_WRITE */, 25 /* COLLAPSE */,
	};
	char *memory = map_aligned_huge(2 * HUGE_PAGE);
	size_t from;

	for (;;) {
		from = chance(256) * PAGE;
		memset(memory + from, 1, 16 * PAGE);
		madvise(memory + from, chance(256) * PAGE,
			advice[chance(ARRAY_SIZE(advice))]);
		word[TURNS + me]++;
	}
}

static void protecting(long me)
{
	char *memory = map_private(64 * PAGE);
	size_t from;

	for (;;) {
		from = chance(63);
		mprotect(memory + from * PAGE, (1 + chance(64 - from - 1)) * PAGE,
			 chance(2) ? PROT_READ : PROT_NONE);
		mprotect(memory, 64 * PAGE, PROT_READ | PROT_WRITE);
		memory[from * PAGE]++;
		word[TURNS + me]++;
	}
}

static void *thread_mapping(void *me)
{
	mapping((long)me);
	return NULL;
}

static void *thread_protecting(void *me)
{
	protecting((long)me);
	return NULL;
}

/* Several kinds at once, by threads of one process. */
static void mixing(long me)
{
	pthread_t thread;

	pthread_create(&thread, NULL, thread_mapping, (void *)me);
	pthread_create(&thread, NULL, thread_protecting, (void *)me);
	threading(me);
}

static const struct {
	const char *name;
	void (*run)(long);
	bool ends;	/* snapshots may come too late */
} kinds[] = {
	{ "exec", executing, false }, { "exit", exiting, true }, { "map", mapping, false },
	{ "threads", threading, false }, { "fork", forking, false }, { "madvise", advising, false },
	{ "mprotect", protecting, false }, { "mixed", mixing, false },
};
static bool alone(long me)
{
	return kinds[me].run == mapping;
}

#define KINDS	((long)ARRAY_SIZE(kinds))

static void begin_kind(void *kind)
{
	seed = (long)kind * 7919 + 1;
	kinds[(long)kind].run((long)kind);
}

/* --- who takes them --- */

static bool allowed(long kind, int error)
{
	/* gone, or about to; or a race with its own threads that the caller may repeat */
	return error == ESRCH ? kinds[kind].ends : error == EAGAIN && kind == 3;
}

static pid_t targets[16];

/* What is told of the threads is sound, however soon they have ended. */
static pid_t told(pid_t dup, const struct proc_snap_args *args, const struct proc_snap_thread *threads)
{
	unsigned int i;

	for (i = 0; dup > 0 && i < args->nr_threads && i < 32; i++)
		if (threads[i].target_tid <= 0 || threads[i].snap_tid <= 0 ||
		    (i == 0) != (threads[i].snap_tid == dup) || threads[i].target_tid == threads[i].snap_tid) {
			note("thread %u: target_tid %d, snap_tid %d of %d", i, threads[i].target_tid,
			     threads[i].snap_tid, dup);
			word[WRONG + 6]++;
		}
	return dup;
}

static void snapper(void *number)
{
	struct proc_snap_thread threads[32];
	struct proc_snap_args args;
	unsigned int i;
	long kind, at;
	pid_t pid, dup;

	seed = (long)number + 17;
	hurry();
	while (!word[STOP]) {
		kind = chance(KINDS);
		pid = kinds[kind].ends && word[VICTIM + kind] ? word[VICTIM + kind] : targets[kind];
		if (chance(2))
			dup = snap(pid);
		else
			dup = told(snap_figures(pid, &args, threads, 32), &args, threads);
		if (dup < 0) {
			__sync_fetch_and_add(&word[REFUSED + kind], 1);
			__sync_fetch_and_add(&word[ERRNOS - dup], 1);
			if (!allowed(kind, -dup)) {
				note("%s: errno %d", kinds[kind].name, -dup);
				word[WRONG]++;
			}
			continue;
		}
		/* it can be read, all of it that has a name */
		if (chance(16) == 0) {
			char text[256], maps[65536];
			long found = 0;

			if (slurp_of(dup, "maps", maps, sizeof(maps)) <= 0 ||
			    slurp_of(dup, "comm", text, sizeof(text)) <= 0 ||
			    sscanf(maps, "%lx-", &found) != 1) {
				note("%s: duplicate without maps or name", kinds[kind].name);
				word[WRONG + 1]++;
			} else if (read_memory(dup, (void *)found, text, 16) != 16) {
				note("%s: unreadable at %lx", kinds[kind].name, found);
				word[WRONG + 2]++;
			}
		}
		if (chance(16) == 0) {
			i = threads_of(dup);
			if (!i) {
				note("%s: %u threads", kinds[kind].name, i);
				word[WRONG + 3]++;
			}
		}
		if (snap_end(dup)) {
			note("%s: did not end as it must", kinds[kind].name);
			word[WRONG + 4]++;
		}
		__sync_fetch_and_add(&word[TAKEN + kind], 1);
	}
	at = children(getpid());
	if (at) {
		note("snapper %ld has %ld children left", (long)number, at);
		word[WRONG + 5]++;
	}
}

/* What executes again and again: its shared words go by an inherited descriptor. */
static int executed(const char *me)
{
	long kind = atol(me);

	word = mmap(NULL, WORDS * sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, 100, 0);
	if (word == MAP_FAILED)
		return 1;
	word[TURNS + kind]++;
	executing(kind);
	return 1;
}

static void share_by_descriptor(void)
{
	int fd = memfd_create("words", 0);

	if (fd < 0 || ftruncate(fd, WORDS * sizeof(long)) || dup2(fd, 100) != 100)
		die("memfd");
	close(fd);
	word = mmap(NULL, WORDS * sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, 100, 0);
	if (word == MAP_FAILED)
		die("mmap");
}

static bool all_taken(void)
{
	for (long kind = 0; kind < KINDS; kind++)
		if (!word[TAKEN + kind])
			return false;
	return true;
}

int main(int argc, char **argv)
{
	static long last[16];
	pid_t snappers[SNAPPERS];
	long kind, i, seconds, taken = 0, refused = 0, stuck = 0;
	int tasks_before;
	double end;

	if (argc == 3 && !strcmp(argv[1], "--executed"))
		return executed(argv[2]);
	tap_begin(argc, argv);
	share_by_descriptor();
	seconds = option("seconds", 60);
	tasks_before = user_tasks();

	for (kind = 0; kind < KINDS; kind++)
		targets[kind] = spawn(begin_kind, (void *)kind);
	for (kind = 0; kind < KINDS; kind++)
		if (!UNTIL(word[TURNS + kind] > 0))
			die("target %s does not turn", kinds[kind].name);
	for (i = 0; i < SNAPPERS; i++)
		snappers[i] = spawn(snapper, (void *)i);
	end = now() + seconds;
	/* In a guest that hardly gets to run, a few seconds are not enough for one of each. */
	while (now() < end || (now() < end + patience_s() && !all_taken())) {
		for (kind = 0; kind < KINDS; kind++)
			last[kind] = word[TURNS + kind];
		pause_ms(seconds < 10 ? 1000 : 5000);
		for (kind = 0; kind < KINDS; kind++)
			stuck += word[TURNS + kind] == last[kind] &&
				 !UNTIL(word[TURNS + kind] != last[kind]);
	}
	word[STOP] = 1;
	for (i = 0; i < SNAPPERS; i++) {
		int status;

		waitpid(snappers[i], &status, 0);
		is(status, 0, "snapper %ld ends well", i);
	}
	is(stuck, 0, "no target stood still in %ld s", seconds);
	for (kind = 0; kind < KINDS; kind++) {
		note("%s: %ld taken, %ld refused, %ld turns", kinds[kind].name, word[TAKEN + kind],
		     word[REFUSED + kind], word[TURNS + kind]);
		ok(word[TAKEN + kind] > 0,
		   "%s: snapshots succeed", kinds[kind].name);
		ok(targets[kind] == waitpid(targets[kind], NULL, WNOHANG) ? false : true,
		   "%s: the target lives", kinds[kind].name);
		taken += word[TAKEN + kind];
		refused += word[REFUSED + kind];
	}
	for (i = 1; i < 150; i++)
		if (word[ERRNOS + i])
			note("errno %ld: %ld times", i, word[ERRNOS + i]);
	is(word[WRONG], 0, "only allowed errnos");
	is(word[WRONG + 1], 0, "every duplicate has a name and maps");
	is(word[WRONG + 2], 0, "every duplicate can be read");
	is(word[WRONG + 3], 0, "every duplicate has threads");
	is(word[WRONG + 4], 0, "every duplicate ended by SIGKILL");
	is(word[WRONG + 5], 0, "no child was left");
	is(word[WRONG + 6], 0, "every thread has its pids");
	note("%ld snapshots, %ld refused, in %ld s", taken, refused, seconds);
	for (kind = 0; kind < KINDS; kind++)
		end_target(targets[kind]);
	ok(UNTIL(user_tasks() <= tasks_before), "no task is left over");
	return tap_end();
}
