// SPDX-License-Identifier: GPL-2.0
/*
 * Random arguments of both calls, random treatment of what they return, and
 * targets that do what they can to be in the way; the callers are killed now
 * and then. What must hold: few errnos, nothing is left, the kernel lives.
 * --seconds=N (10) --seed=N (printed)
 */
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

static bool allowed(int error)
{
	switch (error) {
	case EINVAL: case ESRCH: case EBADF: case E2BIG: case EFAULT: case EAGAIN: case ENOMEM: case ETIMEDOUT: case EDQUOT:
		return true;
	}
	return false;
}

static void calling(void *seed)
{
	pid_t held[4] = { }, older, result;
	int i, more, status;

	begin_chance((unsigned long)seed);
	setpriority(PRIO_PROCESS, 0, -15);
	begin_calls();
	while (!word[STOP]) {
		result = random_call();
		__sync_fetch_and_add(&word[CALLS], 1);
		if (result < 0) {
			__sync_fetch_and_add(&word[ERRNOS - result], 1);
			if (!allowed(-result))
				word[WRONG_ERRNO]++;
			for (i = more = 0; i < 4; i++)
				more += held[i] > 0;
			if (!more && waitpid(-1, &status, WNOHANG | __WALL) != -1) {
				note("errno %d, and a child is there", -result);
				word[WRONG_LEFT]++;
			}
			continue;
		}
		__sync_fetch_and_add(&word[TAKEN], 1);
		word[LAST + (unsigned long)seed % CALLERS] = result;
		i = chance(4);
		if (held[i])
			end_maltreated(held[i]);
		held[i] = result;
		for (more = chance(6); more > 0; more--)
			maltreat((older = held[chance(4)]) ? older : result);
		if (chance(2)) {
			end_maltreated(result);
			held[i] = 0;
		}
	}
	/* some are left to end with their caller */
}

int main(int argc, char **argv)
{
	pid_t callers[CALLERS], gone;
	unsigned long seed, seconds;
	long i, calls = 0, deaths = 0, ends = 0;
	int tasks_before, status;
	double end, moved, longest = 0;
	bool go_on;

	if (argc == 2 && !strcmp(argv[1], "--hostile")) {
		word = map_private(WORDS * sizeof(long));
		hostile((void *)(long)getpid());
	}
	tap_begin(argc, argv);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	seconds = option("seconds", 10);
	seed = option("seed", time(NULL) ^ getpid());
	note("--seed=%lu", seed);
	begin_chance(seed);
	tasks_before = user_tasks();

	for (i = 0; i < HOSTILE; i++)
		word[PIDS + i] = spawn(hostile, (void *)chance(0));
	for (i = 0; i < CALLERS; i++)
		callers[i] = spawn(calling, (void *)(chance(0) / CALLERS * CALLERS + i));
	end = now() + seconds;
	moved = now();
	while (now() < end) {
		pause_ms(1 + chance(20));
		for (i = 0; i < HOSTILE; i++)
			if (chance(10) == 0)
				kill(word[PIDS + i], chance(20) ? SIGCONT : SIGKILL);
		/* not the last ones: there is to be one that goes on */
		if (chance(20) == 0 && now() < end - 1)
			kill(callers[chance(CALLERS)], SIGKILL);
		while ((gone = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
			ends++;
			for (i = 0; i < HOSTILE; i++)
				if (word[PIDS + i] == gone)
					word[PIDS + i] = spawn(hostile, (void *)chance(0));
			for (i = 0; i < CALLERS; i++)
				if (callers[i] == gone) {
					deaths++;
					callers[i] = spawn(calling, (void *)(chance(0) / CALLERS * CALLERS + i));
				}
		}
		if (word[CALLS] != calls) {
			calls = word[CALLS];
			moved = now();
		}
		if (now() - moved > longest)
			longest = now() - moved;
	}
	calls = word[CALLS];
	go_on = longest < patience_s() && UNTIL(word[CALLS] > calls);
	word[STOP] = 1;
	for (i = 0; i < CALLERS; i++)
		ok(UNTIL(waitpid(callers[i], &status, WNOHANG) == callers[i]), "caller %ld comes to its end", i);
	for (i = 0; i < HOSTILE; i++)
		kill(word[PIDS + i], SIGKILL);
	ok(UNTIL(waitpid(-1, &status, WNOHANG | __WALL) == -1 && errno == ECHILD), "everything ends");
	is(word[WRONG_ERRNO], 0, "only allowed errnos");
	is(word[WRONG_LEFT], 0, "nothing is left of a call that failed");
	is(word[WRONG_END], 0, "every duplicate ends by SIGKILL");
	ok(go_on, "calls go on: %.1f s without one at most", longest);
	ok(word[TAKEN] > 0, "some succeed");
	ok(UNTIL(user_tasks() <= tasks_before), "no task is left over");
	note("%ld calls, %ld duplicates, %ld callers killed, %ld ends", word[CALLS], word[TAKEN], deaths, ends);
	for (i = 1; i < 200; i++)
		if (word[ERRNOS + i])
			note("errno %ld: %ld times%s", i, word[ERRNOS + i], allowed(i) ? "" : " (not allowed)");
	return tap_end();
}
