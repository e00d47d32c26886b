// SPDX-License-Identifier: GPL-2.0
/*
 * Who pays: tasks, page tables and copies are the caller's; what the target
 * changes after the snapshot, and so has twice, is the target's.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/snap.h"

#define CALLERS	"snap-caller"
#define TARGETS	"snap-target"
#define KIB	1024L
#define MIB	(1024 * KIB)
enum { READY = 1, COMMAND, DUP, CALLER_COMMAND, COPIED, ENTERED };

static void enter(const char *group)
{
	if (!cgroup_enter(group, getpid()))
		die("cannot enter %s", group);
}

static void obey(char *memory, size_t bytes)
{
	word[READY] = 1;
	for (;;) {
		while (word[COMMAND] < word[READY])
			pause_ms(1);
		memset(memory, (int)word[COMMAND] + 1, bytes);
		word[READY]++;
	}
}

#define TABLES	512

/* Four threads, and many page tables. */
static void sparse(void *unused)
{
	char *at;

	(void)unused;
	enter(TARGETS);
	at = map_sparse(TABLES);
	add_threads(3);
	obey(at, 1);
}

/* Enters first, so that the group is charged. */
static char *in_group(size_t bytes)
{
	char *at;

	enter(TARGETS);
	at = map_private(bytes);
	madvise(at, bytes, MADV_NOHUGEPAGE);
	return memset(at, 1, bytes);
}

static void dense(void *unused)
{
	(void)unused;
	obey(in_group(8 * MIB), 8 * MIB);
}

static void pinned(void *unused)
{
	char *at = in_group(4 * MIB);

	(void)unused;
	if (pin(at, 4 * MIB) < 0) {
		word[READY] = -1;
		sleep_for_ever();
	}
	obey(at, 4 * MIB);
}

static void caller(void *target)
{
	struct proc_snap_args args;

	enter(CALLERS);
	do {
		pause_ms(1);
		word[ENTERED]++;
	} while (!word[CALLER_COMMAND]);
	word[DUP] = snap_figures((long)target, &args, NULL, 0);
	word[COPIED] = args.pages_copied;
	while (word[CALLER_COMMAND] < 2)
		pause_ms(1);
	word[DUP] = snap_end(word[DUP]);
	word[CALLER_COMMAND] = 3;
	sleep_for_ever();
}

struct bill {
	long pids, tables, anon, current;
};

static void read_bill(const char *group, struct bill *bill)
{
	/* statistics are gathered lazily: reading flushes those that are large */
	pause_ms(20);
	bill->pids = cgroup_read(group, "pids.current");
	bill->tables = cgroup_stat(group, "memory.stat", "pagetables");
	bill->anon = cgroup_stat(group, "memory.stat", "anon");
	bill->current = cgroup_read(group, "memory.current");
}

struct account {
	struct bill before, with, after;
};

static struct account ours, theirs;
static pid_t target, caller_pid;

static void open_account(void (*run)(void *))
{
	memset((void *)word, 0, 16 * sizeof(long));
	target = spawn(run, NULL);
	UNTIL(word[READY]);
	caller_pid = spawn(caller, (void *)(long)target);
	/* what it takes to wait has been charged to it by then */
	wait_word(ENTERED, 20);
	read_bill(CALLERS, &ours.before);
	read_bill(TARGETS, &theirs.before);
	word[CALLER_COMMAND] = 1;
	UNTIL(word[DUP]);
	read_bill(CALLERS, &ours.with);
	read_bill(TARGETS, &theirs.with);
}

static void close_account(void)
{
	word[CALLER_COMMAND] = 2;
	wait_word(CALLER_COMMAND, 3);
	is(word[DUP], 0, "it ends");
	ok(UNTIL(cgroup_read(CALLERS, "pids.current") == ours.before.pids), "its tasks are given back");
	ok(UNTIL(cgroup_stat(CALLERS, "memory.stat", "pagetables") <= ours.before.tables + 64 * KIB &&
		 cgroup_stat(CALLERS, "memory.stat", "anon") <= ours.before.anon + 64 * KIB),
	   "its memory is given back");
	read_bill(CALLERS, &ours.after);
	read_bill(TARGETS, &theirs.after);
	end_target(caller_pid);
	end_target(target);
}

static bool about(long found, long expected)
{
	return found >= expected - 256 * KIB && found <= expected + 256 * KIB;
}

static void test_tables(void)
{
	char path[64], text[256];

	open_account(sparse);
	ok(word[DUP] > 0, "page tables: a duplicate");
	is(ours.with.pids - ours.before.pids, 4, "its four tasks are the caller's");
	is(theirs.with.pids, theirs.before.pids, "and none is the target's");
	snprintf(path, sizeof(path), "/proc/%ld/cgroup", word[DUP]);
	ok(slurp(path, text, sizeof(text)) > 0 && strstr(text, "0::/" CALLERS "\n"),
	   "it is in the caller's cgroup");
	ok(about(ours.with.tables - ours.before.tables, TABLES * PAGE),
	   "its page tables are the caller's: %ld KiB", (ours.with.tables - ours.before.tables) / KIB);
	is(theirs.with.tables, theirs.before.tables, "and none of them is the target's");
	ok(about(ours.with.anon, ours.before.anon), "shared pages are not charged to the caller");
	ok(about(theirs.with.anon, theirs.before.anon), "they stay charged to the target");
	close_account();
}

static void test_growth(void)
{
	struct bill grown, callers;

	open_account(dense);
	ok(word[DUP] > 0, "growth: a duplicate");
	word[COMMAND] = 1;
	wait_word(READY, 2);
	read_bill(TARGETS, &grown);
	read_bill(CALLERS, &callers);
	ok(about(grown.anon - theirs.with.anon, 8 * MIB),
	   "what the target writes after the snapshot is charged to it: %ld KiB",
	   (grown.anon - theirs.with.anon) / KIB);
	ok(about(callers.anon, ours.with.anon), "and not to the caller");
	close_account();
	ok(about(theirs.after.anon, theirs.before.anon), "with the duplicate the growth goes");
}

static void test_pinned(void)
{
	open_account(pinned);
	if (word[READY] < 0) {
		skip("pinned pages", "no io_uring");
	} else {
		ok(word[DUP] > 0, "pinned pages: a duplicate");
		ok(word[COPIED] >= 1024 && word[COPIED] <= 1024 + in_batches(), "they are copied: %ld", word[COPIED]);
		ok(about(ours.with.anon - ours.before.anon, 4 * MIB),
		   "the copies are charged to the caller: %ld KiB",
		   (ours.with.anon - ours.before.anon) / KIB);
		ok(about(theirs.with.anon, theirs.before.anon), "and not to the target: %ld KiB",
		   (theirs.with.anon - theirs.before.anon) / KIB);
	}
	close_account();
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	if (!cgroup_make(CALLERS) || !cgroup_make(TARGETS) ||
	    cgroup_read(CALLERS, "pids.current") < 0 || cgroup_read(CALLERS, "memory.current") < 0) {
		skip("cgroups", "no cgroup v2 with the controllers pids and memory");
	} else {
		test_tables();
		test_growth();
		test_pinned();
	}
	cgroup_remove(CALLERS);
	cgroup_remove(TARGETS);
	return tap_end();
}
