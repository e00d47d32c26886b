// SPDX-License-Identifier: GPL-2.0
/*
 * The target's exec and exit do not wait for what comes after the copy: the first
 * task of the duplicate is stopped before it has made the others, so the call does
 * not return, and the target executes another program meanwhile.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/snap.h"

#define THREADS	600
enum { READY = 1, EXEC, CALL, RETURNED, DUP };

static void many(void *unused)
{
	char *argv[] = { OWN_PROGRAM, "--executed", NULL }, *none[] = { NULL };

	(void)unused;
	add_threads(THREADS - 1);
	word[READY] = 1;
	while (!word[EXEC])
		pause_ms(1);
	execve(OWN_PROGRAM, argv, none);
	_exit(9);
}

static void caller(void *target)
{
	pid_t dup;

	while (!word[CALL])
		;
	dup = snap((long)target);
	word[DUP] = dup;
	word[RETURNED] = 1;
	if (dup > 0)
		snap_end(dup);
}

static pid_t first_child(pid_t pid)
{
	char path[64], text[64] = "";
	double end = now() + patience_s();

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	while (now() < end && !word[RETURNED])
		if (slurp(path, text, sizeof(text)) > 0 && atoi(text) > 0)
			return atoi(text);
	return 0;
}

/* A target with this program in it, executed, exits at once with 7. */
static bool executed(pid_t target)
{
	int status;

	return waitpid(target, &status, WNOHANG) == target && WIFEXITED(status) && WEXITSTATUS(status) == 7;
}

static bool try_once(bool *done)
{
	pid_t target, pid, leader;
	bool held, gone;

	word[READY] = word[EXEC] = word[CALL] = word[RETURNED] = word[DUP] = 0;
	target = spawn(many, NULL);
	wait_word(READY, 1);
	UNTIL(threads_of(target) == THREADS);
	pid = spawn(caller, (void *)(long)target);
	word[CALL] = 1;
	leader = first_child(pid);
	held = leader > 0 && !kill(leader, SIGSTOP) && await_state(leader, "T") && !word[RETURNED];
	if (held) {
		double end = now() + patience_s();

		word[EXEC] = 1;
		while (!(gone = executed(target)) && now() < end)
			pause_ms(1);
		*done = gone && !word[RETURNED];
		kill(leader, SIGCONT);
	} else if (leader > 0) {
		kill(leader, SIGCONT);
	}
	waitpid(pid, NULL, 0);
	if (!held || !*done)
		end_target(target);
	return held;
}

int main(int argc, char **argv)
{
	bool done = false, held = false;
	int tries;

	if (argc > 1 && !strcmp(argv[1], "--executed"))
		return 7;
	tap_begin(argc, argv);
	hurry();
	for (tries = 0; tries < 50 && !held; tries++)
		held = try_once(&done);
	if (held) {
		ok(done, "the target executes while the duplicate's first task is stopped");
		ok(word[DUP] > 0, "the duplicate is there all the same, when that goes on");
		note("%d tries", tries);
	} else {
		skip("exec while the tasks are made", "the first task was never stopped in time");
	}
	return tap_end();
}
