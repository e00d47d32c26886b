// SPDX-License-Identifier: GPL-2.0
/* What the duplicate is, seen through /proc. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/snap.h"

enum { READY = 1, PLAIN, DONTFORK, WIPE, DONTDUMP };
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

static void *named(void *name)
{
	prctl(PR_SET_NAME, name);
	__sync_fetch_and_add(&word[READY], 1);
	sleep_for_ever();
}

/* A page with this text, advised afterwards. */
static long text_page(const char *text, int advice)
{
	char *at = map_private(PAGE);

	strcpy(at, text);
	madvise(at, PAGE, advice);
	return (long)at;
}

static void with_regions(void *unused)
{
	pthread_t thread;

	(void)unused;
	word[PLAIN] = text_page("plain", MADV_NORMAL);
	word[DONTFORK] = text_page("dontfork", MADV_DONTFORK);
	word[WIPE] = text_page("wipe", MADV_WIPEONFORK);
	word[DONTDUMP] = text_page("dontdump", MADV_DONTDUMP);
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
	ok(holds(dup, PLAIN, "plain"), "ordinary memory");
	ok(holds(dup, DONTFORK, "dontfork"), "MADV_DONTFORK memory is taken with its content");
	ok(holds(dup, WIPE, "wipe"), "MADV_WIPEONFORK memory is taken with its content");
	ok(holds(dup, DONTDUMP, "dontdump"), "MADV_DONTDUMP memory");
	is(smaps_flag(dup, (void *)word[DONTFORK], "dc"), 1, "VmFlags still say dc");
	is(smaps_flag(dup, (void *)word[WIPE], "wf"), 1, "VmFlags still say wf");
	is(smaps_flag(dup, (void *)word[DONTDUMP], "dd"), 1, "VmFlags still say dd");
	is(smaps_flag(dup, (void *)word[PLAIN], "dc"), 0, "and do not where the target's do not");
	is(smaps_flag(target, (void *)word[DONTFORK], "dc"), 1, "the target's too");
	same_file(target, dup, "maps");
	same_file(target, dup, "comm");
	is(status_number(dup, "Threads"), 3, "three threads");
	is(entries(dup, "task"), 3, "three tasks");
	snap_end(dup);
	end_target(target);
	word[READY] = 0;
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_program();
	test_regions();
	return tap_end();
}
