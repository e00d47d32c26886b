// SPDX-License-Identifier: GPL-2.0
/*
 * Short of memory while the copy is made, with caller and target in one memory
 * cgroup: the caller is killed for it, at once, and never the target.
 * --rounds=N (8)
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/snap.h"

#define GROUP	"snap-shortage"
#define TABLES	6000
#define ROOM	(256 * 1024L)
enum { READY = 1, ENTERED, GO, RESULT, TURNS };

/* Larger by far than any caller. */
static void large(void *unused)
{
	(void)unused;
	if (!cgroup_enter(GROUP, getpid()))
		die("cannot enter %s", GROUP);
	map_sparse(TABLES);
	word[READY] = 1;
	for (;; word[TURNS]++)
		pause_ms(1);
}

static void *other_call(void *target)
{
	pid_t dup = snap((long)target);

	if (dup > 0)
		snap_end(dup);
	return NULL;
}

static void caller(void *target)
{
	pthread_t thread;
	pid_t dup;

	if (!cgroup_enter(GROUP, getpid()))
		die("cannot enter %s", GROUP);
	while (!word[GO]) {
		pause_ms(1);
		word[ENTERED]++;
	}
	/* Two at once: one that is over does not protect the target from the other. */
	if (word[GO] == 2)
		pthread_create(&thread, NULL, other_call, target);
	dup = snap((long)target);
	word[RESULT] = dup;
	if (dup > 0)
		snap_end(dup);
}

static void test_shortage(long threads, const char *what)
{
	long rounds = option("rounds", 8), i, deaths = 0, made = 0, killed = 0, refused = 0, over = 0, peak;
	char text[32];

	for (i = 0; i < rounds; i++) {
		pid_t target, pid;
		long turns;
		int status;

		word[READY] = word[ENTERED] = word[GO] = word[RESULT] = 0;
		if (!cgroup_make(GROUP) || cgroup_read(GROUP, "memory.current") < 0) {
			skip(what, "no memory controller");
			return;
		}
		cgroup_write(GROUP, "memory.swap.max", "0");
		target = spawn(large, NULL);
		wait_word(READY, 1);
		pid = spawn(caller, (void *)(long)target);
		/* what it takes to wait has been charged to it by then */
		wait_word(ENTERED, 10);
		snprintf(text, sizeof(text), "%ld", cgroup_read(GROUP, "memory.current") + ROOM);
		cgroup_write(GROUP, "memory.max", text);
		word[GO] = threads;
		if (waitpid(pid, &status, 0) != pid)
			die("waitpid");
		killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		refused += word[RESULT] < 0;
		made += word[RESULT] > 0;
		/* One that is killed makes no more turns, however long its death takes. */
		turns = word[TURNS];
		UNTIL(word[TURNS] > turns + 2 || waitpid(target, NULL, WNOHANG));
		deaths += word[TURNS] <= turns + 2;
		peak = cgroup_read(GROUP, "memory.peak") - cgroup_read(GROUP, "memory.max");
		if (peak > over)
			over = peak;
		if (!kill(target, 0))
			end_target(target);
		cgroup_remove(GROUP);
	}
	is(made, 0, "%s: no duplicate where there is no room for one", what);
	is(killed + refused, rounds, "%s: the caller is killed, or refused", what);
	is(deaths, 0, "%s: the target lives", what);
	/* Who is being killed may exceed the limit: by a table, not by all of them. */
	ok(over < 4 << 20, "%s: the copy ends with its caller, %ld KiB over the limit", what, over / 1024);
	note("%s: %ld rounds, the caller was killed in %ld, refused in %ld", what, rounds, killed, refused);
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_shortage(1, "one call");
	test_shortage(2, "two calls at once");
	return tap_end();
}
