// SPDX-License-Identifier: GPL-2.0
/*
 * Unusual callers: who takes itself, who is in another pid namespace, who takes
 * each other, and several threads of one.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sound.h"

enum { RESULT = FREE, PIDS, ENDED, OUTSIDE, ITSELF, PARTNERS, TAKEN = PARTNERS + 3 };

/* --- itself --- */

static void *own_from_thread(void *unused)
{
	(void)unused;
	word[RESULT] = snap(getpid());
	return NULL;
}

static long own_threads(void *unused)
{
	pthread_t thread;
	long tasks;

	(void)unused;
	add_threads(3);
	pthread_create(&thread, NULL, own_from_thread, NULL);
	pthread_join(thread, NULL);
	if (word[RESULT] <= 0)
		return word[RESULT];
	tasks = threads_of(word[RESULT]);
	return snap_end(word[RESULT]) ? -1 : tasks;
}

static void test_own(void)
{
	sound_and_ended(getpid(), 1, "own process");
	is(in_child(own_threads, NULL), 5, "own process, by a thread: five tasks");
}

/* --- pid namespaces --- */

static pid_t outer;

static void in_namespace(void *unused)
{
	struct proc_snap_thread taken;
	struct proc_snap_args args;
	pid_t target, dup;

	(void)unused;
	if (getpid() != 1)
		die("no namespace");
	target = fork();
	if (!target)
		sleep_for_ever();
	dup = snap_figures(target, &args, &taken, 1);
	word[PIDS] = dup > 1 && dup < 100 && taken.target_tid == target && taken.snap_tid == dup;
	word[ENDED] = snap_end(dup) == 0;
	word[OUTSIDE] = -snap(outer);
	word[ITSELF] = snap(1) > 1;
	/* its end takes the rest along */
	word[READY] = 9;
}

static void unsharing(void *unused)
{
	pid_t child;

	(void)unused;
	if (unshare(CLONE_NEWPID)) {
		word[READY] = -1;
		return;
	}
	child = fork();
	if (!child) {
		in_namespace(NULL);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

/* The caller's next child, so the duplicate, is the first of a new namespace. */
static long to_namespace(void *target)
{
	pid_t dup;
	long tasks;

	if (unshare(CLONE_NEWPID))
		return -ENOSYS;
	dup = snap((long)target);
	if (dup <= 0)
		return dup;
	tasks = threads_of(dup);
	return snap_end(dup) ? -1 : tasks;
}

static void two_threads(void *unused)
{
	add_threads(1);
	turning(unused);
}

static void test_new_namespace(void)
{
	pid_t target = begin(two_threads);
	long tasks = in_child(to_namespace, (void *)(long)target);

	if (tasks == -ENOSYS)
		skip("new pid namespace", "it cannot be made");
	else
		is(tasks, 2, "new pid namespace: the duplicate is its first process, with two tasks, and ends");
	end_target(target);
}

static void test_namespace(void)
{
	pid_t child;

	outer = spawn(sleeper, NULL);
	word[READY] = 0;
	child = spawn(unsharing, NULL);
	UNTIL(word[READY] == 9 || word[READY] < 0);
	if (word[READY] < 0) {
		skip("pid namespace", "it cannot be made");
	} else {
		is(word[PIDS], 1, "pid namespace: pids are the caller's");
		is(word[ENDED], 1, "pid namespace: it ends");
		is(word[OUTSIDE], ESRCH, "pid namespace: nobody outside");
		is(word[ITSELF], 1, "pid namespace: its init can take itself, and its end ends that");
	}
	waitpid(child, NULL, 0);
	end_target(outer);
}

/* --- each other, at once --- */

static void *take_loop(void *target)
{
	long n, bad = 0;
	pid_t dup;

	for (n = 0; n < 100; n++) {
		dup = snap((long)target);
		bad += dup <= 0 || snap_end(dup);
	}
	return (void *)bad;
}

static void take_partner(void *index)
{
	long me = (long)index;

	/* one's own pid, where the other finds it */
	word[PARTNERS + me] = getpid();
	wait_word(PARTNERS + (me + 1) % 3, 1);
	word[TAKEN + me] = 1 + (long)take_loop((void *)word[PARTNERS + (me + 1) % 3]);
	wait_word(STOP, 1);
}

static void test_each_other(void)
{
	pid_t partners[3];
	long i;

	word[STOP] = 0;
	for (i = 0; i < 3; i++)
		word[PARTNERS + i] = word[TAKEN + i] = 0;
	for (i = 0; i < 3; i++)
		partners[i] = spawn(take_partner, (void *)i);
	for (i = 0; i < 3; i++)
		is(UNTIL(word[TAKEN + i]) ? word[TAKEN + i] : -1, 1, "three that take each other: %ld", i);
	word[STOP] = 1;
	for (i = 0; i < 3; i++)
		waitpid(partners[i], NULL, 0);
}

static long taking_threads(void *target)
{
	pthread_t threads[4];
	void *bad;
	long sum = 0;
	int i;

	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, take_loop, target ? target : (void *)(long)getpid());
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], &bad);
		sum += (long)bad;
	}
	return sum;
}

static void test_threads_of_caller(void)
{
	pid_t target = begin(turning);

	is(in_child(taking_threads, (void *)(long)target), 0, "four threads of one caller");
	ok(turns(), "four threads of one caller: the target goes on");
	is(in_child(taking_threads, NULL), 0, "four threads that take themselves");
	end_target(target);
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_own();
	test_namespace();
	test_new_namespace();
	test_each_other();
	test_threads_of_caller();
	return tap_end();
}
