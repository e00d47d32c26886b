// SPDX-License-Identifier: MIT
/*
 * Threads that wait in the kernel so that no signal wakes them (state D: a disk,
 * a file server, vfork(2)), or for the answer of a seccomp supervisor, which a
 * stop would make the kernel ask again. Most of these waits are over in a moment:
 * only one that lasts speaks against a duplicate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "facts.h"

#define PATIENCE_NS	(200 * 1000 * 1000LL)
#define NAP_NS		(2 * 1000 * 1000LL)

struct wait { char state; bool supervised; int64_t switches; char function[64]; };

static void look(const struct ps_facts *facts, pid_t tid, struct wait *wait)
{
	char text[4096], words[64] = "";
	bool filtered;

	*wait = (struct wait){ 0 };
	if (ps_small_read(text, sizeof(text), "/proc/%d/task/%d/status", facts->pid, tid) <= 0 ||
	    !ps_line_words(text, "State", words, sizeof(words)))
		return;
	wait->state = *words;
	wait->switches =
		ps_line_number(text, "voluntary_ctxt_switches") + ps_line_number(text, "nonvoluntary_ctxt_switches");
	filtered = ps_line_number(text, "Seccomp") == 2;	/* each thread may have filters of its own */
	if (wait->state != 'D' && !(wait->state == 'S' && filtered))
		return;
	/* The kernel's function that it sleeps in: "0" where it may not be seen. */
	if (ps_small_read(wait->function, sizeof(wait->function), "/proc/%d/task/%d/wchan", facts->pid, tid) <= 0 ||
	    *wait->function == '0')
		strcpy(wait->function, "the kernel");
	wait->supervised = filtered && strstr(wait->function, "seccomp");
}

static bool waits(const struct wait *wait)
{
	return wait->state == 'D' || wait->supervised;
}

/* Until it has moved, or the time is over. */
static bool stays(const struct ps_facts *facts, pid_t tid, struct wait *wait, int64_t until)
{
	const int64_t switches = wait->switches;

	while (ps_now_ns() < until) {
		ps_sleep(NAP_NS);
		look(facts, tid, wait);
		if (!waits(wait) || wait->switches != switches)
			return false;
	}
	return true;
}

void ps_gather_waiting(struct ps_facts *facts)
{
	const int64_t until = ps_now_ns() + PATIENCE_NS;
	pid_t *tids = malloc(PS_MAX_THREADS * sizeof(*tids));
	int count = tids ? ps_list_threads(facts->pid, tids, PS_MAX_THREADS) : 0;

	for (int i = 0; i < count && !facts->stuck && !facts->supervised; i++) {
		struct wait wait;

		look(facts, tids[i], &wait);
		if (!waits(&wait) || !stays(facts, tids[i], &wait, until))
			continue;
		if (wait.supervised) {
			facts->supervised = tids[i];
		} else {
			facts->stuck = tids[i];
			snprintf(facts->stuck_in, sizeof(facts->stuck_in), "%s", wait.function);
		}
	}
	free(tids);
}
