// SPDX-License-Identifier: GPL-2.0
/* What a sound duplicate is. */
#include "sound.h"

static volatile long mark = 0x6d61726b;

void turning(void *unused)
{
	(void)unused;
	word[READY] = 1;
	for (;;) {
		word[TURNS]++;
		pause_ms(1);
	}
}

bool turns(void)
{
	long before = word[TURNS];

	return UNTIL(word[TURNS] > before + 2);
}

pid_t begin(void (*run)(void *))
{
	pid_t pid;

	word[READY] = word[STOP] = 0;
	pid = spawn(run, NULL);
	wait_word(READY, 1);
	return pid;
}

pid_t sound(pid_t pid, unsigned int threads, const char *what)
{
	struct proc_snap_thread taken[8];
	struct proc_snap_args args;
	pid_t dup = snap_figures(pid, &args, taken, 8);

	if (!ok(dup > 0, "%s: a duplicate", what)) {
		note("errno %d", -dup);
		return -1;
	}
	is(args.nr_threads, threads, "%s: %u tasks", what, threads);
	is(threads_of(dup), threads, "%s: in /proc too", what);
	ok(at_rest(dup), "%s: parked", what);
	is(status_number(dup, "TracerPid"), 0, "%s: not traced", what);
	is(peek(dup, (void *)&mark), 0x6d61726b, "%s: with the target's memory", what);
	return dup;
}

void sound_and_ended(pid_t pid, unsigned int threads, const char *what)
{
	pid_t dup = sound(pid, threads, what);

	is(dup > 0 ? snap_end(dup) : -1, 0, "%s: it ends", what);
}
