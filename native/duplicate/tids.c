// SPDX-License-Identifier: MIT
#include <string.h>
#include "tids.h"

#define REMOVED	(-1)

void tids_clear(struct tids *set)
{
	if (set->used)
		memset(set, 0, sizeof(*set));
}

static uint32_t first_slot(pid_t tid)
{
	return (uint32_t)tid * 2654435761U % TIDS_SLOTS;	/* Knuth's: ids come in long rows */
}

/* Where @tid is, or -1. */
static int find(const struct tids *set, pid_t tid)
{
	for (uint32_t i = first_slot(tid);; i = (i + 1) % TIDS_SLOTS) {
		if (set->slot[i] == tid)
			return i;
		if (!set->slot[i])
			return -1;
	}
}

bool tids_has(const struct tids *set, pid_t tid)
{
	return find(set, tid) >= 0;
}

void tids_add(struct tids *set, pid_t tid)
{
	uint32_t i = first_slot(tid);

	if (tids_has(set, tid))
		return;
	while (set->slot[i] && set->slot[i] != REMOVED)
		i = (i + 1) % TIDS_SLOTS;
	/* Removed ids keep their slots until the next clear: a search must find an empty one. */
	if (!set->slot[i]) {
		if (set->used >= TIDS_SLOTS - 1)
			return;
		set->used++;
	}
	set->slot[i] = tid;
}

void tids_remove(struct tids *set, pid_t tid)
{
	int i = find(set, tid);

	if (i >= 0)
		set->slot[i] = REMOVED;
}
