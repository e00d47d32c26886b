// SPDX-License-Identifier: MIT
/*
 * A process that has the target's memory and is no thread of it: clone(2) with
 * CLONE_VM. No stop of the target's threads stops it. To compare two memories,
 * kcmp(2), waits for processes that are executing a program: so only those are
 * compared whose stack begins at the same address, which is drawn for each
 * program. Whose first thread has ended shows none, and is not found. A child of
 * vfork(2) is passed over, which has the memory for a moment only: its parent
 * cannot be stopped until then.
 */
#include <ctype.h>
#include <dirent.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "facts.h"

#define STACK_FIELD	28	/* startstack, of /proc/PID/stat */
#define PATIENCE_NS	(200 * 1000 * 1000LL)
#define NAP_NS		(2 * 1000 * 1000LL)

/* 0: it has ended, or we may not see it. */
static uint64_t stack_of(pid_t tid)
{
	char text[1024], *at;

	if (ps_small_read(text, sizeof(text), "/proc/%d/stat", tid) <= 0)
		return 0;
	at = strrchr(text, ')');	/* the end of the second field, which may hold anything */
	for (int field = 2; at && field < STACK_FIELD; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

static bool shares(const struct ps_facts *facts, pid_t pid)
{
	return !syscall(SYS_kcmp, facts->first, pid, KCMP_VM, 0, 0);
}

static bool goes_on_sharing(const struct ps_facts *facts, pid_t pid)
{
	int64_t until = ps_now_ns() + PATIENCE_NS;

	while (shares(facts, pid)) {
		if (ps_now_ns() > until)
			return true;
		ps_sleep(NAP_NS);
	}
	return false;
}

void ps_gather_sharing(struct ps_facts *facts)
{
	uint64_t stack = stack_of(facts->first);
	struct dirent *entry;
	DIR *dir = stack ? opendir("/proc") : NULL;

	while (dir && !facts->sharer && (entry = readdir(dir))) {
		pid_t pid = isdigit((unsigned char)*entry->d_name) ? atoi(entry->d_name) : 0;

		if (pid && pid != facts->pid && stack_of(pid) == stack && goes_on_sharing(facts, pid))
			facts->sharer = pid;
	}
	if (dir)
		closedir(dir);
}
