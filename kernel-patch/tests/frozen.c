// SPDX-License-Identifier: GPL-2.0
/* Memory that is made, taken, and changed. */
#include <stdlib.h>

#include "frozen.h"

pid_t target, dup_pid;
struct proc_snap_args args;
static const char *subject;

void fill(volatile long *at, size_t bytes, long with)
{
	size_t i;

	for (i = 0; i < bytes / sizeof(long); i += PAGE / sizeof(long))
		at[i] = with + i;
}

void ready(const volatile void *address)
{
	word[ADDRESS] = (long)address;
	word[READY]++;
	while (word[COMMAND] < word[READY])
		pause_ms(1);
}

void unable(long why)
{
	word[FAILED] = why ? why : -1;
	word[READY] = 1;
	sleep_for_ever();
}

void change(long *at, size_t bytes)
{
	ready(at);
	fill(at, bytes, AFTER);
	ready(at);
}

void fill_and_change(long *at, size_t bytes)
{
	fill(at, bytes, BEFORE);
	change(at, bytes);
}

bool begin(void (*run)(void *), void *argument, const char *what)
{
	subject = what;
	word[READY] = word[COMMAND] = word[FAILED] = 0;
	target = spawn(run, argument);
	wait_word(READY, 1);
	if (word[FAILED]) {
		skip(subject, "cannot be had here (errno %ld)", word[FAILED]);
		end_target(target);
		return false;
	}
	return true;
}

void take(void)
{
	dup_pid = snap_figures(target, &args, NULL, 0);
	ok(dup_pid > 0, "%s: a duplicate", subject);
	if (dup_pid <= 0)
		die("errno %d", -dup_pid);
}

bool begin_and_take(void (*run)(void *), void *argument, const char *what)
{
	if (!begin(run, argument, what))
		return false;
	take();
	return true;
}

bool go_on(void)
{
	long step = ++word[COMMAND];

	return UNTIL(word[READY] > step);
}

bool filled(pid_t pid, size_t bytes, long with)
{
	long *copy = malloc(bytes);
	size_t i, wrong = 0;

	if (read_memory(pid, (void *)word[ADDRESS], copy, bytes) != (long)bytes)
		wrong++;
	for (i = 0; !wrong && i < bytes / sizeof(long); i += PAGE / sizeof(long))
		wrong += copy[i] != with + (long)i;
	free(copy);
	return !wrong;
}

long first_long(void)
{
	long value;

	return read_of(dup_pid, "mem", word[ADDRESS], &value, sizeof(value)) == sizeof(value) ? value : -1;
}

void frozen(size_t bytes)
{
	ok(filled(dup_pid, bytes, BEFORE), "%s: content is there", subject);
	ok(go_on(), "%s: the target goes on", subject);
	ok(filled(target, bytes, AFTER), "%s: the target has changed it", subject);
	ok(filled(dup_pid, bytes, BEFORE), "%s: and the duplicate has not", subject);
}

void finish(void)
{
	is(snap_end(dup_pid), 0, "%s: it ends", subject);
	ok(state_of(target) && state_of(target) != 'Z', "%s: the target lives", subject);
	end_target(target);
}
