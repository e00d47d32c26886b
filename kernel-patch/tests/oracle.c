// SPDX-License-Identifier: GPL-2.0
/*
 * Is a duplicate of one moment? Threads write counters in several pages such
 * that at every instant certain relations hold:
 *  - each thread writes the same number to its pages, first to last, then the
 *    next: read in that order they never rise, and first - last is 0 or 1;
 *  - the threads hand a number round, each writing it to its own page before it
 *    hands it on: what each page holds follows from the number.
 * The same check of the living target, read page by page, must find tearing:
 * else this would show nothing.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/snap.h"

#define PAGES		8	/* of each thread */
#define THREADS_MOST	4
#define COLLAPSE	25	/* MADV_COLLAPSE */
enum { READY = 1, ROUNDS };

struct layout {
	int threads;
	bool huge;
	char *start;
	size_t distance;	/* between two pages */
};

static struct layout layout;

/* Each thread's pages, then one page per thread that it hands on by, then the number. */
static int slots(void)
{
	return layout.threads * (PAGES + 1) + 1;
}

static long *slot(int index)
{
	return (long *)(layout.start + index * layout.distance);
}

static long *page_of(int thread, int page)
{
	/* neighbours are other threads': a copy walks over all of them in turn */
	return slot(page * layout.threads + thread);
}

static long *handed_by(int thread)
{
	return slot(layout.threads * PAGES + thread);
}

static long *number(void)
{
	return slot(layout.threads * (PAGES + 1));
}

static void *write_for_ever(void *argument)
{
	long me = (long)argument, generation, value;
	int page;

	on_cpu(me);
	__sync_fetch_and_add(&word[READY], 1);
	for (generation = 1;; generation++) {
		for (page = 0; page < PAGES; page++)
			__atomic_store_n(page_of(me, page), generation, __ATOMIC_RELEASE);
		value = __atomic_load_n(number(), __ATOMIC_ACQUIRE);
		if (value % layout.threads == me) {
			__atomic_store_n(handed_by(me), value + 1, __ATOMIC_RELEASE);
			__atomic_store_n(number(), value + 1, __ATOMIC_RELEASE);
			/* where there is one CPU, the next has to get it */
			if (value % 64 == 0)
				sched_yield();
		}
		if (!me)
			word[ROUNDS] = generation;
	}
	return NULL;
}

static void writers(void *unused)
{
	pthread_t thread;
	long i;

	(void)unused;
	for (i = 0; i < slots(); i++)
		*slot(i) = 0;
	if (layout.huge)
		madvise(layout.start, 2 * HUGE_PAGE, COLLAPSE);
	for (i = 1; i < layout.threads; i++)
		pthread_create(&thread, NULL, write_for_ever, (void *)i);
	write_for_ever(0);
}

/* How the counters contradict each other; 0 if they are of one moment. */
static int torn(const long *values)
{
	int thread, page, back, found = 0;
	const long *handed = values + layout.threads * PAGES;
	long value = values[layout.threads * (PAGES + 1)], own, due;

	for (thread = 0; thread < layout.threads; thread++) {
		for (page = 1; page < PAGES; page++)
			found += values[(page - 1) * layout.threads + thread] <
				 values[page * layout.threads + thread];
		own = values[thread] - values[(PAGES - 1) * layout.threads + thread];
		found += own < 0 || own > 1;
	}
	/* whoever handed on number k last wrote k + 1; the next holder may have written already */
	for (back = 1; back <= layout.threads && back <= value; back++) {
		due = value - back + 1;
		own = handed[(value - back) % layout.threads];
		found += own != due && !(back == layout.threads && own == value + 1);
	}
	return found;
}

static void read_copy(pid_t pid, long *values, bool with_pauses)
{
	struct iovec local[THREADS_MOST * (PAGES + 1) + 1], remote[THREADS_MOST * (PAGES + 1) + 1];
	int i, count = slots();

	for (i = 0; i < count; i++) {
		local[i] = (struct iovec){ values + i, sizeof(long) };
		remote[i] = (struct iovec){ slot(i), sizeof(long) };
	}
	if (!with_pauses) {
		if (process_vm_readv(pid, local, count, remote, count, 0) != count * (long)sizeof(long))
			die("cannot read process %d", pid);
		return;
	}
	/* as a reader that is not alone on its CPU may be stopped anywhere */
	for (i = 0; i < count; i++) {
		if (process_vm_readv(pid, local + i, 1, remote + i, 1, 0) != sizeof(long))
			die("cannot read process %d", pid);
		if (i % 7 == 3)
			sched_yield();
	}
}

static long pages_huge(pid_t target)
{
	return smaps_kib(target, "AnonHugePages", layout.start) / 2048;
}

static void collapse(pid_t target, int fd)
{
	struct iovec all = { layout.start, 2 * HUGE_PAGE };

	(void)target;
	syscall(SYS_process_madvise, fd, &all, 1, COLLAPSE, 0);
}

static long test(int threads, bool huge, long snapshots)
{
	long values[THREADS_MOST * (PAGES + 1) + 1], last = -1, moved = 0, bad = 0, found_torn = 0;
	const char *kind = huge ? "THP" : "4 KiB pages";
	long were_huge = 0, n, rounds, live, live_torn = 0;
	pid_t target, dup;
	double begun, end;
	int fd;

	layout.threads = threads;
	layout.huge = huge;
	layout.start = map_aligned_huge(2 * HUGE_PAGE);
	/* in 4 KiB pages: each in a page of its own; in huge ones: spread over two */
	layout.distance = huge ? 2 * HUGE_PAGE / 64 : PAGE;
	madvise(layout.start, 2 * HUGE_PAGE, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	word[READY] = word[ROUNDS] = 0;
	target = spawn(writers, NULL);
	wait_word(READY, threads);
	fd = syscall(SYS_pidfd_open, target, 0);
	pause_ms(50);

	begun = now();
	for (n = 0; n < snapshots; n++) {
		/* the write after a snapshot has split them */
		if (huge && n % 4 == 0)
			collapse(target, fd);
		if (huge && n % 16 == 0)
			were_huge += pages_huge(target) > 0;
		dup = snap(target);
		if (dup < 0)
			die("no duplicate: %d", dup);
		read_copy(dup, values, n & 1);
		found_torn += torn(values) != 0;
		moved += values[0] != last;
		last = values[0];
		bad += snap_end(dup) != 0;
	}
	is(found_torn, 0, "%d threads, %s: none of %ld duplicates is torn", threads, kind, snapshots);
	is(bad, 0, "%d threads, %s: all ended", threads, kind);
	ok(moved > snapshots / 10, "%d threads, %s: the writers ran between them (%ld rounds)", threads, kind, word[ROUNDS]);
	if (huge)
		ok(were_huge > 0, "%d threads: pages were huge in %ld of %ld looks", threads, were_huge,
		   (snapshots + 15) / 16);
	note("%d threads, %s: %ld snapshots, %ld torn, %.0f us each", threads, kind, snapshots, found_torn,
	     (now() - begun) * 1e6 / snapshots);

	rounds = word[ROUNDS];
	end = now() + patience_s();
	for (live = 0; live < 20000 && now() < end && (live < 200 || live_torn < 10); live++) {
		read_copy(target, values, true);
		live_torn += torn(values) != 0;
	}
	ok(live_torn > 0, "control, %d threads, %s: the living target is seen torn", threads, kind);
	note("control, %d threads, %s: %ld of %ld reads of the living target torn", threads, kind, live_torn, live);
	ok(UNTIL(word[ROUNDS] > rounds), "%d threads, %s: the target goes on", threads, kind);
	close(fd);
	end_target(target);
	return snapshots;
}

int main(int argc, char **argv)
{
	long snapshots;

	tap_begin(argc, argv);
	hurry();
	/* the target's first thread has another one, if there is one */
	on_cpu(-1);
	snapshots = option("snapshots", 1000);
	test(2, false, snapshots);
	test(4, false, snapshots);
	test(2, true, 8 + snapshots / 40);
	test(4, true, 8 + snapshots / 40);
	return tap_end();
}
