// SPDX-License-Identifier: MIT
/*
 * A process that has the target's memory and is no thread of it: clone(2) with
 * CLONE_VM. No stop of the target's threads stops it. To compare two memories,
 * kcmp(2), waits for processes that are executing a program: so only those are
 * compared whose stack begins at the same address, which is drawn for each
 * program. A child of vfork(2) is passed over, which has the memory for a moment
 * only: its parent cannot be stopped until then. So is one that is itself
 * stopped (SIGSTOP): it writes nothing.
 */
#include <ctype.h>
#include <dirent.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core/living.h"
#include "facts.h"

#define STACK_FIELD	28	/* startstack, of /proc/PID/stat */
#define PATIENCE_NS	(200 * 1000 * 1000LL)
#define NAP_NS		(2 * 1000 * 1000LL)

/* 0: it has ended, or we may not see it. */
static uint64_t stack_of(pid_t tid, char *state)
{
	char text[1024], *at;

	*state = 0;
	if (ps_small_read(text, sizeof(text), "/proc/%d/stat", tid) <= 0)
		return 0;
	at = strrchr(text, ')');	/* the end of the second field, which may hold anything */
	if (at && at[1] && at[2])
		*state = at[2];
	for (int field = 2; at && field < STACK_FIELD; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

/* A thread of it that lives: a first one that has ended has no memory any more. 0: there is none, or it is stopped. */
static pid_t with_stack(pid_t pid, uint64_t stack)
{
	pid_t tid = pid;
	char state;
	uint64_t its = stack_of(pid, &state);

	if (state == 'Z' && (tid = ps_living_thread(pid)) > 0)
		its = stack_of(tid, &state);
	return its == stack && tid > 0 && state != 'T' ? tid : 0;
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
	int64_t until = ps_now_ns() + PATIENCE_NS;
	char state;
	uint64_t stack = stack_of(facts->first, &state);
	DIR *dir = stack ? opendir("/proc") : NULL;
	struct dirent *entry;

	facts->sharing_unknown = !dir;
	while (dir && !facts->sharer && (entry = readdir(dir))) {
		pid_t pid = isdigit((unsigned char)*entry->d_name) ? atoi(entry->d_name) : 0, tid;

		if (!pid || pid == facts->pid)
			continue;
		tid = with_stack(pid, stack);
		if (tid && goes_on_sharing(facts, tid))
			facts->sharer = pid;
		facts->sharing_unknown = ps_now_ns() > until;
		if (facts->sharing_unknown)
			break;
	}
	if (dir)
		closedir(dir);
}
