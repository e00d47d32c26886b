// SPDX-License-Identifier: GPL-2.0
/* The bounds in the structure, and structures without them. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bounds.h"

#define UNTOUCHED	0xab
enum { READY = 1 };

static struct proc_snap_args args;

static void prepare(pid_t target)
{
	memset(&args, 0, sizeof(args));
	args.target = target;
}

/* Callers that know the first version go on working, and get no more bytes. */
static void test_versions(void)
{
	pid_t target = spawn(sleeper, NULL), dup;
	size_t size, i, wrong = 0;

	is(sizeof(args), PROC_SNAP_ARGS_SIZE_VER1, "size of the structure");
	for (size = PROC_SNAP_ARGS_SIZE_VER0; size <= sizeof(args); size += 4) {
		prepare(target);
		memset((char *)&args + size, UNTOUCHED, sizeof(args) - size);
		dup = snap2(&args, size);
		wrong += dup <= 0 || !args.regions_taken || !args.moment_ns;
		for (i = size; i < sizeof(args); i++)
			wrong += ((unsigned char *)&args)[i] != UNTOUCHED;
		wrong += snap_end(dup) != 0;
	}
	is(wrong, 0, "each size from the first version's on, and nothing is written beyond it");
	end_target(target);
}

#define TABLES	1500

/* Holds its mmap_lock most of the time. */
static void forking(void *unused)
{
	pid_t child;

	(void)unused;
	map_sparse(TABLES);
	word[READY] = 1;
	for (;;) {
		child = fork();
		if (!child)
			_exit(0);
		if (child > 0)
			waitpid(child, NULL, 0);
	}
}

static void test_wait(void)
{
	long tries, expired = 0, made = 0, wrong = 0;
	double end = now() + patience_s() / 2;
	uint64_t begun;
	pid_t target, dup;

	word[READY] = 0;
	target = spawn(forking, NULL);
	wait_word(READY, 1);
	for (tries = 0; tries < 3000 && now() < end && (expired < 5 || made < 5); tries++) {
		prepare(target);
		args.max_wait_ns = tries % 2 ? 1 : 100000;
		dup = snap2(&args, sizeof(args));
		expired += dup == -ETIMEDOUT;
		wrong += dup < 0 && dup != -ETIMEDOUT;
		made += dup > 0;
		if (dup > 0)
			snap_end(dup);
		pause_ms(1);
	}
	ok(expired >= 5, "max_wait_ns: given up where the lock is held (%ld of %ld)", expired, tries);
	is(wrong, 0, "max_wait_ns: by ETIMEDOUT, and by nothing else");
	prepare(target);
	args.max_wait_ns = 60000000000ULL;
	dup = snap2(&args, sizeof(args));
	ok(dup > 0 || dup == -ETIMEDOUT, "max_wait_ns: a minute");
	is(args.max_wait_ns, 60000000000LL, "max_wait_ns: the bound is as it was");
	if (dup > 0)
		snap_end(dup);
	prepare(target);
	begun = now_ns();
	dup = snap2(&args, sizeof(args));
	ok(dup > 0, "no bound: it waits for the lock");
	ok(args.lock_wait_ns + args.locked_ns < now_ns() - begun, "what it waited and held is within the call");
	snap_end(dup);
	end_target(target);
}

static void pinned(void *unused)
{
	char *at = map_private(8 * PAGE);

	(void)unused;
	madvise(at, 8 * PAGE, MADV_NOHUGEPAGE);
	memset(at, 1, 8 * PAGE);
	/* so that none of them is in a batch for the LRU lists as well */
	pause_ms(20);
	word[READY] = pin(at, 8 * PAGE) < 0 ? -1 : 1;
	sleep_for_ever();
}

static void test_pinned(void)
{
	pid_t target, dup;

	word[READY] = 0;
	target = spawn(pinned, NULL);
	UNTIL(word[READY]);
	if (word[READY] < 0) {
		skip("max_pinned", "no io_uring");
		end_target(target);
		return;
	}
	prepare(target);
	args.max_pinned = 7;
	is(snap2(&args, sizeof(args)), -EDQUOT, "max_pinned: 7, and there are 8");
	is(children(getpid()), 1, "max_pinned: nothing is left");
	prepare(target);
	args.max_pinned = 4096;
	dup = snap2(&args, sizeof(args));
	ok(dup > 0 && args.pages_copied >= 8 && args.pages_copied <= 4096, "max_pinned: 4096, %lld are copied",
	   (long long)args.pages_copied);
	snap_end(dup);
	prepare(target);
	dup = snap2(&args, sizeof(args));
	ok(dup > 0, "max_pinned: 0 is none");
	snap_end(dup);
	is(state_of(target), 'S', "max_pinned: the target sleeps on");
	end_target(target);
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	hurry();
	test_versions();
	test_wait();
	test_pinned();
	test_late();
	return tap_end();
}
