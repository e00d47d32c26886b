// SPDX-License-Identifier: GPL-2.0
/* Who may look into a duplicate: nobody who may not look into its target. */
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>

#include "lib/snap.h"

enum { READY = 1, DONE, DUP, ADDRESS };
#define SECRET	"secret"

/* 1: not dumpable, else the uid whose it is. */
static void secret(void *mode)
{
	char *at = map_private(PAGE);

	strcpy(at, SECRET);
	word[ADDRESS] = (long)at;
	if ((long)mode > 1)
		become((long)mode);
	if ((long)mode == 1) {
		become(1000);
		prctl(PR_SET_DUMPABLE, 0);
	}
	word[READY] = 1;
	sleep_for_ever();
}

static pid_t begin_secret(long mode)
{
	pid_t pid;

	word[READY] = 0;
	pid = spawn(secret, (void *)mode);
	wait_word(READY, 1);
	return pid;
}

/* Which of the ways into a process are open. */
static long ways_in(void *dup)
{
	static const char *const files[] = { "mem", "environ", "maps", "auxv", "pagemap" };
	pid_t pid = (long)dup;
	long open_ways = 0;
	char found[8];
	size_t i;

	/* some are opened by all, and then give nothing */
	for (i = 0; i < ARRAY_SIZE(files); i++)
		if (read_of(pid, files[i], i ? 0 : word[ADDRESS], found, 8) > 0)
			open_ways |= 1 << i;
	if (read_memory(pid, (void *)word[ADDRESS], found, 6) == 6)
		open_ways |= 0x100;
	if (!ptrace(PTRACE_SEIZE, pid, 0, 0))
		open_ways |= 0x200;
	return open_ways;
}

static uid_t reader;

static long ways_in_as(void *dup)
{
	become(reader);
	return ways_in(dup);
}

static long ways_in_powerless(void *dup)
{
	drop_capabilities();
	return ways_in(dup);
}

static void snap_and_end(pid_t target)
{
	word[DUP] = snap(target);
	wait_word(DONE, 1);
	word[DONE] = snap_end(word[DUP]) ? 3 : 2;
}

static void snap_capable(void *target)
{
	become_capable(1000, CAP_SYS_PTRACE);
	snap_and_end((long)target);
}

static void snap_plain(void *target)
{
	become(1000);
	snap_and_end((long)target);
}

static void taken(long mode, void (*caller_run)(void *), long reader_sees, const char *what)
{
	pid_t target, caller;
	struct stat status;
	char path[64], seen[sizeof(SECRET)] = "";
	long found;

	word[DONE] = word[DUP] = 0;
	target = begin_secret(mode);
	caller = spawn(caller_run, (void *)(long)target);
	UNTIL(word[DUP]);
	ok(word[DUP] > 0, "%s: taken", what);

	reader = 1000;
	found = in_child(ways_in_as, (void *)word[DUP]);
	ok(found == (reader_sees ? 0x31f : 0),
	   "%s: for an ordinary process of the caller's uid %s", what,
	   reader_sees ? "it is open" : "it is shut");
	note("%s: ways in %lx", what, found);
	is(in_child(ways_in_as, (void *)(long)target) == 0, !reader_sees, "%s: as the target is", what);
	reader = 3000;
	is(in_child(ways_in_as, (void *)word[DUP]), 0, "%s: shut for a third user", what);
	reader = 2000;
	is(in_child(ways_in_as, (void *)word[DUP]), 0, "%s: and for a second", what);
	if (!reader_sees) {
		snprintf(path, sizeof(path), "/proc/%ld/environ", word[DUP]);
		ok(!stat(path, &status) && status.st_uid == 0, "%s: its files are root's", what);
	}
	read_memory(word[DUP], (void *)word[ADDRESS], seen, sizeof(seen));
	ok(!strcmp(seen, SECRET), "%s: root may", what);
	word[DONE] = 1;
	UNTIL(word[DONE] > 1);
	is(word[DONE], 2, "%s: the caller may end it", what);
	end_target(caller);
	end_target(target);
}

static void test_readers(void)
{
	pid_t target, dup;

	taken(1000, snap_plain, 1, "own process");
	taken(1, snap_capable, 0, "not dumpable");
	taken(2000, snap_capable, 0, "another user's, by CAP_SYS_PTRACE");

	target = begin_secret(1);
	dup = snap(target);
	is(in_child(ways_in_powerless, (void *)(long)dup), 0,
	   "not dumpable, taken by root: shut for uid 0 without capabilities");
	is(in_child(ways_in_powerless, (void *)(long)target), 0, "as the target is");
	snap_end(dup);
	end_target(target);

	/* the caller's own dumpability is not the duplicate's */
	target = begin_secret(1);
	prctl(PR_SET_DUMPABLE, 1);
	dup = snap(target);
	reader = 1000;
	is(in_child(ways_in_as, (void *)(long)dup), 0, "not dumpable, taken by root who is");
	snap_end(dup);
	end_target(target);
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_readers();
	return tap_end();
}
