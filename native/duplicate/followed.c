// SPDX-License-Identifier: MIT
/* Which calls are followed: their table. */
#include "followed.h"

#define BUCKETS		4096

static struct followed pool[PS_MAX_THREADS];
static int used_up_to, count, held_count;
static int16_t bucket[BUCKETS], unused;		/* from 1 */

struct followed *ps_find_followed(pid_t tid)
{
	for (int i = bucket[tid % BUCKETS]; i; i = pool[i - 1].next)
		if (pool[i - 1].tid == tid)
			return &pool[i - 1];
	return NULL;
}

bool ps_followed(pid_t tid)
{
	return ps_find_followed(tid);
}

struct followed *ps_new_followed(pid_t pid, pid_t tid)
{
	int i = unused ? unused - 1 : used_up_to;

	if (i == PS_MAX_THREADS)
		return NULL;
	if (unused)
		unused = pool[i].next;
	else
		used_up_to++;
	pool[i] = (struct followed){ .pid = pid, .tid = tid, .next = bucket[tid % BUCKETS], .deadline_ns = INT64_MAX };
	bucket[tid % BUCKETS] = i + 1;
	count++;
	return &pool[i];
}

void ps_hold_followed(struct followed *followed, bool held)
{
	held_count += held - followed->held;
	followed->held = held;
}

void ps_drop_followed(struct followed *followed)
{
	int16_t *link = &bucket[followed->tid % BUCKETS];

	while (*link != followed - pool + 1)
		link = &pool[*link - 1].next;
	*link = followed->next;
	ps_hold_followed(followed, false);
	followed->tid = 0;
	followed->next = unused;
	unused = followed - pool + 1;
	if (!--count)
		used_up_to = unused = 0;
}

struct followed *ps_next_followed(const struct followed *last)
{
	for (int i = last ? last - pool + 1 : 0; i < used_up_to; i++)
		if (pool[i].tid)
			return &pool[i];
	return NULL;
}

bool ps_any_followed(void)
{
	return count;
}

bool ps_all_are_held(void)
{
	return count == held_count;
}
