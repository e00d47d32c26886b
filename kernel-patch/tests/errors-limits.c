// SPDX-License-Identifier: GPL-2.0
/* The caller's limits: RLIMIT_NPROC, and its cgroup's of tasks and of memory. */
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "errors.h"

/* The target has four threads, so its duplicate has four tasks. */
static void four_threads(void *uid)
{
	if (uid)
		become((long)uid);
	add_threads(3);
	word[READY_BIG] = 1;
	sleep_for_ever();
}

static long limit_for;

static long limited_processes(void *call)
{
	struct rlimit limit;

	become(USER);
	limit.rlim_cur = limit.rlim_max = limit_for;
	setrlimit(RLIMIT_NPROC, &limit);
	return one_way(call);
}

void test_nproc(void)
{
	int spare;

	subject = spawn(four_threads, (void *)USER);
	wait_word(READY_BIG, 1);
	UNTIL(threads_of(subject) == 4);
	/* the target's four tasks and the caller */
	for (spare = 0; spare < 4; spare++) {
		limit_for = 5 + spare;
		is(in_child(limited_processes, snap), -EAGAIN,
		   "RLIMIT_NPROC, room for %d of 4", spare);
		is(in_child(limited_processes, by_struct), -EAGAIN,
		   "RLIMIT_NPROC, room for %d of 4, second call", spare);
	}
	limit_for = 9;
	/* also shows that those before gave back what they had taken */
	is(in_child(limited_processes, snap), 0, "RLIMIT_NPROC, just enough");
	end_target(subject);
	word[READY_BIG] = 0;
}

static long in_group(void *call)
{
	return cgroup_enter("snap-errors", getpid()) ? one_way(call) : -ENOENT;
}

void test_pids_group(void)
{
	char text[16];
	int room;

	if (!cgroup_make("snap-errors") || cgroup_read("snap-errors", "pids.current") < 0) {
		skip("pids cgroup", "no pids controller");
		return;
	}
	subject = spawn(four_threads, NULL);
	wait_word(READY_BIG, 1);
	UNTIL(threads_of(subject) == 4);
	for (room = 0; room <= 4; room++) {
		snprintf(text, sizeof(text), "%d", 1 + room);
		cgroup_write("snap-errors", "pids.max", text);
		is(in_child(in_group, snap), room < 4 ? -EAGAIN : 0,
		   "pids cgroup, room for %d of 4", room);
		is(in_child(in_group, by_struct), room < 4 ? -EAGAIN : 0,
		   "pids cgroup, room for %d of 4, second call", room);
		ok(UNTIL(cgroup_read("snap-errors", "pids.current") == 0),
		   "nothing is left in the cgroup");
	}
	is(threads_of(subject), 4, "the target has its threads");
	end_target(subject);
	cgroup_remove("snap-errors");
}

#define TABLES	2048

static void sparse(void *unused)
{
	(void)unused;
	map_sparse(TABLES);
	word[READY_BIG] = 2;
	for (;;) {
		word[TICKS]++;
		pause_ms(1);
	}
}

void test_memory_group(void)
{
	long result, ticks;
	int i;

	if (!cgroup_make("snap-errors") || cgroup_read("snap-errors", "memory.current") < 0) {
		skip("memory cgroup", "no memory controller");
		return;
	}
	cgroup_write("snap-errors", "memory.max", "4194304");
	cgroup_write("snap-errors", "memory.swap.max", "0");
	subject = spawn(sparse, NULL);
	wait_word(READY_BIG, 2);
	for (i = 0; i < 2; i++) {
		result = in_child(in_group, i ? by_struct : snap);
		/* as for any process over its limit: refused, or the OOM killer's */
		ok(result == -ENOMEM || result == -ENOTRECOVERABLE,
		   "page tables over the caller's memory.max: %s",
		   result == -ENOMEM ? "ENOMEM" : "the caller was killed");
		if (result != -ENOMEM && result != -ENOTRECOVERABLE)
			note("result %ld", result);
	}
	ticks = word[TICKS];
	ok(UNTIL(word[TICKS] > ticks + 2), "the target lives and runs");
	ok(UNTIL(cgroup_read("snap-errors", "memory.current") < 1 << 20),
	   "the cgroup has it back");
	cgroup_write("snap-errors", "memory.max", "max");
	is(in_child(in_group, snap), 0, "without the limit it works");
	end_target(subject);
	cgroup_remove("snap-errors");
}
