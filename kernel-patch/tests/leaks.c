// SPDX-License-Identifier: GPL-2.0
/*
 * Very many snapshots, and what the system has of memory, tasks and pids before
 * and after. --snapshots=N (100000)
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/snap.h"

enum { READY = 1 };

struct level {
	long kernel_kib;	/* slab, page tables, stacks */
	long unexplained_kib;	/* not free, and not in any of the counters */
	long target_rss_kib, target_tables_kib;
	int tasks;
};

static void threaded(void *unused)
{
	(void)unused;
	memset(map_private(64 * PAGE), 1, 64 * PAGE);
	add_threads(3);
	word[READY] = 1;
	sleep_for_ever();
}

/* Free pages that a CPU keeps at hand: MemFree does not have them. */
static long kept_kib(void)
{
	char text[32768], *at;
	long pages = 0;

	if (slurp("/proc/zoneinfo", text, sizeof(text)) < 0)
		return 0;
	for (at = strstr(text, " count: "); at; at = strstr(at + 1, " count: "))
		pages += atol(at + 8);
	return pages * (long)PAGE / 1024;
}

static void measure(struct level *level, pid_t target)
{
	sync();
	write_text("/proc/sys/vm/drop_caches", "3");
	level->kernel_kib = meminfo("Slab:") + meminfo("PageTables:") + meminfo("KernelStack:") +
			    meminfo("VmallocUsed:");
	level->unexplained_kib = meminfo("MemTotal:") - meminfo("MemFree:") - meminfo("\nCached:") -
				 meminfo("Buffers:") - meminfo("AnonPages:") - kept_kib() -
				 level->kernel_kib;
	level->target_rss_kib = status_number(target, "VmRSS");
	level->target_tables_kib = status_number(target, "VmPTE");
	level->tasks = user_tasks();
}

/* One each: whether it came, and went as it must. */

static bool plain(pid_t target)
{
	return !snap_end(snap(target));
}

static bool with_figures(pid_t target)
{
	struct proc_snap_thread threads[8];
	struct proc_snap_args args;

	return !snap_end(snap_figures(target, &args, threads, 8));
}

/* One that is refused late must give back as much. */
static bool refused(pid_t target)
{
	struct proc_snap_args args;

	return snap_figures(target, &args, (void *)8, 8) == -EFAULT;
}

static long series(bool (*once)(pid_t target), pid_t target, long count)
{
	long n, done = 0;

	for (n = 0; n < count; n++)
		done += once(target);
	return done;
}

static bool over(const struct level *now, const struct level *before, long most_kib)
{
	return now->kernel_kib - before->kernel_kib > most_kib ||
	       now->unexplained_kib - before->unexplained_kib > most_kib;
}

/* What is freed after a grace period is given time. */
static void settle(struct level *level, pid_t target, const struct level *before, long most_kib)
{
	double end = now() + patience_s();

	for (;;) {
		measure(level, target);
		if (!over(level, before, most_kib) || now() > end)
			break;
		pause_ms(200);
	}
}

static void test(const char *name, pid_t target, long count, bool (*once)(pid_t target))
{
	struct level before, middle, after;
	/* of very many snapshots 64 bytes each would show, the system's own breathing does not */
	long half = count / 2, most_kib = 1024 + half / 24;
	double begun;

	series(once, target, 100 + count / 50);
	pause_ms(200);
	measure(&before, target);
	begun = now();
	is(series(once, target, half), half, "%s: %ld of %ld", name, half, half);
	settle(&middle, target, &before, most_kib);
	is(series(once, target, count - half), count - half, "%s: %ld more", name, count - half);
	settle(&after, target, &middle, most_kib);
	begun = now() - begun;
	/* a leak grows in both halves; what the system takes once is none */
	ok(!over(&middle, &before, most_kib) || !over(&after, &middle, most_kib),
	   "%s: no memory is lost", name);
	ok(UNTIL(user_tasks() == before.tasks), "%s: no task is left", name);
	is(children(getpid()), 1, "%s: no zombie is left", name);
	/* what was shared is the target's alone again */
	ok(after.target_rss_kib - before.target_rss_kib <= 16 && after.target_rss_kib > 0,
	   "%s: the target has not grown", name);
	ok(after.target_tables_kib == before.target_tables_kib, "%s: nor have its page tables", name);
	note("%s: %ld in %.1f s, %.0f us each; kernel %+ld and %+ld KiB, unexplained %+ld and %+ld KiB",
	     name, count, begun, begun * 1e6 / count, middle.kernel_kib - before.kernel_kib,
	     after.kernel_kib - middle.kernel_kib, middle.unexplained_kib - before.unexplained_kib,
	     after.unexplained_kib - middle.unexplained_kib);
}

int main(int argc, char **argv)
{
	long count;
	pid_t target;

	tap_begin(argc, argv);
	count = option("snapshots", 100000);
	target = spawn_program("tiny", NULL);
	if (target < 0)
		die("no program tiny");
	await_state(target, "S");
	/* in three parts: the smallest; with threads; refused when all was done */
	test("small", target, count * 85 / 100, plain);
	test("refused late", target, count * 10 / 100, refused);
	end_target(target);
	target = spawn(threaded, NULL);
	wait_word(READY, 1);
	UNTIL(threads_of(target) == 4);
	test("four threads", target, count * 5 / 100, with_figures);
	end_target(target);
	return tap_end();
}
