// SPDX-License-Identifier: GPL-2.0
/* What the duplicate is, seen through /proc, and who may look into it. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/snap.h"

enum { READY = 1, DONE, DUP };
static char first[1 << 18], second[1 << 18];

static void same_file(pid_t target, pid_t dup, const char *file)
{
	ssize_t one = slurp_of(target, file, first, sizeof(first));
	ssize_t two = slurp_of(dup, file, second, sizeof(second));

	ok(one > 0 && one == two && !memcmp(first, second, one), "%s is the target's", file);
	if (one != two)
		note("%s: %zd bytes, target's %zd", file, two, one);
}

static void same_link(pid_t target, pid_t dup, const char *file)
{
	char path[64], one[4096] = "", two[4096] = "";

	snprintf(path, sizeof(path), "/proc/%d/%s", target, file);
	if (readlink(path, one, sizeof(one) - 1) < 0)
		one[0] = 0;
	snprintf(path, sizeof(path), "/proc/%d/%s", dup, file);
	if (readlink(path, two, sizeof(two) - 1) < 0)
		two[0] = 0;
	ok(*one && !strcmp(one, two), "%s is %s", file, one);
	if (strcmp(one, two))
		note("%s of the duplicate is '%s'", file, two);
}

static int entries(pid_t pid, const char *folder)
{
	char path[64];
	struct dirent *entry;
	int count = 0;
	DIR *all;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, folder);
	all = opendir(path);
	if (!all)
		return -1;
	while ((entry = readdir(all)))
		count += *entry->d_name != '.';
	closedir(all);
	return count;
}

static void test_program(void)
{
	char *environment[] = { "SNAP=a b", "EMPTY=", "PATH=/nowhere", NULL };
	char path[64], own[4096] = "", cwd[4096] = "";
	pid_t target = spawn_program("tiny", environment), dup;

	if (target < 0)
		die("no program tiny");
	await_state(target, "S");
	dup = snap(target);
	ok(dup > 0, "a duplicate of a program");
	ok(dup != target && dup != getpid(), "a pid of its own");
	same_file(target, dup, "comm");
	same_file(target, dup, "cmdline");
	same_file(target, dup, "environ");
	same_file(target, dup, "auxv");
	same_file(target, dup, "maps");
	same_link(target, dup, "exe");
	ok(UNTIL(state_of(dup) == 'S'), "it sleeps");
	is(status_number(dup, "Tgid"), dup, "Tgid");
	is(status_number(dup, "PPid"), getpid(), "PPid is the caller");
	is(status_number(dup, "Threads"), 1, "Threads");
	is(status_number(dup, "TracerPid"), 0, "TracerPid");
	/* as after fork(), file pages that were only read are found again when needed */
	ok(smaps_kib(dup, "Rss", NULL) > 0 && smaps_kib(dup, "Rss", NULL) <= smaps_kib(target, "Rss", NULL),
	   "Rss is not over the target's");
	is(status_number(dup, "VmSize"), status_number(target, "VmSize"), "VmSize");
	is(entries(dup, "task"), 1, "one task");
	ok(entries(dup, "fd") <= 0, "no file descriptors");
	ok(slurp_of(dup, "oom_score_adj", first, sizeof(first)) > 0 && atoi(first) == 1000,
	   "oom_score_adj is 1000: the first to go");
	note("oom_score_adj %s", strtok(first, "\n"));
	snprintf(path, sizeof(path), "/proc/%d/cwd", dup);
	if (readlink(path, own, sizeof(own) - 1) < 0)
		own[0] = 0;
	if (!getcwd(cwd, sizeof(cwd)))
		cwd[0] = 0;
	ok(*own && !strcmp(own, cwd), "cwd is the caller's, %s", own);
	ok(status_number(dup, "Uid") == (long)getuid(), "credentials are the caller's");
	ok(at_rest(dup), "it does not run");
	snap_end(dup);
	end_target(target);
}

static char *plain, *dontfork, *wipe, *dontdump;

static void *named(void *name)
{
	prctl(PR_SET_NAME, name);
	word[READY]++;
	sleep_for_ever();
}

static void with_regions(void *unused)
{
	pthread_t thread;

	(void)unused;
	plain = map_private(PAGE);
	dontfork = map_private(PAGE);
	wipe = map_private(PAGE);
	dontdump = map_private(PAGE);
	strcpy(plain, "plain");
	strcpy(dontfork, "dontfork");
	strcpy(wipe, "wipe");
	strcpy(dontdump, "dontdump");
	madvise(dontfork, PAGE, MADV_DONTFORK);
	madvise(wipe, PAGE, MADV_WIPEONFORK);
	madvise(dontdump, PAGE, MADV_DONTDUMP);
	word[10] = (long)plain;
	word[11] = (long)dontfork;
	word[12] = (long)wipe;
	word[13] = (long)dontdump;
	prctl(PR_SET_NAME, "a \n\t)name");
	pthread_create(&thread, NULL, named, "second");
	pthread_create(&thread, NULL, named, "third");
	while (word[READY] < 2)
		;
	word[READY] = 3;
	sleep_for_ever();
}

static bool holds(pid_t pid, int index, const char *text)
{
	char found[32] = "";

	read_memory(pid, (void *)word[index], found, sizeof(found));
	return !strcmp(found, text);
}

static void test_regions(void)
{
	pid_t target = spawn(with_regions, NULL), dup;

	wait_word(READY, 3);
	dup = snap(target);
	ok(dup > 0, "a duplicate with hidden regions");
	ok(holds(dup, 10, "plain"), "ordinary memory");
	ok(holds(dup, 11, "dontfork"), "MADV_DONTFORK memory is taken with its content");
	ok(holds(dup, 12, "wipe"), "MADV_WIPEONFORK memory is taken with its content");
	ok(holds(dup, 13, "dontdump"), "MADV_DONTDUMP memory");
	is(smaps_flag(dup, (void *)word[11], "dc"), 1, "VmFlags still say dc");
	is(smaps_flag(dup, (void *)word[12], "wf"), 1, "VmFlags still say wf");
	is(smaps_flag(dup, (void *)word[13], "dd"), 1, "VmFlags still say dd");
	is(smaps_flag(dup, (void *)word[10], "dc"), 0, "and do not where the target's do not");
	is(smaps_flag(target, (void *)word[11], "dc"), 1, "the target's too");
	same_file(target, dup, "maps");
	same_file(target, dup, "comm");
	is(status_number(dup, "Threads"), 3, "three threads");
	is(entries(dup, "task"), 3, "three tasks");
	snap_end(dup);
	end_target(target);
	word[READY] = 0;
}

/* --- who may look into it --- */

static void secret(void *mode)
{
	strcpy(plain = map_private(PAGE), "secret");
	word[10] = (long)plain;
	if ((long)mode > 1)
		become((long)mode);
	if ((long)mode == 1) {
		become(1000);
		prctl(PR_SET_DUMPABLE, 0);
	}
	word[READY] = 1;
	sleep_for_ever();
}

/* How many of the ways into a process are open. */
static long ways_in(void *dup)
{
	static const char *const files[] = { "mem", "environ", "maps", "auxv", "pagemap" };
	pid_t pid = (long)dup;
	long open_ways = 0;
	char found[8];
	size_t i;

	/* some are opened by all, and then give nothing */
	for (i = 0; i < ARRAY_SIZE(files); i++)
		if (read_of(pid, files[i], i ? 0 : word[10], found, 8) > 0)
			open_ways |= 1 << i;
	if (read_memory(pid, (void *)word[10], found, 6) == 6)
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

static void snap_capable(void *target)
{
	pid_t dup;

	become_capable(1000, CAP_SYS_PTRACE);
	dup = snap((long)target);
	word[DUP] = dup;
	wait_word(DONE, 1);
	if (dup > 0 && !snap_end(dup))
		word[DONE] = 2;
}

static void snap_plain(void *target)
{
	become(1000);
	word[DUP] = snap((long)target);
	wait_word(DONE, 1);
	word[DONE] = snap_end(word[DUP]) ? 3 : 2;
}

static void taken(long mode, void (*caller_run)(void *), long reader_sees, const char *what)
{
	pid_t target, caller;
	struct stat status;
	char path[64];
	long found;

	word[READY] = word[DONE] = word[DUP] = 0;
	target = spawn(secret, (void *)mode);
	wait_word(READY, 1);
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
	read_memory(word[DUP], (void *)word[10], first, 7);
	ok(!strcmp(first, "secret"), "%s: root may", what);
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

	word[READY] = 0;
	target = spawn(secret, (void *)1);
	wait_word(READY, 1);
	dup = snap(target);
	is(in_child(ways_in_powerless, (void *)(long)dup), 0,
	   "not dumpable, taken by root: shut for uid 0 without capabilities");
	is(in_child(ways_in_powerless, (void *)(long)target), 0, "as the target is");
	snap_end(dup);
	end_target(target);

	/* the caller's own dumpability is not the duplicate's */
	word[READY] = 0;
	target = spawn(secret, (void *)1);
	wait_word(READY, 1);
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
	test_program();
	test_regions();
	test_readers();
	return tap_end();
}
